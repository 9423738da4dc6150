"""B3OS: executions, the runs of workflows behind them, and the vendor's statistics.

https://docs.b3os.org/api/introduction

An execution is what was ordered (payment, source, payloads); a run is one pass of the engine over a workflow. Not every
run has an execution, nor every execution a run: both are listed, and ``executions.workflow_run_id`` joins them.
Neither list can be narrowed to a time, nor is its order documented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from ..core.errors import UnexpectedResponse
from ..core.models import Column, Json, Page, Request, Row, Table, Window
from .protocol import (
    Defaults,
    Detail,
    Setting,
    Shown,
    System,
    Values,
    Views,
    error_in,
    instant,
    millis,
    own_columns,
    rows_under,
    timed,
)

PAGE = 100
_MARK = "[redacted]"
_SUCCESS = "workflow_succeeded"
ENDED = frozenset({_SUCCESS, "workflow_partial", "workflow_failed", "workflow_cancelled"})
RUN_ENDED = frozenset({"success", "partial", "failure", "cancelled"})
_WIDTHS = {"hourly": timedelta(hours=1), "daily": timedelta(days=1)}

_STAMPS = (
    Column("fetched_at", "timestamp", "When this connector read the row from the vendor."),
    Column("run_id", "text", "The run of this connector that brought the row (sync_runs.run_id)."),
)
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

EXECUTIONS = Table(
    "executions",
    "One row per execution: what was ordered, by whom, and what came of it, in the newest state that was read.",
    ("id",),
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
        *own_columns(what="the execution"),
    ),
    newest="fetched_at",
    partition="created_at",
    may_move=True,
    cluster=("workflow_id", "id"),
)

EVENTS = Table(
    "execution_events",
    "One row per event of an execution, read once it had ended.",
    ("id",),
    (
        Column(
            "id", "text", "The event's id; the execution's and its place where the vendor gives none.", "id"
        ),
        Column("workflow_execution_id", "text", "The execution (executions.id).", "executionId"),
        Column("workflow_run_id", "text", "The run that it is of (runs.id).", "runId"),
        Column("workflow_id", "text", "The workflow that it is of.", "workflowId"),
        Column("organization_id", "text", "The organization it belongs to.", "organizationId"),
        Column("position", "bigint", "The event's place in the vendor's list, from 0."),
        Column("node_id", "text", "The node that it is of (run_nodes.node_id).", "nodeId"),
        Column("request_id", "text", "The request that it is of.", "requestId"),
        Column("event_type", "text", "The kind of event, such as node.failed.", "eventType"),
        Column("status", "text", "The last word of the kind, such as failed."),
        Column("level", "text", "How grave it is, as the vendor spells it.", "level"),
        Column("title", "text", "What happened, in short.", "title", is_free=True),
        Column("message", "text", "What happened, secrets redacted.", "message", is_free=True),
        Column("data", "text", "What belongs to it, as JSON text, secrets redacted.", "data", is_free=True),
        Column("created_at", "timestamp", "When it happened.", "createdAt"),
        Column(
            "execution_date_started", "timestamp", "When its execution was asked for; partitions the table."
        ),
        *_STAMPS,
    ),
    newest="fetched_at",
    partition="execution_date_started",
    cluster=("workflow_execution_id",),
)

LEDGER = Table(
    "execution_details",
    "One row per execution whose events were asked for: the ledger that keeps each to one request.",
    ("id",),
    (
        Column("id", "text", "The execution (executions.id)."),
        Column("outcome", "text", "loaded; gone when the vendor held it no longer."),
        Column("steps", "bigint", "How many events it has."),
        Column(
            "message", "text", "What the single read says of it, secrets redacted.", "message", is_free=True
        ),
        Column("date_started", "timestamp", "When the execution was asked for; partitions the table."),
        *_STAMPS,
    ),
    newest="fetched_at",
    partition="date_started",
    may_move=True,
    cluster=("id",),
)

RUNS = Table(
    "runs",
    "One row per run of a workflow, in the newest state that was read.",
    ("id",),
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
        *own_columns(what="the run"),
    ),
    newest="fetched_at",
    partition="started_at",
    may_move=True,
    cluster=("workflow_id", "id"),
)

NODES = Table(
    "run_nodes",
    "One row per node of a run, those within loops once per iteration; read once the run had ended.",
    ("id",),
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
        Column("execution_date_started", "timestamp", "When its run began; partitions the table."),
        *_STAMPS,
    ),
    newest="fetched_at",
    partition="execution_date_started",
    cluster=("workflow_execution_id",),
)

RUN_LEDGER = Table(
    "run_details",
    "One row per run whose nodes were asked for: the ledger that keeps each to one request.",
    ("id",),
    (
        Column("id", "text", "The run (runs.id)."),
        Column("outcome", "text", "loaded; gone when the vendor held it no longer."),
        Column("steps", "bigint", "How many nodes it has, those within loops once per iteration."),
        Column(
            "workflow_definition",
            "text",
            "The workflow's definition as it ran, as JSON text, secrets redacted.",
            "workflowDefinition",
            is_free=True,
        ),
        Column("date_started", "timestamp", "When the run began; partitions the table."),
        *_STAMPS,
    ),
    newest="fetched_at",
    partition="date_started",
    may_move=True,
    cluster=("id",),
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
        *_STAMPS,
    ),
    newest="fetched_at",
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
        *_STAMPS,
    ),
    newest="fetched_at",
)

BY_STATUS = Table(
    "execution_stats_by_status",
    "One row per span that was asked for and status: how many executions of it have that status.",
    ("granularity", "window_start", "window_end", "status"),
    (
        *_OF_WINDOW,
        Column("status", "text", "The vendor's status (executions.status).", "status"),
        Column("count", "bigint", "How many have it.", "count"),
        *_STAMPS,
    ),
    newest="fetched_at",
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
        *_STAMPS,
    ),
    newest="fetched_at",
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
        *_STAMPS,
    ),
    newest="fetched_at",
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
        _SUCCESS: "succeeded",
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
    executions=Shown(
        _SHOWN,
        {
            "execution_id": "e.id",
            "workflow_id": "e.workflow_id",
            "workflow_name": "e.workflow_name",
            "user_id": "e.user_id",
            "vendor_status": "e.status",
            "is_open": "e.is_open",
            "started_at": "e.created_at",
            "ended_at": "e.finished_at",
            "error": "CASE WHEN e.status_reason <> '' THEN e.status_reason END",
            "resolution": "e.resolution",
            "purged_at_source": "e.purged_at_source",
            "fetched_at": "e.fetched_at",
            "run_id": "e.run_id",
        },
    ),
    steps=Shown(
        "{run_nodes} AS s LEFT JOIN {runs} AS r ON r.id = s.workflow_execution_id"
        + _OF_RUN
        + "s.workflow_execution_id",
        {
            "step_execution_id": "s.id",
            "execution_id": "coalesce(x.id, s.workflow_execution_id)",
            # A node's id is one of its workflow; its path differs with each iteration of a loop.
            "step_id": "coalesce(r.workflow_id, '') || ':' || s.node_id",
            "step_name": "s.node_id",
            "step_type": "s.type",
            "vendor_status": "s.status",
            "started_at": "s.started_at",
            "ended_at": "s.finished_at",
            "execution_started_at": "s.execution_date_started",
            "error": f"CASE WHEN s.status = 'failure' THEN {error_in('s.result')} END",
            "fetched_at": "s.fetched_at",
            "run_id": "s.run_id",
        },
    ),
    payloads=Shown(
        "{run_nodes} AS p" + _OF_RUN + "p.workflow_execution_id",
        {
            "step_execution_id": "p.id",
            "execution_id": "coalesce(x.id, p.workflow_execution_id)",
            "execution_started_at": "p.execution_date_started",
            "is_available": "TRUE",
            "input": "p.input",
            "output": "p.result",
            "error": f"CASE WHEN p.status = 'failure' THEN {error_in('p.result')} END",
            "fetched_at": "p.fetched_at",
            "run_id": "p.run_id",
        },
    ),
    billing_caveat="B3OS counts no tasks; what runs cost is runs.total_cu, in compute units.",
)

_TIMES = ("createdAt", "startedAt", "finishedAt", "updatedAt")
_LIST_FIELDS = frozenset(column.source for column in RUNS.columns if column.source)
_MISSING = re.compile(r"not found|no such|does not exist|unknown execution", re.IGNORECASE)


class _B3os(Defaults):
    """What both lists have in common."""

    docs_url = "https://docs.b3os.org/api/introduction"
    default_base_url = "https://api.b3os.org"
    # https://docs.b3os.org/api/introduction names a limit per organization and no number
    rate_limit = (300, 60.0)
    page_size = PAGE
    lists = "whole"
    settings = (
        Setting(
            "api_key",
            str,
            None,
            "An API key, beginning with b3sk_; the scope read is enough.",
            is_secret=True,
            is_required=True,
        ),
        Setting(
            "organization_id",
            str,
            None,
            "The organization, org_…, sent as X-Org-ID where the vendor wants it named.",
        ),
        Setting(
            "stats_granularity",
            str,
            "hourly",
            "Whether the vendor's statistics are taken by hour or by day.",
            choices=tuple(_WIDTHS),
        ),
    )

    def credential(self, values: Values) -> str:
        return str(values["organization_id"] or values["api_key"])

    def headers(self, values: Values, token: str = "") -> dict[str, str]:
        headers = {"Authorization": f"Bearer {values['api_key']}"}
        return (
            {**headers, "X-Org-ID": str(values["organization_id"])} if values["organization_id"] else headers
        )

    def hint(self, status: int) -> str:
        if status == 401:
            return (
                "Set api_key to an API key of the organization; it begins with b3sk_ and was shown only once."
            )
        return (
            "The key is known but may not read this: it needs the scope read, and organization_id, where it is set, has "
            "to be the key's own."
        )

    def identity(self, row: Row) -> str:
        return str(row["id"])

    def is_gone(self, status: int, said: str = "") -> bool:
        # The documentation of a single execution knows no 404: a missing one is a 400.
        return status in (404, 410) or (status == 400 and _MISSING.search(said) is not None)

    def read_page(self, data: Json) -> Page:
        what = "list"
        found = _data(data, what=what)
        more: Json = data.get("hasMore")
        if isinstance(found, dict):
            if "items" not in found:
                rows_under(found, ("items",), what=what)
            more = found.get("hasMore")
            # Go encodes an empty list as null.
            found = found["items"] if found["items"] is not None else []
        rows = rows_under(found, (), what=what)
        for row in rows:
            if row.get("id") in (None, ""):
                raise UnexpectedResponse("list: a row has no 'id'.")
        return Page(
            [timed(row, _TIMES) for row in rows], total=None, more=more if isinstance(more, bool) else None
        )


class B3osRuns(_B3os):
    """https://docs.b3os.org/api/reference/get-v1-workflows-id-runs"""

    name = "b3os"
    title = "B3OS runs"
    executions = RUNS
    steps = NODES
    ledger = RUN_LEDGER
    failed_statuses = ("failure",)
    list_only_columns = ("organization_id",)
    started_column = "started_at"
    workflow_column = "workflow_id"

    def list_request(
        self, values: Values, window: Window | None, *, offset: int = 0, filters: Values | None = None
    ) -> Request:
        return Request("list", "/v1/runs", _paged(offset))

    def started_at(self, row: Row) -> datetime | None:
        return instant(row.get("startedAt"))

    def is_open(self, row: Row) -> bool:
        return str(row.get("status") or "") not in RUN_ENDED and not _is_set(row.get("finishedAt"))

    def execution_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        return Request("execution", f"/v1/runs/{quote(execution_id, safe='')}")

    def read_execution(self, data: Json) -> Detail:
        run = _data(data, what="run")
        if not isinstance(run, dict) or run.get("id") in (None, ""):
            raise UnexpectedResponse("run: expected an object with the key 'id' under 'data'.")
        state = run.get("executionState")
        if state is not None and not isinstance(state, dict):
            raise UnexpectedResponse("run: expected an object under 'executionState'.")
        fields = {name: value for name, value in run.items() if name in _LIST_FIELDS}
        nodes = list(_nodes(str(run["id"]), state or {}, parent=None, iteration=None))
        definition = run.get("workflowDefinition")
        named = definition.get("sensitivePropKeys") if isinstance(definition, dict) else None
        secret = [key for node in nodes for key in _keys(node.get("secretKeys"))] + _keys(named)
        others = {
            name: _masked(value, secret)
            for name, value in run.items()
            if name not in _LIST_FIELDS and name != "executionState"
        }
        return Detail(timed(fields, _TIMES), {"workflowDefinition": None, **others}, nodes)


class B3os(_B3os):
    """https://docs.b3os.org/api/reference/get-v1-executions"""

    name = "b3os"
    title = "B3OS executions and runs"
    executions = EXECUTIONS
    steps = EVENTS
    ledger = LEDGER
    companions: tuple[System, ...] = (B3osRuns(),)  # type: ignore[assignment]  # its tuples are of fixed length
    views = VIEWS
    stats = (STATS, SUMMARY, BY_STATUS, BY_SOURCE, FAILURES)
    failed_statuses = ("workflow_failed",)
    started_column = "created_at"
    workflow_column = "workflow_id"

    def list_request(
        self, values: Values, window: Window | None, *, offset: int = 0, filters: Values | None = None
    ) -> Request:
        return Request("list", "/v1/executions", _paged(offset))

    def started_at(self, row: Row) -> datetime | None:
        return instant(row.get("createdAt"))

    def is_open(self, row: Row) -> bool:
        return str(row.get("status") or "") not in ENDED and not _is_set(row.get("finishedAt"))

    def execution_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        return Request("execution", f"/v1/executions/{quote(execution_id, safe='')}")

    def read_execution(self, data: Json) -> Detail:
        found = _data(data, what="execution")
        execution = found.get("execution") if isinstance(found, dict) else None
        if not isinstance(execution, dict) or execution.get("id") in (None, ""):
            raise UnexpectedResponse("execution: expected an object with the key 'execution' under 'data'.")
        events = rows_under({"events": found.get("events") or []}, ("events",), what="execution")
        identity = str(execution["id"])
        rows = [_event(identity, at, event) for at, event in enumerate(events)]
        return Detail(timed(execution, _TIMES), {"message": found.get("message")}, rows)

    # https://docs.b3os.org/api/reference/get-v1-executions-stats

    def stats_buckets(self, values: Values) -> tuple[str, timedelta]:
        granularity = str(values["stats_granularity"])
        return granularity, _WIDTHS[granularity]

    def stats_request(self, values: Values, window: Window) -> Request:
        ends = (("from", window.start), ("to", window.end))
        params = tuple((name, str(round(at.timestamp() * 1000))) for name, at in ends)
        return Request(
            "stats", "/v1/executions/stats", (*params, ("granularity", str(values["stats_granularity"])))
        )

    def read_stats(
        self, values: Values, window: Window, data: Json, *, settled_before: datetime
    ) -> Mapping[str, list[Row]]:
        found = _data(data, what="statistics")
        if not isinstance(found, dict) or "timeSeries" not in found:
            raise UnexpectedResponse("statistics: expected an object with the key 'timeSeries' under 'data'.")
        granularity = values["stats_granularity"]
        span: Row = {"granularity": granularity, "window_start": window.start, "window_end": window.end}
        parts = {
            name: rows_under({name: found.get(name) or []}, (name,), what="statistics")
            for name in ("timeSeries", "statuses", "sourceSystems", "recentFailures")
        }
        summary = found.get("summary")
        if summary is not None and not isinstance(summary, dict):
            raise UnexpectedResponse("statistics: expected an object under 'summary'.")
        return {
            STATS.name: list(self._buckets(values, window, parts["timeSeries"], settled_before)),
            SUMMARY.name: [{**_rated(_without_rate(summary)), **span}] if summary else [],
            BY_STATUS.name: [{**row, **span} for row in parts["statuses"] if row.get("status")],
            BY_SOURCE.name: [
                {**_rated(row), **span, "sourceSystem": row.get("sourceSystem") or ""}
                for row in parts["sourceSystems"]
            ],
            FAILURES.name: [timed(row, _TIMES) for row in parts["recentFailures"] if row.get("executionId")],
        }

    def _buckets(
        self, values: Values, window: Window, rows: Sequence[Row], settled_before: datetime
    ) -> Iterator[Row]:
        """A row per bucket of the window, those too that the vendor leaves out."""
        granularity, width = self.stats_buckets(values)
        given: dict[datetime, Row] = {}
        for row in rows:
            start = row.get("bucketStart")
            at = (
                millis(start)
                if isinstance(start, int | float) and not isinstance(start, bool)
                else instant(start)
            )
            if at is None:
                raise UnexpectedResponse(
                    "statistics: a row of 'timeSeries' has no instant under 'bucketStart'."
                )
            given[at] = {name: value for name, value in row.items() if name != "bucketStart"}
        empty = dict.fromkeys(("total", "succeeded", "failed", "cancelled"), 0)
        starts = {window.start + at * width for at in range(-(-(window.end - window.start) // width))}
        for at in sorted(starts | {at for at in given if at in window}):
            row = _rated(given.get(at, empty))
            is_over = at + width <= settled_before and _ended(row) >= (row.get("total") or 0)
            yield {
                **row,
                "granularity": granularity,
                "bucket_start": at,
                "bucket_end": at + width,
                "is_closed": is_over,
                "is_filled": at not in given,
            }


def _paged(offset: int) -> tuple[tuple[str, str], ...]:
    return (("limit", str(PAGE)), ("offset", str(offset)))


def _data(data: Json, *, what: str) -> Json:
    """What stands in the envelope. Its ``code`` is 200 or 0 for success, and says nothing."""
    if not isinstance(data, dict) or "data" not in data:
        raise UnexpectedResponse(
            f"{what}: expected an object with the key 'data'. The vendor's API may have changed; nothing was loaded "
            "from this answer."
        )
    return data["data"]


def _is_set(value: Json) -> bool:
    """Whether there is an instant; Go writes year 1 for none."""
    found = timed({"at": value}, ("at",))["at"] if value is not None else None
    return found is not None and found != ""


def _event(execution_id: str, position: int, event: Row) -> Row:
    return {
        **timed(event, _TIMES),
        "id": str(event.get("id") or f"{execution_id}:{position}"),
        "executionId": execution_id,
        "position": position,
        "status": str(event.get("eventType") or "").rpartition(".")[2] or None,
    }


def _nodes(
    run_id: str, state: Mapping[str, Json], *, parent: str | None, iteration: int | None
) -> Iterator[Row]:
    """The nodes of a run or of one iteration of a loop, each followed by those within it."""
    for node_id, node in state.items():
        if not isinstance(node, dict):
            raise UnexpectedResponse("run: expected an object for each node under 'executionState'.")
        path = node_id if parent is None else f"{parent}[{iteration}].{node_id}"
        # The context repeats the properties and storage of the whole workflow.
        fields = {name: value for name, value in node.items() if name not in ("iterations", "context")}
        yield {
            **{name: _masked(value, node.get("secretKeys")) for name, value in timed(fields, _TIMES).items()},
            "secretKeys": node.get("secretKeys"),
            "input": _masked(node.get("input"), node.get("secretKeys")),
            "id": f"{run_id}:{path}",
            "workflow_execution_id": run_id,
            "path": path,
            "parent_path": parent,
            "iteration": iteration,
            "node_id": node_id,
        }
        loops = node.get("iterations")
        for at, inner in enumerate(loops if isinstance(loops, list) else ()):
            if isinstance(inner, dict):
                yield from _nodes(run_id, inner, parent=path, iteration=at)


def _keys(keys: Json) -> list[str]:
    return [str(key) for key in keys] if isinstance(keys, list) else []


def _masked(value: Json, keys: Json) -> Json:
    """The value without what the vendor itself calls secret, at any depth, in texts that are JSON too."""
    secret = set(_keys(keys))
    if not secret:
        return value
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            inner = json.loads(value)
        except ValueError:
            return value
        masked = _masked(inner, keys)
        return value if masked == inner else json.dumps(masked)
    if isinstance(value, dict):
        return {name: _MARK if name in secret else _masked(inner, keys) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, keys) for inner in value]
    return value


def _ended(row: Row) -> int:
    return sum(_count(row.get(name)) for name in ("succeeded", "partial", "failed", "cancelled"))


def _count(value: Json) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _rated(row: Row) -> Row:
    """The counts with their rates; the vendor's own rate has no documented scale."""
    ended = _ended(row)
    return {
        **row,
        "success_rate": _count(row.get("succeeded")) / ended if ended else None,
        "failure_rate": _count(row.get("failed")) / ended if ended else None,
    }


def _without_rate(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "successRate"}


SYSTEM = B3os()
