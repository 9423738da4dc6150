-- Question: How far is each system loaded, and what is missing?
-- Grain: One row per system and instance that is loaded.
-- Note: Straight from coverage and the runs of this connector; loaded_days names the days.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   loaded_from timestamp: From when on executions are loaded, by sync or backfill.
--   loaded_until timestamp: Everything that began before is loaded by sync; the cursor.
--   lag_s bigint: Seconds from loaded_until to now.
--   executions bigint: Executions in the warehouse.
--   open_executions bigint: Those of them that may still change.
--   unresolved_executions bigint: Those that are not open any more and whose end is not known.
--   executions_without_start bigint: Those of which the vendor does not say when they began; views by day show them under an empty day.
--   unknown_statuses bigint: Those whose vendor's status has no meaning here.
--   days_verified bigint: Days that are loaded whole and that the vendor counts the same.
--   days_unverified bigint: Days that are loaded whole and that it counts otherwise, or not.
--   days_partial bigint: Days of which a part is loaded; the last day usually is one.
--   days_missing bigint: Days in between of which nothing is loaded.
--   filtered_days bigint: Days of which something is loaded under filters only, such as failed executions alone.
--   details_left bigint: Settled executions whose steps were wanted and not loaded when the last run ended.
--   payloads_left bigint: Steps whose payload was wanted and not loaded when the last run ended.
--   lost_from timestamp: From when on executions were purged by the vendor before any sync could read them; empty for none.
--   lost_until timestamp: Until when they were; that instant excluded.
--   last_run_at timestamp: When the last sync began.
--   last_run_outcome text: How it ended: complete, stopped, failed, interrupted, or running.
--   last_run_reason text: Why it stopped or failed.
WITH loaded AS (
    SELECT system, instance FROM systems.datasets
),

covered AS (
    SELECT system, instance, day, lane, filters, part, is_whole, window_start, window_end FROM systems.coverage
),

runs AS (
    SELECT
        system, instance, run_id, command, started_at, outcome, reason, covered_until, lost_from, lost_until,
        details_left, payloads_left
    FROM systems.sync_runs
),

bounds AS (
    SELECT
        system,
        instance,
        min(window_start) AS loaded_from,
        -- Of a list that comes in parts the runs know how far all of them are.
        CASE WHEN max(part) = '' THEN max(CASE WHEN lane = 'sync' THEN window_end END) END AS loaded_until
    FROM covered
    WHERE is_whole AND lane <> 'audit'
    GROUP BY system, instance
),

cursors AS (
    SELECT system, instance, max(covered_until) AS covered_until
    FROM runs
    WHERE command = 'sync'
    GROUP BY system, instance
),

filtered AS (
    SELECT system, instance, count(DISTINCT day) AS filtered_days
    FROM covered
    WHERE NOT is_whole AND NOT starts_with(filters, 'list=')
    GROUP BY system, instance
),

days AS (
    SELECT
        system,
        instance,
        count(CASE WHEN state = 'verified' THEN 1 END) AS days_verified,
        count(CASE WHEN state = 'unverified' THEN 1 END) AS days_unverified,
        count(CASE WHEN state = 'partial' THEN 1 END) AS days_partial,
        count(CASE WHEN state = 'missing' THEN 1 END) AS days_missing
    FROM loaded_days
    GROUP BY system, instance
),

counts AS (
    SELECT
        system,
        instance,
        count(*) AS executions,
        count(CASE WHEN is_open THEN 1 END) AS open_executions,
        count(CASE WHEN status = 'unresolved' THEN 1 END) AS unresolved_executions,
        count(CASE WHEN started_at IS NULL THEN 1 END) AS executions_without_start,
        count(CASE WHEN status = 'unknown' THEN 1 END) AS unknown_statuses
    FROM executions
    GROUP BY system, instance
),

lost AS (
    SELECT system, instance, min(lost_from) AS lost_from, max(lost_until) AS lost_until
    FROM runs
    WHERE lost_from IS NOT NULL
    GROUP BY system, instance
),

last_runs AS (
    SELECT system, instance, started_at, outcome, reason, details_left, payloads_left
    FROM runs
    WHERE command = 'sync'
    QUALIFY row_number() OVER (PARTITION BY system, instance ORDER BY started_at DESC, run_id) = 1
)

SELECT
    l.system,
    l.instance,
    b.loaded_from,
    coalesce(b.loaded_until, u.covered_until) AS loaded_until,
    (epoch_us(CURRENT_TIMESTAMP) - epoch_us(coalesce(b.loaded_until, u.covered_until))) // 1000000 AS lag_s,
    coalesce(c.executions, 0) AS executions,
    coalesce(c.open_executions, 0) AS open_executions,
    coalesce(c.unresolved_executions, 0) AS unresolved_executions,
    coalesce(c.executions_without_start, 0) AS executions_without_start,
    coalesce(c.unknown_statuses, 0) AS unknown_statuses,
    coalesce(d.days_verified, 0) AS days_verified,
    coalesce(d.days_unverified, 0) AS days_unverified,
    coalesce(d.days_partial, 0) AS days_partial,
    coalesce(d.days_missing, 0) AS days_missing,
    coalesce(f.filtered_days, 0) AS filtered_days,
    r.details_left,
    r.payloads_left,
    x.lost_from,
    x.lost_until,
    r.started_at AS last_run_at,
    r.outcome AS last_run_outcome,
    r.reason AS last_run_reason
FROM loaded AS l
LEFT JOIN bounds AS b ON b.system = l.system AND b.instance = l.instance
LEFT JOIN cursors AS u ON u.system = l.system AND u.instance = l.instance
LEFT JOIN filtered AS f ON f.system = l.system AND f.instance = l.instance
LEFT JOIN days AS d ON d.system = l.system AND d.instance = l.instance
LEFT JOIN counts AS c ON c.system = l.system AND c.instance = l.instance
LEFT JOIN lost AS x ON x.system = l.system AND x.instance = l.instance
LEFT JOIN last_runs AS r ON r.system = l.system AND r.instance = l.instance
