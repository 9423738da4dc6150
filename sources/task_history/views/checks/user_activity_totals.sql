-- Promise: user_activity counts every execution, failure and task.
SELECT u.executions AS activity_executions, e.executions, u.failures AS activity_failures, e.failures
FROM (SELECT sum(executions) AS executions, sum(failures) AS failures, sum(tasks) AS tasks FROM user_activity) AS u
CROSS JOIN (
    SELECT
        count(*) AS executions,
        sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failures,
        coalesce(sum(CAST(task_count AS DECIMAL(29, 0))), 0) AS tasks
    FROM executions
) AS e
WHERE coalesce(u.executions, 0) <> e.executions OR u.failures IS DISTINCT FROM e.failures
    OR coalesce(u.tasks, 0) <> e.tasks
