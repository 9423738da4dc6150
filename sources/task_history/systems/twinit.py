"""Twinit workflow service: definitions, runs, their tasks and the tasks' logs.

https://twinit.dev/docs/apis/rest/workflowsvc/workflows

Runs are listed by namespace, with no filter by time and in no documented order. Several namespaces are several lists, and
a run may stand in more than one of them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote, unquote

from ..core.errors import ConfigurationError, UnexpectedResponse
from ..core.models import MS, Column, Json, Page, Request, Row, Table, Window
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

PAGE = 100
_ROOT = "/workflowsvc/api/v1"
_LEAST_PAGE = 10
"""What a server gives that heeds no page size."""
ENDED = frozenset(
    {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "TIMED_OUT", "TERMINATED", "CANCELED", "CANCELLED"}
)
_FAILED = (
    "FAILED",
    "FAILED_WITH_TERMINAL_ERROR",
    "TIMED_OUT",
    "COMPLETED_WITH_ERRORS",
)
_UNLOGGED = frozenset({"QUEUED", "SCHEDULED", "SKIPPED"})
_LOOP = "DO_WHILE"

_STAMPS = (
    Column("fetched_at", "timestamp", "When this connector read the row from the vendor."),
    Column("run_id", "text", "The run of this connector that brought the row (sync_runs.run_id)."),
)

RUNS = Table(
    "workflow_runs",
    "One row per run of a workflow, in the newest state that was read.",
    ("id",),
    (
        Column("id", "text", "The run's id.", "_id"),
        Column("workflow_def_id", "text", "The definition that ran (workflow_defs.id).", "_workflowDefId"),
        Column("name", "text", "What the run is called.", "_name"),
        Column("namespace", "text", "The first of its namespaces."),
        Column("namespaces", "text", "JSON list of all its namespaces.", "_namespaces"),
        Column("user_type", "text", "Its type as its author named it.", "_userType"),
        Column(
            "status",
            "text",
            "The vendor's status: RUNNING, COMPLETED, FAILED, TIMED_OUT, TERMINATED, PAUSED or another.",
            "status",
        ),
        Column("result", "text", "Its result as JSON text, secrets redacted.", "_result", is_free=True),
        Column(
            "timeout_seconds",
            "bigint",
            "After how many seconds it is ended; empty for never.",
            "_timeoutSeconds",
        ),
        Column("timeout_policy", "text", "What happens then.", "_timeoutPolicy"),
        Column(
            "created_at",
            "timestamp",
            "When it was made, cut to microseconds; windows are cut by it.",
            "_createdAt",
        ),
        Column(
            "created_at_exact",
            "text",
            "The same as the vendor sent it, where that is finer.",
            "_createdAtExact",
        ),
        Column(
            "updated_at", "timestamp", "When the vendor changed it last, cut to microseconds.", "_updatedAt"
        ),
        Column(
            "updated_at_exact",
            "text",
            "The same as the vendor sent it, where that is finer.",
            "_updatedAtExact",
        ),
        Column(
            "finished_at_estimate",
            "timestamp",
            "When it probably ended: its last change, once it has ended; empty where that is its making.",
        ),
        *own_columns(what="the run"),
    ),
    newest="fetched_at",
    partition="created_at",
    may_move=True,
    cluster=("workflow_def_id", "id"),
)

TASKS = Table(
    "tasks",
    "One row per task of a run, those of loops once per iteration; read once the run had ended.",
    ("id",),
    (
        Column("id", "text", "The task's id.", "_id"),
        Column("workflow_execution_id", "text", "The run (workflow_runs.id)."),
        Column(
            "parent_task_id",
            "text",
            "The task that it is within, such as a loop (tasks.id); empty for others.",
        ),
        Column("name", "text", "What the task is called; its type and place where it has no name.", "_name"),
        Column("type", "text", "The kind of task, such as REST_CONNECTOR or DO_WHILE.", "_type"),
        Column("sequence_no", "bigint", "Its place among the tasks; may repeat.", "_sequenceno"),
        Column("status", "text", "The vendor's status, such as COMPLETED, FAILED or QUEUED.", "_status"),
        Column(
            "input_params", "text", "Its input as JSON text, secrets redacted.", "_inputParams", is_free=True
        ),
        Column("result", "text", "Its result as JSON text, secrets redacted.", "_result", is_free=True),
        Column("execution_date_started", "timestamp", "When its run was made; partitions the table."),
        *_STAMPS,
    ),
    newest="fetched_at",
    partition="execution_date_started",
    cluster=("workflow_execution_id",),
)

LOGS = Table(
    "task_logs",
    "One row per line that a task logged, in the vendor's order.",
    ("id",),
    (
        Column("id", "text", "The task's id and the line's place in its log."),
        Column("task_id", "text", "The task (tasks.id)."),
        Column("workflow_execution_id", "text", "The run (workflow_runs.id)."),
        Column("position", "bigint", "The line's place in the task's log, from 0: many share a second."),
        Column("timestamp", "timestamp", "When it was logged, to the second; taken for UTC.", "timestamp"),
        Column("level", "text", "How grave it is, such as INFO.", "level"),
        Column("message", "text", "What was logged, secrets redacted.", "message", is_free=True),
        Column("execution_date_started", "timestamp", "When its run was made; partitions the table."),
        *_STAMPS,
    ),
    newest="fetched_at",
    partition="execution_date_started",
    cluster=("workflow_execution_id",),
)

LEDGER = Table(
    "run_details",
    "One row per run whose tasks and logs were asked for: the ledger that keeps them to once.",
    ("id",),
    (
        Column("id", "text", "The run (workflow_runs.id)."),
        Column("outcome", "text", "loaded; gone when the vendor held it no longer."),
        Column("steps", "bigint", "How many tasks it has, those of loops once per iteration."),
        Column("date_started", "timestamp", "When the run was made; partitions the table."),
        *_STAMPS,
    ),
    newest="fetched_at",
    partition="date_started",
    may_move=True,
    cluster=("id",),
)

DEFS = Table(
    "workflow_defs",
    "One row per definition of a workflow as it was when it was last listed.",
    ("id",),
    (
        Column("id", "text", "The definition's id.", "_id"),
        Column("name", "text", "What the workflow is called.", "_name"),
        Column("description", "text", "What its author says of it.", "_description", is_free=True),
        Column("namespaces", "text", "JSON list of its namespaces.", "_namespaces"),
        Column("user_type", "text", "Its type as its author named it.", "_userType"),
        Column("task_defs", "text", "Its tasks as JSON text, secrets redacted.", "_taskDefs", is_free=True),
        Column("timeout_seconds", "bigint", "After how many seconds a run is ended.", "_timeoutSeconds"),
        Column("created_at", "timestamp", "When it was made.", "_createdAt"),
        Column("updated_at", "timestamp", "When it was changed last.", "_updatedAt"),
        Column("created_by", "text", "The user who made it.", "_createdBy"),
        Column("updated_by", "text", "The user who changed it last.", "_updatedBy"),
        *_STAMPS,
    ),
    newest="fetched_at",
)

VIEWS = Views(
    statuses={
        "QUEUED": "queued",
        "SCHEDULED": "queued",
        "RUNNING": "running",
        "IN_PROGRESS": "running",
        "PAUSED": "waiting",
        "COMPLETED": "succeeded",
        "COMPLETED_WITH_ERRORS": "partial",
        "FAILED": "failed",
        "FAILED_WITH_TERMINAL_ERROR": "failed",
        "TIMED_OUT": "failed",
        "TERMINATED": "cancelled",
        "CANCELED": "cancelled",
        "CANCELLED": "cancelled",
        "SKIPPED": "skipped",
    },
    executions=Shown(
        "{workflow_runs} AS e LEFT JOIN {workflow_defs} AS w ON w.id = e.workflow_def_id",
        {
            "execution_id": "e.id",
            "workflow_id": "e.workflow_def_id",
            "workflow_name": "w.name",
            "vendor_status": "e.status",
            "is_open": "e.is_open",
            "started_at": "e.created_at",
            "ended_at": "e.finished_at_estimate",
            "resolution": "e.resolution",
            "purged_at_source": "e.purged_at_source",
            "fetched_at": "e.fetched_at",
            "run_id": "e.run_id",
        },
    ),
    # Tasks have no times: their first and last lines are what is known.
    steps=Shown(
        "{tasks} AS s LEFT JOIN (SELECT g.task_id, min(g.timestamp) AS first_at, max(g.timestamp) AS last_at "
        "FROM {task_logs} AS g GROUP BY g.task_id) AS t ON t.task_id = s.id "
        "LEFT JOIN {workflow_runs} AS e ON e.id = s.workflow_execution_id",
        {
            "step_execution_id": "s.id",
            "execution_id": "s.workflow_execution_id",
            # A task's name is one of its definition.
            "step_id": "coalesce(e.workflow_def_id, '') || ':' || coalesce(s.name, '')",
            "step_name": "s.name",
            "step_type": "s.type",
            "vendor_status": "s.status",
            "started_at": "t.first_at",
            "ended_at": "t.last_at",
            "execution_started_at": "s.execution_date_started",
            "error": f"CASE WHEN s.status <> 'COMPLETED' THEN {error_in('s.result')} END",
            "fetched_at": "s.fetched_at",
            "run_id": "s.run_id",
        },
    ),
    payloads=Shown(
        "{tasks} AS p",
        {
            "step_execution_id": "p.id",
            "execution_id": "p.workflow_execution_id",
            "execution_started_at": "p.execution_date_started",
            "is_available": "TRUE",
            "input": "p.input_params",
            "output": "p.result",
            "error": f"CASE WHEN p.status <> 'COMPLETED' THEN {error_in('p.result')} END",
            "fetched_at": "p.fetched_at",
            "run_id": "p.run_id",
        },
    ),
    billing_caveat="Twinit counts no tasks.",
)

_TIMES = ("_createdAt", "_updatedAt")


class Twinit(Defaults):
    """https://twinit.dev/docs/apis/rest/workflowsvc/workflows"""

    name = "twinit"
    title = "Twinit Workflow Service"
    docs_url = "https://twinit.dev/docs/apis/rest/workflowsvc/workflows"
    # No limit is documented.
    rate_limit = (300, 60.0)
    page_size = PAGE
    settings = (
        Setting(
            "namespaces",
            tuple,
            None,
            'The namespaces of the projects, such as ["RefAppProject_w3MFXx7h"]: each is a list of its own.',
            is_required=True,
        ),
        Setting(
            "application_id", str, None, "The application that the access key is for; needed to make a token."
        ),
        Setting("access_key", str, None, "A service access key; or set token.", is_secret=True),
        Setting("secret_key", str, None, "The secret of the access key.", is_secret=True),
        Setting("token", str, None, "A token instead of an access key; it is not renewed.", is_secret=True),
        Setting(
            "task_logs",
            str,
            "all",
            "Of which tasks the logs are read, one request for each and 100 lines.",
            choices=("all", "failed", "none"),
        ),
    )
    executions = RUNS
    steps = TASKS
    ledger = LEDGER
    definitions = DEFS
    others = (LOGS,)
    lists = "whole"
    partition = "namespace"
    has_details_in_parts = True
    can_answer = True
    failed_statuses = _FAILED
    views = VIEWS
    started_column = "created_at"
    workflow_column = "workflow_def_id"
    filters = (Filter("namespace", "nsfilter", "namespace", "a namespace"),)

    def check(self, values: Values) -> None:
        where = (
            "in .dlt/secrets.toml under [sources.task_history.twinit], or SOURCES__TASK_HISTORY__TWINIT__… "
        )
        if not values["base_url"]:
            raise ConfigurationError(
                "The setting base_url of twinit is missing: each environment has a host of its own, such as "
                "https://sandbox-api.invicara.com. Set it in .dlt/config.toml under [sources.task_history.twinit]."
            )
        if values["token"]:
            return
        for name in ("access_key", "secret_key", "application_id"):
            if not values[name]:
                raise ConfigurationError(
                    f"The setting {name} of twinit is missing: a token is made of access_key, secret_key and "
                    f"application_id. Set all three, or token alone, {where.strip()}."
                )

    def credential(self, values: Values) -> str:
        return str(values["access_key"] or values["token"])

    def login(self, values: Values) -> Login | None:
        if values["token"]:
            return None
        pair = base64.b64encode(f"{values['access_key']}:{values['secret_key']}".encode()).decode()
        params = (("appId", str(values["application_id"])),)
        request = Request("token", "/passportsvc/api/v1/auth/token", params, method="POST")
        return Login(request, {}, {"Authorization": f"Basic {pair}"})

    def read_login(self, data: Json) -> Token:
        found = data.get("access_token") if isinstance(data, dict) else None
        if not isinstance(found, str) or not found:
            raise UnexpectedResponse("token: expected an object with the key 'access_token'.")
        life = data.get("expires_in")
        if isinstance(life, bool) or not isinstance(life, int | float) or life <= 0:
            life = None
        return Token(found, life)

    def headers(self, values: Values, token: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {token or values['token']}"}

    def hint(self, status: int) -> str:
        if status == 401:
            return (
                "Set access_key and secret_key to a service access key of the application application_id, on the host "
                "base_url; a token that was set by hand has probably expired."
            )
        return "The key is known but may not read this: check that it may read the namespaces in the setting namespaces."

    def status_in(self, data: Json) -> int | None:
        # Seen when a session ends: success outside, the error within.
        found = data.get("errorResult") if isinstance(data, dict) else None
        if not isinstance(found, dict):
            return None
        status = found.get("status")
        is_status = isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 600
        return int(str(status)) if is_status else 500

    def partitions(self, values: Values, definitions: Sequence[Row]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(values["namespaces"] or ()))

    def definitions_request(self, values: Values, partition: str, offset: int) -> Request:
        return _listing("definitions", f"{_ROOT}/workflowdefs", partition, offset)

    def read_definitions(self, data: Json) -> Page:
        rows, more = _page(data, what="list of definitions")
        return Page([timed(row, _TIMES) for row in rows], total=None, more=more is not False)

    def list_request(
        self, values: Values, window: Window | None, *, offset: int = 0, filters: Values | None = None
    ) -> Request:
        namespace = str((filters or {})["namespace"])
        plain = _listing("list", f"{_ROOT}/workflows", namespace, offset)
        # Documented for definitions only. Whether it is heeded is seen in the answers.
        newest = (("sort", '{"_createdAt":-1}'),)
        return Request("list", plain.path, (*plain.params, *newest), is_partial=True, instead=plain)

    def read_page(self, data: Json) -> Page:
        rows, more = _page(data, what="list of runs")
        return Page([self._run(row) for row in rows], total=None, more=more)

    def started_at(self, row: Row) -> datetime | None:
        return instant(row.get("_createdAt"))

    def identity(self, row: Row) -> str:
        return str(row["_id"])

    def is_open(self, row: Row) -> bool:
        return str(row.get("_status") or row.get("status") or "").upper() not in ENDED

    def execution_request(self, values: Values, execution_id: str, part: str = "") -> Request:
        return Request(
            "execution",
            f"{_ROOT}/workflows/{quote(execution_id, safe='')}",
            _in(values, part),
            is_partial=True,
            patience_s=10.0,
        )

    def read_execution(self, data: Json) -> Detail:
        if not isinstance(data, dict) or data.get("_id") in (None, ""):
            raise UnexpectedResponse("run: expected an object with the key '_id'.")
        return Detail(self._run(data), {}, list(_tasks(data.get("_tasks"), str(data["_id"]), parent=None)))

    def read_detail(self, values: Values, request: Request, data: Json) -> Detail:
        namespace = dict(request.params).get("nsfilter", "")
        words = [unquote(word) for word in request.path.removeprefix(_ROOT).split("/")]
        run_id = words[2]
        if request.kind == "execution":
            detail = self.read_execution(data)
            more = self._more(values, namespace, run_id, detail.steps)
            return Detail(detail.execution, {}, detail.steps, more=more)
        task_id = words[4]
        first = next((int(value) for name, value in request.params if name == "_offset"), 0)
        what = "loop tasks" if request.kind == "loop_tasks" else "task logs"
        rows, follows = _page(data, what=what, asked=first)
        more = ()
        # A list that says nothing of its length may go on after any page that is not short.
        if rows and (follows if follows is not None else len(rows) >= _LEAST_PAGE):
            more = (_of_task(request.kind, namespace, run_id, task_id, first + len(rows)),)
        if request.kind == "loop_tasks":
            tasks = list(_tasks(rows, run_id, parent=task_id))
            return Detail({}, {}, tasks, more=(*more, *self._more(values, namespace, run_id, tasks)))
        lines = [
            {
                **timed(row, ("timestamp",)),
                "id": f"{task_id}:{first + at}",
                "task_id": task_id,
                "workflow_execution_id": run_id,
                "position": first + at,
            }
            for at, row in enumerate(rows)
        ]
        return Detail({}, {}, [], {LOGS.name: lines}, more=more)

    def _more(self, values: Values, namespace: str, run_id: str, tasks: Sequence[Row]) -> tuple[Request, ...]:
        """The loops' tasks and the logs that are to be read of these tasks."""
        loops = [
            _of_task("loop_tasks", namespace, run_id, str(task["_id"]), 0)
            for task in tasks
            if str(task.get("_type") or "").upper() == _LOOP
        ]
        logs = [
            _of_task("logs", namespace, run_id, str(task["_id"]), 0)
            for task in tasks
            if self._is_logged(values, str(task.get("_status") or "").upper())
        ]
        return (*loops, *logs)

    def _is_logged(self, values: Values, status: str) -> bool:
        if values["task_logs"] == "failed":
            return status in _FAILED
        return values["task_logs"] == "all" and status not in _UNLOGGED

    def _run(self, row: Row) -> Row:
        """A run as a row; its tasks are read with its details."""
        fields = {name: value for name, value in row.items() if name not in ("_tasks", "_status")}
        found = timed(fields, _TIMES)
        created, updated = self.started_at(found), instant(found.get("_updatedAt"))
        is_later = bool(created and updated and updated - created >= MS)
        spaces = row.get("_namespaces")
        return {
            **found,
            "status": row.get("_status"),
            "namespace": str(spaces[0]) if isinstance(spaces, list) and spaces else None,
            "finished_at_estimate": updated if is_later and not self.is_open(row) else None,
        }

    # https://twinit.dev/docs/apis/rest/workflowsvc/tasks

    def answer_request(
        self, values: Values, execution_id: str, input_id: str, answers: Mapping[str, str], part: str
    ) -> Request:
        path = f"{_ROOT}/workflows/{quote(execution_id, safe='')}/userinput/{quote(input_id, safe='')}"
        body = {"_userInput": dict(answers)}
        return Request("answer", path, (("nsfilter", part),), method="POST", is_once=True, body=body)


def _in(values: Values, part: str) -> tuple[tuple[str, str], ...]:
    """The namespace in which something is asked for; the first one where it is not known."""
    return (("nsfilter", part or str((values["namespaces"] or ("",))[0])),)


def _listing(kind: str, path: str, namespace: str, offset: int) -> Request:
    # One version takes _count, the other _pageSize.
    sizes = (("_count", str(PAGE)), ("_pageSize", str(PAGE)), ("_offset", str(offset)))
    return Request(kind, path, (("nsfilter", namespace), *sizes), is_partial=True)


def _of_task(kind: str, namespace: str, run_id: str, task_id: str, offset: int) -> Request:
    """The loop's tasks or the log of a task. The documentation spells the path in two ways."""
    last = "loopovertasks" if kind == "loop_tasks" else "logs"
    params = (("nsfilter", namespace), ("_pageSize", str(PAGE)), ("_offset", str(offset)))
    run, task = quote(run_id, safe=""), quote(task_id, safe="")
    singular = None
    if kind == "loop_tasks":
        singular = Request(kind, f"{_ROOT}/workflow/{run}/task/{task}/{last}", params, is_partial=True)
    path = f"{_ROOT}/workflows/{run}/tasks/{task}/{last}"
    return Request(kind, path, params, is_partial=True, instead=singular, unknown=(404,))


def _page(data: Json, *, what: str, asked: int = 0) -> tuple[list[Row], bool | None]:
    """The rows of a bare list or of the envelope, and whether more follow, where that is told."""
    if isinstance(data, list):
        rows, more = rows_under(data, (), what=what), None
    else:
        rows = rows_under(data, ("_list",), what=what)
        total, offset = data.get("_total"), data.get("_offset")
        is_told = all(isinstance(one, int) and not isinstance(one, bool) for one in (total, offset))
        more = bool(rows) and max(offset, asked) + len(rows) < total if is_told else None
    if what != "task logs":
        for row in rows:
            if row.get("_id") in (None, ""):
                raise UnexpectedResponse(f"{what}: a row has no '_id'.")
    return rows, more


def _tasks(found: Json, run_id: str, *, parent: str | None) -> Iterator[Row]:
    """Tasks and whatever tasks stand within them, at any depth: how they are nested is not documented."""
    for task in found if isinstance(found, list) else ():
        if not isinstance(task, dict) or task.get("_id") in (None, ""):
            continue
        nested = {
            name: value
            for name, value in task.items()
            if name not in ("_inputParams", "_result") and _has_tasks(value)
        }
        identity = str(task["_id"])
        yield {
            **{name: value for name, value in task.items() if name not in nested},
            "_name": task.get("_name") or f"{task.get('_type')}_{task.get('_sequenceno')}",
            "workflow_execution_id": run_id,
            "parent_task_id": parent,
        }
        for inner in nested.values():
            yield from _tasks(list(_flat(inner)), run_id, parent=identity)


def _is_task(value: Json) -> bool:
    return isinstance(value, dict) and {"_id", "_type", "_status"} <= value.keys()


def _has_tasks(value: Json) -> bool:
    return any(True for _ in _flat(value))


def _flat(value: Json) -> Iterator[Row]:
    """The tasks within lists and objects that are none themselves."""
    if _is_task(value):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _flat(inner)


SYSTEM = Twinit()
