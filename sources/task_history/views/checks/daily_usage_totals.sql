-- Promise: daily_usage counts every execution, failure and task of each day.
-- Reads: all days, also under a filter
SELECT
    coalesce(CAST(u.day AS VARCHAR), CAST(e.day AS VARCHAR)) AS day,
    u.executions AS usage_executions, e.executions, u.failures AS usage_failures, e.failures, u.tasks AS usage_tasks, e.tasks
FROM (
    SELECT
        coalesce(d.day, DATE '0001-01-01') AS day,
        sum(d.executions) AS executions,
        sum(d.failures) AS failures,
        sum(d.tasks) AS tasks
    FROM daily_usage AS d
    WHERE d.day > CAST(({since} + INTERVAL 24 HOUR) AT TIME ZONE 'UTC' AS DATE) OR d.day IS NULL
    GROUP BY coalesce(d.day, DATE '0001-01-01')
    HAVING sum(d.executions) > 0
) AS u
FULL OUTER JOIN (
    SELECT
        coalesce(day, DATE '0001-01-01') AS day,
        count(*) AS executions,
        sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failures,
        coalesce(sum(CAST(task_count AS DECIMAL(29, 0))), 0) AS tasks
    FROM systems.executions
    -- The first day after that instant in any zone, which is there whole.
    WHERE (started_at >= {since} AND day > CAST(({since} + INTERVAL 24 HOUR) AT TIME ZONE 'UTC' AS DATE))
        OR started_at IS NULL
    GROUP BY coalesce(day, DATE '0001-01-01')
) AS e ON e.day = u.day
WHERE u.executions IS DISTINCT FROM e.executions OR u.failures IS DISTINCT FROM e.failures
    OR u.tasks IS DISTINCT FROM e.tasks
