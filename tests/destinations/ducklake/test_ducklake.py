"""What a sync brings into a lake, with its catalog in SQLite and in Postgres, and which catalogs are refused."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from task_history.core.errors import ConfigurationError
from task_history_cli.runtime.target import Target
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.ducklake.place import ON_DUCKLAKE, DuckLakePlace, install_extensions
from tests.destinations.postgres.conftest import postgres, postgres_of_all_tests
from tests.destinations.postgres.server import Server
from tests.support.place import PERFECT, differences

__all__ = ["postgres", "postgres_of_all_tests"]


START, DAY = "2026-10-20T12:00:00+00:00", "2026-10-15"
CHANGES = """
SELECT c.changes_made, t.table_id, t.table_name FROM ducklake_snapshot_changes AS c, ducklake_table AS t
JOIN ducklake_schema AS s USING (schema_id) WHERE s.schema_name = 'paragon'
"""
"""What each state of the lake changed in each table, such as ``inlined_insert:5,inlined_delete:5``."""


def deletions_alone(catalog: Path) -> list[str]:
    """The tables from which a state of the lake took rows without bringing the new ones, by the catalog in SQLite."""
    with contextlib.closing(sqlite3.connect(catalog)) as connection:
        changes = connection.execute(CHANGES).fetchall()
    found = []
    for text, number, table in changes:
        made = {word.partition(":")[0] for word in text.split(",") if word.endswith(f":{number}")}
        if any("delete" in word for word in made) and not any("insert" in word for word in made):
            found.append(table)
    return found


@pytest.mark.parametrize(
    ("syncs", "settings"),
    [
        (1, {"steps": "none", "integrations": None}),
        pytest.param(2, {"payloads": "none"}, marks=pytest.mark.torture),
    ],
    ids=["one", "two"],
)
def test_what_the_vendor_has_is_in_the_lake(tmp_path: Path, syncs: int, settings: dict[str, Any]) -> None:
    """With a catalog in SQLite: tables and views have what the vendor has after each sync, and an audit agrees.

    No state of the lake lacks rows that a merge replaces, and a working folder that has never seen it shows it.

    Each load and the audit take seconds: steps and the audit come with the second sync only.
    """
    home = tmp_path / "home"
    install_extensions(home)
    with SandboxProcess(executions=5 * syncs, seed=3, days=2 * syncs, now=START) as sandbox:
        catalog = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
        options: dict[str, Any] = {"home": home, "catalog": catalog, "start_date": DAY, **settings}
        place = DuckLakePlace(tmp_path / "lake", sandbox, **options)
        for number in range(syncs):
            sandbox.advance(26 * 3600 * number)
            result = place.sync(*ON_DUCKLAKE)
            assert result["complete"]
            assert "views_failed" not in result["stderr"]
            assert differences(place, sandbox) == PERFECT
        assert place.query(
            "SELECT (SELECT count(*) FROM task_history.executions), (SELECT count(*) > 0 FROM paragon.step_executions)"
        ) == [(len(sandbox.truth()), syncs > 1)]
        elsewhere = DuckLakePlace(tmp_path / "elsewhere", sandbox, **options)
        elsewhere.set_data(place.data)
        (status,) = json.loads(elsewhere.run("status", "paragon", "--json", *ON_DUCKLAKE).stdout)["systems"]
        assert status["rows"]["workflow_executions"] == len(sandbox.truth())
        assert deletions_alone(tmp_path / "catalog.sqlite") == []
        if syncs > 1:
            month = ("--from", DAY, "--to", "2026-10-20", "--sample", "5")
            assert "No differences" in place.run("audit", "paragon", *month, *ON_DUCKLAKE).stdout


def test_a_catalog_in_postgres_is_taken(postgres: Server, tmp_path: Path) -> None:
    """A check opens the lake and names it."""
    home = tmp_path / "home"
    install_extensions(home)
    with SandboxProcess(executions=5, seed=3, days=2, now=START) as sandbox:
        place = DuckLakePlace(tmp_path / "lake", sandbox, home=home, catalog=postgres.url)
        said = place.run("check", "paragon", *ON_DUCKLAKE).stdout
    assert f"The warehouse is ducklake postgres://127.0.0.1:{postgres.port}/" in said, said
    assert f" with data in {place.data}" in said, said


@pytest.mark.torture
@pytest.mark.parametrize("command", ["status", "sync"])
def test_a_catalog_in_postgres_is_found_from_another_machine(
    postgres: Server, tmp_path: Path, command: str
) -> None:
    """A machine that has never run sees what the first one loaded, and goes on there, with no row twice."""
    home = tmp_path / "home"
    install_extensions(home)
    with SandboxProcess(executions=5, seed=3, days=2, now=START, freeze=True) as sandbox:
        options: dict[str, Any] = {
            "home": home,
            "catalog": postgres.url,
            "steps": "none",
            "payloads": "none",
            "start_date": DAY,
        }
        first = DuckLakePlace(tmp_path / "first", sandbox, **options)
        assert first.sync(*ON_DUCKLAKE)["complete"]
        second = DuckLakePlace(tmp_path / "second", sandbox, **options)
        second.set_data(first.data)
        if command == "status":
            (status,) = json.loads(second.run("status", "paragon", "--json", *ON_DUCKLAKE).stdout)["systems"]
            assert status["rows"]["workflow_executions"] == len(sandbox.truth())
        else:
            sandbox.reset_counters()
            assert second.sync(*ON_DUCKLAKE)["complete"]
            assert sandbox.counters()["list"] <= 3
        assert differences(second, sandbox) == PERFECT


LAKE = "DESTINATION__DUCKLAKE__CREDENTIALS__"


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("CATALOG", "duckdb:///catalog.duckdb", "one connection at a time"),
        ("CATALOG", "md:///lake", "MotherDuck is not supported"),
        ("CATALOG", "sqlite:///it's.sqlite", "must not contain an apostrophe"),
        ("STORAGE__BUCKET_URL", "file:///tmp/it's", "must not contain an apostrophe"),
        ("DUCKLAKE_NAME", "a; DROP SCHEMA b", "letters, digits and underscores"),
        ("METADATA_SCHEMA", "a'b", "letters, digits and underscores"),
    ],
)
def test_a_lake_that_no_run_can_use_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str, value: str, message: str
) -> None:
    """The setting is named before anything is opened, and nothing that dlt would run as SQL passes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"{LAKE}CATALOG", "sqlite:///catalog.sqlite")
    monkeypatch.setenv(f"{LAKE}STORAGE__BUCKET_URL", "file:///tmp/lake")
    monkeypatch.setenv(f"{LAKE}{setting}", value)
    with pytest.raises(ConfigurationError, match=message):
        _ = Target("ducklake").fingerprint


def test_two_lakes_are_two_warehouses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each catalog has a working folder of its own, and its place is named without its password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"{LAKE}STORAGE__BUCKET_URL", "file:///tmp/lake")
    targets = []
    for catalog in ("sqlite:///a.sqlite", "sqlite:///b.sqlite", "postgresql://u:hidden@localhost:1/lake"):
        monkeypatch.setenv(f"{LAKE}CATALOG", catalog)
        target = Target("ducklake")
        targets.append((target.fingerprint, target.place))
    assert len({fingerprint for fingerprint, _ in targets}) == 3
    assert targets[2][1] == "ducklake postgres://localhost:1/lake#ducklake with data in /tmp/lake"
