"""Twinit workflow service: definitions, runs, their tasks and the tasks' logs.

https://twinit.dev/docs/apis/rest/workflowsvc/workflows

Runs are listed by namespace, with no filter by time and in no documented order. Several namespaces are several lists, and
a run may stand in more than one of them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import unquote

from ...core.errors import ConfigurationError, UnexpectedResponse, UnusableId
from ...core.models import MS, Json, Page, RejectedRow, Request, Row, Table, Window
from ...core.row_keys import fields_beside_own
from ..checked_ids import path_of, shown
from ..parsing import instant, not_stored, rows_with_id, timed
from ..protocol import (
    MIN_PAGE_SIZE,
    Access,
    Answers,
    Detail,
    Details,
    Filter,
    Filters,
    Listing,
    Login,
    System,
    Workflows,
)
from ..table_parts import instant_fields
from ..token_answer import read_token
from .nested_tasks import LOOPS_READ_ONCE, merge_tasks, tasks_in
from .settings import RATE_LIMIT, TwinitSettings
from .statuses import FAILED, UNLOGGED, is_open, is_task_open
from .tables import DEFS, DETAILS, LOGS, RUNS, TASKS, VIEWS

PAGE = 100
_ROOT = "/workflowsvc/api/v1"
_LOOP, _USER_INPUT = "DO_WHILE", "USER_INPUT"
_TIMES = instant_fields(RUNS, DEFS)
_TIMES_OF_LOGS = instant_fields(LOGS)
_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)\s+(?:\[?([A-Z]{4,8})\]?:?\s+)?(.*)"
)
"""The first line of a message in a log of plain text: its time, its level where one is named, its text."""


def check(values: TwinitSettings) -> None:
    where = "in .dlt/secrets.toml under [sources.task_history.twinit], or SOURCES__TASK_HISTORY__TWINIT__… "
    if not values.base_url:
        raise ConfigurationError(
            "The setting base_url of twinit is missing: each environment has a host of its own, such as "
            "https://sandbox-api.invicara.com. Set it in .dlt/config.toml under [sources.task_history.twinit]."
        )
    if values.token:
        return
    for name in ("access_key", "secret_key", "application_id"):
        if not getattr(values, name):
            raise ConfigurationError(
                f"The setting {name} of twinit is missing: a token is made of access_key, secret_key and "
                f"application_id. Set all three, or token alone, {where.strip()}."
            )


def login(values: TwinitSettings) -> Login | None:
    if values.token:
        return None
    pair = base64.b64encode(f"{values.access_key}:{values.secret_key}".encode()).decode()
    params = (("appId", str(values.application_id)),)
    request = Request("token", "/passportsvc/api/v1/auth/token", params, method="POST")
    return Login(request, {}, {"Authorization": f"Basic {pair}"})


HINTS = {
    401: (
        "Set access_key and secret_key to a service access key of the application application_id, on the host "
        "base_url; a token that was set by hand has probably expired."
    ),
    404: "Check base_url, since each environment has a host of its own, and the names in namespaces.",
    400: "Check the names in namespaces.",
    403: "The key is known but may not read this: check that it may read the namespaces in the setting namespaces.",
}
"""What to do where the vendor refuses with that status."""


def status_in(data: Json) -> int | None:
    # StoredStatus when a session ends: success outside, the error within.
    result = data.get("errorResult") if isinstance(data, dict) else None
    if not isinstance(result, dict):
        return None
    status = result.get("status")
    is_status = isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 600
    return int(str(status)) if is_status else 500


def workflows_request(values: TwinitSettings, partition: str, offset: int) -> Request:
    return _listing("definitions", f"{_ROOT}/workflowdefs", partition, offset)


def read_workflows(data: Json) -> Page:
    rows, rejected, has_more = _page(data, DEFS, what="list of definitions")
    rows = [timed(row, _TIMES) for row in rows]
    return Page(rows, total=None, more=has_more is not False, rejected=rejected)


def list_request(
    values: TwinitSettings, window: Window | None, *, offset: int = 0, filters: Filters | None = None
) -> Request:
    namespace = str((filters or {})["namespace"])
    plain = _listing("list", f"{_ROOT}/workflows", namespace, offset)
    # Documented for definitions only. Whether it is heeded is seen in the answers.
    newest = (("sort", '{"_createdAt":-1}'),)
    return Request("list", plain.path, (*plain.params, *newest), is_partial=True, instead=plain)


def read_page(data: Json) -> Page:
    rows, rejected, has_more = _page(data, RUNS, what="list of runs")
    return Page(list(map(_run, rows)), total=_total(data), more=has_more, rejected=rejected)


def started_at(row: Row) -> datetime | None:
    return instant(row.get("_createdAt"))


def execution_request(values: TwinitSettings, execution_id: str, partition: str) -> Request:
    return Request(
        "execution",
        path_of(f"{_ROOT}/workflows", execution_id),
        _in(values, partition),
        is_partial=True,
    )


def read_execution(data: Json) -> Detail:
    if not isinstance(data, dict) or data.get("_id") in (None, ""):
        raise UnexpectedResponse("run: expected an object with the key '_id'.")
    tasks = data.get("_tasks")
    rejected = rows_with_id(tasks, (), "_id", what="run", table=TASKS)[1] if isinstance(tasks, list) else ()
    rows = list(tasks_in(tasks, str(data["_id"]), parent=None))
    return Detail(_run(fields_beside_own(RUNS, data)), {}, rows, unreadable=not_stored("_tasks", rejected))


def read_steps(values: TwinitSettings, request: Request, data: Json) -> Detail:
    namespace = dict(request.params).get("nsfilter", "")
    segments = [unquote(segment) for segment in request.path.removeprefix(_ROOT).split("/")]
    run_id = segments[2]
    if request.kind == "execution":
        detail = read_execution(data)
        further, unreadable = _more(values, namespace, run_id, detail.steps)
        unreadable = (*detail.unreadable, *unreadable)
        return Detail(detail.execution, {}, detail.steps, more=further, unreadable=unreadable)
    task_id = segments[4]
    offset = next((int(value) for name, value in request.params if name == "_offset"), 0)
    what = "loop tasks" if request.kind == "loop_tasks" else "task logs"
    rejected: tuple[RejectedRow, ...] = ()
    if isinstance(data, str):
        rows, follows = _text_lines(data), None
        if not rows:
            reason = "text without the time of any line" if data.strip() else "empty"
            return Detail({}, {}, [], unreadable=(f"The log of the task {shown(task_id)} is {reason}.",))
        follows = None if len(rows) >= PAGE else False
    else:
        table = TASKS if request.kind == "loop_tasks" else LOGS
        rows, rejected, follows = _page(data, table, what=what, requested=offset)
    next_page: tuple[Request, ...] = ()
    # A list that says nothing of its length may go on after any page that is not short.
    page = Page(rows, None, None, rejected=rejected)
    if page.size and (follows if follows is not None else page.size >= MIN_PAGE_SIZE):
        next_page = (_of_task(request.kind, namespace, run_id, task_id, offset + page.size),)
    lost = not_stored(f"{what} of {shown(task_id)}", rejected)
    if request.kind == "loop_tasks":
        first = _shown_before(data, offset)
        fresh = [row for position, row in zip(page.positions, rows, strict=True) if position >= first]
        tasks = list(tasks_in(fresh, run_id, parent=task_id))
        further, unreadable = _more(values, namespace, run_id, tasks)
        return Detail({}, {}, tasks, more=(*next_page, *further), unreadable=(*unreadable, *lost))
    lines = [
        {
            **timed(row, _TIMES_OF_LOGS),
            "id": f"{task_id}:{offset + position}",
            "task_id": task_id,
            "workflow_execution_id": run_id,
            "position": offset + position,
        }
        for position, row in zip(page.positions, rows, strict=True)
    ]
    return Detail({}, {}, [], {LOGS.name: lines}, more=next_page, unreadable=lost)


def _more(
    values: TwinitSettings, namespace: str, run_id: str, tasks: Sequence[Row]
) -> tuple[tuple[Request, ...], tuple[str, ...]]:
    """The requests for the loops' tasks and the logs of these tasks, and why some cannot be asked for."""
    loops = [("loop_tasks", task) for task in tasks if str(task.get("_type") or "").upper() == _LOOP]
    logs = [("logs", task) for task in tasks if _is_logged(values, str(task.get("_status") or "").upper())]
    requests: list[Request] = []
    unreadable: dict[str, None] = {}
    for kind, task in (*loops, *logs):
        try:
            requests.append(_of_task(kind, namespace, run_id, str(task["_id"]), 0))
        except UnusableId as error:
            unreadable[str(error)] = None
    return tuple(requests), tuple(unreadable)


def _is_logged(values: TwinitSettings, status: str) -> bool:
    if values.task_logs == "failed":
        return status in FAILED
    return values.task_logs == "all" and status not in UNLOGGED


def _run(row: Row) -> Row:
    """A run as a row; its tasks are read with its details."""
    fields = {name: value for name, value in row.items() if name not in ("_tasks", "_status")}
    parsed = timed(fields, _TIMES)
    created, updated = started_at(parsed), instant(parsed.get("_updatedAt"))
    is_later = bool(created and updated and updated - created >= MS)
    spaces = row.get("_namespaces")
    return {
        **parsed,
        "status": row.get("_status"),
        "namespace": str(spaces[0]) if isinstance(spaces, list) and spaces else None,
        "finished_at_estimate": updated if is_later and not is_open(row) else None,
    }


# https://twinit.dev/docs/apis/rest/workflowsvc/tasks


def waits_for(detail: Detail, input_id: str) -> bool:
    # Which of a task's fields holds the input's id is not documented, nor the status of a task that waits.
    if not is_open(detail.execution):
        return False
    waiting = [task for task in detail.steps if is_task_open(task)]
    # A run may leave its tasks out, and does leave out those within a loop.
    if not detail.steps or any(str(task.get("_type") or "").upper() == _LOOP for task in waiting):
        return True
    return any(
        str(task.get("_type") or "").upper() == _USER_INPUT and _holds(task, input_id) for task in waiting
    )


def answer_request(
    values: TwinitSettings, execution_id: str, input_id: str, answers: Mapping[str, str], partition: str
) -> Request:
    path = path_of(f"{path_of(f'{_ROOT}/workflows', execution_id)}/userinput", input_id)
    body = {"_userInput": dict(answers)}
    return Request("answer", path, (("nsfilter", partition),), method="POST", is_once=True, body=body)


def _in(values: TwinitSettings, partition: str) -> tuple[tuple[str, str], ...]:
    """The namespace for a request; the first configured one where the execution's is unknown."""
    return (("nsfilter", partition or str((values.namespaces or ("",))[0])),)


def _listing(kind: str, path: str, namespace: str, offset: int) -> Request:
    # One version takes _count, the other _pageSize.
    sizes = (("_count", str(PAGE)), ("_pageSize", str(PAGE)), ("_offset", str(offset)))
    return Request(kind, path, (("nsfilter", namespace), *sizes), is_partial=True)


def _of_task(kind: str, namespace: str, run_id: str, task_id: str, offset: int) -> Request:
    """The request for a loop's tasks or a task's log. The documentation spells the path in two ways."""
    segment = "loopovertasks" if kind == "loop_tasks" else "logs"
    params = (("nsfilter", namespace), ("_pageSize", str(PAGE)), ("_offset", str(offset)))
    singular = None
    if kind == "loop_tasks":
        task = path_of(f"{path_of(f'{_ROOT}/workflow', run_id)}/task", task_id)
        singular = Request(kind, f"{task}/{segment}", params, is_partial=True)
    task = path_of(f"{path_of(f'{_ROOT}/workflows', run_id)}/tasks", task_id)
    return Request(
        kind,
        f"{task}/{segment}",
        params,
        is_partial=True,
        instead=singular,
        unknown=(404,),
        may_be_text=kind == "logs",
    )


def _text_lines(text: str) -> list[Row]:
    """The lines of a log that came as plain text, whose form is not documented; none where no line begins with a time.

    What stands between two lines with a time belongs to the first of them: messages hold line breaks.
    """
    lines: list[tuple[Row, list[str]]] = []
    for line in text.replace("\r\n", "\n").strip("\n").split("\n"):
        match = _LINE.match(line)
        if match is not None:
            lines.append(({"timestamp": match[1], "level": match[2]}, [match[3]]))
        elif lines:
            lines[-1][1].append(line)
        else:
            lines.append(({}, [line]))
    if all(not fields for fields, _ in lines):
        return []
    return [{**fields, "message": "\n".join(message)} for fields, message in lines]


def _holds(value: Json, text: str) -> bool:
    """Whether a value at any depth equals the text."""
    if isinstance(value, list | dict):
        return any(_holds(inner, text) for inner in (value.values() if isinstance(value, dict) else value))
    return value is not None and str(value) == text


def _page(
    data: Json, table: Table, *, what: str, requested: int = 0
) -> tuple[list[Row], tuple[RejectedRow, ...], bool | None]:
    """The rows of a bare list or of the envelope, in two parts, and whether more follow; None where that is not stated.

    Lines of a log have no ids.
    """
    identity = None if table is LOGS else "_id"
    if isinstance(data, list):
        rows, rejected = rows_with_id(data, (), identity, what=what, table=table)
        has_more = None
    else:
        rows, rejected = rows_with_id(data, ("_list",), identity, what=what, table=table)
        size = len(rows) + len(rejected)
        total, offset = _total(data), _whole(data.get("_offset"))
        has_more = None
        if total is not None and offset is not None:
            has_more = size > 0 and max(offset, requested) + size < total
    return rows, rejected, has_more


def _total(data: Json) -> int | None:
    """The envelope's count of the whole list; None without one."""
    return _whole(data.get("_total")) if isinstance(data, dict) else None


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _shown_before(data: Json, requested: int) -> int:
    """How many rows of a page were on the pages before: more than none where the offset was not heeded."""
    offset = _whole(data.get("_offset")) if isinstance(data, dict) else None
    return 0 if offset is None else max(0, requested - offset)


SYSTEM = System(
    name="twinit",
    title="Twinit Workflow Service",
    docs_url="https://twinit.dev/docs/apis/rest/workflowsvc/workflows",
    settings=TwinitSettings,
    access=Access(
        credential=lambda values: str(values.access_key or values.token),
        headers=lambda values, token: {"Authorization": f"Bearer {token or values.token}"},
        hints=HINTS,
        check=check,
        login=login,
        read_login=read_token,
        status_in=status_in,
    ),
    rate_limit=RATE_LIMIT,
    executions=RUNS,
    identity=lambda row: str(row["_id"]),
    started_at=started_at,
    is_open=is_open,
    started_column="created_at",
    workflow_column="workflow_def_id",
    failed_statuses=FAILED,
    listing=Listing(
        kind="full_scan",
        page_size=PAGE,
        request=list_request,
        read=read_page,
        filters=(Filter("namespace", "nsfilter", "namespace", "a namespace"),),
        partitioned_by="namespace",
        partitions=lambda values, workflows: tuple(dict.fromkeys(values.namespaces or ())),
    ),
    details=Details(
        steps=TASKS,
        log=DETAILS,
        children=(LOGS,),
        execution_request=execution_request,
        read_execution=read_execution,
        read_steps=read_steps,
        # Tasks of loops and lines of logs name neither their run nor their task.
        execution_ids=("_id",),
        merge_steps=merge_tasks,
        may_lack_steps=LOOPS_READ_ONCE,
    ),
    answers=Answers(request=answer_request, waits_for=waits_for),
    workflows=Workflows(table=DEFS, request=workflows_request, read=read_workflows),
    views=VIEWS,
)
