-- Question: Which executions have been open for longer than their workflow ever takes?
-- Grain: One row per open execution that has been open for longer than 99 of 100 ended executions of its workflow took.
-- Note: Open executions without started_at, and those of workflows of which fewer than 20 have ended, cannot be
--   judged and are not in it: one that ended says nothing of how long others take. ended_executions says how much the
--   comparison is worth.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   execution_id text: The execution.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow that runs.
--   workflow_name text: The workflow's name, where it is known.
--   user_id text: The user for whom it runs.
--   status text: queued, running, waiting, or unknown for a vendor's status without a meaning here.
--   vendor_status text: The status in the vendor's own words.
--   started_at timestamp: When the execution began, UTC.
--   open_ms bigint: Milliseconds from started_at to now.
--   p99_duration_ms bigint: 99 of 100 ended executions of the workflow took at most so many milliseconds.
--   ended_executions bigint: Executions of the workflow that ended: those that were measured.
--   times_p99 double: How many times as long as that it has been open.
WITH usual AS (
    SELECT
        system,
        instance,
        coalesce(workflow_id, '') AS workflow,
        quantile_disc(duration_ms, 0.99) AS p99_duration_ms,
        count(duration_ms) AS ended_executions
    FROM executions
    WHERE NOT is_open
    GROUP BY system, instance, coalesce(workflow_id, '')
    HAVING count(duration_ms) >= 20
),

open_ones AS (
    SELECT
        system,
        instance,
        execution_id,
        integration,
        workflow_id,
        workflow_name,
        user_id,
        status,
        vendor_status,
        started_at,
        (epoch_us(CURRENT_TIMESTAMP) - epoch_us(started_at)) // 1000 AS open_ms
    FROM executions
    WHERE is_open AND started_at IS NOT NULL
)

SELECT
    o.system,
    o.instance,
    o.execution_id,
    o.integration,
    o.workflow_id,
    o.workflow_name,
    o.user_id,
    o.status,
    o.vendor_status,
    o.started_at,
    o.open_ms,
    u.p99_duration_ms,
    u.ended_executions,
    round(o.open_ms / nullif(u.p99_duration_ms, 0), 1) AS times_p99
FROM open_ones AS o
INNER JOIN usual AS u
    ON u.system = o.system AND u.instance = o.instance AND u.workflow = coalesce(o.workflow_id, '')
WHERE o.open_ms > u.p99_duration_ms
