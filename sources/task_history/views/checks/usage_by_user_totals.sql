-- Promise: usage_by_user counts every execution, failure and task.
SELECT u.executions AS usage_executions, e.executions, u.failures AS usage_failures, e.failures
FROM (SELECT sum(executions) AS executions, sum(failures) AS failures, sum(tasks) AS tasks FROM usage_by_user) AS u
CROSS JOIN (
    SELECT
        count(*) AS executions,
        count(CASE WHEN status = 'failed' THEN 1 END) AS failures,
        coalesce(sum(CAST(task_count AS DECIMAL(29, 0))), 0) AS tasks
    FROM executions
) AS e
WHERE coalesce(u.executions, 0) <> e.executions OR coalesce(u.failures, 0) <> e.failures
    OR coalesce(u.tasks, 0) <> e.tasks
