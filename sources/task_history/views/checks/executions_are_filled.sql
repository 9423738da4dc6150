-- Promise: Every execution has an id, and says whether it is open.
SELECT system, instance, execution_id, vendor_status, is_open, started_at
FROM systems.executions
WHERE (execution_id IS NULL OR is_open IS NULL) AND (started_at >= {since} OR started_at IS NULL)
