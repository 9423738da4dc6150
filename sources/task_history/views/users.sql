-- Question: Which customer, plan and region does the setting user_map give a user?
-- Grain: One row per system, instance and user whom the account's setting user_map names.
-- Note: Users whom it names are here also where nothing ran for them; task-history status counts those that ran and
--   that it does not name.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   user_id text: The user, as executions have them; a hash where their column is hashed.
--   customer text: The customer to whom the user belongs; empty where the setting does not say.
--   plan text: The customer's plan; empty where the setting does not say.
--   region text: The customer's region; empty where the setting does not say.
SELECT
    system,
    instance,
    user_id,
    customer,
    plan,
    region
FROM systems.users
