"""The tables of Paragon, and the SQL by which views read them."""

from __future__ import annotations

from ...core.models import Column, Table
from ..common_tables import (
    UNREADABLE,
    details_log,
    error_in,
    executions_table,
    shown_executions,
    shown_payloads,
    shown_steps,
    steps_table,
)
from ..protocol import Filter, Views

EXECUTIONS = executions_table(
    "workflow_executions",
    "One row per execution of a workflow, in the newest state that was read.",
    (
        Column("id", "text", "The execution's id.", "id"),
        Column(
            "user_id", "text", "The Connected User for whom the workflow ran, as the app named it.", "userId"
        ),
        Column(
            "workflow_id", "text", "The workflow that ran; its integration is in workflows.", "workflowId"
        ),
        Column(
            "status",
            "text",
            "The vendor's status: EXECUTING, DELAYED, SUCCEEDED, FAILED or another.",
            "status",
        ),
        Column("date_started", "timestamp", "When the execution began.", "dateStarted"),
        Column("date_ended", "timestamp", "When the execution ended; empty while it is open.", "dateEnded"),
        Column(
            "run_duration",
            "bigint",
            "Milliseconds from start to end as the listing gives it; where the final state came from a single "
            "read, which rounds to seconds, the difference of the two dates.",
            "runDuration",
        ),
        Column(
            "task_count",
            "bigint",
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
        Column("id", "text", "The step execution's id.", "id"),
        Column(
            "workflow_execution_id",
            "text",
            "The execution it belongs to (workflow_executions.id).",
            "workflowExecutionId",
        ),
        Column(
            "step_id", "text", "The step of the workflow's definition; the same in every execution.", "stepId"
        ),
        Column("type", "text", "Kind of step, such as TRIGGER/CRON or ACTION/REQUEST.", "type"),
        Column("status", "text", "The vendor's status of the step.", "status"),
        Column("date_started", "timestamp", "When the step began.", "start"),
        Column("date_ended", "timestamp", "When the step ended.", "end"),
        Column(
            "next", "text", "JSON list of the step executions that followed (step_executions.id).", "next"
        ),
        Column("prev", "text", "The step execution before it; empty for the trigger.", "prev"),
        Column(
            "input_size", "bigint", "Size of the step's input as the vendor counts it, in bytes.", "inputSize"
        ),
        Column(
            "output_size",
            "bigint",
            "Size of the step's output as the vendor counts it, in bytes.",
            "outputSize",
        ),
    ),
    started="When the step's execution began",
    is_clustered_by_key=True,
)

PAYLOADS = steps_table(
    "step_payloads",
    "One row per step whose input and output were read: customer data, redacted, in a table of its own.",
    (
        Column("step_execution_id", "text", "The step (step_executions.id)."),
        Column("workflow_execution_id", "text", "The execution it belongs to (workflow_executions.id)."),
        Column("input", "text", "The step's input as JSON text, secrets redacted."),
        Column(
            "output",
            "text",
            "The step's output as JSON text, secrets redacted; an error's text for a failed step.",
        ),
        Column("input_bytes", "bigint", "Size of the input's JSON text before it was cut, in bytes."),
        Column("output_bytes", "bigint", "Size of the output's JSON text before it was cut, in bytes."),
        Column("is_input_cut", "bool", "Whether the input was longer than payload_max_bytes and was cut."),
        Column("is_output_cut", "bool", "Whether the output was longer than payload_max_bytes and was cut."),
        Column("is_large_input", "bool", "The vendor's flag that the input is large.", "isLargeInput"),
        Column("is_large_output", "bool", "The vendor's flag that the output is large.", "isLargeOutput"),
        Column("redactions", "bigint", "How many values were redacted in input and output."),
        Column(
            "outcome",
            "text",
            "loaded; gone when the vendor no longer held the payload; unreadable when it could not be read; "
            "too_large when the answer was larger than answer_max_bytes.",
        ),
        *UNREADABLE,
    ),
    started="When the payload's execution began",
    key="step_execution_id",
    is_clustered_by_key=True,
)

DETAILS = details_log(
    "execution_details",
    "One row per execution whose steps were asked for; each detail is asked for once.",
    execution="The execution (workflow_executions.id).",
    steps="How many steps the execution ran.",
    started="When the execution began",
    more=(
        Column(
            "run_duration",
            "bigint",
            "The duration as the single read gives it; the vendor's samples show rounded seconds here.",
        ),
    ),
)

WORKFLOWS = Table(
    "workflows",
    "One row per workflow that ran: its integration, which rows of executions do not name.",
    ("workflow_id",),
    (
        Column("workflow_id", "text", "The workflow (workflow_executions.workflow_id)."),
        Column(
            "integration", "text", "Its integration as the vendor spells it; empty while it is not known."
        ),
        Column("workflow_name", "text", "Its name, where a mapping file gives it."),
        Column(
            "origin",
            "text",
            "How it is known: file; asked; listed, by a backfill of one integration; or unknown.",
        ),
        Column("asked", "text", "JSON list of the integrations that were asked for."),
        Column("fetched_at", "timestamp", "When it became known."),
        Column("run_id", "text", "The run that wrote the row (sync_runs.run_id)."),
    ),
)

VIEWS = Views(
    statuses={
        "EXECUTING": "running",
        "DELAYED": "waiting",
        "SUCCEEDED": "succeeded",
        "FAILED": "failed",
        "CANCELLED": "cancelled",
        "CANCELED": "cancelled",
    },
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
    billing_caveat="A lower bound of the invoice: it also counts Proxy API calls, which are no executions; and those "
    "that were purged before they were read, gave no count or are still open take more.",
)

# https://docs.useparagon.com/apis/task-history: the filters of the list
FILTERS = (
    Filter(
        "status",
        "status",
        "status",
        "EXECUTING, DELAYED, SUCCEEDED or FAILED",
        ("EXECUTING", "DELAYED", "SUCCEEDED", "FAILED"),
    ),
    Filter("workflow", "workflowId", "workflow_id", "a workflow's id"),
    Filter("user", "userId", "user_id", "a Connected User, as the app names it"),
    Filter("integration", "integration", None, "an integration, such as salesforce"),
)
