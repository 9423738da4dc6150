"""The tables of B3OS, and the SQL by which views read them."""

from __future__ import annotations

from ...core.columns import bigint, boolean, customer_data, customer_json, double, json_text, text, timestamp
from ...core.models import Table
from ..table_parts import PROVENANCE, details_log, executions_table, status_column, steps_table
from ..view_mapping import ViewMapping, Views, error_in, shown_executions, shown_payloads, shown_steps
from .statuses import EXECUTION_STATUSES, FAILED_RUNS, MEANINGS, NODE_STATUSES, RUN_STATUSES

_COUNTS = (
    bigint("total", "Executions in it.", "total"),
    bigint("succeeded", "Those that succeeded.", "succeeded"),
    bigint("partial", "Those that succeeded in part; empty where the vendor does not tell.", "partial"),
    bigint("failed", "Those that failed.", "failed"),
    bigint("cancelled", "Those that were cancelled.", "cancelled"),
    double(
        "vendor_success_rate",
        "The vendor's own rate as it sends it; whether it goes up to 1 or to 100 is not documented.",
        "successRate",
    ),
    double(
        "success_rate",
        "Succeeded of those that ended, from 0 to 1, computed from the counts; empty while none has ended.",
    ),
    double(
        "failure_rate",
        "Failed of those that ended, from 0 to 1, computed from the counts; empty while none has ended.",
    ),
)
_OF_WINDOW = (
    text("granularity", "hourly or daily."),
    timestamp("window_start", "From when on the vendor counted."),
    timestamp("window_end", "Until when it counted, up to the end of the bucket that was open."),
)

EXECUTIONS = executions_table(
    "executions",
    "One row per execution: what was ordered, by whom, and what came of it, in the newest state that was read.",
    (
        text("id", "The execution's id.", "id"),
        text("organization_id", "The organization it belongs to.", "organizationId"),
        text("workflow_id", "The workflow; empty for one that was made for once.", "workflowId"),
        text("workflow_run_id", "Its run (runs.id); empty before it began, as while it is unpaid.", "runId"),
        text("source_system", "The system that asked for it.", "sourceSystem"),
        text("source_entity_type", "What it is about in that system, such as order.", "sourceEntityType"),
        text("source_entity_id", "Which one it is about in that system.", "sourceEntityId"),
        text("external_ref", "That system's own reference.", "externalRef"),
        text("idempotency_key", "The key by which it is made only once.", "idempotencyKey"),
        text("initiated_by_type", "What kind of caller began it, such as api_key.", "initiatedByType"),
        text("initiated_by_id", "Who began it.", "initiatedById"),
        text("checkout_session_id", "Its checkout, where it was paid.", "checkoutSessionId"),
        text("order_id", "Its order, where there is one.", "orderId"),
        text("payment_status", "The state of its payment, as the vendor spells it.", "paymentStatus"),
        status_column(EXECUTION_STATUSES),
        customer_data("status_reason", "Why it has that status, secrets redacted.", "statusReason"),
        customer_json("request_payload", "The request as JSON text, secrets redacted.", "requestPayload"),
        customer_json("response_payload", "The response as JSON text, secrets redacted.", "responsePayload"),
        customer_json(
            "client_safe_metadata",
            "What its caller noted, as JSON text, secrets redacted.",
            "clientSafeMetadata",
        ),
        timestamp("created_at", "When it was asked for; windows are cut by it.", "createdAt"),
        timestamp("started_at", "When its run began.", "startedAt"),
        timestamp("finished_at", "When it ended; empty while it is open.", "finishedAt"),
        timestamp("updated_at", "When the vendor changed it last.", "updatedAt"),
    ),
    what="the execution",
    started="created_at",
    workflow="workflow_id",
)

EVENTS = steps_table(
    "execution_events",
    "One row per event of an execution, read once it had ended.",
    (
        text("id", "The event's id; the execution's and its position where the vendor gives none.", "id"),
        text("workflow_execution_id", "The execution (executions.id).", "executionId"),
        text("workflow_run_id", "The run that it is of (runs.id).", "runId"),
        text("workflow_id", "The workflow that it is of.", "workflowId"),
        text("organization_id", "The organization it belongs to.", "organizationId"),
        bigint("position", "The event's position in the vendor's list, from 0."),
        text("node_id", "The node that it is of (run_nodes.node_id).", "nodeId"),
        text("request_id", "The request that it is of.", "requestId"),
        text("event_type", "The kind of event, such as node.failed.", "eventType"),
        text("status", "The last word of the kind, such as failed."),
        text("level", "How grave it is, as the vendor spells it.", "level"),
        customer_data("title", "What happened, in short.", "title"),
        customer_data("message", "What happened, secrets redacted.", "message"),
        customer_json("data", "What belongs to it, as JSON text, secrets redacted.", "data"),
        timestamp("created_at", "When it happened.", "createdAt"),
    ),
    started="When its execution was asked for",
)

DETAILS = details_log(
    "execution_details",
    "One row per execution whose events were asked for; each is asked for once.",
    execution="The execution (executions.id).",
    steps="How many events it has.",
    started="When the execution was asked for",
    more=(customer_data("message", "What the single read says of it, secrets redacted.", "message"),),
)

RUNS = executions_table(
    "runs",
    "One row per run of a workflow, in the newest state that was read.",
    (
        text("id", "The run's id.", "id"),
        text(
            "organization_id",
            "The organization it belongs to; empty unless an answer about this run alone was read while it was open, as "
            "lists of runs do not name it. run_details has it for every run whose nodes are loaded.",
            "organizationId",
        ),
        text("workflow_id", "The workflow; empty for one that was made for once.", "workflowId"),
        text("workflow_name", "What the workflow was called.", "workflowName"),
        bigint("workflow_version", "Which version of the workflow ran.", "workflowVersion"),
        status_column(RUN_STATUSES),
        text("trigger_source", "What triggered it, such as webhook.", "triggerSource"),
        text("triggered_by", "Who triggered it.", "triggeredBy"),
        text("trigger_node_id", "The node at which it began.", "triggerNodeId"),
        timestamp("started_at", "When it began; windows are cut by it.", "startedAt"),
        timestamp("finished_at", "When it ended; empty while it is open.", "finishedAt"),
        double("total_cu", "Compute units that it used.", "totalCu"),
        boolean("is_dust_test", "Whether it was a trial with next to nothing.", "isDustTest"),
        boolean("is_simulation", "Whether it was simulated only.", "isSimulation"),
        text("source_run_id", "The run that it repeats.", "sourceRunId"),
        customer_data("summary", "What the vendor sums it up as.", "summary"),
    ),
    what="the run",
    started="started_at",
    workflow="workflow_id",
)

NODES = steps_table(
    "run_nodes",
    "One row per node of a run, those within loops once per iteration; read once the run had ended.",
    (
        text("id", "The run's id and the node's path."),
        text("workflow_execution_id", "The run (runs.id)."),
        text("path", "Where the node is: its id, within loops after the loop's id and iteration."),
        text("parent_path", "The path of the loop that it is within; empty for others."),
        bigint("iteration", "Which iteration of the loop it is of, from 0; empty for others."),
        text("node_id", "The node's id in the workflow's definition."),
        text("type", "The kind of node.", "type"),
        status_column(NODE_STATUSES),
        timestamp("started_at", "When the node began.", "startedAt"),
        timestamp("finished_at", "When the node ended.", "finishedAt"),
        customer_json("input", "Its input as JSON text, secrets redacted.", "input"),
        customer_json(
            "result", "Its result as JSON text, secrets redacted; of a failed node the error.", "result"
        ),
        json_text("secret_keys", "JSON list of the keys of its input that hold secrets.", "secretKeys"),
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
        text("organization_id", "The organization that the run belongs to.", "organizationId"),
        customer_json(
            "workflow_definition",
            "The workflow's definition as it ran, as JSON text, secrets redacted.",
            "workflowDefinition",
        ),
    ),
)

STATS = Table(
    "execution_stats",
    "One row per hour or day of executions as the vendor counts them; hours and days without any have a row too.",
    ("granularity", "bucket_start"),
    (
        text("granularity", "hourly or daily."),
        timestamp("bucket_start", "When the hour or day begins, UTC."),
        timestamp("bucket_end", "When it ends; that instant excluded."),
        boolean("is_closed", "Whether it is over and all in it has ended: then it is not asked for again."),
        boolean("is_filled", "Whether the vendor gave no row for it, which means none."),
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
        bigint("terminal", "Those that have ended, as the vendor counts them.", "terminal"),
        bigint("in_progress", "Those that have not.", "inProgress"),
        double("average_duration_ms", "Their average duration in milliseconds.", "averageDurationMs"),
        *PROVENANCE,
    ),
)

BY_STATUS = Table(
    "execution_stats_by_status",
    "One row per span that was asked for and status: how many executions of it have that status.",
    ("granularity", "window_start", "window_end", "status"),
    (
        *_OF_WINDOW,
        text("status", "The vendor's status (executions.status).", "status"),
        bigint("count", "How many have it.", "count"),
        *PROVENANCE,
    ),
)

BY_SOURCE = Table(
    "execution_stats_by_source_system",
    "One row per span that was asked for and source system: the executions of it as the vendor counts them.",
    ("granularity", "window_start", "window_end", "source_system"),
    (
        *_OF_WINDOW,
        text("source_system", "The system that asked for them (executions.source_system).", "sourceSystem"),
        *_COUNTS,
        *PROVENANCE,
    ),
)

FAILURES = Table(
    "recent_failures",
    "One row per execution that the vendor named among the last that failed; it names only some.",
    ("execution_id",),
    (
        text("execution_id", "The execution (executions.id).", "executionId"),
        text("workflow_run_id", "Its run (runs.id).", "runId"),
        text("workflow_id", "The workflow that failed.", "workflowId"),
        text("source_system", "The system that asked for it.", "sourceSystem"),
        text("status", "The vendor's status.", "status"),
        customer_data("status_reason", "Why it failed, secrets redacted.", "statusReason"),
        timestamp("created_at", "When it was asked for.", "createdAt"),
        timestamp("finished_at", "When it ended.", "finishedAt"),
        *PROVENANCE,
    ),
)

# One row per execution, and per run that has none: a run's execution is its wrapping.
_SHOWN = (
    "(SELECT x.id, x.workflow_id, r.workflow_name, x.initiated_by_id AS user_id, x.status, x.is_open, x.created_at, "
    "x.finished_at, x.status_reason, x.resolution, x.purged_at_source, x.fetched_at, x.loaded_at, x.run_id "
    "FROM {executions} AS x LEFT JOIN {runs} AS r ON r.id = x.workflow_run_id UNION ALL "
    "SELECT r.id, r.workflow_id, r.workflow_name, r.triggered_by, r.status, r.is_open, r.started_at, r.finished_at, "
    "CAST(NULL AS VARCHAR), r.resolution, r.purged_at_source, r.fetched_at, r.loaded_at, r.run_id FROM {runs} AS r "
    "LEFT JOIN {executions} AS x ON x.workflow_run_id = r.id WHERE x.id IS NULL) AS e"
)
_FAILED_NODES = ", ".join(f"'{status}'" for status in FAILED_RUNS)
_OF_RUN = (
    " LEFT JOIN (SELECT o.workflow_run_id, min(o.id) AS id FROM {executions} AS o GROUP BY o.workflow_run_id) AS x "
    "ON x.workflow_run_id = "
)
# An execution without a run has no steps: nothing of it is missing.
_DETAILED = (
    "(SELECT coalesce(x.id, d.id) AS id, coalesce(x.created_at, d.date_started) AS started_at, d.outcome "
    "FROM {run_details} AS d LEFT JOIN {executions} AS x ON x.workflow_run_id = d.id UNION ALL "
    "SELECT x.id, x.created_at, 'loaded' FROM {executions} AS x WHERE x.workflow_run_id IS NULL) AS d"
)

VIEWS = Views(
    statuses=MEANINGS,
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
            "error": f"CASE WHEN s.status IN ({_FAILED_NODES}) THEN {error_in('s.result')} END",
        },
    ),
    payloads=shown_payloads(
        "{run_nodes} AS p" + _OF_RUN + "p.workflow_execution_id",
        {
            "execution_id": "coalesce(x.id, p.workflow_execution_id)",
            "output": "p.result",
            "error": f"CASE WHEN p.status IN ({_FAILED_NODES}) THEN {error_in('p.result')} END",
        },
    ),
    details=ViewMapping(
        _DETAILED, {"execution_id": "d.id", "execution_started_at": "d.started_at", "outcome": "d.outcome"}
    ),
    billing_caveat="B3OS counts no tasks; what runs cost is runs.total_cu, in compute units.",
)
