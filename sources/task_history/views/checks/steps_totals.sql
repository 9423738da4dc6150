-- Promise: steps shows every step once.
SELECT v.found AS steps_rows, s.found
FROM (SELECT count(*) AS found FROM steps) AS v
CROSS JOIN (SELECT count(*) AS found FROM systems.steps) AS s
WHERE v.found <> s.found
