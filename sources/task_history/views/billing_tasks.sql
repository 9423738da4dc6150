-- Question: How many tasks did each user take in each month, as far as executions show?
-- Grain: One row per system, instance, user and month; executions without a user are in the rows with an empty user_id.
-- Note: Executions without started_at are in the rows with an empty month. Months are those of the account's time zone
--   (setting timezone), which timezone names; a vendor may bill by months of another zone.
-- Columns:
--   month date: The first day of the month in which the executions began; empty for those of which the vendor does not say.
--   timezone text: The time zone of the month.
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   user_id text: The user for whom workflows ran; empty for executions without one.
--   customer text: The user's customer (setting user_map); empty where it is not known.
--   plan text: The customer's plan (setting user_map); empty where it is not known.
--   region text: The customer's region (setting user_map); empty where it is not known.
--   executions bigint: Executions that began in the month.
--   tasks decimal: Tasks that the vendor counted for them: a lower bound of what it bills.
--   executions_without_count bigint: Executions for which it gave no count; they add nothing to tasks.
--   open_executions bigint: Executions that may still take tasks.
--   caveat text: Why tasks is a lower bound of the invoice.
WITH monthly AS (
    SELECT
        CAST(date_trunc('month', CAST(e.day AS DATE)) AS DATE) AS month,
        d.timezone,
        e.system,
        e.instance,
        e.user_id,
        e.task_count,
        e.is_open,
        d.billing_caveat AS caveat
    FROM executions AS e
    LEFT JOIN systems.datasets AS d ON d.system = e.system AND d.instance = e.instance
),

counted AS (
    SELECT
        month,
        timezone,
        system,
        instance,
        user_id,
        count(*) AS executions,
        coalesce(CAST(sum(CAST(task_count AS DECIMAL(29, 0))) AS DECIMAL(29, 0)), 0) AS tasks,
        count(CASE WHEN task_count IS NULL THEN 1 END) AS executions_without_count,
        count(CASE WHEN is_open THEN 1 END) AS open_executions,
        max(caveat) AS caveat
    FROM monthly
    GROUP BY month, timezone, system, instance, user_id
)

SELECT
    c.month,
    c.timezone,
    c.system,
    c.instance,
    c.user_id,
    u.customer,
    u.plan,
    u.region,
    c.executions,
    c.tasks,
    c.executions_without_count,
    c.open_executions,
    c.caveat
FROM counted AS c
LEFT JOIN users AS u ON u.system = c.system AND u.instance = c.instance AND u.user_id = c.user_id
