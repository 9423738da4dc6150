"""Nothing is defined in two places: a change in one of them would be lost in the other."""

from __future__ import annotations

import ast
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import task_history
from task_history import source, systems
from task_history.client.logged_waits import Stats
from task_history.core import dataset_names
from task_history.core.columns import LOADED_AT
from task_history.core.models import Selection, Table, Window
from task_history.runs import lanes
from task_history.runs.context import Context
from task_history.runs.lanes import Lane
from task_history.runs.run_counters import Tally
from task_history.runs.sync_runs_values import RunRow
from task_history.systems.table_parts import UNREADABLE
from task_history.views.sql_file_reader import views
from task_history.warehouse import common_tables
from task_history.warehouse.column_rules import ColumnRules
from task_history.warehouse.common_tables import COVERAGE, SYNC_RUNS
from task_history.warehouse.coverage import Coverage
from task_history.warehouse.retry_schedule import next_try_at
from task_history.warehouse.verified_days import Completeness
from task_history_cli.commands import replay
from task_history_cli.sandbox.apis import APIS

ROOT = Path(__file__).parents[2]


def _definitions(module: ast.Module) -> list[str]:
    """Names that the module defines at its top level, once for each definition."""
    defined: list[str] = []
    for node in module.body:
        if isinstance(node, ast.Assign):
            stored = [name for target in node.targets for name in ast.walk(target)]
            defined += [name.id for name in stored if isinstance(name, ast.Name) and name.id != "_"]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.append(node.target.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined += [] if node.name == "_" else [node.name]
    return defined


def test_no_module_defines_a_name_twice() -> None:
    """Each constant, function and class stands once in its module: no later definition hides an earlier one."""
    files = [path for folder in ("sources", "pipelines") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    twice = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (
            names := [
                name
                for name, count in Counter(_definitions(ast.parse(path.read_text("utf-8")))).items()
                if count > 1
            ]
        )
    }
    assert twice == {}


def test_each_lane_stands_in_the_list_of_lanes() -> None:
    """Each kind of run that has no cursor reserves the names of its datasets by its own name, and no other name is."""
    found = [lane for module in (lanes, replay) for lane in vars(module).values() if isinstance(lane, Lane)]
    assert {lane.name for lane in found if not lane.has_cursor} == set(dataset_names.LANES)


def test_each_system_has_all_its_parts() -> None:
    """Each system has a dlt source, which the package exports, and a server of the sandbox, and there are no others."""
    names = set(systems.names())
    assert {name for name in names if callable(getattr(source, name, None))} == names
    assert names <= set(task_history.__all__)
    assert set(APIS) == names


def test_texts_state_the_schedule_of_retries() -> None:
    """The column next_try_at and the documentation name the waits by which an unreadable detail is tried again."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    waits = [next_try_at(tries, at) - at for tries in (1, 2, 3, 100)]
    assert waits == [timedelta(hours=1), timedelta(hours=2), timedelta(hours=4), timedelta(days=2)]
    [column] = [column for column in UNREADABLE if column.name == "next_try_at"]
    assert (
        "an hour after the first try, then twice as long after each, at most two days" in column.description
    )
    assert "after 1 h, 2 h, 4 h, …, at most 2 days" in (
        ROOT / "docs" / "explanation" / "how-it-works.md"
    ).read_text("utf-8")


def test_a_run_writes_the_columns_of_its_table() -> None:
    """A row of ``sync_runs`` has the declared columns, all but the one that the commit fills, and no other."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run, tally = RunRow("run", "sync", now, "complete", None), Tally()
    context = SimpleNamespace(
        selection=Selection(),
        cost=None,
        filters="",
        settings=SimpleNamespace(values=SimpleNamespace(retention_days=30)),
        warehouse=SimpleNamespace(rules=ColumnRules()),
    )
    row = {
        **run.current(
            tally,
            Stats({}, {}, 0, dict.fromkeys(("fault", "retry_after", "budget"), 0.0)),
            now=now,
            seconds=1,
        ),
        **run.final(None, now=now, is_complete=True),
        **Context.range_columns(cast("Any", context)),
    }
    assert set(row) == {column.name for column in SYNC_RUNS.columns if column != LOADED_AT}


def test_coverage_writes_the_columns_of_its_table() -> None:
    """A row of ``coverage`` has the declared columns, all but the one that the commit fills, and no other."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    coverage = Coverage([], lane="sync", filters="")
    coverage.add(
        Window(start, start + timedelta(days=1)),
        {},
        is_counted=True,
        completeness=Completeness("count"),
        checked_at=start,
    )
    [row] = coverage.changed_rows("run")
    assert set(row) == {column.name for column in COVERAGE.columns if column != LOADED_AT}


_WITHOUT_PEOPLE = {
    "sync_runs": {"run_id", "command", "column_rules", "outcome", "version", "host", "lock_file"},
    "coverage": {"lane", "windows", "evidence", "reason", "run_id"},
    "window_reads": {"read_id", "run_id", "lane", "row_order", "evidence", "reason"},
    "erasures": {"erasure_id", "system", "table_counts"},
    "vendor_fields": {"table_name", "field", "column_name", "holds", "run_id"},
    "schema_changes": {"change_id", "kind", "table_name", "column_name", "type", "status", "run_id"},
}
"""Text columns that never hold the name of a person or the id of an execution."""
_ERASED = {
    "sync_runs": {"filters", "reason"},
    "coverage": {"filters"},
    "window_reads": {"filters"},
}
_ERASED_BY_ROW = {"rejected_rows", "execution_states", "replays", "left_out_executions"}
"""Tables of which ``forget`` deletes whole rows."""


def test_forget_knows_each_text_of_the_common_tables() -> None:
    """Each text column is listed here as erased by ``forget`` or as one that never names a person.

    Whoever adds a column has to choose. That a column is erased, ``tests/promises/test_forget.py`` tests.
    """
    tables = {
        table.name: {column.name for column in table.columns if column.type == "text"}
        for table in vars(common_tables).values()
        if isinstance(table, Table)
    }
    known = {
        name: _WITHOUT_PEOPLE.get(name, set()) | _ERASED.get(name, set())
        for name in tables
        if name not in _ERASED_BY_ROW
    }
    assert known == {name: texts for name, texts in tables.items() if name not in _ERASED_BY_ROW}


def test_the_view_of_runs_has_each_column_or_leaves_it_out() -> None:
    """Each column of ``sync_runs`` is shown in ``connector_runs``, or listed here as left out."""
    shown = {column.name for column in views()["connector_runs"].columns}
    assert {column.name for column in SYNC_RUNS.columns} - shown == {
        "window_start",
        "window_end",
        "filters",
        "column_rules",
        "list_requests",
        "execution_requests",
        "payload_requests",
        "other_requests",
        "waited_fault_ms",
        "waited_retry_after_ms",
        "waited_budget_ms",
        "redactions",
        "rejected",
        "deleted_rows",
        "executions_kept_since",
        "steps_kept_since",
        "payloads_kept_since",
        "unresolved",
        "retention_days",
        "lost_from",
        "lost_until",
        "bytes_processed",
        "open_executions",
        "lock_file",
        "written_at",
        "loaded_at",
    }
