-- Question: How long do integrations stay broken for a user before they work again?
-- Grain: One row per span in which a workflow failed for a user every time that it ran.
-- Note: A span begins with the first failure after an execution that did not fail, and ends with the next one that
--   succeeded, or succeeded in part; what is open, was cancelled or skipped, or has no known end changes nothing. Of two
--   that began at the same instant the failure comes first. Executions without started_at are left out. customer_health
--   shows the spans that are not over.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   user_id text: The user for whom the workflow ran; empty for executions without one.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow.
--   workflow_name text: The workflow's name, where it is known.
--   broken_at timestamp: When the first failure of the span began, UTC.
--   last_failed_at timestamp: When the last one did.
--   failures bigint: Failures of the span.
--   is_recovered bool: Whether the workflow worked again for the user.
--   recovered_at timestamp: When the first execution began that did not fail, UTC; empty while there is none.
--   recovery_ms bigint: Milliseconds from broken_at to recovered_at; empty while it is not recovered.
WITH outcomes AS (
    SELECT
        system,
        instance,
        integration,
        workflow_name,
        started_at,
        coalesce(user_id, '') AS user_key,
        coalesce(workflow_id, '') AS workflow_key,
        CASE WHEN status = 'failed' THEN started_at END AS failed_at,
        CASE WHEN status <> 'failed' THEN started_at END AS passed_at
    FROM executions
    WHERE status IN ('succeeded', 'partial', 'failed') AND started_at IS NOT NULL
),

failing AS (
    SELECT system, instance, user_key, workflow_key
    FROM outcomes
    WHERE failed_at IS NOT NULL
    GROUP BY system, instance, user_key, workflow_key
),

followed AS (
    SELECT
        o.system,
        o.instance,
        o.user_key,
        o.workflow_key,
        o.integration,
        o.workflow_name,
        o.failed_at,
        min(o.passed_at) OVER (
            PARTITION BY o.system, o.instance, o.user_key, o.workflow_key
            ORDER BY o.started_at NULLS FIRST, CASE WHEN o.failed_at IS NULL THEN 1 ELSE 0 END NULLS FIRST
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS recovered_at
    FROM outcomes AS o
    INNER JOIN failing AS f
        ON f.system = o.system AND f.instance = o.instance
        AND f.user_key = o.user_key AND f.workflow_key = o.workflow_key
)

SELECT
    system,
    instance,
    nullif(user_key, '') AS user_id,
    max(integration) AS integration,
    nullif(workflow_key, '') AS workflow_id,
    max(workflow_name) AS workflow_name,
    min(failed_at) AS broken_at,
    max(failed_at) AS last_failed_at,
    count(*) AS failures,
    recovered_at IS NOT NULL AS is_recovered,
    recovered_at,
    (epoch_us(recovered_at) - epoch_us(min(failed_at))) // 1000 AS recovery_ms
FROM followed
WHERE failed_at IS NOT NULL
GROUP BY system, instance, user_key, workflow_key, recovered_at
