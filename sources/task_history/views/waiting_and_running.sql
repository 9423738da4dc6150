-- Question: For how much of an execution's time did its steps work, and for how much did it wait?
-- Grain: One row per execution of which the vendor says when it began.
-- Note: A step works from its start to its end, unless its kind waits on purpose, such as a delay or a task for a person;
--   steps at the same time count once. All other time from the execution's start to its end is waiting: for a delay, a
--   person, a slot, or between steps. Both are empty until the execution has ended and its steps are loaded.
--   seen_waiting_ms and seen_running_ms come from execution_states: from when to when syncs saw it so, which is a lower
--   bound, since they look only now and then. Filter by started_at: all executions at once take long.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   execution_id text: The execution.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow that ran.
--   workflow_name text: The workflow's name, where it is known.
--   user_id text: The user for whom it ran.
--   status text: Its status, as in executions.
--   started_at timestamp: When the execution began, UTC.
--   duration_ms bigint: Milliseconds from its start to its end; empty while it is open.
--   running_ms bigint: Milliseconds of them in which at least one step worked.
--   waiting_ms bigint: The other milliseconds of them.
--   delayed_ms bigint: Milliseconds that steps took that wait on purpose, each counted for itself.
--   first_step_after_ms bigint: Milliseconds from the execution's start to that of its first step.
--   seen_waiting_ms bigint: Milliseconds for which syncs saw it queued or waiting; empty where they never did.
--   seen_running_ms bigint: Milliseconds for which syncs saw it running; empty where they never did.
WITH timed AS (
    SELECT
        e.system,
        e.instance,
        e.execution_id,
        e.started_at AS execution_started_at,
        s.is_waiting,
        s.started_at,
        s.ended_at,
        max(CASE WHEN NOT s.is_waiting THEN s.ended_at END) OVER (
            PARTITION BY e.system, e.instance, e.execution_id, e.started_at
            ORDER BY s.started_at NULLS FIRST, s.ended_at NULLS FIRST
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS worked_until
    FROM executions AS e
    INNER JOIN systems.steps AS s
        ON s.system = e.system AND s.instance = e.instance AND s.execution_id = e.execution_id
    WHERE e.duration_ms IS NOT NULL AND s.started_at IS NOT NULL AND s.ended_at >= s.started_at
),

worked AS (
    SELECT
        system,
        instance,
        execution_id,
        execution_started_at,
        CAST(sum(
            CASE
                WHEN is_waiting OR ended_at <= worked_until THEN 0
                ELSE epoch_us(ended_at) - epoch_us(greatest(started_at, coalesce(worked_until, started_at)))
            END
        ) AS BIGINT) AS running_us,
        CAST(sum(CASE WHEN is_waiting THEN epoch_us(ended_at) - epoch_us(started_at) ELSE 0 END) AS BIGINT) AS delayed_us,
        min(started_at) AS first_step_at
    FROM timed
    GROUP BY system, instance, execution_id, execution_started_at
),

details AS (
    SELECT system, instance, execution_id, execution_started_at
    FROM systems.details
    WHERE outcome = 'loaded'
),

seen AS (
    SELECT
        system,
        instance,
        execution_id,
        CAST(sum(CASE WHEN state IN ('queued', 'waiting') THEN epoch_us(last_seen_at) - epoch_us(seen_at) END) AS BIGINT)
            AS waiting_us,
        CAST(sum(CASE WHEN state = 'running' THEN epoch_us(last_seen_at) - epoch_us(seen_at) END) AS BIGINT) AS running_us
    FROM systems.execution_states
    GROUP BY system, instance, execution_id
)

SELECT
    e.system,
    e.instance,
    e.execution_id,
    e.integration,
    e.workflow_id,
    e.workflow_name,
    e.user_id,
    e.status,
    e.started_at,
    e.duration_ms,
    CASE
        WHEN d.execution_id IS NOT NULL AND e.duration_ms >= 0
            THEN least(coalesce(w.running_us, 0) // 1000, e.duration_ms)
    END AS running_ms,
    CASE
        WHEN d.execution_id IS NOT NULL AND e.duration_ms >= 0
            THEN e.duration_ms - least(coalesce(w.running_us, 0) // 1000, e.duration_ms)
    END AS waiting_ms,
    CASE WHEN d.execution_id IS NOT NULL AND e.duration_ms >= 0 THEN coalesce(w.delayed_us, 0) // 1000 END AS delayed_ms,
    CASE
        WHEN d.execution_id IS NOT NULL THEN (epoch_us(w.first_step_at) - epoch_us(e.started_at)) // 1000
    END AS first_step_after_ms,
    x.waiting_us // 1000 AS seen_waiting_ms,
    x.running_us // 1000 AS seen_running_ms
FROM executions AS e
LEFT JOIN details AS d
    ON d.system = e.system AND d.instance = e.instance AND d.execution_id = e.execution_id
    AND d.execution_started_at = e.started_at
LEFT JOIN worked AS w
    ON w.system = e.system AND w.instance = e.instance AND w.execution_id = e.execution_id
    AND w.execution_started_at = e.started_at
LEFT JOIN seen AS x
    ON x.system = e.system AND x.instance = e.instance AND x.execution_id = e.execution_id
WHERE e.started_at IS NOT NULL
