-- Promise: Every run of a step is there once.
SELECT system, instance, execution_id, step_execution_id, count(*) AS rows_found
FROM systems.steps
WHERE execution_started_at >= {since} OR execution_started_at IS NULL
GROUP BY system, instance, execution_id, step_execution_id
HAVING count(*) > 1
