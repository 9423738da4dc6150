-- Promise: billing_tasks counts every execution and task.
SELECT b.executions AS billing_executions, e.executions, b.tasks AS billing_tasks, e.tasks
FROM (SELECT sum(executions) AS executions, sum(tasks) AS tasks FROM billing_tasks) AS b
CROSS JOIN (SELECT count(*) AS executions, coalesce(sum(CAST(task_count AS DECIMAL(29, 0))), 0) AS tasks FROM executions) AS e
WHERE coalesce(b.executions, 0) <> e.executions OR coalesce(b.tasks, 0) <> e.tasks
