-- Promise: Every step has an id and names its execution.
SELECT system, instance, step_execution_id, execution_id, execution_started_at
FROM systems.steps
WHERE (step_execution_id IS NULL OR execution_id IS NULL)
    AND (execution_started_at >= {since} OR execution_started_at IS NULL)
