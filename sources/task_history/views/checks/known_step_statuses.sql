-- Promise: Every status of a step has a meaning here.
-- Level: notice
SELECT system, instance, vendor_status, count(*) AS steps
FROM systems.steps
WHERE status = 'unknown' AND (execution_started_at >= {since} OR execution_started_at IS NULL)
GROUP BY system, instance, vendor_status
