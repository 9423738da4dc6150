-- Promise: failure_reasons counts every failed step.
SELECT r.failures AS reasons_failures, s.failures
FROM (SELECT sum(failures) AS failures FROM failure_reasons) AS r
CROSS JOIN (SELECT count(*) AS failures FROM systems.steps WHERE status = 'failed') AS s
WHERE coalesce(r.failures, 0) <> s.failures
