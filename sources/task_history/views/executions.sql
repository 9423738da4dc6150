-- Question: What ran, for whom, and how did it end?
-- Grain: One row per execution of any system that is loaded, in the newest state that was read.
-- Note: Rows without started_at are kept: the vendor did not say (yet) when they began. A filter by started_at leaves
--   them out, and prunes the partitions of the raw tables; one by day does not. A user's customer, plan and region are
--   in the view users: LEFT JOIN users AS u USING (system, instance, user_id).
-- Columns:
--   system text: The vendor's API that the execution comes from, such as paragon.
--   instance text: The account of the system, as --instance names it; empty for the first one.
--   execution_id text: The execution's id; unique within system and instance.
--   workflow_id text: The workflow that ran.
--   workflow_name text: The workflow's name, where it is known.
--   integration text: The integration that the workflow belongs to, as the vendor spells it; empty while it is not known.
--   user_id text: The user for whom the workflow ran, as the app named it (users.user_id).
--   status text: queued, running, waiting, succeeded, partial, failed, cancelled, skipped, unresolved when it is not open any more and its end is not known, or unknown for a vendor's status without a meaning here.
--   vendor_status text: The status in the vendor's own words.
--   is_open bool: Whether the execution may still change; it is read again until it is false.
--   started_at timestamp: When the execution began, UTC; empty where the vendor does not say.
--   day date: The day of started_at in the account's time zone (setting timezone; UTC when not set).
--   ended_at timestamp: When the execution ended, UTC; empty while it is open.
--   duration_ms bigint: Milliseconds from started_at to ended_at; empty while one of them is.
--   task_count bigint: Tasks that the vendor counted for the execution; empty where it gave none.
--   error text: What went wrong, where the vendor says it in the execution itself.
--   resolution text: Why it is not open any more: ended, unresolved_at_retention or gone; empty while it is open.
--   purged_at_source timestamp: When the vendor was found to hold the execution no longer; empty while it does.
--   fetched_at timestamp: When this version of the row was read from the vendor.
--   loaded_at timestamp: When this version of the row was written into the warehouse; empty for what was written before there was this column.
--   run_id text: The run of this connector that brought it (sync_runs.run_id).
WITH reported AS (
    SELECT * FROM systems.executions
)

SELECT
    system,
    instance,
    execution_id,
    workflow_id,
    workflow_name,
    integration,
    user_id,
    CASE
        WHEN NOT is_open AND status IN ('queued', 'running', 'waiting') THEN 'unresolved'
        ELSE status
    END AS status,
    vendor_status,
    is_open,
    started_at,
    day,
    ended_at,
    (epoch_us(ended_at) - epoch_us(started_at)) // 1000 AS duration_ms,
    task_count,
    error,
    resolution,
    purged_at_source,
    fetched_at,
    loaded_at,
    run_id
FROM reported
