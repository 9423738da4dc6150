-- Promise: The vendor says of every execution when it began; views by day show the others under an empty day.
-- Level: notice
SELECT system, instance, count(*) AS executions
FROM systems.executions
WHERE started_at IS NULL
GROUP BY system, instance
