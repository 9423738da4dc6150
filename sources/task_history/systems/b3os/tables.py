"""The tables of B3OS, and the SQL by which views read them."""

from __future__ import annotations

from ...core.models import Column, Table
from ..common_tables import (
    PROVENANCE,
    details_log,
    error_in,
    executions_table,
    shown_executions,
    shown_payloads,
    shown_steps,
    steps_table,
)
from ..protocol import Views

_COUNTS = (
    Column("total", "bigint", "Executions in it.", "total"),
    Column("succeeded", "bigint", "Those that succeeded.", "succeeded"),
    Column(
        "partial", "bigint", "Those that succeeded in part; empty where the vendor does not tell.", "partial"
    ),
    Column("failed", "bigint", "Those that failed.", "failed"),
    Column("cancelled", "bigint", "Those that were cancelled.", "cancelled"),
    Column(
        "success_rate",
        "double",
        "Succeeded of those that ended, from 0 to 1, computed from the counts; empty while none has ended.",
    ),
    Column(
        "failure_rate",
        "double",
        "Failed of those that ended, from 0 to 1, computed from the counts; empty while none has ended.",
    ),
)
_OF_WINDOW = (
    Column("granularity", "text", "hourly or daily."),
    Column("window_start", "timestamp", "From when on the vendor counted."),
    Column("window_end", "timestamp", "Until when it counted, up to the end of the bucket that was open."),
)

EXECUTIONS = executions_table(
    "executions",
    "One row per execution: what was ordered, by whom, and what came of it, in the newest state that was read.",
    (
        Column("id", "text", "The execution's id.", "id"),
        Column("organization_id", "text", "The organization it belongs to.", "organizationId"),
        Column("workflow_id", "text", "The workflow; empty for one that was made for once.", "workflowId"),
        Column(
            "workflow_run_id",
            "text",
            "Its run (runs.id); empty before it began, as while it is unpaid.",
            "runId",
        ),
        Column("source_system", "text", "The system that asked for it.", "sourceSystem"),
        Column(
            "source_entity_type",
            "text",
            "What it is about in that system, such as order.",
            "sourceEntityType",
        ),
        Column("source_entity_id", "text", "Which one it is about in that system.", "sourceEntityId"),
        Column("external_ref", "text", "That system's own reference.", "externalRef"),
        Column("idempotency_key", "text", "The key by which it is made only once.", "idempotencyKey"),
        Column(
            "initiated_by_type", "text", "What kind of caller began it, such as api_key.", "initiatedByType"
        ),
        Column("initiated_by_id", "text", "Who began it.", "initiatedById"),
        Column("checkout_session_id", "text", "Its checkout, where it was paid.", "checkoutSessionId"),
        Column("order_id", "text", "Its order, where there is one.", "orderId"),
        Column(
            "payment_status", "text", "The state of its payment, as the vendor spells it.", "paymentStatus"
        ),
        Column(
            "status",
            "text",
            "The vendor's status: awaiting_payment, payment_confirmed, workflow_queued, workflow_running, "
            "workflow_waiting, workflow_succeeded, workflow_partial, workflow_failed, workflow_cancelled or another.",
            "status",
        ),
        Column(
            "status_reason", "text", "Why it has that status, secrets redacted.", "statusReason", is_free=True
        ),
        Column(
            "request_payload",
            "text",
            "The request as JSON text, secrets redacted.",
            "requestPayload",
            is_free=True,
        ),
        Column(
            "response_payload",
            "text",
            "The response as JSON text, secrets redacted.",
            "responsePayload",
            is_free=True,
        ),
        Column(
            "client_safe_metadata",
            "text",
            "What its caller noted, as JSON text, secrets redacted.",
            "clientSafeMetadata",
            is_free=True,
        ),
        Column("created_at", "timestamp", "When it was asked for; windows are cut by it.", "createdAt"),
        Column("started_at", "timestamp", "When its run began.", "startedAt"),
        Column("finished_at", "timestamp", "When it ended; empty while it is open.", "finishedAt"),
        Column("updated_at", "timestamp", "When the vendor changed it last.", "updatedAt"),
    ),
    what="the execution",
    started="created_at",
    workflow="workflow_id",
)

EVENTS = steps_table(
    "execution_events",
    "One row per event of an execution, read once it had ended.",
    (
        Column(
            "id",
            "text",
            "The event's id; the execution's and its position where the vendor gives none.",
            "id",
        ),
        Column("workflow_execution_id", "text", "The execution (executions.id).", "executionId"),
        Column("workflow_run_id", "text", "The run that it is of (runs.id).", "runId"),
        Column("workflow_id", "text", "The workflow that it is of.", "workflowId"),
        Column("organization_id", "text", "The organization it belongs to.", "organizationId"),
        Column("position", "bigint", "The event's position in the vendor's list, from 0."),
        Column("node_id", "text", "The node that it is of (run_nodes.node_id).", "nodeId"),
        Column("request_id", "text", "The request that it is of.", "requestId"),
        Column("event_type", "text", "The kind of event, such as node.failed.", "eventType"),
        Column("status", "text", "The last word of the kind, such as failed."),
        Column("level", "text", "How grave it is, as the vendor spells it.", "level"),
        Column("title", "text", "What happened, in short.", "title", is_free=True),
        Column("message", "text", "What happened, secrets redacted.", "message", is_free=True),
        Column("data", "text", "What belongs to it, as JSON text, secrets redacted.", "data", is_free=True),
        Column("created_at", "timestamp", "When it happened.", "createdAt"),
    ),
    started="When its execution was asked for",
)

DETAILS = details_log(
    "execution_details",
    "One row per execution whose events were asked for; each is asked for once.",
    execution="The execution (executions.id).",
    steps="How many events it has.",
    started="When the execution was asked for",
    more=(
        Column(
            "message", "text", "What the single read says of it, secrets redacted.", "message", is_free=True
        ),
    ),
)

RUNS = executions_table(
    "runs",
    "One row per run of a workflow, in the newest state that was read.",
    (
        Column("id", "text", "The run's id.", "id"),
        Column("organization_id", "text", "The organization it belongs to.", "organizationId"),
        Column("workflow_id", "text", "The workflow; empty for one that was made for once.", "workflowId"),
        Column("workflow_name", "text", "What the workflow was called.", "workflowName"),
        Column("workflow_version", "bigint", "Which version of the workflow ran.", "workflowVersion"),
        Column(
            "status",
            "text",
            "The vendor's status: running, waiting, success, partial, failure, cancelled or another.",
            "status",
        ),
        Column("trigger_source", "text", "What triggered it, such as webhook.", "triggerSource"),
        Column("triggered_by", "text", "Who triggered it.", "triggeredBy"),
        Column("trigger_node_id", "text", "The node at which it began.", "triggerNodeId"),
        Column("started_at", "timestamp", "When it began; windows are cut by it.", "startedAt"),
        Column("finished_at", "timestamp", "When it ended; empty while it is open.", "finishedAt"),
        Column("total_cu", "double", "Compute units that it used.", "totalCu"),
        Column("is_dust_test", "bool", "Whether it was a trial with next to nothing.", "isDustTest"),
        Column("is_simulation", "bool", "Whether it was simulated only.", "isSimulation"),
        Column("source_run_id", "text", "The run that it repeats.", "sourceRunId"),
        Column("summary", "text", "What the vendor sums it up as.", "summary", is_free=True),
    ),
    what="the run",
    started="started_at",
    workflow="workflow_id",
)

NODES = steps_table(
    "run_nodes",
    "One row per node of a run, those within loops once per iteration; read once the run had ended.",
    (
        Column("id", "text", "The run's id and the node's path."),
        Column("workflow_execution_id", "text", "The run (runs.id)."),
        Column("path", "text", "Where the node is: its id, within loops after the loop's id and iteration."),
        Column("parent_path", "text", "The path of the loop that it is within; empty for others."),
        Column("iteration", "bigint", "Which iteration of the loop it is of, from 0; empty for others."),
        Column("node_id", "text", "The node's id in the workflow's definition."),
        Column("type", "text", "The kind of node.", "type"),
        Column(
            "status",
            "text",
            "The vendor's status: pending, running, success, partial, failure, skipped, waiting, scheduled, cancelled, "
            "auto_swapping or another.",
            "status",
        ),
        Column("started_at", "timestamp", "When the node began.", "startedAt"),
        Column("finished_at", "timestamp", "When the node ended.", "finishedAt"),
        Column("input", "text", "Its input as JSON text, secrets redacted.", "input", is_free=True),
        Column(
            "result",
            "text",
            "Its result as JSON text, secrets redacted; of a failed node the error.",
            "result",
            is_free=True,
        ),
        Column("secret_keys", "text", "JSON list of the keys of its input that hold secrets.", "secretKeys"),
    ),
    started="When its run began",
)

RUN_DETAILS = details_log(
    "run_details",
    "One row per run whose nodes were asked for; each is asked for once.",
    execution="The run (runs.id).",
    steps="How many nodes it has, those within loops once per iteration.",
    started="When the run began",
    more=(
        Column(
            "workflow_definition",
            "text",
            "The workflow's definition as it ran, as JSON text, secrets redacted.",
            "workflowDefinition",
            is_free=True,
        ),
    ),
)

STATS = Table(
    "execution_stats",
    "One row per hour or day of executions as the vendor counts them; hours and days without any have a row too.",
    ("granularity", "bucket_start"),
    (
        Column("granularity", "text", "hourly or daily."),
        Column("bucket_start", "timestamp", "When the hour or day begins, UTC."),
        Column("bucket_end", "timestamp", "When it ends; that instant excluded."),
        Column(
            "is_closed", "bool", "Whether it is over and all in it has ended: then it is not asked for again."
        ),
        Column("is_filled", "bool", "Whether the vendor gave no row for it, which means none."),
        *_COUNTS,
        *PROVENANCE,
    ),
    partition="bucket_start",
)

SUMMARY = Table(
    "execution_stats_summary",
    "One row per span that was asked for: the executions in it as the vendor counts them.",
    ("granularity", "window_start", "window_end"),
    (
        *_OF_WINDOW,
        *_COUNTS,
        Column("terminal", "bigint", "Those that have ended, as the vendor counts them.", "terminal"),
        Column("in_progress", "bigint", "Those that have not.", "inProgress"),
        Column(
            "average_duration_ms", "double", "Their average duration in milliseconds.", "averageDurationMs"
        ),
        *PROVENANCE,
    ),
)

BY_STATUS = Table(
    "execution_stats_by_status",
    "One row per span that was asked for and status: how many executions of it have that status.",
    ("granularity", "window_start", "window_end", "status"),
    (
        *_OF_WINDOW,
        Column("status", "text", "The vendor's status (executions.status).", "status"),
        Column("count", "bigint", "How many have it.", "count"),
        *PROVENANCE,
    ),
)

BY_SOURCE = Table(
    "execution_stats_by_source_system",
    "One row per span that was asked for and source system: the executions of it as the vendor counts them.",
    ("granularity", "window_start", "window_end", "source_system"),
    (
        *_OF_WINDOW,
        Column(
            "source_system",
            "text",
            "The system that asked for them (executions.source_system).",
            "sourceSystem",
        ),
        *_COUNTS,
        *PROVENANCE,
    ),
)

FAILURES = Table(
    "recent_failures",
    "One row per execution that the vendor named among the last that failed; it names only some.",
    ("execution_id",),
    (
        Column("execution_id", "text", "The execution (executions.id).", "executionId"),
        Column("workflow_run_id", "text", "Its run (runs.id).", "runId"),
        Column("workflow_id", "text", "The workflow that failed.", "workflowId"),
        Column("source_system", "text", "The system that asked for it.", "sourceSystem"),
        Column("status", "text", "The vendor's status.", "status"),
        Column("status_reason", "text", "Why it failed, secrets redacted.", "statusReason", is_free=True),
        Column("created_at", "timestamp", "When it was asked for.", "createdAt"),
        Column("finished_at", "timestamp", "When it ended.", "finishedAt"),
        *PROVENANCE,
    ),
)

# One row per execution, and per run that has none: a run's execution is its wrapping.
_SHOWN = (
    "(SELECT x.id, x.workflow_id, r.workflow_name, x.initiated_by_id AS user_id, x.status, x.is_open, x.created_at, "
    "x.finished_at, x.status_reason, x.resolution, x.purged_at_source, x.fetched_at, x.run_id FROM {executions} AS x "
    "LEFT JOIN {runs} AS r ON r.id = x.workflow_run_id UNION ALL SELECT r.id, r.workflow_id, r.workflow_name, "
    "r.triggered_by, r.status, r.is_open, r.started_at, r.finished_at, CAST(NULL AS VARCHAR), r.resolution, "
    "r.purged_at_source, r.fetched_at, r.run_id FROM {runs} AS r LEFT JOIN {executions} AS x ON x.workflow_run_id = r.id "
    "WHERE x.id IS NULL) AS e"
)
_OF_RUN = (
    " LEFT JOIN (SELECT o.workflow_run_id, min(o.id) AS id FROM {executions} AS o GROUP BY o.workflow_run_id) AS x "
    "ON x.workflow_run_id = "
)

VIEWS = Views(
    statuses={
        "awaiting_payment": "queued",
        "payment_confirmed": "queued",
        "workflow_queued": "queued",
        "workflow_running": "running",
        "workflow_waiting": "waiting",
        "workflow_succeeded": "succeeded",
        "workflow_partial": "partial",
        "workflow_failed": "failed",
        "workflow_cancelled": "cancelled",
        "pending": "queued",
        "scheduled": "queued",
        "running": "running",
        "auto_swapping": "running",
        "waiting": "waiting",
        "success": "succeeded",
        "partial": "partial",
        "failure": "failed",
        "cancelled": "cancelled",
        "skipped": "skipped",
    },
    executions=shown_executions(
        _SHOWN,
        {
            "workflow_name": "e.workflow_name",
            "user_id": "e.user_id",
            "started_at": "e.created_at",
            "ended_at": "e.finished_at",
            "error": "CASE WHEN e.status_reason <> '' THEN e.status_reason END",
        },
    ),
    steps=shown_steps(
        "{run_nodes} AS s LEFT JOIN {runs} AS r ON r.id = s.workflow_execution_id"
        + _OF_RUN
        + "s.workflow_execution_id",
        {
            "execution_id": "coalesce(x.id, s.workflow_execution_id)",
            # A node's id is one of its workflow; its path differs with each iteration of a loop.
            "step_id": "coalesce(r.workflow_id, '') || ':' || s.node_id",
            "step_name": "s.node_id",
            "started_at": "s.started_at",
            "ended_at": "s.finished_at",
            "error": f"CASE WHEN s.status = 'failure' THEN {error_in('s.result')} END",
        },
    ),
    payloads=shown_payloads(
        "{run_nodes} AS p" + _OF_RUN + "p.workflow_execution_id",
        {
            "execution_id": "coalesce(x.id, p.workflow_execution_id)",
            "output": "p.result",
            "error": f"CASE WHEN p.status = 'failure' THEN {error_in('p.result')} END",
        },
    ),
    billing_caveat="B3OS counts no tasks; what runs cost is runs.total_cu, in compute units.",
)
