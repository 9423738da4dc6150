-- Promise: Of each day that is verified, as many executions are stored as were loaded, but for those that are left out.
SELECT
    d.system, d.instance, d.day, d.executions AS loaded, coalesce(f.left_out, 0) AS left_out,
    coalesce(e.executions, 0) AS stored
FROM loaded_days AS d
LEFT JOIN (
    SELECT system, instance, CAST(listed_at AT TIME ZONE 'UTC' AS DATE) AS day, count(*) AS executions
    FROM systems.listed
    WHERE listed_at >= {since}
    GROUP BY system, instance, CAST(listed_at AT TIME ZONE 'UTC' AS DATE)
) AS e ON e.system = d.system AND e.instance = d.instance AND e.day = d.day
-- The view of a warehouse that an earlier version wrote has not yet this column.
LEFT JOIN (
    SELECT p.system, p.instance, p.day, CAST(sum(p.left_out) AS BIGINT) AS left_out
    FROM (
        SELECT system, instance, part, CAST(day AT TIME ZONE 'UTC' AS DATE) AS day, max(left_out) AS left_out
        FROM systems.coverage
        WHERE is_whole AND day IS NOT NULL
        GROUP BY system, instance, part, CAST(day AT TIME ZONE 'UTC' AS DATE)
    ) AS p
    GROUP BY p.system, p.instance, p.day
) AS f ON f.system = d.system AND f.instance = d.instance AND f.day = d.day
WHERE d.state = 'verified' AND d.api_total IS NOT NULL AND coalesce(e.executions, 0) < d.executions - coalesce(f.left_out, 0)
    AND d.day > CAST({since} AT TIME ZONE 'UTC' AS DATE)
