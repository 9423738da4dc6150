-- Promise: step_performance counts every step.
SELECT p.runs AS performance_runs, s.runs
FROM (SELECT sum(runs) AS runs FROM step_performance) AS p
CROSS JOIN (SELECT count(*) AS runs FROM systems.steps) AS s
WHERE coalesce(p.runs, 0) <> s.runs
