"""The tables of SailPoint, and the SQL by which views read them."""

from __future__ import annotations

from ...core.models import Column, Table
from ..parsing import UNREADABLE, error_in, own_columns
from ..protocol import ViewMapping, Views

EXECUTIONS = Table(
    "workflow_executions",
    "One row per execution of a workflow, in the newest state that was read.",
    ("id",),
    (
        Column("id", "text", "The execution's id.", "id"),
        Column("workflow_id", "text", "The workflow that ran (workflows.id).", "workflowId"),
        Column(
            "request_id",
            "text",
            "The id by which the vendor traces the request that started it.",
            "requestId",
        ),
        Column("start_time", "timestamp", "When the execution began, cut to microseconds.", "startTime"),
        Column(
            "start_time_exact",
            "text",
            "The same as the vendor sent it, where that is finer than a microsecond.",
            "startTimeExact",
        ),
        Column("close_time", "timestamp", "When the execution ended; empty while it is open.", "closeTime"),
        Column(
            "close_time_exact",
            "text",
            "The same as the vendor sent it, where that is finer than a microsecond.",
            "closeTimeExact",
        ),
        Column(
            "status",
            "text",
            "The vendor's status: Queued, Running or Executing (the same), Completed, Failed, Canceled or another.",
            "status",
        ),
        *own_columns(what="the execution"),
    ),
    newest="fetched_at",
    partition="start_time",
    partition_may_change=True,
    cluster=("workflow_id", "id"),
)

EVENTS = Table(
    "execution_events",
    "One row per event of an execution's history, read once the execution had ended.",
    ("id",),
    (
        Column("id", "text", "The execution's id and the event's place in its history."),
        Column("workflow_execution_id", "text", "The execution (workflow_executions.id)."),
        Column("position", "bigint", "The event's place in the history, from 0."),
        Column(
            "type",
            "text",
            "The event: ActivityTaskScheduled, ActivityTaskFailed, WorkflowExecutionCompleted and so on.",
            "type",
        ),
        Column("timestamp", "timestamp", "When it happened, cut to microseconds.", "timestamp"),
        Column(
            "timestamp_exact",
            "text",
            "The same as the vendor sent it, where that is finer than a microsecond.",
            "timestampExact",
        ),
        Column(
            "status", "text", "The last word of the type: Scheduled, Started, Completed, Failed and so on."
        ),
        Column("step_name", "text", "The step of the workflow's definition, where the event is of one."),
        Column("display_name", "text", "How the step is called, where the event is of one."),
        Column("technical_name", "text", "What the step does, such as sp:send-email."),
        Column("error", "text", "What failed, as text or JSON text, secrets redacted.", is_free=True),
        Column(
            "attributes",
            "text",
            "All attributes of the event as JSON text, secrets redacted.",
            "attributes",
            is_free=True,
        ),
        Column(
            "execution_date_started", "timestamp", "When the event's execution began; partitions the table."
        ),
        Column("fetched_at", "timestamp", "When this connector read the row from the vendor."),
        Column("run_id", "text", "The run that brought the row (sync_runs.run_id)."),
    ),
    newest="fetched_at",
    partition="execution_date_started",
    cluster=("workflow_execution_id",),
)

DETAILS = Table(
    "execution_details",
    "One row per execution whose history was asked for; each history is asked for once.",
    ("id",),
    (
        Column("id", "text", "The execution (workflow_executions.id)."),
        Column(
            "outcome",
            "text",
            "loaded; gone when the vendor answered 404, as for archived ones; expired when it was past retention; "
            "unreadable when it could not be read; too_large when the answer was larger than answer_max_bytes; again "
            "when it could be read once more, and the steps are not yet loaded.",
        ),
        *UNREADABLE,
        Column("steps", "bigint", "How many events the history has."),
        Column(
            "trigger", "text", "The trigger that history-v2 gives, as JSON text.", "trigger", is_free=True
        ),
        Column(
            "definition",
            "text",
            "The workflow's definition as it ran, as JSON text, where history-v2 gives it.",
            "definition",
            is_free=True,
        ),
        Column("date_started", "timestamp", "When the execution began; partitions the table."),
        Column("fetched_at", "timestamp", "When the history was asked for."),
        Column("run_id", "text", "The run that asked (sync_runs.run_id)."),
    ),
    newest="fetched_at",
    partition="date_started",
    partition_may_change=True,
    cluster=("id",),
)

WORKFLOWS = Table(
    "workflows",
    "One row per workflow as it was when it was last listed.",
    ("id",),
    (
        Column("id", "text", "The workflow's id.", "id"),
        Column("name", "text", "The workflow's name.", "name"),
        Column("description", "text", "What its author says of it.", "description", is_free=True),
        Column("enabled", "bool", "Whether it can be triggered.", "enabled"),
        Column("trigger_type", "text", "EVENT, EXTERNAL, SCHEDULED, or empty."),
        Column("trigger", "text", "The whole trigger as JSON text.", "trigger", is_free=True),
        Column("definition", "text", "Its steps as JSON text, secrets redacted.", "definition", is_free=True),
        Column("owner_name", "text", "Who owns it."),
        Column("owner", "text", "The owner as JSON text.", "owner", is_free=True),
        Column("creator", "text", "Who made it, as JSON text.", "creator", is_free=True),
        Column("modified_by", "text", "Who changed it last, as JSON text.", "modifiedBy", is_free=True),
        Column(
            "execution_count",
            "bigint",
            "The vendor's count of its executions, of all time.",
            "executionCount",
        ),
        Column(
            "failure_count", "bigint", "The vendor's count of those that failed, of all time.", "failureCount"
        ),
        Column("created", "timestamp", "When it was made, cut to microseconds.", "created"),
        Column(
            "created_exact", "text", "The same as the vendor sent it, where that is finer.", "createdExact"
        ),
        Column("modified", "timestamp", "When it was changed last, cut to microseconds.", "modified"),
        Column(
            "modified_exact", "text", "The same as the vendor sent it, where that is finer.", "modifiedExact"
        ),
        Column("fetched_at", "timestamp", "When this connector read the row from the vendor."),
        Column("run_id", "text", "The run that brought the row (sync_runs.run_id)."),
    ),
    newest="fetched_at",
)

BEGUN = ("Scheduled", "Initiated", "Started")
"""The last words of an event's type by which a step has not ended yet."""

# A history names no steps: those of one name, in their order, are scheduled, started and ended.
_STEP = (
    "(SELECT n.workflow_execution_id, n.step_name, max(n.technical_name) AS technical_name, n.place, "
    "n.execution_date_started, min(n.timestamp) AS started_at, "
    "max(CASE WHEN n.phase = 'ended' THEN n.timestamp END) AS ended_at, "
    "coalesce(max(CASE WHEN n.phase = 'ended' THEN n.status END), max(n.status)) AS status, max(n.error) AS error, "
    "max(n.fetched_at) AS fetched_at, max(n.run_id) AS run_id FROM (SELECT v.*, row_number() OVER (PARTITION BY "
    "v.workflow_execution_id, v.step_name, v.phase ORDER BY v.position) AS place FROM (SELECT o.*, CASE WHEN o.status IN "
    f"{BEGUN} THEN o.status ELSE 'ended' END AS phase FROM {{execution_events}} AS o "
    "WHERE o.step_name IS NOT NULL) AS v) AS n GROUP BY n.workflow_execution_id, n.step_name, n.place, "
    "n.execution_date_started) AS s"
)

VIEWS = Views(
    statuses={
        "Queued": "queued",
        "Running": "running",
        "Executing": "running",
        "Completed": "succeeded",
        "Failed": "failed",
        "TimedOut": "failed",
        "Canceled": "cancelled",
        "Cancelled": "cancelled",
        "Terminated": "cancelled",
        "Scheduled": "queued",
        "Initiated": "queued",
        "Started": "running",
    },
    executions=ViewMapping(
        "{workflow_executions} AS e LEFT JOIN {workflows} AS w ON w.id = e.workflow_id",
        {
            "execution_id": "e.id",
            "workflow_id": "e.workflow_id",
            "workflow_name": "w.name",
            "vendor_status": "e.status",
            "is_open": "e.is_open",
            "started_at": "e.start_time",
            "ended_at": "e.close_time",
            "resolution": "e.resolution",
            "purged_at_source": "e.purged_at_source",
            "fetched_at": "e.fetched_at",
            "run_id": "e.run_id",
        },
    ),
    steps=ViewMapping(
        _STEP + " LEFT JOIN {workflow_executions} AS e ON e.id = s.workflow_execution_id",
        {
            "step_execution_id": "s.workflow_execution_id || ':' || s.step_name || ':' || CAST(s.place AS VARCHAR)",
            "execution_id": "s.workflow_execution_id",
            # A step's name is one of its workflow.
            "step_id": "coalesce(e.workflow_id, '') || ':' || s.step_name",
            "step_name": "s.step_name",
            "step_type": "s.technical_name",
            "vendor_status": "s.status",
            "started_at": "s.started_at",
            "ended_at": "s.ended_at",
            "execution_started_at": "s.execution_date_started",
            "error": f"coalesce({error_in('s.error')}, s.error)",
            "fetched_at": "s.fetched_at",
            "run_id": "s.run_id",
        },
    ),
    billing_caveat="SailPoint counts no tasks.",
)
