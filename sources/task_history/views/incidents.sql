-- Question: When did a workflow or an integration fail far more than it usually does, whom did it hit, and is it over?
-- Grain: One row per span in which the failures of a workflow, or of an integration, stood out.
-- Note: The rule: of the executions that ended (succeeded, partial or failed), an hour stands out when at least 3 failed,
--   at least twice as many as usual, and so many that chance would give them in fewer than one of 10,000 such hours at the
--   usual rate (Chernoff's bound for a Poisson number: k ln(k / e) - k + e >= 9.21 with k failures where e are expected). A
--   UTC day of which no hour stands out does so by the same rule, so that what runs seldom is seen too. The usual rate is
--   that of all other UTC days, taken as if ten more executions had run and one of them failed: of a workflow with
--   little history more has to fail. Hours and days less than six hours apart are one span. What always failed is no
--   incident: customer_health shows that. One
--   of an integration counts the executions of its workflows, which may have incidents of their own.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   kind text: workflow or integration: what failed more than usual.
--   integration text: The integration; of a workflow the one that it belongs to, empty while it is not known.
--   workflow_id text: The workflow; empty for an integration.
--   workflow_name text: The workflow's name, where it is known.
--   started_at timestamp: When the first failure of the span began, UTC.
--   last_failed_at timestamp: When the last one began, UTC.
--   is_over bool: Whether executions that have ended began after the hours that stood out.
--   executions bigint: Executions of the hours and days that stood out, as far as they ended.
--   failures bigint: Those of them that failed.
--   failure_rate double: Failures by executions, from 0 to 1.
--   usual_failure_rate double: The rate that was usual, from 0 to 1.
--   users bigint: Different users for whom something failed from started_at to last_failed_at.
--   first_failed_execution_id text: The first execution that failed.
--   first_error text: What it said, where that is loaded, at most 500 characters as they are stored: it may hold customer data.
WITH hourly AS (
    SELECT
        system,
        instance,
        workflow_id,
        max(integration) AS integration,
        max(workflow_name) AS workflow_name,
        epoch_us(started_at) // 3600000000 AS hour,
        count(*) AS executions,
        count(CASE WHEN status = 'failed' THEN 1 END) AS failures,
        min(CASE WHEN status = 'failed' THEN started_at END) AS first_failed_at,
        max(CASE WHEN status = 'failed' THEN started_at END) AS last_failed_at
    FROM executions
    WHERE status IN ('succeeded', 'partial', 'failed') AND started_at IS NOT NULL
    GROUP BY system, instance, workflow_id, epoch_us(started_at) // 3600000000
),

hours AS (
    SELECT
        system, instance, 'workflow' AS kind, coalesce(workflow_id, '') AS subject,
        integration, workflow_id, workflow_name, hour, hour // 24 AS day, executions, failures,
        first_failed_at, last_failed_at
    FROM hourly
    UNION ALL
    SELECT
        system, instance, 'integration', integration,
        max(integration), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), hour, hour // 24, CAST(sum(executions) AS BIGINT),
        CAST(sum(failures) AS BIGINT), min(first_failed_at), max(last_failed_at)
    FROM hourly
    WHERE integration IS NOT NULL
    GROUP BY system, instance, integration, hour
),

days AS (
    SELECT
        system,
        instance,
        kind,
        subject,
        day,
        max(integration) AS integration,
        max(workflow_id) AS workflow_id,
        max(workflow_name) AS workflow_name,
        max(hour) AS last_hour,
        CAST(sum(executions) AS BIGINT) AS executions,
        CAST(sum(failures) AS BIGINT) AS failures,
        min(first_failed_at) AS first_failed_at,
        max(last_failed_at) AS last_failed_at
    FROM hours
    GROUP BY system, instance, kind, subject, day
),

subjects AS (
    SELECT
        system,
        instance,
        kind,
        subject,
        max(last_hour) AS last_hour,
        CAST(sum(executions) AS BIGINT) AS executions,
        CAST(sum(failures) AS BIGINT) AS failures
    FROM days
    GROUP BY system, instance, kind, subject
),

usual AS (
    SELECT
        d.system,
        d.instance,
        d.kind,
        d.subject,
        d.day,
        d.integration,
        d.workflow_id,
        d.workflow_name,
        d.executions,
        d.failures,
        d.first_failed_at,
        d.last_failed_at,
        (s.failures - d.failures + 1) / (s.executions - d.executions + 10) AS rate
    FROM days AS d
    INNER JOIN subjects AS s
        ON s.system = d.system AND s.instance = d.instance AND s.kind = d.kind AND s.subject = d.subject
    WHERE d.failures >= 3
),

bad_hours AS (
    SELECT
        h.system, h.instance, h.kind, h.subject, h.day, h.integration, h.workflow_id, h.workflow_name, h.hour,
        h.executions, h.failures, h.first_failed_at, h.last_failed_at, u.rate
    FROM hours AS h
    INNER JOIN usual AS u
        ON u.system = h.system AND u.instance = h.instance AND u.kind = h.kind
        AND u.subject = h.subject AND u.day = h.day
    WHERE h.failures >= 3 AND h.failures >= 2 * h.executions * u.rate
        AND h.failures * ln(greatest(h.failures, 1) / (h.executions * u.rate)) - h.failures + h.executions * u.rate
        >= 9.21
),

bad AS (
    SELECT
        system, instance, kind, subject, integration, workflow_id, workflow_name,
        hour AS first_hour, hour + 1 AS end_hour, executions, failures, first_failed_at, last_failed_at, rate
    FROM bad_hours
    UNION ALL
    SELECT
        u.system, u.instance, u.kind, u.subject, u.integration, u.workflow_id, u.workflow_name,
        u.day * 24, u.day * 24 + 24, u.executions, u.failures, u.first_failed_at, u.last_failed_at, u.rate
    FROM usual AS u
    LEFT JOIN (
        SELECT system, instance, kind, subject, day FROM bad_hours GROUP BY system, instance, kind, subject, day
    ) AS b
        ON b.system = u.system AND b.instance = u.instance AND b.kind = u.kind
        AND b.subject = u.subject AND b.day = u.day
    WHERE b.day IS NULL AND u.failures >= 2 * u.executions * u.rate
        AND u.failures * ln(greatest(u.failures, 1) / (u.executions * u.rate)) - u.failures + u.executions * u.rate
        >= 9.21
),

edges AS (
    SELECT
        system, instance, kind, subject, integration, workflow_id, workflow_name, first_hour, end_hour, executions,
        failures, first_failed_at, last_failed_at, rate,
        max(end_hour) OVER (
            PARTITION BY system, instance, kind, subject ORDER BY first_hour NULLS FIRST
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS end_before
    FROM bad
),

numbered AS (
    SELECT
        system, instance, kind, subject, integration, workflow_id, workflow_name, first_hour, end_hour, executions,
        failures, first_failed_at, last_failed_at, rate,
        sum(CASE WHEN first_hour < end_before + 6 THEN 0 ELSE 1 END) OVER (
            PARTITION BY system, instance, kind, subject ORDER BY first_hour NULLS FIRST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS span
    FROM edges
),

spans AS (
    SELECT
        n.system,
        n.instance,
        n.kind,
        n.subject,
        n.span,
        max(n.integration) AS integration,
        max(n.workflow_id) AS workflow_id,
        max(n.workflow_name) AS workflow_name,
        min(n.first_failed_at) AS started_at,
        max(n.last_failed_at) AS last_failed_at,
        max(s.last_hour) >= max(n.end_hour) AS is_over,
        CAST(sum(n.executions) AS BIGINT) AS executions,
        CAST(sum(n.failures) AS BIGINT) AS failures,
        max(n.rate) AS usual_failure_rate
    FROM numbered AS n
    INNER JOIN subjects AS s
        ON s.system = n.system AND s.instance = n.instance AND s.kind = n.kind AND s.subject = n.subject
    GROUP BY n.system, n.instance, n.kind, n.subject, n.span
),

failed AS (
    SELECT system, instance, 'workflow' AS kind, coalesce(workflow_id, '') AS subject, execution_id, user_id, started_at
    FROM executions
    WHERE status = 'failed' AND started_at IS NOT NULL
    UNION ALL
    SELECT system, instance, 'integration', integration, execution_id, user_id, started_at
    FROM executions
    WHERE status = 'failed' AND started_at IS NOT NULL AND integration IS NOT NULL
),

hit AS (
    SELECT
        s.system,
        s.instance,
        s.kind,
        s.subject,
        s.span,
        count(DISTINCT f.user_id) AS users,
        min(CASE WHEN f.started_at = s.started_at THEN f.execution_id END) AS first_failed_execution_id
    FROM spans AS s
    INNER JOIN failed AS f
        ON f.system = s.system AND f.instance = s.instance AND f.kind = s.kind AND f.subject = s.subject
    WHERE f.started_at >= s.started_at AND f.started_at <= s.last_failed_at
    GROUP BY s.system, s.instance, s.kind, s.subject, s.span
),

errors AS (
    SELECT
        h.system,
        h.instance,
        h.first_failed_execution_id,
        min(substr(coalesce(e.error, t.error, p.error), 1, 500)) AS error
    FROM (
        SELECT DISTINCT system, instance, first_failed_execution_id FROM hit
    ) AS h
    INNER JOIN executions AS e
        ON e.system = h.system AND e.instance = h.instance AND e.execution_id = h.first_failed_execution_id
    LEFT JOIN (
        SELECT system, instance, execution_id, step_execution_id, error FROM systems.steps WHERE status = 'failed'
    ) AS t
        ON t.system = h.system AND t.instance = h.instance AND t.execution_id = h.first_failed_execution_id
    LEFT JOIN systems.payloads AS p
        ON p.system = t.system AND p.instance = t.instance AND p.execution_id = t.execution_id
        AND p.step_execution_id = t.step_execution_id
    GROUP BY h.system, h.instance, h.first_failed_execution_id
)

SELECT
    s.system,
    s.instance,
    s.kind,
    s.integration,
    s.workflow_id,
    s.workflow_name,
    s.started_at,
    s.last_failed_at,
    s.is_over,
    s.executions,
    s.failures,
    s.failures / s.executions AS failure_rate,
    s.usual_failure_rate,
    h.users,
    h.first_failed_execution_id,
    e.error AS first_error
FROM spans AS s
INNER JOIN hit AS h
    ON h.system = s.system AND h.instance = s.instance AND h.kind = s.kind AND h.subject = s.subject AND h.span = s.span
LEFT JOIN errors AS e
    ON e.system = h.system AND e.instance = h.instance AND e.first_failed_execution_id = h.first_failed_execution_id
