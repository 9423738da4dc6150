-- Promise: Every execution whose steps were read has as many as were read.
SELECT system, instance, listing, execution_id, counted, stored
FROM systems.step_counts
WHERE counted <> stored AND (execution_started_at >= {since} OR execution_started_at IS NULL)
