"""B3OS: executions, the runs of workflows behind them, and the vendor's statistics.

https://docs.b3os.org/api/introduction

An execution is what was ordered (payment, source, payloads); a run is one pass of the engine over a workflow. Not every
run has an execution, nor every execution a run: both are listed, and ``executions.workflow_run_id`` joins them.
Neither list can be narrowed to a time, nor is its order documented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ...core.errors import UnexpectedResponse
from ...core.json_reading import parse, shallow
from ...core.json_writing import exact_json
from ...core.models import Json, Page, Request, Row, Table, Window
from ...core.redaction_mark import MARK
from ...core.row_keys import fields_beside_own
from ..checked_ids import path_of
from ..parsing import instant, instant_or_millis, not_stored, rows_under, rows_with_id, timed
from ..person import Person
from ..protocol import GONE_STATUSES, Access, Detail, Details, Filters, Listing, Statistics, System
from ..table_parts import instant_fields
from .settings import BASE_URL, BUCKETS, RATE_LIMIT, B3osSettings
from .statuses import ENDED_COUNTERS, FAILED, FAILED_RUNS, OPEN_RULE, RUN_OPEN_RULE
from .tables import (
    BY_SOURCE,
    BY_STATUS,
    DETAILS,
    EVENTS,
    EXECUTIONS,
    FAILURES,
    NODES,
    RUN_DETAILS,
    RUNS,
    STATS,
    SUMMARY,
    VIEWS,
)

_DOCS_URL = "https://docs.b3os.org/api/introduction"
PAGE = 100
_TIMES = instant_fields(EXECUTIONS, EVENTS, RUNS, NODES, FAILURES)
_STATISTICS = {
    "timeSeries": STATS,
    "statuses": BY_STATUS,
    "sourceSystems": BY_SOURCE,
    "recentFailures": FAILURES,
}
"""The tables of the lists in an answer with statistics."""
_LIST_FIELDS = frozenset(column.source for column in RUNS.columns if column.source)
_MISSING = re.compile(r"not found|no such|does not exist|unknown execution", re.IGNORECASE)


def headers(values: B3osSettings, token: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {values.api_key}"}
    return {**headers, "X-Org-ID": values.organization_id} if values.organization_id else headers


HINTS = {
    401: "Set api_key to an API key of the organization; it begins with b3sk_ and was shown only once.",
    404: f"Check base_url: the API is at {BASE_URL}.",
    400: "Where the vendor wants the organization named (X-Org-ID), set organization_id.",
    403: (
        "The key is known but may not read this: it needs the scope read, and organization_id, where it is set, has "
        "to be the key's own."
    ),
}
"""What to do where the vendor refuses with that status."""


def is_gone(status: int, message: str) -> bool:
    # The documentation of a single execution knows no 404: a missing one is a 400.
    return status in GONE_STATUSES or (status == 400 and _MISSING.search(message) is not None)


def read_page(data: Json) -> Page:
    return _page(data, EXECUTIONS)


def read_runs_page(data: Json) -> Page:
    return _page(data, RUNS)


def _page(data: Json, table: Table) -> Page:
    what = "list"
    content = _data(data, what=what)
    has_more: Json = data.get("hasMore")
    if isinstance(content, dict):
        if "items" not in content:
            rows_under(content, ("items",), what=what, table=table)
        has_more = content.get("hasMore")
        # Go encodes an empty list as null.
        content = content["items"] if content["items"] is not None else []
    rows, rejected = rows_with_id(content, (), "id", what=what, table=table)
    return Page(
        [timed(row, _TIMES) for row in rows],
        total=None,
        more=has_more if isinstance(has_more, bool) else None,
        rejected=rejected,
    )


# https://docs.b3os.org/api/reference/get-v1-workflows-id-runs


def runs_request(
    values: B3osSettings, window: Window | None, *, offset: int = 0, filters: Filters | None = None
) -> Request:
    return Request("list", "/v1/runs", _paged(offset))


def run_request(values: B3osSettings, execution_id: str, partition: str) -> Request:
    return Request("execution", path_of("/v1/runs", execution_id), is_partial=True)


def read_run(data: Json) -> Detail:
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
    other_fields = {
        name: _masked(value, secret)
        for name, value in run.items()
        if name not in _LIST_FIELDS and name != "executionState"
    }
    extra = {
        "workflowDefinition": None,
        "organizationId": run.get("organizationId"),
        **fields_beside_own(RUN_DETAILS, other_fields),
    }
    return Detail(timed(fields_beside_own(RUNS, fields), _TIMES), extra, nodes)


# https://docs.b3os.org/api/reference/get-v1-executions


def list_request(
    values: B3osSettings, window: Window | None, *, offset: int = 0, filters: Filters | None = None
) -> Request:
    return Request("list", "/v1/executions", _paged(offset))


def execution_request(values: B3osSettings, execution_id: str, partition: str) -> Request:
    return Request("execution", path_of("/v1/executions", execution_id), is_partial=True)


def read_execution(data: Json) -> Detail:
    content = _data(data, what="execution")
    execution = content.get("execution") if isinstance(content, dict) else None
    if not isinstance(execution, dict) or execution.get("id") in (None, ""):
        raise UnexpectedResponse("execution: expected an object with the key 'execution' under 'data'.")
    events, rejected = rows_with_id(
        {"events": content.get("events") or []}, ("events",), None, what="execution", table=EVENTS
    )
    identity = str(execution["id"])
    positions = Page(events, None, None, rejected=rejected).positions
    rows = [_event(identity, position, event) for position, event in zip(positions, events, strict=True)]
    extra = {name: value for name, value in content.items() if name not in ("execution", "events")}
    extra = {"message": None, **fields_beside_own(DETAILS, extra)}
    row = timed(fields_beside_own(EXECUTIONS, execution), _TIMES)
    return Detail(row, extra, rows, unreadable=not_stored("events", rejected))


# https://docs.b3os.org/api/reference/get-v1-executions-stats


def stats_buckets(values: B3osSettings) -> tuple[str, timedelta]:
    granularity = values.stats_granularity
    return granularity, BUCKETS[granularity]


def stats_request(values: B3osSettings, window: Window) -> Request:
    ends = (("from", window.start), ("to", window.end))
    params = tuple((name, str(round(instant.timestamp() * 1000))) for name, instant in ends)
    params = (*params, ("granularity", values.stats_granularity))
    return Request("stats", "/v1/executions/stats", params, is_partial=True)


def read_stats(
    values: B3osSettings, window: Window, data: Json, *, settled_before: datetime
) -> Mapping[str, list[Row]]:
    content = _data(data, what="statistics")
    if not isinstance(content, dict) or "timeSeries" not in content:
        raise UnexpectedResponse("statistics: expected an object with the key 'timeSeries' under 'data'.")
    granularity = values.stats_granularity
    span: Row = {"granularity": granularity, "window_start": window.start, "window_end": window.end}
    parts = {
        name: rows_under({name: content.get(name) or []}, (name,), what="statistics", table=table)
        for name, table in _STATISTICS.items()
    }
    summary = content.get("summary")
    if summary is not None and not isinstance(summary, dict):
        raise UnexpectedResponse("statistics: expected an object under 'summary'.")
    return {
        STATS.name: list(_buckets(values, window, parts["timeSeries"], settled_before)),
        SUMMARY.name: [{**_rated(fields_beside_own(SUMMARY, summary)), **span}] if summary else [],
        BY_STATUS.name: [{**row, **span} for row in parts["statuses"] if row.get("status")],
        BY_SOURCE.name: [
            {**_rated(row), **span, "sourceSystem": row.get("sourceSystem") or ""}
            for row in parts["sourceSystems"]
        ],
        FAILURES.name: [timed(row, _TIMES) for row in parts["recentFailures"] if row.get("executionId")],
    }


def _buckets(
    values: B3osSettings, window: Window, rows: Sequence[Row], settled_before: datetime
) -> Iterator[Row]:
    """One row per bucket of the window, also for buckets that the vendor leaves out."""
    granularity, width = stats_buckets(values)
    rows_by_start: dict[datetime, Row] = {}
    for row in rows:
        at = instant_or_millis(row.get("bucketStart"))
        if at is not None:
            rows_by_start[at] = {name: value for name, value in row.items() if name != "bucketStart"}
    if rows and not rows_by_start:
        raise UnexpectedResponse("statistics: no row of 'timeSeries' has an instant under 'bucketStart'.")
    empty = dict.fromkeys(("total", "succeeded", "failed", "cancelled"), 0)
    starts = {window.start + at * width for at in range(-(-(window.end - window.start) // width))}
    for at in sorted(starts | {at for at in rows_by_start if at in window}):
        row = _rated(rows_by_start.get(at, empty))
        is_over = at + width <= settled_before and _ended(row) >= (row.get("total") or 0)
        yield {
            **row,
            "granularity": granularity,
            "bucket_start": at,
            "bucket_end": at + width,
            "is_closed": is_over,
            "is_filled": at not in rows_by_start,
        }


def _paged(offset: int) -> tuple[tuple[str, str], ...]:
    return (("limit", str(PAGE)), ("offset", str(offset)))


def _data(data: Json, *, what: str) -> Json:
    """The content of the envelope. Its ``code`` is ignored: both 200 and 0 mean success."""
    if not isinstance(data, dict) or "data" not in data:
        raise UnexpectedResponse(
            f"{what}: expected an object with the key 'data'. The vendor's API may have changed; nothing was loaded "
            "from this answer."
        )
    return data["data"]


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
    """The nodes of a run or of one loop iteration, each followed by its inner nodes."""
    for node_id, node in state.items():
        if not isinstance(node, dict):
            raise UnexpectedResponse("run: expected an object for each node under 'executionState'.")
        path = node_id if parent is None else f"{parent}[{iteration}].{node_id}"
        # The context repeats the properties and storage of the whole workflow.
        fields = {name: value for name, value in node.items() if name not in ("iterations", "context")}
        fields = fields_beside_own(NODES, fields)
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
        for index, inner in enumerate(loops if isinstance(loops, list) else ()):
            if isinstance(inner, dict):
                yield from _nodes(run_id, inner, parent=path, iteration=index)


def _keys(keys: Json) -> list[str]:
    return [str(key) for key in keys] if isinstance(keys, list) else []


def _masked(value: Json, keys: Json) -> Json:
    """The value without fields that the vendor marks as secret, at any depth, also in texts of JSON."""
    secret = set(_keys(keys))
    if not secret:
        return value
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        sent = value.encode(errors="replace")
        text = shallow(sent)
        try:
            inner = parse(text)
        except ValueError:
            return value
        masked = _masked(inner, keys)
        return value if masked == inner and text is sent else exact_json(masked)
    if isinstance(value, dict):
        return {name: MARK if name in secret else _masked(inner, keys) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, keys) for inner in value]
    return value


def _ended(row: Row) -> int:
    return sum(_count(row.get(name)) for name in ENDED_COUNTERS)


def _count(value: Json) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _rated(row: Row) -> Row:
    """The counts with their rates, beside the vendor's own rate, which has no documented scale."""
    ended = _ended(row)
    return {
        **row,
        "success_rate": _count(row.get("succeeded")) / ended if ended else None,
        "failure_rate": _count(row.get("failed")) / ended if ended else None,
    }


_ACCESS = Access(
    default_base_url=BASE_URL,
    credential=lambda values: str(values.organization_id or values.api_key),
    headers=headers,
    hints=HINTS,
)

_RUNS = System(
    name="b3os",
    title="B3OS runs",
    docs_url=_DOCS_URL,
    settings=B3osSettings,
    access=_ACCESS,
    rate_limit=RATE_LIMIT,
    executions=RUNS,
    identity=lambda row: str(row["id"]),
    started_at=lambda row: instant(row.get("startedAt")),
    is_open=RUN_OPEN_RULE.is_open,
    started_column="started_at",
    workflow_column="workflow_id",
    person=Person("triggered_by"),
    failed_statuses=FAILED_RUNS,
    listing=Listing(kind="full_scan", page_size=PAGE, request=runs_request, read=read_runs_page),
    details=Details(
        steps=NODES,
        log=RUN_DETAILS,
        execution_request=run_request,
        read_execution=read_run,
        execution_ids=("data.id",),
        list_only_columns=("organization_id",),
        is_gone=is_gone,
    ),
)

SYSTEM = System(
    name="b3os",
    title="B3OS executions and runs",
    docs_url=_DOCS_URL,
    settings=B3osSettings,
    access=_ACCESS,
    rate_limit=RATE_LIMIT,
    executions=EXECUTIONS,
    identity=lambda row: str(row["id"]),
    started_at=lambda row: instant(row.get("createdAt")),
    is_open=OPEN_RULE.is_open,
    started_column="created_at",
    workflow_column="workflow_id",
    # Who began an execution need not be named by its run.
    person=Person("initiated_by_id", linked={"workflow_run_id": RUNS.name}),
    failed_statuses=FAILED,
    listing=Listing(kind="full_scan", page_size=PAGE, request=list_request, read=read_page),
    details=Details(
        steps=EVENTS,
        log=DETAILS,
        execution_request=execution_request,
        read_execution=read_execution,
        execution_ids=("data.execution.id", "data.events.executionId"),
        is_gone=is_gone,
    ),
    statistics=Statistics(
        tables=(STATS, SUMMARY, BY_STATUS, BY_SOURCE, FAILURES),
        buckets=stats_buckets,
        request=stats_request,
        read=read_stats,
        granularity_ids=("data.granularity",),
    ),
    companions=(_RUNS,),
    views=VIEWS,
)
