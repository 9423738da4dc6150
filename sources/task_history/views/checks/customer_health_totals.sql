-- Promise: customer_health counts every execution and failure.
SELECT h.executions AS health_executions, e.executions, h.failures AS health_failures, e.failures
FROM (SELECT sum(executions) AS executions, sum(failures) AS failures FROM customer_health) AS h
CROSS JOIN (
    SELECT count(*) AS executions, count(CASE WHEN status = 'failed' THEN 1 END) AS failures FROM executions
) AS e
WHERE coalesce(h.executions, 0) <> e.executions OR coalesce(h.failures, 0) <> e.failures
