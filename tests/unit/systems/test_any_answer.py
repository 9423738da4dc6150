"""Whatever a vendor answers is read, or is a clear error: no answer ends in a fault of this program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_history import systems
from task_history.core.errors import UnexpectedResponse
from task_history.core.models import Json, Row, Table, Window
from task_history.extract.warehouse_rows import children, details_log_row, execution, steps
from task_history.settings_reader import build
from task_history.systems.protocol import System
from tests.support.plain_vendor import NOW, PlainVendor
from tests.support.stamps import stamp

WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
GIVEN: dict[str, dict[str, Any]] = {
    "paragon": {"project_id": "p", "api_key": "k"},
    "sailpoint": {"tenant": "t", "client_id": "c", "client_secret": "s"},
    "twinit": {"base_url": "https://t.example", "namespaces": ["n"], "token": "t"},
    "b3os": {"api_key": "k"},
}
# fmt: off
KEYS = (
    "id", "_id", "data", "items", "events", "execution", "executionState", "iterations", "status",
    "_status", "_tasks", "_type", "_list", "_total", "_offset", "history", "definition", "trigger",
    "startTime", "closeTime", "createdAt", "startedAt", "finishedAt", "updatedAt", "_createdAt",
    "_updatedAt", "_namespaces", "attributes", "timestamp", "type", "timeSeries", "bucketStart", "total",
    "succeeded", "failed", "summary", "statuses", "sourceSystems", "recentFailures", "secretKeys", "input",
    "workflowExecutions", "stepExecutions", "nextLink", "dateStarted", "dateEnded", "access_token",
    "expires_in", "hasMore", "count", "message", "owner",
)
# fmt: on
TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "x",
            "Completed",
            "2026-03-01T10:00:00Z",
            "2026-03-01T10:00:00.123456789Z",
            "0001-01-01T00:00:00Z",
            "{",
            "ü",
        ]
    ),
    st.text(max_size=5),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
JSON: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)


def _row_like(data: Json) -> Json:
    """The answer with ids where rows are, so that what is within them is looked at."""
    if isinstance(data, dict):
        return {"id": "i", "_id": "i", **{name: _row_like(value) for name, value in data.items()}}
    return [_row_like(one) for one in data] if isinstance(data, list) else data


def _written(system: System, table: Table, rows: list[Row]) -> None:
    from task_history.load.arrow_table import to_arrow

    to_arrow(rows, table, stored_types={}, normalize=lambda name: name.lower())


def _page(system: System, values: Any, data: Json) -> None:
    run = stamp("r", WINDOW.start)
    rows = system.listing.read(data).rows
    for row in rows:
        system.identity(row)
        system.started_at(row)
    _written(system, system.executions, [execution(system, row, run, read_by="list") for row in rows])


def _detail(system: System, values: Any, data: Json) -> None:
    run = stamp("r", WINDOW.start)
    request = system.details.request(values, "e", "n")
    for asked in filter(None, (request, request.instead)):
        detail = system.details.read(values, asked, data)
        _written(system, system.details.steps, steps(system.details.steps, detail, WINDOW.start, run))
        _written(
            system,
            system.details.log,
            [details_log_row(system.details.log, "e", None, "loaded", run, detail)],
        )
        tables = {table.name: table for table in system.details.children}
        for name, rows in children(system, detail, WINDOW.start, run).items():
            _written(system, tables[name], rows)
        for further in detail.more[:3]:
            system.details.read(values, further, data)


def _single(system: System, values: Any, data: Json) -> None:
    detail = system.details.read_execution(data)
    system.is_open(detail.execution)


def _definitions(system: System, values: Any, data: Json) -> None:
    if system.workflows is not None:
        rows = system.workflows.read(data).rows
        run = stamp("r", WINDOW.start)
        _written(
            system,
            system.workflows.table,
            [run.on(run.undocumented.kept(system.workflows.table, row)) for row in rows],
        )


def _stats(system: System, values: Any, data: Json) -> None:
    if system.statistics:
        found = system.statistics.read(values, WINDOW, data, settled_before=WINDOW.end)
        for table in system.statistics.tables:
            _written(system, table, list(found[table.name]))


def _login(system: System, values: Any, data: Json) -> None:
    access = system.access
    for read in (access.read_login, access.status_in):
        if read is not None:
            read(data)


EVERY_SYSTEM = pytest.mark.parametrize("name", sorted(GIVEN))
EVERY_READER = pytest.mark.parametrize(
    "read", [_page, _detail, _single, _definitions, _stats, _login], ids=lambda one: one.__name__
)


def _is_read_or_refused(name: str, read: Callable[[System, Any, Json], None], data: Json) -> None:
    main = systems.find(name)
    values = build(main, GIVEN[name]).values
    for system in (main, *main.companions):
        for answer in (data, _row_like(data), {"data": _row_like(data)}, [_row_like(data)]):
            with contextlib.suppress(UnexpectedResponse):
                read(system, values, answer)


@EVERY_READER
@EVERY_SYSTEM
@settings(max_examples=10, derandomize=True)
@given(data=JSON)
def test_any_answer_is_read_or_refused(
    name: str, read: Callable[[System, Any, Json], None], data: Json
) -> None:
    """Rows that can be written, or UnexpectedResponse."""
    _is_read_or_refused(name, read, data)


@pytest.mark.torture
@EVERY_READER
@EVERY_SYSTEM
@settings(max_examples=200, derandomize=True)
@given(data=JSON)
def test_any_of_two_hundred_answers_is_read_or_refused(
    name: str, read: Callable[[System, Any, Json], None], data: Json
) -> None:
    """The same with more answers."""
    _is_read_or_refused(name, read, data)


def _paths(value: Json, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in the answer."""
    inner: list[tuple[Any, Json]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value[:2]))
    return [path, *(found for key, one in inner for found in _paths(one, (*path, key)))]


def _with(value: Json, path: tuple[Any, ...], other: Json) -> Json:
    """The answer with something else at that place."""
    if not path:
        return other
    if isinstance(value, dict):
        return {key: _with(one, path[1:], other) if key == path[0] else one for key, one in value.items()}
    return [_with(one, path[1:], other) if at == path[0] else one for at, one in enumerate(value)]


def _samples(name: str) -> list[tuple[System, Callable[[System, Any, Json], None], Json]]:
    """Good answers of the sandbox, with what reads them."""
    vendor = PlainVendor(name, executions=40, days=2, workflows=2, failed=0.5)
    found: list[tuple[System, Callable[[System, Any, Json], None], Json]] = []
    main = vendor.system
    names = main.listing.partitions(vendor.values, ())
    if main.workflows is not None:
        answer = vendor.send(main.workflows.request(vendor.values, names[0] if names else "", 0)).data
        found.append((main, _definitions, answer))
        names = main.listing.partitions(vendor.values, main.workflows.read(answer).rows)
    for system in (main, *main.companions):
        filters = {system.listing.partitioned_by: names[0]} if system.listing.partitioned_by else {}
        page = vendor.send(system.listing.request(vendor.values, None, filters=filters)).data
        ended = [row for row in system.listing.read(page).rows if not system.is_open(row)]
        part = names[0] if system.listing.partitioned_by else ""
        asked = [
            (
                system.details.execution_request(vendor.values, key, part),
                system.details.request(vendor.values, key, part),
            )
            for key in map(system.identity, ended[:6])
        ]
        # One with loops and the like.
        single, detail = max(asked, key=lambda both: len(vendor.send(both[1]).body))
        found.append((system, _page, page))
        found.append((system, _single, vendor.send(single).data))
        found.append((system, _detail, vendor.send(detail).data))
    if main.statistics:
        width = main.statistics.buckets(vendor.values)[1]
        day = Window(NOW - 24 * width, NOW)
        found.append((main, _stats, vendor.send(main.statistics.request(vendor.values, day)).data))
    return found


NASTY: list[Json] = [None, "", "x", 3, -1.5, True, [], {}, ["a"], [[1]], {"a": 1}, 10**30]


@pytest.mark.parametrize("values_each", [1, pytest.param(2, marks=pytest.mark.torture)])
@pytest.mark.parametrize("name", sorted(set(GIVEN) - {"paragon"}))
def test_a_good_answer_with_anything_in_it_is_read_or_refused(name: str, values_each: int) -> None:
    """Anything in any one place of an otherwise good answer: rows that can be written, or UnexpectedResponse.

    One or two of the values in each place, and each of them in many places.
    """
    _is_read_with_anything_in_it(name, values_each=values_each)


@pytest.mark.torture
@pytest.mark.parametrize("name", sorted(set(GIVEN) - {"paragon"}))
def test_a_good_answer_with_everything_in_it_is_read_or_refused(name: str) -> None:
    """The same with every value in every place."""
    _is_read_with_anything_in_it(name, values_each=len(NASTY))


def _is_read_with_anything_in_it(name: str, *, values_each: int) -> None:
    values = build(systems.find(name), GIVEN[name]).values
    nasty = cycle(NASTY)
    for system, read, answer in _samples(name):
        for path in _paths(answer):
            for other in islice(nasty, values_each):
                with contextlib.suppress(UnexpectedResponse):
                    read(system, values, _with(answer, path, other))
