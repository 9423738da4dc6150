-- Question: What came of the executions that were run again: did they recover, and how long did it take?
-- Grain: One row per request to run an execution again.
-- Note: A replay recovered when the execution that the vendor started for it succeeded. Where the vendor names none, or it
--   is not loaded yet, is_recovered is empty, and next_success_at says when the same workflow next succeeded for the
--   same user, by the replay or by itself.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   replay_id text: The run that asked and the execution's id.
--   execution_id text: The execution that was to run again.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow.
--   workflow_name text: The workflow's name, where it is known.
--   user_id text: The user for whom it ran.
--   failed_at timestamp: When the execution that was to run again ended, UTC.
--   replayed_at timestamp: When the answer to the request came, or when it was to be sent, UTC.
--   outcome text: replayed, refused, unknown, intended or unsent; see the table replays.
--   new_execution_id text: The execution that the vendor started for it, where it named one.
--   new_status text: The status of that execution; empty where it is not loaded.
--   is_recovered bool: Whether that execution succeeded; false where it ended otherwise, or nothing was run again; empty while it is not known.
--   recovered_at timestamp: When that execution ended, where it succeeded, UTC.
--   replay_ms bigint: Milliseconds from replayed_at to recovered_at; 0 where it ended before the answer came.
--   recovery_ms bigint: Milliseconds from failed_at to recovered_at.
--   next_success_at timestamp: When the same workflow first began for the same user after the request and succeeded, UTC.
WITH asked AS (
    SELECT
        system,
        instance,
        replay_id,
        execution_id,
        new_execution_id,
        outcome,
        coalesce(intended_at, answered_at) AS asked_at,
        coalesce(answered_at, intended_at) AS replayed_at
    FROM systems.replays
),

joined AS (
    SELECT
        a.system,
        a.instance,
        a.replay_id,
        a.execution_id,
        e.integration,
        e.workflow_id,
        e.workflow_name,
        e.user_id,
        e.ended_at AS failed_at,
        a.asked_at,
        a.replayed_at,
        a.outcome,
        a.new_execution_id,
        n.status AS new_status,
        n.is_open AS is_new_open,
        CASE WHEN n.status = 'succeeded' THEN n.ended_at END AS recovered_at
    FROM asked AS a
    LEFT JOIN executions AS e
        ON e.system = a.system AND e.instance = a.instance AND e.execution_id = a.execution_id
    LEFT JOIN executions AS n
        ON n.system = a.system AND n.instance = a.instance AND n.execution_id = a.new_execution_id
),

successes AS (
    SELECT j.system, j.instance, j.replay_id, min(s.started_at) AS next_success_at
    FROM joined AS j
    INNER JOIN executions AS s
        ON s.system = j.system AND s.instance = j.instance AND s.workflow_id = j.workflow_id AND s.user_id = j.user_id
    WHERE s.status = 'succeeded' AND s.started_at >= j.asked_at
    GROUP BY j.system, j.instance, j.replay_id
)

SELECT
    j.system,
    j.instance,
    j.replay_id,
    j.execution_id,
    j.integration,
    j.workflow_id,
    j.workflow_name,
    j.user_id,
    j.failed_at,
    j.replayed_at,
    j.outcome,
    j.new_execution_id,
    j.new_status,
    CASE
        WHEN j.new_status = 'succeeded' THEN TRUE
        WHEN j.outcome IN ('refused', 'unsent') THEN FALSE
        WHEN NOT j.is_new_open AND j.new_status NOT IN ('unresolved', 'unknown') THEN FALSE
    END AS is_recovered,
    j.recovered_at,
    CASE
        WHEN j.recovered_at < j.replayed_at THEN 0
        ELSE (epoch_us(j.recovered_at) - epoch_us(j.replayed_at)) // 1000
    END AS replay_ms,
    (epoch_us(j.recovered_at) - epoch_us(j.failed_at)) // 1000 AS recovery_ms,
    s.next_success_at
FROM joined AS j
LEFT JOIN successes AS s ON s.system = j.system AND s.instance = j.instance AND s.replay_id = j.replay_id
