-- Question: What did each user run each day, by integration, and how much of it failed?
-- Grain: One row per system, instance, day, user and integration on which something ran; executions without a user are in the rows with an empty user_id.
-- Note: Days are those of the account's time zone (setting timezone), which timezone names. Executions without started_at
--   are in the rows with an empty day. There is no row for days on which nothing ran.
-- Columns:
--   day date: The day on which the executions began; empty for those of which the vendor does not say.
--   timezone text: The time zone of the day.
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   user_id text: The user for whom workflows ran, as the app named it; empty for executions without one.
--   customer text: The user's customer (setting user_map); empty where it is not known.
--   plan text: The customer's plan (setting user_map); empty where it is not known.
--   region text: The customer's region (setting user_map); empty where it is not known.
--   integration text: The integration that the workflows belong to; empty while it is not known.
--   executions bigint: Executions that began on the day.
--   failures bigint: Those of them that failed.
--   failure_rate double: Failures by executions, from 0 to 1.
--   open_executions bigint: Those of them that may still change.
--   tasks decimal: Tasks that the vendor counted for them.
WITH counted AS (
    SELECT
        day,
        system,
        instance,
        user_id,
        integration,
        count(*) AS executions,
        count(CASE WHEN status = 'failed' THEN 1 END) AS failures,
        count(CASE WHEN is_open THEN 1 END) AS open_executions,
        coalesce(CAST(sum(CAST(task_count AS DECIMAL(29, 0))) AS DECIMAL(29, 0)), 0) AS tasks
    FROM executions
    GROUP BY day, system, instance, user_id, integration
)

SELECT
    c.day,
    z.timezone,
    c.system,
    c.instance,
    c.user_id,
    u.customer,
    u.plan,
    u.region,
    c.integration,
    c.executions,
    c.failures,
    c.failures / c.executions AS failure_rate,
    c.open_executions,
    c.tasks
FROM counted AS c
LEFT JOIN systems.datasets AS z ON z.system = c.system AND z.instance = c.instance
LEFT JOIN users AS u ON u.system = c.system AND u.instance = c.instance AND u.user_id = c.user_id
