-- Question: Whose integration is broken right now, since when, and when did it last work?
-- Grain: One row per system, instance, user and workflow that ran for the user; executions without a user are in the rows with an empty user_id.
-- Note: An outcome is failed, succeeded or partial; what is open, was cancelled or skipped, or has no known end says
--   nothing of whether the workflow works, and only counts in executions. The newest outcome is that of the execution
--   that began last; of two that began at the same instant the one that did not fail. Executions without started_at only
--   count in executions and failures. WHERE is_broken gives those that are broken now; failures_in_row tells one failure
--   from many.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   user_id text: The user for whom the workflow ran, as the app named it; empty for executions without one.
--   customer text: The user's customer (setting user_map); empty where it is not known.
--   plan text: The customer's plan (setting user_map); empty where it is not known.
--   region text: The customer's region (setting user_map); empty where it is not known.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow.
--   workflow_name text: The workflow's name, where it is known.
--   is_broken bool: Whether the newest outcome is failed.
--   last_outcome text: The newest outcome: succeeded, partial or failed; empty where there is none.
--   last_outcome_at timestamp: When the execution with that outcome began, UTC.
--   failures_in_row bigint: Failures since the last execution that did not fail; 0 when it is not broken.
--   broken_since timestamp: When the first of them began, UTC; empty when it is not broken.
--   last_success_at timestamp: When the last execution that succeeded began, UTC; empty where none did.
--   last_failed_execution_id text: The newest of the failures in a row, for task-history why; empty when it is not broken.
--   executions bigint: Executions in the warehouse.
--   failures bigint: Those of them that failed.
--   open_executions bigint: Those of them that may still change.
WITH outcomes AS (
    SELECT
        system,
        instance,
        coalesce(user_id, '') AS user_key,
        coalesce(workflow_id, '') AS workflow_key,
        integration,
        workflow_name,
        is_open,
        CASE WHEN status = 'failed' THEN 1 ELSE 0 END AS failed,
        CASE WHEN status = 'failed' THEN started_at END AS failed_at,
        CASE WHEN status = 'succeeded' THEN started_at END AS succeeded_at,
        CASE WHEN status IN ('succeeded', 'partial') THEN started_at END AS passed_at
    FROM executions
),

pairs AS (
    SELECT
        system,
        instance,
        user_key,
        workflow_key,
        max(integration) AS integration,
        max(workflow_name) AS workflow_name,
        count(*) AS executions,
        CAST(sum(failed) AS BIGINT) AS failures,
        count(CASE WHEN is_open THEN 1 END) AS open_executions,
        max(failed_at) AS last_failed_at,
        max(succeeded_at) AS last_success_at,
        max(passed_at) AS last_passed_at
    FROM outcomes
    GROUP BY system, instance, user_key, workflow_key
),

failed AS (
    SELECT
        system,
        instance,
        coalesce(user_id, '') AS user_key,
        coalesce(workflow_id, '') AS workflow_key,
        execution_id,
        started_at AS failed_at
    FROM executions
    WHERE status = 'failed' AND started_at IS NOT NULL
),

-- Only what failed since is looked at again.
streaks AS (
    SELECT
        f.system,
        f.instance,
        f.user_key,
        f.workflow_key,
        count(*) AS failures_in_row,
        min(f.failed_at) AS broken_since,
        max(CASE WHEN f.failed_at = p.last_failed_at THEN f.execution_id END) AS last_failed_execution_id
    FROM failed AS f
    INNER JOIN pairs AS p
        ON p.system = f.system AND p.instance = f.instance
        AND p.user_key = f.user_key AND p.workflow_key = f.workflow_key
    WHERE p.last_passed_at IS NULL OR f.failed_at > p.last_passed_at
    GROUP BY f.system, f.instance, f.user_key, f.workflow_key
)

SELECT
    p.system,
    p.instance,
    nullif(p.user_key, '') AS user_id,
    u.customer,
    u.plan,
    u.region,
    p.integration,
    nullif(p.workflow_key, '') AS workflow_id,
    p.workflow_name,
    s.failures_in_row IS NOT NULL AS is_broken,
    CASE
        WHEN s.failures_in_row IS NOT NULL THEN 'failed'
        WHEN p.last_success_at = p.last_passed_at THEN 'succeeded'
        WHEN p.last_passed_at IS NOT NULL THEN 'partial'
    END AS last_outcome,
    CASE WHEN s.failures_in_row IS NOT NULL THEN p.last_failed_at ELSE p.last_passed_at END AS last_outcome_at,
    coalesce(s.failures_in_row, 0) AS failures_in_row,
    s.broken_since,
    p.last_success_at,
    s.last_failed_execution_id,
    p.executions,
    p.failures,
    p.open_executions
FROM pairs AS p
LEFT JOIN streaks AS s
    ON s.system = p.system AND s.instance = p.instance
    AND s.user_key = p.user_key AND s.workflow_key = p.workflow_key
LEFT JOIN users AS u ON u.system = p.system AND u.instance = p.instance AND u.user_id = p.user_key
