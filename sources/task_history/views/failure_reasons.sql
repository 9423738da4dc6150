-- Question: Why do steps fail, since when, and whom does it affect?
-- Grain: One row per system, instance, workflow, kind of step and reason; every failed step that is loaded is counted in exactly one.
-- Note: A reason is the error's text without what differs from one failure to the next: quoted texts, addresses, ids,
--   dates and numbers, but for those of three digits, which are mostly HTTP statuses. Failed steps whose payload
--   was not loaded are under (not loaded), those whose payload holds no text of an error under (no error text).
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   integration text: The integration that the workflow belongs to; empty while it is not known.
--   workflow_id text: The workflow that ran.
--   workflow_name text: The workflow's name, where it is known.
--   step_type text: The kind of step that failed, in the vendor's words.
--   reason text: The error's text with ids, numbers, addresses and quoted texts masked, at most 200 characters.
--   failures bigint: Steps that failed so.
--   executions bigint: Executions in which they did.
--   users bigint: Different users for whom they did.
--   first_seen_at timestamp: When the first of them began.
--   last_seen_at timestamp: When the last of them began.
--   example text: The error's text of the newest of them as it is stored, at most 500 characters: it may hold customer data.
--   example_execution_id text: The execution that the example is from.
WITH failed AS (
    SELECT
        s.system,
        s.instance,
        s.integration,
        s.workflow_id,
        s.workflow_name,
        s.user_id,
        s.step_type,
        s.step_execution_id,
        s.execution_id,
        s.started_at,
        p.step_execution_id IS NOT NULL AND p.is_available AS is_loaded,
        substr(coalesce(s.error, p.error), 1, 500) AS error
    FROM steps AS s
    LEFT JOIN step_payloads AS p
        ON p.system = s.system AND p.instance = s.instance AND p.step_execution_id = s.step_execution_id
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
),

reasoned AS (
    SELECT
        *,
        CASE
            WHEN trim(error) <> '' THEN substr(trim(regexp_replace(numbered, '\s+', ' ', 'g')), 1, 200)
            WHEN is_loaded THEN '(no error text)'
            ELSE '(not loaded)'
        END AS reason
    FROM without_numbers
),

ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY system, instance, integration, workflow_id, workflow_name, step_type, reason
            ORDER BY started_at DESC NULLS LAST, step_execution_id
        ) AS place
    FROM reasoned
)

SELECT
    system,
    instance,
    integration,
    workflow_id,
    workflow_name,
    step_type,
    reason,
    count(*) AS failures,
    count(DISTINCT execution_id) AS executions,
    count(DISTINCT user_id) AS users,
    min(started_at) AS first_seen_at,
    max(started_at) AS last_seen_at,
    max(CASE WHEN place = 1 THEN error END) AS example,
    max(CASE WHEN place = 1 THEN execution_id END) AS example_execution_id
FROM ranked
GROUP BY system, instance, integration, workflow_id, workflow_name, step_type, reason
