-- Question: Which failed executions could run again, and is it worth it?
-- Grain: One row per failed execution that the vendor still holds, of a system that can run executions again, and that was not run again through this connector.
-- Note: A replay repeats all that the workflow does in other apps. task-history replay shows what it would send
--   and sends it with --yes. The vendor no longer holds what is older than retention_days, or what it was found to have
--   purged. Those whose replay was refused or never sent are in it again.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   execution_id text: The execution that failed.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow that failed.
--   workflow_name text: The workflow's name, where it is known.
--   user_id text: The user for whom it ran.
--   started_at timestamp: When the execution began, UTC; empty where the vendor does not say.
--   ended_at timestamp: When it failed, UTC.
--   failed_steps bigint: Steps of it that failed; empty while its steps are not loaded.
--   failed_step_type text: The kind of one that did, in the vendor's words.
--   succeeded_later_at timestamp: When the same workflow last began for the same user and succeeded, if that was after this one: then it may not be worth it.
--   purged_from timestamp: From when on the vendor may not hold it any more, by the setting retention_days; empty where that is not known.
WITH settings AS (
    SELECT system, instance, retention_days
    FROM systems.sync_runs
    WHERE retention_days IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY system, instance ORDER BY started_at DESC, run_id) = 1
),

-- The setting of the newest run; 0 is for ever.
replayable AS (
    SELECT
        d.system,
        d.instance,
        CASE
            WHEN s.retention_days IS NULL THEN 24 * d.retention_days
            WHEN s.retention_days > 0 THEN CAST(24 * s.retention_days AS BIGINT)
        END AS retention_hours
    FROM systems.datasets AS d
    LEFT JOIN settings AS s ON s.system = d.system AND s.instance = d.instance
    WHERE d.can_replay
),

replayed AS (
    SELECT DISTINCT system, instance, execution_id
    FROM systems.replays
    WHERE outcome IN ('replayed', 'unknown', 'intended')
),

failed_steps AS (
    SELECT system, instance, execution_id, count(*) AS failed_steps, max(step_type) AS failed_step_type
    FROM systems.steps
    WHERE status = 'failed'
    GROUP BY system, instance, execution_id
),

details AS (
    SELECT system, instance, execution_id, outcome
    FROM systems.details
),

successes AS (
    SELECT system, instance, workflow_id, user_id, max(started_at) AS last_success_at
    FROM executions
    WHERE status = 'succeeded'
    GROUP BY system, instance, workflow_id, user_id
)

SELECT
    e.system,
    e.instance,
    e.execution_id,
    e.integration,
    e.workflow_id,
    e.workflow_name,
    e.user_id,
    e.started_at,
    e.ended_at,
    CASE WHEN l.outcome = 'loaded' THEN coalesce(s.failed_steps, 0) END AS failed_steps,
    s.failed_step_type,
    CASE WHEN w.last_success_at > e.started_at THEN w.last_success_at END AS succeeded_later_at,
    e.started_at + INTERVAL (r.retention_hours) HOUR AS purged_from
FROM executions AS e
INNER JOIN replayable AS r ON r.system = e.system AND r.instance = e.instance
LEFT JOIN replayed AS d
    ON d.system = e.system AND d.instance = e.instance AND d.execution_id = e.execution_id
LEFT JOIN details AS l
    ON l.system = e.system AND l.instance = e.instance AND l.execution_id = e.execution_id
LEFT JOIN failed_steps AS s
    ON s.system = e.system AND s.instance = e.instance AND s.execution_id = e.execution_id
LEFT JOIN successes AS w
    ON w.system = e.system AND w.instance = e.instance AND w.workflow_id = e.workflow_id AND w.user_id = e.user_id
WHERE e.status = 'failed' AND e.purged_at_source IS NULL AND d.execution_id IS NULL
    AND coalesce(l.outcome, '') NOT IN ('gone', 'expired')
    AND (
        r.retention_hours IS NULL OR e.started_at IS NULL
        OR e.started_at + INTERVAL (r.retention_hours) HOUR > CURRENT_TIMESTAMP
    )
