"""SailPoint Identity Security Cloud: executions of workflows.

https://developer.sailpoint.com/docs/api/v2025/workflows

There is no list of all executions: workflows are listed first, then the executions of each. What a step did is in
an execution's history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

from ..core.errors import ConfigurationError, UnexpectedResponse
from ..core.models import MS, Column, Json, Page, Request, Row, Table, Window, iso_ms
from .protocol import (
    Defaults,
    Detail,
    Filter,
    Login,
    Setting,
    Shown,
    Token,
    Values,
    Views,
    error_in,
    instant,
    own_columns,
    rows_under,
    timed,
)

PAGE = 250
VERSIONS = ("v2025", "v2026", "v2024", "v3", "beta", "v1")
"""``v1`` is the style of paths that names the service first: /workflows/v1."""
_PAGED_WORKFLOWS = ("v3", "beta")
_WITH_HISTORY_V2 = ("v2025", "v2026", "v1")
TERMINAL = frozenset({"completed", "failed", "canceled", "cancelled", "terminated", "timedout"})
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

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
    may_move=True,
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

LEDGER = Table(
    "execution_details",
    "One row per execution whose history was asked for: the ledger that keeps each history to one request.",
    ("id",),
    (
        Column("id", "text", "The execution (workflow_executions.id)."),
        Column(
            "outcome",
            "text",
            "loaded; gone when the vendor answered 404, as for archived ones; expired when it was past retention.",
        ),
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
    may_move=True,
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

# A history names no steps: those of one name, in their order, are scheduled, started and ended.
_STEP = (
    "(SELECT n.workflow_execution_id, n.step_name, max(n.technical_name) AS technical_name, n.place, "
    "n.execution_date_started, min(n.timestamp) AS started_at, "
    "max(CASE WHEN n.phase = 'ended' THEN n.timestamp END) AS ended_at, "
    "coalesce(max(CASE WHEN n.phase = 'ended' THEN n.status END), max(n.status)) AS status, max(n.error) AS error, "
    "max(n.fetched_at) AS fetched_at, max(n.run_id) AS run_id FROM (SELECT v.*, row_number() OVER (PARTITION BY "
    "v.workflow_execution_id, v.step_name, v.phase ORDER BY v.position) AS place FROM (SELECT o.*, CASE WHEN o.status IN "
    "('Scheduled', 'Started', 'Initiated') THEN o.status ELSE 'ended' END AS phase FROM {execution_events} AS o "
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
    executions=Shown(
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
    steps=Shown(
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

_TIMES = ("startTime", "closeTime")
_LAST_WORD = re.compile(
    r"(Scheduled|Started|Initiated|Completed|Failed|Canceled|Cancelled|TimedOut|Terminated)$"
)


class SailPoint(Defaults):
    """https://developer.sailpoint.com/docs/api/v2025/workflows"""

    name = "sailpoint"
    title = "SailPoint Identity Security Cloud Workflows"
    docs_url = "https://developer.sailpoint.com/docs/api/v2025/workflows"
    # https://developer.sailpoint.com/docs/api/rate-limiting: per client id and version of the API
    rate_limit = (100, 10.0)
    retention = timedelta(days=90)
    page_size = PAGE
    settings = (
        Setting(
            "tenant",
            str,
            None,
            "The tenant, as in https://<tenant>.api.identitynow.com; or set base_url.",
        ),
        Setting(
            "client_id",
            str,
            None,
            "The client id of a personal access token (PAT) of a user who may read workflows.",
            is_required=True,
        ),
        Setting("client_secret", str, None, "The secret of that token.", is_secret=True, is_required=True),
        Setting(
            "api_version",
            str,
            "v2025",
            "Which version of the API is asked; v1 is the style of paths with the service first.",
            choices=VERSIONS,
        ),
    )
    address = "tenant or base_url"
    executions = EXECUTIONS
    steps = EVENTS
    ledger = LEDGER
    definitions = WORKFLOWS
    lists = "unsorted"
    partition = "workflow"
    has_steps_in_execution = False
    failed_statuses = ("Failed",)
    views = VIEWS
    started_column = "start_time"
    workflow_column = "workflow_id"
    filters = (
        Filter("workflow", "id", "workflow_id", "a workflow's id"),
        Filter("status", "status", "status", "Completed, Failed, Canceled, Running, Executing or Queued"),
    )

    def base_url(self, values: Values) -> str:
        if values["base_url"]:
            return str(values["base_url"])
        return f"https://{values['tenant']}.api.identitynow.com" if values["tenant"] else ""

    def check(self, values: Values) -> None:
        tenant = values["tenant"]
        if not tenant and not values["base_url"]:
            raise ConfigurationError(
                "The setting tenant of sailpoint is missing: it is the word before .api.identitynow.com. Set it, or "
                "base_url for another host, in .dlt/config.toml under [sources.task_history.sailpoint], or in the "
                "environment as SOURCES__TASK_HISTORY__SAILPOINT__TENANT."
            )
        if tenant and not values["base_url"] and not _TENANT.fullmatch(str(tenant)):
            raise ConfigurationError(
                f"tenant: {tenant!r} is no tenant: it is one word, such as acme of https://acme.api.identitynow.com."
            )

    def warnings(self, values: Values) -> tuple[str, ...]:
        # https://developer.sailpoint.com/docs/api/api-versioning-migration
        listing = "SailPoint removes the list of executions in July 2028, in every version; it names no successor yet."
        if values["api_version"] in _PAGED_WORKFLOWS:
            version = values["api_version"]
            return (
                f"api_version {version} is deprecated: SailPoint removes its history in October 2027. Set api_version "
                f"to v2025. {listing}",
            )
        return ()

    def credential(self, values: Values) -> str:
        return f"{values['client_id']}\0{values['api_version']}"

    def login(self, values: Values) -> Login:
        # https://developer.sailpoint.com/docs/api/authentication
        form = {
            "grant_type": "client_credentials",
            "client_id": str(values["client_id"]),
            "client_secret": str(values["client_secret"]),
        }
        return Login(Request("token", "/oauth/token", method="POST"), form)

    def read_login(self, data: Json) -> Token:
        if (
            not isinstance(data, dict)
            or not isinstance(data.get("access_token"), str)
            or not data["access_token"]
        ):
            raise UnexpectedResponse("token: expected an object with the key 'access_token'.")
        life = data.get("expires_in")
        if isinstance(life, bool) or not isinstance(life, int | float) or life <= 0:
            life = None
        return Token(data["access_token"], life)

    def headers(self, values: Values, token: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    def hint(self, status: int) -> str:
        if status == 401:
            return (
                "Set client_id and client_secret to those of a personal access token (PAT) that was not deleted, and "
                "tenant to the tenant that made it."
            )
        return (
            "The token is known but may not read this: it has to be a personal access token of a user (a client of "
            "its own has none) with the scopes sp:workflow:read and sp:workflow-execution:read, whose level is "
            "ORG_ADMIN, SOURCE_ADMIN or SOURCE_SUBADMIN."
        )

    def definitions_request(self, values: Values, partition: str, offset: int) -> Request:
        version = str(values["api_version"])
        if version in _PAGED_WORKFLOWS:
            return Request("workflows", f"/{version}/workflows", _paged(offset))
        if offset:
            # The newer versions take no parameters; whether they give more than 250 is not documented.
            return Request("workflows", "/v3/workflows", _paged(offset), is_partial=True)
        return Request("workflows", _path(version, "workflows"))

    def read_definitions(self, data: Json) -> Page:
        rows = rows_under(data, (), what="list of workflows")
        found = []
        for row in rows:
            if row.get("id") in (None, ""):
                raise UnexpectedResponse("list of workflows: a row has no 'id'.")
            trigger, owner = row.get("trigger"), row.get("owner")
            found.append(
                {
                    **timed(row, ("created", "modified")),
                    "trigger_type": trigger.get("type") if isinstance(trigger, dict) else None,
                    "owner_name": owner.get("name") if isinstance(owner, dict) else None,
                }
            )
        return Page(found, total=None, more=bool(rows) and len(rows) % PAGE == 0)

    def partitions(self, values: Values, definitions: Sequence[Row]) -> tuple[str, ...]:
        return tuple(str(row["id"]) for row in definitions)

    def list_request(
        self, values: Values, window: Window | None, *, offset: int = 0, filters: Values | None = None
    ) -> Request:
        filters = filters or {}
        path = f"{_path(str(values['api_version']), 'workflows')}/{quote(str(filters['workflow']), safe='')}/executions"
        paging = (("limit", str(PAGE)), ("offset", str(offset)))
        request: Request | None = None
        # https://github.com/sailpoint-oss/api-specs/issues/67: the filter's name and form differ by version; the
        # last resort is none, and the caller cuts.
        for words in reversed(list(_filters(window, filters.get("status")))):
            params = (*paging, ("filters", words)) if words else paging
            request = Request("list", path, params, is_partial=True, instead=request)
        assert request is not None  # noqa: S101 - there is always one form
        return request

    def read_page(self, data: Json) -> Page:
        rows = rows_under(data, (), what="list of executions")
        return Page([_execution(row, what="list of executions") for row in rows], total=None, more=None)

    def started_at(self, row: Row) -> datetime | None:
        return instant(row.get("startTime"))

    def identity(self, row: Row) -> str:
        return str(row["id"])

    def is_open(self, row: Row) -> bool:
        return str(row.get("status") or "").lower() not in TERMINAL and not row.get("closeTime")

    def execution_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        # Only an ORG_ADMIN may read one execution; others may list them.
        return Request("execution", _single(values, execution_id), is_partial=True)

    def read_execution(self, data: Json) -> Detail:
        # The schema says a list of one; servers give the object.
        if isinstance(data, list) and len(data) == 1:
            data = data[0]
        if not isinstance(data, dict):
            raise UnexpectedResponse("execution: expected an object with the key 'id'.")
        return Detail(_execution(data, what="execution"), {}, [])

    def detail_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        path = _single(values, execution_id)
        # One that may not be read holds up no other.
        history = Request("execution", f"{path}/history", is_partial=True)
        if values["api_version"] not in _WITH_HISTORY_V2:
            return history
        return Request(
            "execution", f"{path}/history-v2", instead=history, unknown=(400, 404), is_partial=True
        )

    def read_detail(self, values: Values, request: Request, data: Json) -> Detail:
        extra: Row = {}
        found: Json = data
        if isinstance(data, dict):
            if "history" not in data:
                raise UnexpectedResponse(
                    "history: expected a list of events, or an object with the key 'history'."
                )
            found = data["history"] if data["history"] is not None else []
            extra = {name: value for name, value in data.items() if name != "history"}
        if isinstance(found, dict):
            found = [found]
        events = rows_under(found, (), what="history")
        execution_id = _execution_id(request)
        first = next((int(value) for name, value in request.params if name == "offset"), 0)
        more: tuple[Request, ...] = ()
        if isinstance(data, list) and len(events) == PAGE:
            # A page as long as one may be: older servers know no parameters, and then it was all.
            path = request.path.removesuffix("-v2")
            more = (Request("execution", path, _paged(first + PAGE), is_partial=True),)
        rows = [_event(execution_id, first + at, event) for at, event in enumerate(events)]
        return Detail({}, extra, rows, more=more)


def _path(version: str, service: str) -> str:
    return f"/{service}/v1" if version == "v1" else f"/{version}/{service}"


def _single(values: Values, execution_id: str) -> str:
    return f"{_path(str(values['api_version']), 'workflow-executions')}/{quote(execution_id, safe='')}"


def _paged(offset: int) -> tuple[tuple[str, str], ...]:
    return (("limit", str(PAGE)), ("offset", str(offset)))


def _filters(window: Window | None, status: str | None) -> Iterable[str]:
    """The filter in the forms that servers were seen to know, the likeliest first, and at last none."""
    state = [f'status eq "{_quoted(status)}"'] if status else []
    if window is None:
        yield " and ".join(state)
        return
    start, end = iso_ms(window.start - MS), iso_ms(window.end)
    for name, mark in (("start_time", '"'), ("startTime", '"'), ("start_time", "")):
        yield " and ".join([f"{name} ge {mark}{start}{mark}", f"{name} lt {mark}{end}{mark}", *state])
    yield ""


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _execution(row: Row, *, what: str) -> Row:
    if row.get("id") in (None, ""):
        raise UnexpectedResponse(f"{what}: a row has no 'id'.")
    return {"closeTime": None, **timed(row, _TIMES)}


def _execution_id(request: Request) -> str:
    return unquote(request.path.rsplit("/", 2)[1])


def _event(execution_id: str, position: int, event: Row) -> Row:
    """An event as a row. Its attributes' names are not documented: those that clients use become columns."""
    attributes = event.get("attributes")
    known = attributes if isinstance(attributes, dict) else {}
    kind = str(event.get("type") or "")
    last = _LAST_WORD.search(kind)
    return {
        **timed(event, ("timestamp",)),
        "id": f"{execution_id}:{position}",
        "workflow_execution_id": execution_id,
        "position": position,
        "status": last[0] if last else None,
        "step_name": known.get("stepName"),
        "display_name": known.get("displayName"),
        "technical_name": known.get("technicalName"),
        "error": known.get("error"),
    }


SYSTEM = SailPoint()
