-- Question: Which steps are slow, which fail, and how often do they run?
-- Grain: One row per system, instance and step of a workflow's definition; every step that is loaded is in runs of exactly one.
-- Note: Steps of failed executions are loaded before others, or alone (setting steps), so that failure_rate and the
--   durations are those of complete days only: UTC days of the account of which something is loaded without a filter, and
--   on which every execution that ended has its steps. A day on which every execution failed counts only where all days
--   are complete. Without such days they are empty. complete_days and complete_executions say what stands behind them.
--   Executions that are open, that have no known end or no started_at are left out of this. Steps that wait on purpose,
--   such as ACTION/DELAY, are in it with the time that they waited.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   step_id text: The step of the workflow's definition.
--   step_name text: The step's name, where the vendor gives one.
--   step_type text: The kind of step in the vendor's words, such as ACTION/REQUEST.
--   integration text: The integration of the step's workflow; empty while it is not known.
--   workflow_id text: The workflow that the step belongs to.
--   workflow_name text: The workflow's name, where it is known.
--   runs bigint: How often the step ran in all executions whose steps are loaded; no fair sample while days are not complete.
--   failures bigint: How often it failed in them.
--   complete_days bigint: Complete days of the account on which its workflow ran: the figures that follow are theirs.
--   complete_executions bigint: Executions of its workflow that ended, of those days.
--   complete_runs bigint: How often the step ran on complete days of the account.
--   complete_failures bigint: How often it failed on them.
--   failure_rate double: complete_failures by complete_runs, from 0 to 1; empty where nothing ran on complete days.
--   ended_runs bigint: Runs of complete days of which start and end are known; the durations are theirs.
--   total_duration_ms decimal: Milliseconds that they took together.
--   p50_duration_ms bigint: Half of them took at most so many milliseconds; the nearest rank, not interpolated.
--   p95_duration_ms bigint: 95 of 100 took at most so many milliseconds.
--   p99_duration_ms bigint: 99 of 100 took at most so many milliseconds.
--   max_duration_ms bigint: Milliseconds that the longest took.
--   last_started_at timestamp: When the step last began, of all that are loaded.
WITH ended AS (
    SELECT
        e.system,
        e.instance,
        coalesce(e.workflow_id, '') AS workflow,
        CAST(e.started_at AT TIME ZONE 'UTC' AS DATE) AS day,
        CASE WHEN d.execution_id IS NULL THEN 0 ELSE 1 END AS detailed,
        CASE WHEN e.status = 'failed' THEN 0 ELSE 1 END AS not_failed
    FROM executions AS e
    LEFT JOIN (
        SELECT system, instance, execution_id, execution_started_at
        FROM systems.details
        WHERE outcome = 'loaded'
    ) AS d
        ON d.system = e.system AND d.instance = e.instance AND d.execution_id = e.execution_id
        AND d.execution_started_at = e.started_at
    WHERE NOT e.is_open AND e.status <> 'unresolved' AND e.started_at IS NOT NULL
),

workflow_days AS (
    SELECT
        system,
        instance,
        workflow,
        day,
        count(*) AS executions,
        min(detailed) AS detailed,
        max(not_failed) AS not_failed
    FROM ended
    GROUP BY system, instance, workflow, day
),

-- keep_days_steps deletes steps; that they were read is still noted.
deleted AS (
    SELECT system, instance, max(steps_kept_since) - INTERVAL 1 SECOND AS until
    FROM systems.sync_runs
    GROUP BY system, instance
),

account_days AS (
    SELECT w.system, w.instance, w.day, min(w.detailed) AS detailed, max(w.not_failed) AS not_failed
    FROM workflow_days AS w
    INNER JOIN loaded_days AS l ON l.system = w.system AND l.instance = w.instance AND l.day = w.day
    LEFT JOIN deleted AS x ON x.system = w.system AND x.instance = w.instance
    WHERE l.state <> 'missing' AND (x.until IS NULL OR w.day > CAST(x.until AT TIME ZONE 'UTC' AS DATE))
    GROUP BY w.system, w.instance, w.day
),

accounts AS (
    SELECT system, instance, min(detailed) AS detailed
    FROM account_days
    GROUP BY system, instance
),

-- With failures first, a day of failures alone is complete long before others are.
complete AS (
    SELECT d.system, d.instance, d.day
    FROM account_days AS d
    INNER JOIN accounts AS a ON a.system = d.system AND a.instance = d.instance
    WHERE d.detailed = 1 AND (d.not_failed = 1 OR a.detailed = 1)
),

workflows AS (
    SELECT
        w.system,
        w.instance,
        w.workflow,
        count(*) AS complete_days,
        CAST(sum(w.executions) AS BIGINT) AS complete_executions
    FROM workflow_days AS w
    INNER JOIN complete AS c ON c.system = w.system AND c.instance = w.instance AND c.day = w.day
    GROUP BY w.system, w.instance, w.workflow
),

timed AS (
    SELECT
        s.system,
        s.instance,
        s.step_id,
        s.step_name,
        s.step_type,
        s.execution_id,
        s.started_at,
        CASE WHEN s.status = 'failed' THEN 1 ELSE 0 END AS failed,
        CASE WHEN c.day IS NULL THEN 0 ELSE 1 END AS is_complete,
        CASE WHEN c.day IS NOT NULL THEN (epoch_us(s.ended_at) - epoch_us(s.started_at)) // 1000 END AS duration_ms
    FROM systems.steps AS s
    LEFT JOIN complete AS c
        ON c.system = s.system AND c.instance = s.instance
        AND c.day = CAST(s.execution_started_at AT TIME ZONE 'UTC' AS DATE)
),

measured AS (
    SELECT
        system,
        instance,
        step_id,
        step_name,
        step_type,
        count(*) AS runs,
        CAST(sum(failed) AS BIGINT) AS failures,
        CAST(sum(is_complete) AS BIGINT) AS complete_runs,
        CAST(sum(is_complete * failed) AS BIGINT) AS complete_failures,
        sum(is_complete * failed) / nullif(sum(is_complete), 0) AS failure_rate,
        count(duration_ms) AS ended_runs,
        CAST(sum(CAST(duration_ms AS DECIMAL(29, 0))) AS DECIMAL(29, 0)) AS total_duration_ms,
        quantile_disc(duration_ms, 0.5) AS p50_duration_ms,
        quantile_disc(duration_ms, 0.95) AS p95_duration_ms,
        quantile_disc(duration_ms, 0.99) AS p99_duration_ms,
        max(duration_ms) AS max_duration_ms,
        max(started_at) AS last_started_at,
        max(execution_id) AS some_execution_id
    FROM timed
    GROUP BY system, instance, step_id, step_name, step_type
)

-- A step belongs to one workflow: any of its executions names it.
SELECT
    m.system,
    m.instance,
    m.step_id,
    m.step_name,
    m.step_type,
    e.integration,
    e.workflow_id,
    e.workflow_name,
    m.runs,
    m.failures,
    coalesce(w.complete_days, 0) AS complete_days,
    coalesce(w.complete_executions, 0) AS complete_executions,
    m.complete_runs,
    m.complete_failures,
    m.failure_rate,
    m.ended_runs,
    m.total_duration_ms,
    m.p50_duration_ms,
    m.p95_duration_ms,
    m.p99_duration_ms,
    m.max_duration_ms,
    m.last_started_at
FROM measured AS m
LEFT JOIN executions AS e
    ON e.system = m.system AND e.instance = m.instance AND e.execution_id = m.some_execution_id
LEFT JOIN workflows AS w
    ON w.system = m.system AND w.instance = m.instance AND w.workflow = coalesce(e.workflow_id, '')
