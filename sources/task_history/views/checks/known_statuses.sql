-- Promise: Every status of an execution has a meaning here.
-- Level: notice
SELECT system, instance, vendor_status, count(*) AS executions
FROM systems.executions
WHERE status = 'unknown' AND (started_at >= {since} OR started_at IS NULL)
GROUP BY system, instance, vendor_status
