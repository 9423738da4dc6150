-- Question: What failed, for whom, and why?
-- Grain: One row per failed step that is loaded.
-- Note: A reason is the error's text without what differs from one failure to the next: quoted texts, addresses, ids,
--   dates and numbers, but for those of three digits, which are mostly HTTP statuses. Steps whose payload was not
--   loaded are under (not loaded), those whose payload holds no text of an error under (no error text). A filter by
--   execution_started_at prunes the partitions of the raw tables of steps. Steps that failed in executions which
--   did not fail are in it only where those executions' steps are loaded (setting steps).
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   step_execution_id text: The run of the step that failed (steps.step_execution_id).
--   execution_id text: The execution in which it did (executions.execution_id).
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow that ran.
--   workflow_name text: The workflow's name, where it is known.
--   user_id text: The user for whom it ran.
--   step_id text: The step of the workflow's definition.
--   step_type text: The kind of step, in the vendor's words.
--   started_at timestamp: When the step began, UTC.
--   execution_started_at timestamp: When its execution began, UTC; the raw table is partitioned by it.
--   reason text: The error's text with ids, numbers, addresses and quoted texts masked, at most 200 characters.
--   error text: The error's text as it is stored, at most 500 characters: it may hold customer data.
WITH failed AS (
    SELECT
        s.system,
        s.instance,
        s.integration,
        s.workflow_id,
        s.workflow_name,
        s.user_id,
        s.step_id,
        s.step_type,
        s.step_execution_id,
        s.execution_id,
        s.started_at,
        s.execution_started_at,
        p.step_execution_id IS NOT NULL AND p.is_available AS is_loaded,
        substr(coalesce(s.error, p.error), 1, 500) AS error
    FROM steps AS s
    LEFT JOIN step_payloads AS p
        ON p.system = s.system AND p.instance = s.instance AND p.execution_id = s.execution_id
        AND p.step_execution_id = s.step_execution_id
    WHERE s.status = 'failed'
),

-- One kind of variable thing each, the longest first.
without_texts AS (
    SELECT
        *,
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(error, '[a-zA-Z]+://[^\s"''<>]+', '<url>', 'g'),
                    '[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+', '<email>', 'g'
                ),
                '"[^"]*"', '<text>', 'g'
            ),
            '(^|[\s(:=\[{,])''[^'']*''', ' <text>', 'g'
        ) AS worded
    FROM failed
),

without_numbers AS (
    SELECT
        *,
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    worded,
                    '\b[A-Za-z0-9_-]*([A-Za-z_-][0-9]|[0-9][A-Za-z_-])[A-Za-z0-9_-]*', '#', 'g'
                ),
                '\b([0-9]{4,}|[0-9]{1,2})\b', '#', 'g'
            ),
            '#[#0-9.,:/]*[#0-9]|[0-9]+[.,:/][#0-9.,:/]*#', '#', 'g'
        ) AS numbered
    FROM without_texts
)

SELECT
    system,
    instance,
    step_execution_id,
    execution_id,
    integration,
    workflow_id,
    workflow_name,
    user_id,
    step_id,
    step_type,
    started_at,
    execution_started_at,
    CASE
        WHEN trim(error) <> '' THEN substr(trim(regexp_replace(numbered, '\s+', ' ', 'g')), 1, 200)
        WHEN is_loaded THEN '(no error text)'
        ELSE '(not loaded)'
    END AS reason,
    error
FROM without_numbers
