-- Promise: No execution ended before it began.
-- Level: notice
SELECT system, instance, execution_id, started_at, ended_at
FROM systems.executions
WHERE ended_at < started_at AND started_at >= {since}
