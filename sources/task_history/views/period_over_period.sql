-- Question: How do this week and month compare with the ones before?
-- Grain: One row per system, instance, integration and week or month in which something ran, or ran in the one before; up to the present one.
-- Note: Weeks and months are those of the account's time zone (settings timezone and week_start). The present one is not
--   over: it is compared with the one before up to the same day and time of the week or month, in the columns
--   previous_…; for periods that are over these are of the whole period before. previous_whole_executions is of the
--   whole period before in any case. The first period in the warehouse is compared with one that is not loaded. Executions
--   without started_at are left out.
-- Columns:
--   period text: week or month.
--   period_start date: The first day of the week or month.
--   timezone text: The time zone of its days.
--   is_current bool: Whether it is the present one.
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   integration text: The integration that the workflows belong to; empty while it is not known.
--   executions bigint: Executions that began in the period.
--   previous_executions bigint: Those of the period before, up to the same point.
--   executions_change double: By which share there are more: 0.1 is 10 % more than before; empty where there were none.
--   failures bigint: Executions of the period that failed.
--   previous_failures bigint: Those of the period before, up to the same point.
--   failure_rate double: Failures by executions, from 0 to 1; empty where there are none.
--   previous_failure_rate double: That of the period before, up to the same point.
--   tasks decimal: Tasks that the vendor counted in the period.
--   previous_tasks decimal: Those of the period before, up to the same point.
--   previous_whole_executions bigint: Executions of the whole period before.
WITH daily AS (
    SELECT
        e.system,
        e.instance,
        e.integration,
        e.day,
        e.started_at < z.same_time_last_week AS is_before_week,
        e.started_at < z.same_time_last_month AS is_before_month,
        count(*) AS executions,
        count(CASE WHEN e.status = 'failed' THEN 1 END) AS failures,
        coalesce(CAST(sum(CAST(e.task_count AS DECIMAL(29, 0))) AS DECIMAL(29, 0)), 0) AS tasks
    FROM executions AS e
    INNER JOIN systems.datasets AS z ON z.system = e.system AND z.instance = e.instance
    WHERE e.day IS NOT NULL
    GROUP BY
        e.system, e.instance, e.integration, e.day,
        e.started_at < z.same_time_last_week, e.started_at < z.same_time_last_month
),

starts AS (
    SELECT
        d.system,
        d.instance,
        d.integration,
        -- 1970-01-05 was a Monday.
        CAST(d.day - INTERVAL ((date_diff('day', DATE '1970-01-05', d.day) + 8 - z.week_start) % 7) DAY AS DATE) AS week,
        CAST(date_trunc('month', CAST(d.day AS DATE)) AS DATE) AS month,
        d.is_before_week,
        d.is_before_month,
        d.executions,
        d.failures,
        d.tasks
    FROM daily AS d
    INNER JOIN systems.datasets AS z ON z.system = d.system AND z.instance = d.instance
),

currents AS (
    SELECT
        system,
        instance,
        timezone,
        today,
        CAST(today - INTERVAL ((date_diff('day', DATE '1970-01-05', today) + 8 - week_start) % 7) DAY AS DATE) AS week,
        CAST(date_trunc('month', CAST(today AS DATE)) AS DATE) AS month
    FROM systems.datasets
),

counted AS (
    SELECT
        system, instance, integration, 'week' AS period, week AS period_start, is_before_week AS is_before,
        CAST(week + INTERVAL 7 DAY AS DATE) AS next_start, executions, failures, tasks
    FROM starts
    UNION ALL
    SELECT
        system, instance, integration, 'month', month, is_before_month,
        CAST(month + INTERVAL 1 MONTH AS DATE), executions, failures, tasks
    FROM starts
),

-- Each count stands in its own period, and in the next one as what was before.
compared AS (
    SELECT
        system, instance, integration, period, period_start, executions, failures, tasks,
        0 AS previous_executions, 0 AS previous_failures, 0 AS previous_tasks, 0 AS previous_whole_executions
    FROM counted
    UNION ALL
    SELECT
        c.system, c.instance, c.integration, c.period, c.next_start, 0, 0, 0,
        CASE WHEN c.is_before OR c.next_start < n.present THEN c.executions ELSE 0 END,
        CASE WHEN c.is_before OR c.next_start < n.present THEN c.failures ELSE 0 END,
        CASE WHEN c.is_before OR c.next_start < n.present THEN c.tasks ELSE 0 END,
        c.executions
    FROM counted AS c
    INNER JOIN (
        SELECT system, instance, 'week' AS period, week AS present FROM currents
        UNION ALL
        SELECT system, instance, 'month', month FROM currents
    ) AS n ON n.system = c.system AND n.instance = c.instance AND n.period = c.period
    WHERE c.next_start <= n.present
),

totals AS (
    SELECT
        system,
        instance,
        integration,
        period,
        period_start,
        CAST(sum(executions) AS BIGINT) AS executions,
        CAST(sum(previous_executions) AS BIGINT) AS previous_executions,
        CAST(sum(failures) AS BIGINT) AS failures,
        CAST(sum(previous_failures) AS BIGINT) AS previous_failures,
        CAST(sum(tasks) AS DECIMAL(29, 0)) AS tasks,
        CAST(sum(previous_tasks) AS DECIMAL(29, 0)) AS previous_tasks,
        CAST(sum(previous_whole_executions) AS BIGINT) AS previous_whole_executions
    FROM compared
    GROUP BY system, instance, integration, period, period_start
)

SELECT
    t.period,
    t.period_start,
    n.timezone,
    t.period_start = CASE WHEN t.period = 'week' THEN n.week ELSE n.month END AS is_current,
    t.system,
    t.instance,
    t.integration,
    t.executions,
    t.previous_executions,
    (t.executions - t.previous_executions) / nullif(t.previous_executions, 0) AS executions_change,
    t.failures,
    t.previous_failures,
    t.failures / nullif(t.executions, 0) AS failure_rate,
    t.previous_failures / nullif(t.previous_executions, 0) AS previous_failure_rate,
    t.tasks,
    t.previous_tasks,
    t.previous_whole_executions
FROM totals AS t
INNER JOIN currents AS n ON n.system = t.system AND n.instance = t.instance
