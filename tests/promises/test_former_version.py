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
from task_history.warehouse import common_tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.support import former_version
from tests.support.place import Place
from tests.support.torture import rest_as_torture

SYSTEMS = ("b3os", "paragon", "sailpoint", "twinit")
WHEN_READ = {"fetched_at", "read_by", "run_id", "_dlt_load_id"}
"""When, by which request and by which run an execution was read last."""
LOADED_UNTIL = WHEN_READ | {"window_end", "covered_ms", "windows", "executions", "api_total", "checked_at"}
CATALOGS = ("workflows", "workflow_defs", "execution_stats", "recent_failures")
"""The tables, by how their names begin, that each sync reads whole."""
NEW = ("rejected_rows", "erasures", "left_out_executions", "vendor_fields", "schema_changes")
"""Tables that the version before had not."""
MAX_LISTS = {"sailpoint": 14}
"""Three for each of its four workflows: no page says that it is the last one, and one empty page proves nothing. The
first short list is read twice, since its two pages share too few rows to show that the order stays."""
ADDED = {
    "coverage": ("evidence", "reason", "rejected", "left_out"),
    "window_reads": ("evidence", "reason", "rejected"),
    "sync_runs": ("rejected",),
}
"""Columns that the version before had not; ``tries``, ``next_try_at`` and ``unreadable_reason`` apart."""
TRIES = ("tries", "next_try_at", "unreadable_reason")
RANGE = ("--from", "2026-02-25", "--to", "2026-02-28")
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
    ("where", "system", "is_long"),
    rest_as_torture(
        [
            *product(("its_working_folder", "another_machine"), SYSTEMS, (True,)),
            ("its_working_folder", "paragon", False),
        ],
        kept=[("its_working_folder", "paragon", False), ("another_machine", "sailpoint", True)],
    ),
)
def test_the_next_sync_keeps_all_that_a_warehouse_of_the_version_before_holds(
    former: tuple[Place, SandboxProcess], where: str, system: str, is_long: bool
) -> None:
    """No value is lost and no row is there twice; what is settled is not read again, and what was left is loaded."""
    place, sandbox = former
    own = systems.find(system)
    every = [table for table in common_tables.of(own) if not table.name.startswith((*CATALOGS, *NEW))]
    before = {table.name: _rows(place, table) for table in every}
    [said] = json.loads(place.run("status", system, "--json").stdout)["systems"]
    result = place.sync()
    logs = [one.details.log.name for one in (own, *own.companions)]
    assert result["complete"]
    assert said["details_left"] == sum(result["rows"].get(name, 0) for name in logs) > 0
    assert result["requests_by_kind"]["list"] <= MAX_LISTS.get(system, 4)
    after = {table.name: _rows(place, table) for table in every}
    for name, rows in before.items():
        for key, row in rows.items():
            may_change = (
                LOADED_UNTIL
                if name == common_tables.COVERAGE.name
                else WHEN_READ
                if row.get("is_open")
                else set()
            )
            kept = {column: value for column, value in row.items() if column not in may_change}
            assert kept == {column: after[name][key][column] for column in kept}, (name, key)
    waits = "SELECT sum(waited_told_ms), sum(waited_retry_after_ms) FROM {0}.sync_runs WHERE waited_told_ms IS NOT NULL"
    assert place.query(waits.format(system)) == [(1000, 1000)]
    # What that version verified stays so; on which evidence is not known.
    assert not place.query(f"SELECT 1 FROM {system}.coverage WHERE evidence IS NULL AND NOT is_verified")
    assert place.query(f"SELECT count(*) FROM {system}.rejected_rows") == [(0,)]

    if where != "its_working_folder":
        return
    sandbox.advance(12 * 3600)
    assert place.sync()["complete"]
    if not is_long:
        return
    audit = json.loads(
        place.run("audit", system, "--json", "--from", "2026-02-25", "--to", "2026-02-28").stdout
    )
    assert audit["clean"] is not False
    place.run("backfill", system, "--from", "2026-02-23", "--to", "2026-02-25")
    place.run("views")
    place.run("views", "--check")


@pytest.mark.usefixtures("views")
@pytest.mark.parametrize(
    ("where", "system"),
    rest_as_torture(product(("another_machine",), SYSTEMS), [("another_machine", "paragon")]),
)
def test_a_warehouse_of_the_version_before_is_read_before_the_next_sync(
    former: tuple[Place, SandboxProcess], system: str, where: str
) -> None:
    """Every command that only reads does so; what that version did not note is unknown."""
    del where
    place, _ = former
    _check_readers(place)
    lacking = {column for column in _columns(place) if column[0] in ADDED}
    assert not {(table, column) for table, columns in ADDED.items() for column in columns} & lacking
    audit = json.loads(place.run("audit", system, "--json", *RANGE).stdout)
    assert audit["compared"]
    assert audit["clean"] is not False
    assert {("coverage", "evidence"), ("rejected_rows", "value")} <= _columns(place)


@pytest.mark.torture
@pytest.mark.usefixtures("views")
@pytest.mark.parametrize(("system", "lacks"), product(SYSTEMS, ("what_is_new", "payload_columns")))
def test_a_warehouse_that_lacks_only_new_columns_is_read_before_the_next_sync(
    system: str, lacks: str, tmp_path: Path
) -> None:
    """Such as one of a version in between, in all or in some tables; the next backfill adds them."""
    own = systems.find(system)
    details = [
        table.name
        for one in (own, *own.companions)
        for table in (one.details.log, *([one.payloads.table] if one.payloads else []))
    ]
    with SandboxProcess(system, **former_version.WORLD) as sandbox:
        place = Place(tmp_path, sandbox, system=system, **former_version.SETTINGS)
        place.sync()
        dropped: dict[str, tuple[str, ...]] = dict.fromkeys(details, TRIES)
        if lacks == "payload_columns":
            dropped = dict.fromkeys(details[1:2] or details, TRIES)
        else:
            dropped |= ADDED
        with duckdb.connect(str(place.file)) as connection:
            connection.execute("DROP SCHEMA task_history CASCADE")
            for table, columns in dropped.items():
                for column in columns:
                    connection.execute(f"ALTER TABLE {system}.{table} DROP COLUMN IF EXISTS {column}")
            if lacks == "what_is_new":
                connection.execute(f"DROP TABLE {system}.rejected_rows")
        place.run("views")
        _check_readers(place)
        place.run("backfill", system, *RANGE)
        assert {(table, "next_try_at") for table in details} <= _columns(place)
        assert place.sync()["complete"]


def _check_readers(place: Place) -> None:
    """Runs each command that only reads."""
    system = systems.find(place.system)
    [status] = json.loads(place.run("status", system.name, "--json").stdout)["systems"]
    assert status["loaded"]
    assert status["coverage"]
    assert status["unreadable"] == {"details": 0, "payloads": 0, "never": 0, "next_try_at": None}
    place.run("status")
    code = 0 if system.listing.is_countable else 2
    [(settled,)] = place.query(
        f"SELECT min(id) FROM {system.name}.{system.executions.name} WHERE NOT is_open"
    )
    place.run("why", system.name, settled, expect=code)
    place.run("plan", system.name, *RANGE, expect=code)
    place.run("views", "--check")
    place.run("report", "--month", "2026-02", "--format", "csv", "--out", "before.zip")


def _columns(place: Place) -> set[tuple[str, str]]:
    """The columns of the dataset, by table."""
    sql = f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{place.system}'"
    return {(table, column) for table, column in place.query(sql)}


def _rows(place: Place, table: Table) -> Rows:
    """The rows by key; fails when a key is there twice."""
    with duckdb.connect(str(place.file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        cursor = connection.execute(f'SELECT * FROM "{place.system}"."{table.name}"')
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    # Of each id that version kept one row: the first that has it.
    by_key = {tuple(str(row.get(name, 0)) for name in table.primary_key): row for row in rows}
    assert len(by_key) == len(rows), f"a key is in {table.name} twice"
    return by_key
