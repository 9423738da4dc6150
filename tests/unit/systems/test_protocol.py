"""What every module in ``systems`` has to say; a new one is found here by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from task_history import systems
from task_history.core.errors import UnexpectedResponse, UsageError
from task_history.core.models import Json, Window
from task_history.settings_reader import build, settings_of
from task_history.systems.paragon.settings import ParagonSettings
from task_history.warehouse import common_tables
from tests.unit.systems.test_any_answer import GIVEN

WINDOW = Window(datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 2, tzinfo=UTC))


@pytest.mark.parametrize("name", systems.names())
def test_every_column_has_a_sentence(name: str) -> None:
    """Names are snake case, types are known, and each table and column is described by a sentence."""
    for table in common_tables.of(systems.find(name)):
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names)), table.name
        assert table.newest in names
        assert set(table.primary_key) <= set(names)
        for column in table.columns:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
            assert column.type in {"text", "bigint", "double", "bool", "timestamp"}
            assert len(column.description) >= 10
            assert column.description.endswith((".", ").", "…")), (table.name, column.name)


@pytest.mark.parametrize("name", systems.names())
def test_settings_are_explained(name: str) -> None:
    """Each setting has a text; secrets have no default."""
    for setting in settings_of(systems.find(name)).values():
        assert len(setting.text) >= 10
        assert not (setting.is_secret and setting.default)


@pytest.mark.parametrize("name", systems.names())
def test_answers_of_another_form_are_refused(name: str) -> None:
    """An answer without the documented form raises UnexpectedResponse: it is never zero rows."""
    system = systems.find(name)
    pages: list[Json] = [
        {},
        {"rows": []},
        {"workflowExecutions": None},
        {"workflowExecutions": {"id": "a"}},
        "text",
        3,
        None,
    ]
    for answer in pages:
        with pytest.raises(UnexpectedResponse):
            system.listing.read(answer)
    singles: list[Json] = [[], {}, "text", None]
    for answer in singles:
        with pytest.raises(UnexpectedResponse):
            system.details.read_execution(answer)


def test_paragon_asks_for_closed_windows() -> None:
    """Bounds go out in milliseconds and UTC, widened by one at the start, always with an order."""
    system = systems.find("paragon")
    request = system.listing.request(ParagonSettings(project_id="a/b"), WINDOW, offset=100)
    assert dict(request.params) == {
        "afterDate": "2026-08-31T23:59:59.999Z",
        "beforeDate": "2026-09-02T00:00:00.000Z",
        "sortBy": "ASC",
        "offset": "100",
    }
    assert request.path.startswith("/projects/a%2Fb/")


def test_paragon_reads_what_the_documentation_shows() -> None:
    """The documented page, open row and single read give rows, state and steps."""
    system = systems.find("paragon")
    row = {"id": "x", "status": "SUCCEEDED", "dateStarted": "2023-02-20T06:21:42.274Z", "runDuration": 1477}
    page = system.listing.read(
        {"workflowExecutions": [row], "nextLink": "https://zeus.example/x", "total": 14295}
    )
    assert (page.rows, page.total, page.more) == ([row], 14295, True)
    assert system.started_at(row) == datetime(2023, 2, 20, 6, 21, 42, 274000, tzinfo=UTC)
    assert not system.is_open(row)
    assert system.is_open({"id": "y", "status": "EXECUTING"})
    assert not system.is_open({"id": "y", "status": "PAUSED", "dateEnded": "2023-02-20T06:21:43.751Z"})
    detail = system.details.read_execution(
        {**row, "dateEnded": "2023-02-20T06:21:43.751Z", "runDuration": 1, "stepExecutions": [{"id": "s"}]}
    )
    assert detail.execution["runDuration"] == 1477
    assert detail.extra["run_duration"] == 1
    assert detail.steps == [{"id": "s", "workflowExecutionId": "x"}]


@pytest.mark.parametrize("name", systems.names())
def test_limits_are_stated(name: str) -> None:
    """Rate limit and retention are sensible."""
    system = systems.find(name)
    requests, period_s = system.rate_limit
    assert requests > 0
    assert period_s > 0
    assert system.retention is None or system.retention >= timedelta(days=1)


def test_unknown_system_lists_the_known_ones() -> None:
    """The error names those there are."""
    with pytest.raises(UsageError, match="paragon"):
        systems.find("nothing")


LISTS: dict[str, tuple[str, Callable[[list[Json]], Json]]] = {
    "paragon": ("id", lambda rows: {"workflowExecutions": rows}),
    "sailpoint": ("id", lambda rows: rows),
    "twinit": ("_id", lambda rows: {"_list": rows}),
    "b3os": ("id", lambda rows: {"data": {"items": rows}}),
}
"""The key of a row's id, and the answer that has these rows."""
ODD: list[tuple[Callable[[str], Json], str]] = [
    (lambda key: {"status": "x"}, "it has no '{}'"),
    (lambda key: {key: None}, "its '{}' is null"),
    (lambda key: {key: ""}, "its '{}' is empty"),
    (lambda key: {key: {"value": 1}}, "its '{}' is an object"),
    (lambda key: {key: ["a"]}, "its '{}' is a list"),
    (lambda key: {key: True}, "its '{}' is a boolean"),
    (lambda key: None, "it is no object but null"),
    (lambda key: "a", "it is no object but a text"),
    (lambda key: 3, "it is no object but a number"),
    (lambda key: [{key: "a"}], "it is no object but a list"),
]


@pytest.mark.parametrize("name", systems.names())
def test_rows_without_an_id_are_told_from_the_others(name: str) -> None:
    """Each keeps its position, its value as it was sent, and says why; a number is an id, and so is any other text."""
    system = systems.find(name)
    key, answer = LISTS[name]
    odd = [made(key) for made, _ in ODD]
    rows = [{key: "a"}, *odd, {key: 7}, {key: ".."}]
    page = system.listing.read(answer(rows))
    assert list(map(system.identity, page.rows)) == ["a", "7", ".."]
    assert [(one.position, one.value, one.reason) for one in page.rejected] == [
        (position, value, reason.format(key))
        for position, (value, (_, reason)) in enumerate(zip(odd, ODD, strict=True), start=1)
    ]
    assert (page.size, list(page.positions)) == (len(rows), [0, len(rows) - 2, len(rows) - 1])
    assert system.listing.read(answer(["a"])).size == 1


DETAILS: dict[str, Callable[[list[Json]], Json]] = {
    "paragon": lambda rows: {"id": "e", "stepExecutions": rows},
    "sailpoint": lambda rows: rows,
    "twinit": lambda rows: {"_id": "e", "_tasks": rows},
    "b3os": lambda rows: {"data": {"execution": {"id": "e"}, "events": rows}},
}
"""The answer with an execution's steps that has these rows."""


@pytest.mark.parametrize("name", systems.names())
def test_an_odd_step_costs_no_other(name: str) -> None:
    """The other steps keep their positions, and the details log says which one is not stored, and why."""
    system = systems.find(name)
    values = build(system, GIVEN[name]).values
    key = LISTS[name][0]
    answer = DETAILS[name]([{key: "a"}, None, {key: "b"}])
    request = system.details.request(values, "e", "n")
    detail = system.details.read(values, request, answer)
    assert len(detail.steps) == 2
    assert {step.get("position") for step in detail.steps} <= {None, 0, 2}
    [reason] = detail.unreadable
    assert "Row 1 of the" in reason
    assert "it is no object but null" in reason


@pytest.mark.parametrize("name", systems.names())
def test_tables_have_the_columns_that_all_share(name: str) -> None:
    """Whatever the vendor calls them: what settling, details and coverage go by has the same names everywhere."""
    main = systems.find(name)
    for system in (main, *main.companions):
        columns = {
            table.name: {column.name for column in table.columns} for table in common_tables.of_one(system)
        }
        shared = {"id", "status", "is_open", "resolution", "purged_at_source", "fetched_at", "run_id"}
        assert shared | {system.started_column, system.workflow_column} <= columns[system.executions.name]
        steps = {"id", "workflow_execution_id", "status", "execution_date_started", "run_id"}
        assert steps <= columns[system.details.steps.name]
        assert {"id", "outcome", "steps", "date_started", "run_id"} <= columns[system.details.log.name]
        for table in system.details.children:
            assert {"execution_date_started", "fetched_at", "run_id"} <= columns[table.name]
        assert {one.column for one in system.listing.filters} - {None} <= columns[system.executions.name]


def test_what_a_system_leaves_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that leaves something out, or ends in no system, is refused with what is missing."""
    for name in ("lacking", "silent"):
        (tmp_path / name).mkdir()
    (tmp_path / "lacking" / "__init__.py").write_text(
        "from task_history.systems.protocol import System\nSYSTEM = System(name='lacking')\n"
    )
    (tmp_path / "silent" / "__init__.py").write_text("SYSTEM = None\n")
    monkeypatch.setattr(systems, "__path__", [str(tmp_path)])
    systems.names.cache_clear()
    try:
        with pytest.raises(UsageError, match=r"'executions'.*'listing'"):
            systems.find("lacking")
        with pytest.raises(UsageError, match="SYSTEM = System"):
            systems.find("silent")
    finally:
        systems.names.cache_clear()
