-- Question: Which steps are slow, which fail, and how often do they run?
-- Grain: One row per system, instance and step of a workflow's definition; every step that is loaded is counted in exactly one.
-- Note: Steps that wait on purpose, such as ACTION/DELAY, are in it with the time that they waited.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   step_id text: The step of the workflow's definition.
--   step_name text: The step's name, where the vendor gives one.
--   step_type text: The kind of step in the vendor's words, such as ACTION/REQUEST.
--   integration text: The integration of the step's workflow; empty while it is not known.
--   workflow_id text: The workflow that the step belongs to.
--   workflow_name text: The workflow's name, where it is known.
--   runs bigint: How often the step ran.
--   failures bigint: How often it failed.
--   failure_rate double: Failures by runs, from 0 to 1.
--   ended_runs bigint: Runs of which start and end are known; the durations are theirs.
--   total_duration_ms bigint: Milliseconds that they took together.
--   p50_duration_ms bigint: Half of them took at most so many milliseconds; the nearest rank, not interpolated.
--   p95_duration_ms bigint: 95 of 100 took at most so many milliseconds.
--   p99_duration_ms bigint: 99 of 100 took at most so many milliseconds.
--   max_duration_ms bigint: Milliseconds that the longest took.
--   last_started_at timestamp: When the step last began.
WITH timed AS (
    SELECT
        system,
        instance,
        step_id,
        step_name,
        step_type,
        execution_id,
        started_at,
        CASE WHEN status = 'failed' THEN 1 ELSE 0 END AS failed,
        (epoch_us(ended_at) - epoch_us(started_at)) // 1000 AS duration_ms
    FROM systems.steps
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
        sum(failed) / count(*) AS failure_rate,
        count(duration_ms) AS ended_runs,
        CAST(sum(duration_ms) AS BIGINT) AS total_duration_ms,
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
