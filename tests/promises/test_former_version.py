"""A warehouse of the version before is one of this version after the next sync, and nothing of it is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history import systems
from task_history.core.models import Table
from task_history.warehouse import tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.support import former_version
from tests.support.place import Place
from tests.support.short import short

SYSTEMS = ("b3os", "paragon", "sailpoint", "twinit")
WHEN_READ = {"fetched_at", "run_id", "_dlt_load_id"}
LOADED_UNTIL = WHEN_READ | {"window_end", "covered_ms", "windows", "executions", "api_total", "checked_at"}
CATALOGS = ("workflows", "workflow_defs", "execution_stats", "recent_failures")
"""The tables, by how their names begin, that each sync reads whole."""
NEW = ("rejected_rows",)
"""Tables that the version before had not."""
Rows = dict[tuple[str, ...], dict[str, Any]]


@pytest.fixture
def former(where: str, system: str, tmp_path: Path) -> Iterator[tuple[Place, SandboxProcess]]:
    """The warehouse as the version before left it, with or without what dlt kept beside it."""
    with former_version.world(system) as (sandbox, url):
        place = Place(tmp_path, sandbox, system=system, **{**former_version.SETTINGS, "base_url": url})
        former_version.unpack(system, tmp_path, with_working_folder=where == "its_working_folder")
        sandbox.advance(3600)
        yield place, sandbox


@pytest.mark.parametrize(
    ("where", "system"),
    short(
        product(("its_working_folder", "another_machine"), SYSTEMS),
        kept=[
            ("its_working_folder", "paragon"),
            ("its_working_folder", "b3os"),
            ("another_machine", "sailpoint"),
            ("another_machine", "twinit"),
        ],
    ),
)
def test_the_next_sync_keeps_all_that_a_warehouse_of_the_version_before_holds(
    former: tuple[Place, SandboxProcess], system: str
) -> None:
    """No value is lost and no row is there twice; what is settled is not read again, and what was left is loaded."""
    place, sandbox = former
    own = systems.find(system)
    every = [table for table in tables.of(own) if not table.name.startswith((*CATALOGS, *NEW))]
    before = {table.name: _rows(place, table) for table in every}
    [said] = json.loads(place.run("status", system, "--json").stdout)["systems"]
    result = place.sync()
    logs = [one.details.log.name for one in (own, *own.companions)]
    assert result["complete"]
    assert said["details_left"] == sum(result["rows"].get(name, 0) for name in logs) > 0
    assert result["requests_by_kind"]["list"] <= 4
    after = {table.name: _rows(place, table) for table in every}
    for name, rows in before.items():
        for key, row in rows.items():
            may_change = (
                LOADED_UNTIL if name == tables.COVERAGE.name else WHEN_READ if row.get("is_open") else set()
            )
            kept = {column: value for column, value in row.items() if column not in may_change}
            assert kept == {column: after[name][key][column] for column in kept}, (name, key)
    waits = "SELECT sum(waited_told_ms), sum(waited_retry_after_ms) FROM {0}.sync_runs WHERE waited_told_ms IS NOT NULL"
    assert place.query(waits.format(system)) == [(1000, 1000)]
    # What that version verified stays so; on which evidence is not known.
    assert not place.query(f"SELECT 1 FROM {system}.coverage WHERE evidence IS NULL AND NOT is_verified")
    assert place.query(f"SELECT count(*) FROM {system}.rejected_rows") == [(0,)]

    sandbox.advance(12 * 3600)
    assert place.sync()["complete"]
    audit = json.loads(
        place.run("audit", system, "--json", "--from", "2026-02-25", "--to", "2026-02-28").stdout
    )
    assert audit["clean"] is not False
    place.run("backfill", system, "--from", "2026-02-23", "--to", "2026-02-25")
    place.run("views")
    place.run("report", "--out", "report.html")


def _rows(place: Place, table: Table) -> Rows:
    """The rows by key; fails when a key is there twice."""
    with duckdb.connect(str(place.file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        cursor = connection.execute(f'SELECT * FROM "{place.system}"."{table.name}"')
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    by_key = {tuple(str(row[name]) for name in table.primary_key): row for row in rows}
    assert len(by_key) == len(rows), f"a key is in {table.name} twice"
    return by_key
