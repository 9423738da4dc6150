-- Promise: Of each day that is verified, as many executions are stored as were loaded, but for those that are left out.
SELECT d.system, d.instance, d.day, d.executions AS loaded, d.left_out, coalesce(e.executions, 0) AS stored
FROM loaded_days AS d
LEFT JOIN (
    SELECT system, instance, CAST(listed_at AT TIME ZONE 'UTC' AS DATE) AS day, count(*) AS executions
    FROM systems.listed
    WHERE listed_at >= {since}
    GROUP BY system, instance, CAST(listed_at AT TIME ZONE 'UTC' AS DATE)
) AS e ON e.system = d.system AND e.instance = d.instance AND e.day = d.day
WHERE d.state = 'verified' AND coalesce(e.executions, 0) < d.executions - d.left_out
    AND d.day > CAST({since} AT TIME ZONE 'UTC' AS DATE)
