-- Question: How much ran each day, how much of it failed, and how long did it take?
-- Grain: One row per system, instance, integration, workflow and day, from the workflow's first day to the last day that is loaded; days on which it did not run show 0.
-- Note: Executions without started_at are in the rows with an empty day, so that the sum over all rows is the number
--   of all executions. Days are those of the account's time zone (setting timezone), which timezone names: 23 or 25
--   hours where clocks change. It reads all days, also under a filter: where that costs, filter executions by started_at.
-- Columns:
--   day date: The day on which the executions began; empty for those of which the vendor does not say.
--   timezone text: The time zone of the day.
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow that ran.
--   workflow_name text: The workflow's name, where it is known.
--   is_day_loaded bool: Whether the whole day is loaded, and no UTC day that it touches has a gap: otherwise 0 may mean that nothing is known.
--   executions bigint: Executions that began on the day.
--   failures bigint: Those of them that failed.
--   failure_rate double: Failures by executions, from 0 to 1; empty on days without executions.
--   open_executions bigint: Those of them that may still change.
--   tasks decimal: Tasks that the vendor counted for them.
--   p50_duration_ms bigint: Half of those that ended took at most so many milliseconds; the nearest rank, not interpolated.
--   p95_duration_ms bigint: 95 of 100 that ended took at most so many milliseconds.
--   p99_duration_ms bigint: 99 of 100 that ended took at most so many milliseconds.
WITH counted AS (
    SELECT
        day,
        system,
        instance,
        integration,
        workflow_id,
        workflow_name,
        count(*) AS executions,
        sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failures,
        sum(CASE WHEN is_open THEN 1 ELSE 0 END) AS open_executions,
        sum(CAST(task_count AS DECIMAL(29, 0))) AS tasks,
        quantile_disc(duration_ms, 0.5) AS p50_duration_ms,
        quantile_disc(duration_ms, 0.95) AS p95_duration_ms,
        quantile_disc(duration_ms, 0.99) AS p99_duration_ms
    FROM executions
    GROUP BY day, system, instance, integration, workflow_id, workflow_name
),

workflows AS (
    SELECT system, instance, integration, workflow_id, workflow_name, min(day) AS first_day
    FROM counted
    GROUP BY system, instance, integration, workflow_id, workflow_name
),

-- Spans without a gap. Of a UTC day with gaps nothing is taken for loaded: the gap may be in any day of the zone.
loaded AS (
    SELECT
        system,
        instance,
        loaded_from,
        loaded_until,
        lag(loaded_until) OVER (PARTITION BY system, instance ORDER BY day NULLS FIRST) AS until_before
    FROM loaded_days
    WHERE covered_ms > 0 AND covered_ms = (epoch_us(loaded_until) - epoch_us(loaded_from)) // 1000
),

numbered AS (
    SELECT
        system,
        instance,
        loaded_from,
        loaded_until,
        sum(CASE WHEN loaded_from = until_before THEN 0 ELSE 1 END) OVER (
            PARTITION BY system, instance ORDER BY loaded_from NULLS FIRST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS span
    FROM loaded
),

spans AS (
    SELECT system, instance, min(loaded_from) AS loaded_from, max(loaded_until) AS loaded_until
    FROM numbered
    GROUP BY system, instance, span
),

accounts AS (
    SELECT
        l.system,
        l.instance,
        z.timezone,
        max(l.loaded_until) AS loaded_until,
        CAST(min(l.day) - INTERVAL 1 DAY AS DATE) AS first_day,
        CAST(max(l.day) + INTERVAL 2 DAY AS DATE) AS last_day
    FROM loaded_days AS l
    INNER JOIN systems.datasets AS z ON z.system = l.system AND z.instance = l.instance
    GROUP BY l.system, l.instance, z.timezone
),

midnights AS (
    SELECT
        a.system,
        a.instance,
        a.timezone,
        a.loaded_until,
        d.day,
        CAST(d.day AS TIMESTAMP) AT TIME ZONE a.timezone AS midnight
    FROM accounts AS a
    CROSS JOIN UNNEST(CAST(generate_series(a.first_day, a.last_day, INTERVAL '1' DAY) AS DATE[])) AS d(day)
),

-- Where clocks go back from 1:00 to midnight, the day begins with the first of the two midnights.
starts AS (
    SELECT
        system,
        instance,
        loaded_until,
        day,
        CASE
            WHEN CAST((midnight - INTERVAL 1 HOUR) AT TIME ZONE timezone AS DATE) = day THEN midnight - INTERVAL 1 HOUR
            ELSE midnight
        END AS day_start
    FROM midnights
),

local_days AS (
    SELECT
        system,
        instance,
        loaded_until,
        day,
        day_start,
        lead(day_start) OVER (PARTITION BY system, instance ORDER BY day NULLS FIRST) AS day_end
    FROM starts
),

whole_days AS (
    SELECT d.system, d.instance, d.day
    FROM local_days AS d
    INNER JOIN spans AS s ON s.system = d.system AND s.instance = d.instance
    WHERE s.loaded_from <= d.day_start AND s.loaded_until >= d.day_end
),

last_days AS (
    SELECT system, instance, max(day) AS last_day
    FROM (
        SELECT system, instance, day FROM counted
        UNION ALL
        SELECT system, instance, day FROM local_days WHERE day_start < loaded_until
    ) AS ends
    GROUP BY system, instance
),

spine AS (
    SELECT w.system, w.instance, w.integration, w.workflow_id, w.workflow_name, d.day
    FROM workflows AS w
    INNER JOIN last_days AS l ON l.system = w.system AND l.instance = w.instance
    CROSS JOIN UNNEST(CAST(generate_series(w.first_day, l.last_day, INTERVAL '1' DAY) AS DATE[])) AS d(day)
),

filled AS (
    SELECT
        day, system, instance, integration, workflow_id, workflow_name,
        executions, failures, open_executions, tasks, p50_duration_ms, p95_duration_ms, p99_duration_ms
    FROM counted
    UNION ALL
    SELECT
        day, system, instance, integration, workflow_id, workflow_name,
        0, 0, 0, 0, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
    FROM spine
),

usage AS (
    SELECT
        day,
        system,
        instance,
        integration,
        workflow_id,
        workflow_name,
        CAST(sum(executions) AS BIGINT) AS executions,
        CAST(sum(failures) AS BIGINT) AS failures,
        sum(failures) / nullif(sum(executions), 0) AS failure_rate,
        CAST(sum(open_executions) AS BIGINT) AS open_executions,
        coalesce(CAST(sum(tasks) AS DECIMAL(29, 0)), 0) AS tasks,
        max(p50_duration_ms) AS p50_duration_ms,
        max(p95_duration_ms) AS p95_duration_ms,
        max(p99_duration_ms) AS p99_duration_ms
    FROM filled
    GROUP BY day, system, instance, integration, workflow_id, workflow_name
)

SELECT
    u.day,
    z.timezone,
    u.system,
    u.instance,
    u.integration,
    u.workflow_id,
    u.workflow_name,
    d.day IS NOT NULL AS is_day_loaded,
    u.executions,
    u.failures,
    u.failure_rate,
    u.open_executions,
    u.tasks,
    u.p50_duration_ms,
    u.p95_duration_ms,
    u.p99_duration_ms
FROM usage AS u
LEFT JOIN systems.datasets AS z ON z.system = u.system AND z.instance = u.instance
LEFT JOIN whole_days AS d
    ON d.system = u.system AND d.instance = u.instance AND d.day = u.day
