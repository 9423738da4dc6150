-- Promise: The execution of every step is there.
SELECT s.system, s.instance, s.step_execution_id, s.execution_id, s.execution_started_at
FROM systems.steps AS s
LEFT JOIN systems.executions AS e
    ON e.system = s.system AND e.instance = s.instance AND e.execution_id = s.execution_id
WHERE e.execution_id IS NULL AND (s.execution_started_at >= {since} OR s.execution_started_at IS NULL)
