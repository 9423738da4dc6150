-- Question: Why do steps fail, since when, and whom does it affect?
-- Grain: One row per system, instance, workflow, kind of step and reason; every failed step that is loaded is counted in exactly one.
-- Note: How a reason is made of an error's text is said at failed_steps. Counts are of executions whose
--   steps are loaded: all that failed once the backlog is done, others too with the setting steps = "all".
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow that ran.
--   workflow_name text: The workflow's name, where it is known.
--   step_type text: The kind of step that failed, in the vendor's words.
--   reason text: The error's text with ids, numbers, addresses and quoted texts masked, at most 200 characters.
--   failures bigint: Steps that failed so.
--   executions bigint: Executions in which they did.
--   users bigint: Different users for whom they did.
--   first_seen_at timestamp: When the first of them began.
--   last_seen_at timestamp: When the last of them began.
--   example text: The error's text of the newest of them as it is stored, at most 500 characters: it may hold customer data.
--   example_execution_id text: The execution that the example is from.
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY system, instance, integration, workflow_id, workflow_name, step_type, reason
            ORDER BY started_at DESC NULLS LAST, step_execution_id
        ) AS place
    FROM failed_steps
)

SELECT
    system,
    instance,
    integration,
    workflow_id,
    workflow_name,
    step_type,
    reason,
    count(*) AS failures,
    count(DISTINCT execution_id) AS executions,
    count(DISTINCT user_id) AS users,
    min(started_at) AS first_seen_at,
    max(started_at) AS last_seen_at,
    max(CASE WHEN place = 1 THEN error END) AS example,
    max(CASE WHEN place = 1 THEN execution_id END) AS example_execution_id
FROM ranked
GROUP BY system, instance, integration, workflow_id, workflow_name, step_type, reason
