-- Question: What did each execution do, step by step?
-- Grain: One row per step that an execution ran; a step that ran several times in it has a row for each.
-- Note: Only executions whose steps were asked for have rows here (settings steps and payloads). A filter by
--   execution_started_at prunes the partitions of the raw tables. What the vendor counts as tasks belongs to the
--   execution and is not repeated here.
-- Columns:
--   system text: The vendor's API that the step comes from, such as paragon.
--   instance text: The account of the system, as --instance names it; empty for the first one.
--   step_execution_id text: The id of this run of the step; unique within system, instance and execution_id.
--   execution_id text: The execution that it belongs to (executions.execution_id).
--   step_id text: The step of the workflow's definition; the same in every execution.
--   step_name text: The step's name, where the vendor gives one.
--   step_type text: The kind of step in the vendor's words, such as ACTION/REQUEST.
--   workflow_id text: The workflow that ran.
--   workflow_name text: The workflow's name, where it is known.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   user_id text: The user for whom the workflow ran.
--   status text: queued, running, waiting, succeeded, partial, failed, cancelled, skipped, or unknown for a vendor's status without a meaning here.
--   vendor_status text: The status in the vendor's own words.
--   is_open bool: Whether the step had not ended when it was last read.
--   started_at timestamp: When the step began, UTC; empty where the vendor does not say.
--   ended_at timestamp: When the step ended, UTC; empty where it did not or the vendor does not say.
--   duration_ms bigint: Milliseconds from started_at to ended_at; empty while one of them is.
--   execution_started_at timestamp: When the step's execution began, UTC; the raw table is partitioned by it.
--   error text: What went wrong, where the vendor says it in the step itself; see failure_reasons for all.
--   input_bytes bigint: Size of the step's input as the vendor counts it.
--   output_bytes bigint: Size of the step's output as the vendor counts it.
--   fetched_at timestamp: When the row was read from the vendor.
--   loaded_at timestamp: When the row was written into the warehouse; empty for what was written before there was this column.
--   run_id text: The run of this connector that brought it (sync_runs.run_id).
WITH reported AS (
    SELECT * FROM systems.steps
)

SELECT
    r.system,
    r.instance,
    r.step_execution_id,
    r.execution_id,
    r.step_id,
    r.step_name,
    r.step_type,
    e.workflow_id,
    e.workflow_name,
    e.integration,
    e.user_id,
    r.status,
    r.vendor_status,
    r.ended_at IS NULL AND r.status IN ('queued', 'running', 'waiting', 'unknown') AS is_open,
    r.started_at,
    r.ended_at,
    (epoch_us(r.ended_at) - epoch_us(r.started_at)) // 1000 AS duration_ms,
    r.execution_started_at,
    r.error,
    r.input_bytes,
    r.output_bytes,
    r.fetched_at,
    r.loaded_at,
    r.run_id
FROM reported AS r
LEFT JOIN executions AS e
    ON e.system = r.system AND e.instance = r.instance AND e.execution_id = r.execution_id
