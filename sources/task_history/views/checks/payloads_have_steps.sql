-- Promise: The step of every payload is there.
SELECT p.system, p.instance, p.step_execution_id, p.execution_id, p.execution_started_at
FROM systems.payloads AS p
LEFT JOIN (
    SELECT system, instance, execution_id, step_execution_id
    FROM systems.steps
    WHERE execution_started_at >= {since} OR execution_started_at IS NULL
) AS s
    ON s.system = p.system AND s.instance = p.instance AND s.execution_id = p.execution_id
    AND s.step_execution_id = p.step_execution_id
WHERE s.step_execution_id IS NULL AND (p.execution_started_at >= {since} OR p.execution_started_at IS NULL)
