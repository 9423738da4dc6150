-- Promise: Every execution is there once.
SELECT system, instance, execution_id, count(*) AS rows_found
FROM systems.executions
WHERE started_at >= {since} OR started_at IS NULL
GROUP BY system, instance, execution_id
HAVING count(*) > 1
