-- Question: What went into a step, and what came out of it?
-- Grain: One row per step whose input and output were asked for: customer data, with secrets redacted.
-- Note: Grant it, and the raw table of payloads, to those only who may see what customers sent; no other view shows
--   more of it than the error texts in failure_reasons.example.
-- Columns:
--   system text: The vendor's API that the step comes from, such as paragon.
--   instance text: The account of the system, as --instance names it; empty for the first one.
--   step_execution_id text: The run of the step (steps.step_execution_id).
--   execution_id text: The execution that it belongs to (executions.execution_id).
--   execution_started_at timestamp: When the execution began, UTC; the raw table is partitioned by it.
--   is_available bool: Whether the vendor still held the payload when it was asked for.
--   input json: The step's input; numbers beyond a double's digits are exact in the raw table only.
--   output json: The step's output; numbers beyond a double's digits are exact in the raw table only.
--   error text: The error's text in the output, where there is one; only that of a failed step means anything.
--   input_bytes bigint: Size of the input's JSON text before it was cut, in bytes.
--   output_bytes bigint: Size of the output's JSON text before it was cut, in bytes.
--   is_input_cut bool: Whether the input was longer than payload_max_bytes and was cut.
--   is_output_cut bool: Whether the output was longer than payload_max_bytes and was cut.
--   fetched_at timestamp: When the payload was read from the vendor.
--   loaded_at timestamp: When the payload was written into the warehouse; empty for what was written before there was this column.
--   run_id text: The run of this connector that brought it (sync_runs.run_id).
WITH reported AS (
    SELECT * FROM systems.payloads
)

SELECT
    system,
    instance,
    step_execution_id,
    execution_id,
    execution_started_at,
    is_available,
    TRY_CAST(input AS JSON) AS input,
    TRY_CAST(output AS JSON) AS output,
    error,
    input_bytes,
    output_bytes,
    is_input_cut,
    is_output_cut,
    fetched_at,
    loaded_at,
    run_id
FROM reported
