"""The tables of Paragon, and the SQL by which views read them.

Tests see a new column filled once the sandbox sends it (``sandbox/paragon_world.py``).
"""

from __future__ import annotations

from ...core.columns import LOADED_AT, bigint, boolean, json_text, text, timestamp
from ...core.models import Table
from ..protocol import Filter
from ..statuses import one_of
from ..table_parts import UNREADABLE, details_log, executions_table, status_column, steps_table
from ..view_mapping import Views, details_log_mapping, error_in, shown_executions, shown_payloads, shown_steps
from .statuses import FILTER_VALUES, MEANINGS

EXECUTIONS = executions_table(
    "workflow_executions",
    "One row per execution of a workflow, in the newest state that was read.",
    (
        text("id", "The execution's id.", "id"),
        text("user_id", "The Connected User for whom the workflow ran, as the app named it.", "userId"),
        text("workflow_id", "The workflow that ran; its integration is in workflows.", "workflowId"),
        status_column(MEANINGS),
        timestamp("date_started", "When the execution began.", "dateStarted"),
        timestamp("date_ended", "When the execution ended; empty while it is open.", "dateEnded"),
        bigint(
            "run_duration",
            "Milliseconds from start to end as the listing gives it; where the final state came from a single "
            "read, which rounds to seconds, the difference of the two dates.",
            "runDuration",
        ),
        bigint(
            "task_count",
            "Tasks the execution used; their sum is a lower bound of the invoice, which also counts Proxy API calls.",
            "taskCount",
        ),
    ),
    what="the execution",
    started="date_started",
    workflow="workflow_id",
)

STEPS = steps_table(
    "step_executions",
    "One row per step that an execution ran; a step in a fan-out has one row per iteration.",
    (
        text("id", "The step execution's id.", "id"),
        text(
            "workflow_execution_id",
            "The execution it belongs to (workflow_executions.id).",
            "workflowExecutionId",
        ),
        text("step_id", "The step of the workflow's definition; the same in every execution.", "stepId"),
        text("type", "Kind of step, such as TRIGGER/CRON or ACTION/REQUEST.", "type"),
        text("status", "The vendor's status of the step.", "status"),
        timestamp("date_started", "When the step began.", "start"),
        timestamp("date_ended", "When the step ended.", "end"),
        json_text("next", "JSON list of the step executions that followed (step_executions.id).", "next"),
        text("prev", "The step execution before it; empty for the trigger.", "prev"),
        bigint("input_size", "Size of the step's input as the vendor counts it, in bytes.", "inputSize"),
        bigint("output_size", "Size of the step's output as the vendor counts it, in bytes.", "outputSize"),
    ),
    started="When the step's execution began",
    is_clustered_by_key=True,
)

PAYLOADS = steps_table(
    "step_payloads",
    "One row per step whose input and output were read: customer data, redacted, in a table of its own.",
    (
        text("step_execution_id", "The step (step_executions.id)."),
        text("workflow_execution_id", "The execution it belongs to (workflow_executions.id)."),
        json_text("input", "The step's input as JSON text, secrets redacted."),
        json_text(
            "output", "The step's output as JSON text, secrets redacted; an error's text for a failed step."
        ),
        bigint("input_bytes", "Size of the input's JSON text before it was cut, in bytes."),
        bigint("output_bytes", "Size of the output's JSON text before it was cut, in bytes."),
        boolean("is_input_cut", "Whether the input was longer than payload_max_bytes and was cut."),
        boolean("is_output_cut", "Whether the output was longer than payload_max_bytes and was cut."),
        boolean("is_large_input", "The vendor's flag that the input is large.", "isLargeInput"),
        boolean("is_large_output", "The vendor's flag that the output is large.", "isLargeOutput"),
        bigint("redactions", "How many values were redacted in input and output."),
        text(
            "outcome",
            "loaded; gone when the vendor no longer held the payload; unreadable when it could not be read; "
            "too_large when the answer was larger than answer_max_bytes.",
        ),
        *UNREADABLE,
    ),
    started="When the payload's execution began",
    key="step_execution_id",
    is_clustered_by_key=True,
    ids="unique_in_execution",
)

DETAILS = details_log(
    "execution_details",
    "One row per execution whose steps were asked for; each detail is asked for once.",
    execution="The execution (workflow_executions.id).",
    steps="How many steps the execution ran.",
    started="When the execution began",
    more=(
        bigint(
            "run_duration",
            "The duration as the single read gives it; the vendor's samples show rounded seconds here.",
        ),
    ),
)

WORKFLOWS = Table(
    "workflows",
    "One row per workflow that ran: its integration, which rows of executions do not name.",
    ("workflow_id",),
    (
        text("workflow_id", "The workflow (workflow_executions.workflow_id)."),
        text("integration", "Its integration as the vendor spells it; empty while it is not known."),
        text("workflow_name", "Its name, where a mapping file gives it."),
        text("origin", "How it is known: file; asked; listed, by a backfill of one integration; or unknown."),
        text("asked", "JSON list of the integrations that were asked for."),
        timestamp("fetched_at", "When it became known."),
        text("run_id", "The run that wrote the row (sync_runs.run_id)."),
        LOADED_AT,
    ),
)

VIEWS = Views(
    statuses=MEANINGS,
    # Delay steps exist, and how their type is written is not documented beyond CATEGORY/KIND.
    # https://docs.useparagon.com/workflows/workflow-steps
    is_waiting_step="upper(step_type) LIKE '%/DELAY%'",
    executions=shown_executions(
        "{workflow_executions} AS e LEFT JOIN {workflows} AS w ON w.workflow_id = e.workflow_id",
        {
            "workflow_name": "w.workflow_name",
            "integration": "w.integration",
            "user_id": "e.user_id",
            "started_at": "e.date_started",
            "ended_at": "e.date_ended",
            "task_count": "e.task_count",
        },
    ),
    steps=shown_steps(
        "{step_executions} AS s",
        {
            "step_id": "s.step_id",
            "started_at": "s.date_started",
            "ended_at": "s.date_ended",
            "input_bytes": "s.input_size",
            "output_bytes": "s.output_size",
        },
    ),
    payloads=shown_payloads(
        "{step_payloads} AS p",
        {
            "step_execution_id": "p.step_execution_id",
            "is_available": "p.outcome = 'loaded'",
            "output": "p.output",
            # A failed step's output is the error.
            "error": error_in("p.output"),
            "input_bytes": "p.input_bytes",
            "output_bytes": "p.output_bytes",
            "is_input_cut": "p.is_input_cut",
            "is_output_cut": "p.is_output_cut",
        },
    ),
    details=details_log_mapping(DETAILS),
    billing_caveat="A lower bound of the invoice: it also counts Proxy API calls, which are no executions; and those "
    "that were purged before they were read, gave no count or are still open take more.",
)

# https://docs.useparagon.com/apis/task-history: the filters of the list
FILTERS = (
    Filter("status", "status", "status", one_of(FILTER_VALUES), FILTER_VALUES),
    Filter("workflow", "workflowId", "workflow_id", "a workflow's id"),
    Filter("user", "userId", "user_id", "a Connected User, as the app names it"),
    Filter("integration", "integration", None, "an integration, such as salesforce"),
)
