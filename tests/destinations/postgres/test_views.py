"""The same views over the same rows say the same on Postgres as on DuckDB, over a world of each system."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history import systems
from task_history.views.sql_file_reader import View, ViewColumn, views
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlace
from tests.support.few_views import few_views
from tests.support.made_warehouse import ENDED
from tests.support.place import INTEGRATIONS, Place

OF_THE_RUN = {"fetched_at", "loaded_at", "run_id", "checked_at", "last_run_at", "loaded_until"}
OF_NOW = {"open_ms", "times_p99", "lag_s", "fingerprint"}
"""Columns that differ between two moments, or by what the views were made for: filled in as many rows of both."""
CLOCK_DIFFERENCE = timedelta(minutes=1)
"""Between the vendor's clock and that of the run."""
MAY_BE_EMPTY = {"stuck_executions", "incidents", "replay_outcomes", "recovery_times", "users"}
SHOWN = {
    "connector_runs": {
        "system",
        "instance",
        "command",
        "outcome",
        "is_complete",
        "executions",
        "steps",
        "payloads",
    }
}
"""The columns of views of which most are about the run."""
ROWS = {**ENDED, "connector_runs": " WHERE executions > 0"}
"""The rows of views of which others are about the moment, or about a second run."""


def shown(rows: list[tuple[Any, ...]], columns: list[ViewColumn]) -> list[tuple[Any, ...]]:
    """The rows as both warehouses say them."""
    return sorted(
        (tuple(_plain(value, column) for value, column in zip(row, columns, strict=True)) for row in rows),
        key=repr,
    )


def _plain(value: Any, column: ViewColumn) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float | Decimal):
        return round(float(value), 9)
    if column.name == "covered_ms" and value < 86_400_000:
        return "a part of the day"  # up to the moment of the sync
    if column.type == "json" and value is not None:
        return json.dumps(json.loads(value), sort_keys=True)
    # See above.
    return None if value == "" and column.name != "instance" else value


def _filled(place: Place, view: View, columns: list[ViewColumn]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How many rows have a value in each of the columns, and how many values there are; the last instant in each."""
    if not columns:
        return {}, {}
    parts = []
    for column in columns:
        name = f"CAST({column.name} AS VARCHAR)"
        is_id = column.name in ("run_id", "fingerprint")
        parts += ["count(*)", f"count({name})", f"count(DISTINCT {name})" if is_id else "0"]
        parts.append(f"max({column.name})" if column.type == "timestamp" else "NULL")
    (row,) = place.query(f"SELECT {', '.join(parts)} FROM task_history.{view.name}")
    found = {column.name: row[at * 4 : at * 4 + 4] for at, column in enumerate(columns)}
    return (
        {name: values[:3] for name, values in found.items()},
        {name: last.astimezone(UTC) for name, (*_, last) in found.items() if last is not None},
    )


@pytest.mark.torture
@pytest.mark.parametrize(
    ("synced", "executions"), [(("b3os", "paragon"), 20), (systems.names(), 60)], ids=["few", "all"]
)
def test_both_say_the_same(
    postgres: Server,
    tmp_path: Path,
    synced: tuple[str, ...],
    executions: int,
) -> None:
    """After syncs of the systems each view has the same rows in both; checks, report and dictionary work there."""
    began = datetime.now(UTC) - CLOCK_DIFFERENCE
    local_folder, remote_folder = tmp_path / "local", tmp_path / "remote"
    local_folder.mkdir()
    remote_folder.mkdir()
    for system in synced:
        with SandboxProcess(system, executions=executions, failed=0.3, freeze=True) as sandbox:
            wanted: dict[str, Any] = {"system": system, "steps": "all", "payloads": "all"}
            if not systems.find(system).payloads:
                del wanted["payloads"]
            own: dict[str, Any] = {"integrations": INTEGRATIONS} if system == "paragon" else {}
            local = Place(local_folder, sandbox, start_date="2026-01-01", **wanted, **own)
            remote = PostgresPlace(remote_folder, sandbox, postgres, **wanted)
            local.run("sync", system)
            said = remote.run("sync", system, *ON_POSTGRES).stderr
            assert "views_created made=" in said
            assert "views_failed" not in said
            assert "check name=" not in said
            assert "views_created made=" not in remote.run("sync", system, *ON_POSTGRES).stderr
    # On its way through dlt's CSV into Postgres an empty text becomes NULL in the table itself.
    with duckdb.connect(str(local.file)) as connection:
        connection.execute("UPDATE b3os.executions SET initiated_by_id = nullif(initiated_by_id, '')")
        connection.execute("UPDATE b3os.runs SET triggered_by = nullif(triggered_by, '')")
    ended = datetime.now(UTC) + CLOCK_DIFFERENCE
    for view in views().values():
        hidden = OF_THE_RUN | OF_NOW
        columns = [one for one in view.columns if one.name in SHOWN.get(view.name, {one.name} - hidden)]
        others = [one for one in view.columns if one not in columns and view.name not in SHOWN]
        filled, last = zip(*(_filled(place, view, others) for place in (remote, local)), strict=True)
        assert filled[0] == filled[1], view.name
        assert all(began <= at <= ended for of_place in last for at in of_place.values()), view.name
        names = [
            f"CAST({column.name} AS VARCHAR)" if column.type == "json" else column.name for column in columns
        ]
        sql = f"SELECT {', '.join(names)} FROM task_history.{view.name}{ROWS.get(view.name, '')}"
        here = shown(local.query(sql), columns)
        assert here or view.name in MAY_BE_EMPTY
        assert shown(remote.query(sql), columns) == here, view.name
        described = remote.query(
            "SELECT a.attname, col_description(a.attrelid, a.attnum) FROM pg_attribute AS a "
            f"WHERE a.attrelid = 'task_history.{view.name}'::regclass AND a.attnum > 0 ORDER BY a.attnum"
        )
        assert described == [(column.name, column.description) for column in view.columns]
    checked = json.loads(remote.run("views", "--check", "--json", *ON_POSTGRES).stdout)
    expected = json.loads(local.run("views", "--check", "--json").stdout)
    assert [(one["name"], one["holds"]) for one in checked["checks"]] == [
        (one["name"], one["holds"]) for one in expected["checks"]
    ]
    page = tmp_path / "report.html"
    remote.run("report", "--out", str(page), *ON_POSTGRES)
    assert page.stat().st_size
    assert "json_text" in remote.run("views", "--print", "--dialect", "postgres", "step_payloads").stdout


def test_a_view_with_other_columns_is_made_anew(postgres: Server, tmp_path: Path) -> None:
    """Views of an earlier version, with other columns and types, do not stand in the way."""
    with (
        SandboxProcess(executions=20, freeze=True) as sandbox,
        few_views("daily_usage", "executions"),
    ):
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="none", integrations=None)
        place.run("sync", "paragon", *ON_POSTGRES)
        assert "views_created made=" not in place.run("sync", "paragon", *ON_POSTGRES).stderr
        place.execute(
            "DROP VIEW task_history.questions; CREATE VIEW task_history.questions AS SELECT 1 AS fingerprint, 2 AS b"
        )
        said = place.run("views", *ON_POSTGRES).stdout
        assert "daily_usage" in said
        assert place.query("SELECT count(*) FROM task_history.questions") == [(len(views()),)]
        assert place.query("SELECT count(*) FROM task_history.executions") == [(20,)]


def test_a_payload_that_is_no_json_for_postgres_breaks_no_view(postgres: Server, tmp_path: Path) -> None:
    """A text that Postgres does not take as JSON has no message; the other rows are shown."""
    with SandboxProcess(executions=5, freeze=True) as sandbox, few_views("step_payloads"):
        place = PostgresPlace(tmp_path, sandbox, postgres, steps="all", payloads="all", integrations=None)
        place.run("sync", "paragon", *ON_POSTGRES)
        for text in ('{"message": "a\\u0000b"}', '{"message": ', '{"message": 1e999999}'):
            place.execute(f"UPDATE paragon.step_payloads SET output = '{text}'")
            assert len(place.query("SELECT input, error FROM task_history.step_payloads")) > 1, text
