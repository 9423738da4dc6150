-- Question: Who uses what runs here, since when, and who went quiet?
-- Grain: One row per system, instance and user; executions without a user are in the row with an empty user_id.
-- Note: The last 7, 30 and 90 days are counted back from now, by started_at. Executions without started_at are in
--   executions, failures and tasks only.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   user_id text: The user for whom workflows ran, as the app named it; empty for executions without one.
--   customer text: The user's customer (setting user_map); empty where it is not known.
--   plan text: The customer's plan (setting user_map); empty where it is not known.
--   region text: The customer's region (setting user_map); empty where it is not known.
--   first_execution_at timestamp: When the user's first execution in the warehouse began.
--   last_execution_at timestamp: When the user's last execution began.
--   workflows bigint: How many different workflows ran for the user.
--   executions bigint: Executions in the warehouse.
--   failures bigint: Those of them that failed.
--   tasks decimal: Tasks that the vendor counted for them.
--   executions_7d bigint: Executions that began in the last 7 days.
--   failures_7d bigint: Those of them that failed.
--   executions_30d bigint: Executions that began in the last 30 days.
--   failures_30d bigint: Those of them that failed.
--   executions_90d bigint: Executions that began in the last 90 days.
--   failures_90d bigint: Those of them that failed.
--   is_quiet bool: Whether nothing began in the last 7 days, and something did in the last 30.
WITH aged AS (
    SELECT
        system,
        instance,
        user_id,
        workflow_id,
        started_at,
        task_count,
        CASE WHEN status = 'failed' THEN 1 ELSE 0 END AS failed,
        CASE WHEN started_at >= CURRENT_TIMESTAMP - INTERVAL 168 HOUR THEN 1 ELSE 0 END AS in_7d,
        CASE WHEN started_at >= CURRENT_TIMESTAMP - INTERVAL 720 HOUR THEN 1 ELSE 0 END AS in_30d,
        CASE WHEN started_at >= CURRENT_TIMESTAMP - INTERVAL 2160 HOUR THEN 1 ELSE 0 END AS in_90d
    FROM executions
),

counted AS (
    SELECT
        system,
        instance,
        user_id,
        min(started_at) AS first_execution_at,
        max(started_at) AS last_execution_at,
        count(DISTINCT workflow_id) AS workflows,
        count(*) AS executions,
        CAST(sum(failed) AS BIGINT) AS failures,
        coalesce(CAST(sum(CAST(task_count AS DECIMAL(29, 0))) AS DECIMAL(29, 0)), 0) AS tasks,
        CAST(sum(in_7d) AS BIGINT) AS executions_7d,
        CAST(sum(in_7d * failed) AS BIGINT) AS failures_7d,
        CAST(sum(in_30d) AS BIGINT) AS executions_30d,
        CAST(sum(in_30d * failed) AS BIGINT) AS failures_30d,
        CAST(sum(in_90d) AS BIGINT) AS executions_90d,
        CAST(sum(in_90d * failed) AS BIGINT) AS failures_90d,
        sum(in_7d) = 0 AND sum(in_30d) > 0 AS is_quiet
    FROM aged
    GROUP BY system, instance, user_id
)

SELECT
    c.system,
    c.instance,
    c.user_id,
    u.customer,
    u.plan,
    u.region,
    c.first_execution_at,
    c.last_execution_at,
    c.workflows,
    c.executions,
    c.failures,
    c.tasks,
    c.executions_7d,
    c.failures_7d,
    c.executions_30d,
    c.failures_30d,
    c.executions_90d,
    c.failures_90d,
    c.is_quiet
FROM counted AS c
LEFT JOIN users AS u ON u.system = c.system AND u.instance = c.instance AND u.user_id = c.user_id
