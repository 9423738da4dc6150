-- Question: What did the runs of this connector do, for all accounts, and how did they end?
-- Grain: One row per run of a sync, backfill, audit or replay of any account.
-- Note: A run that still says running although it is over was killed; the next run of the account says interrupted.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   run_id text: The run; rows that it wrote carry it.
--   command text: What was called: sync, backfill, audit, replay, or the source from a script.
--   started_at timestamp: When the run began, UTC.
--   ended_at timestamp: When it ended, UTC; empty while it runs.
--   duration_ms bigint: Milliseconds from start to end.
--   outcome text: complete; stopped, when work was left at a limit or signal; failed; interrupted, when the process was killed; running.
--   reason text: Why it stopped or failed.
--   is_complete bool: Whether nothing was left to do at its end, nor unverified.
--   covered_until timestamp: Everything that began before is loaded: the cursor at its end.
--   executions bigint: Rows of executions it wrote.
--   settled bigint: Executions that were open and that it found ended.
--   late bigint: Executions that became visible behind the cursor.
--   steps bigint: Rows of steps it wrote.
--   payloads bigint: Rows of payloads it wrote.
--   details_left bigint: Settled executions whose steps were wanted and not yet loaded at its end.
--   payloads_left bigint: Steps whose payload was wanted and not yet loaded at its end.
--   requests bigint: Requests it sent, every attempt counted.
--   retries bigint: Attempts beyond the first of a request.
--   waited_ms bigint: Milliseconds in which it waited: after faults, because the vendor asked for it, and for the budget.
--   bytes_billed bigint: Bytes that BigQuery billed for its statements; empty elsewhere.
--   version text: The version of this connector.
--   host text: The machine on which it ran.
WITH runs AS (
    SELECT * FROM systems.sync_runs
)

SELECT
    system,
    instance,
    run_id,
    command,
    started_at,
    ended_at,
    duration_ms,
    outcome,
    reason,
    is_complete,
    covered_until,
    executions,
    settled,
    late,
    steps,
    payloads,
    details_left,
    payloads_left,
    requests,
    retries,
    coalesce(waited_fault_ms, 0) + coalesce(waited_retry_after_ms, 0) + coalesce(waited_budget_ms, 0) AS waited_ms,
    bytes_billed,
    version,
    host
FROM runs
