"""Views show everything that a warehouse holds, whichever configuration made them last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.conftest import postgres, postgres_of_all_tests
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import PostgresPlace
from tests.support import former_version
from tests.support.place import Place

__all__ = ["postgres", "postgres_of_all_tests"]
QUIET = {"steps": "none", "payloads": "none"}
PER_ACCOUNT = "SELECT system, instance, count(*) FROM task_history.executions GROUP BY 1, 2 ORDER BY 1, 2"


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(warehouse: str, request: pytest.FixtureRequest) -> Server | None:
    return request.getfixturevalue("postgres") if warehouse == "postgres" else None


def _machine(
    folder: Path, server: Server | None, sandbox: SandboxProcess, file: Path, **settings: Any
) -> Place:
    """A working folder of its own, into the one warehouse."""
    folder.mkdir()
    if server is not None:
        return PostgresPlace(folder, sandbox, server, **settings)
    place = Place(folder, sandbox, **settings)
    place.file = file
    place.env["DESTINATION__DUCKDB__CREDENTIALS"] = str(file)
    return place


def test_views_show_the_accounts_of_all_configurations(
    warehouse: str, server: Server | None, tmp_path: Path
) -> None:
    """Two configurations of one system and one of another, on three machines: all rows after each sync of each.

    The second of the two that name no ``instance`` is told apart by its dataset. A dataset that is dropped leaves the
    registry at the next sync; without the registry, as before there was one, the datasets are found by their tables.
    """
    on = ("--destination", warehouse)
    file = tmp_path / "warehouse.duckdb"
    with (
        SandboxProcess(executions=30, freeze=True) as first_world,
        SandboxProcess(executions=20, freeze=True, seed=7) as second_world,
        SandboxProcess("b3os", executions=10, freeze=True) as third_world,
    ):
        first = _machine(tmp_path / "first", server, first_world, file, **QUIET)
        second = _machine(tmp_path / "second", server, second_world, file, dataset_name="other", **QUIET)
        third = _machine(
            tmp_path / "third", server, third_world, file, system="b3os", steps="none", dataset_name="west"
        )
        first.run("sync", "paragon", *on)
        assert first.query(PER_ACCOUNT) == [("paragon", "", 30)]
        second.run("sync", "paragon", *on)
        assert first.query(PER_ACCOUNT) == [("paragon", "", 30), ("paragon", "other", 20)]
        third.run("sync", "b3os", *on)
        expected = [("b3os", "", 10), ("paragon", "", 30), ("paragon", "other", 20)]
        assert first.query(PER_ACCOUNT) == expected
        for place in (first, second, third):
            said = place.run("sync", place.system, *on).stderr
            assert "views_created" not in said
            assert first.query(PER_ACCOUNT) == expected
        made = json.loads(first.run("views", "--json", *on).stdout)
        assert made["datasets"] == ["other", "paragon", "west"]
        assert json.loads(third.run("views", "--check", "--json", *on).stdout)["broken"] == 0

        _execute(first, "DROP TABLE task_history.accounts")
        third.run("sync", "b3os", *on)
        assert first.query(PER_ACCOUNT) == [("b3os", "", 10), ("paragon", "", 20), ("paragon", "paragon", 30)]

        _execute(first, "DROP SCHEMA other CASCADE")
        third.run("sync", "b3os", *on)
        assert first.query(PER_ACCOUNT) == [("b3os", "", 10), ("paragon", "", 30)]
        assert first.query("SELECT dataset FROM task_history.accounts ORDER BY 1") == [
            ("paragon",),
            ("west",),
        ]


def _execute(place: Place, sql: str) -> None:
    if isinstance(place, PostgresPlace):
        place.execute(sql)
        return
    import duckdb

    with duckdb.connect(str(place.file)) as connection:
        connection.execute(sql)


def test_a_warehouse_of_the_version_before_is_registered(tmp_path: Path) -> None:
    """Another machine's first sync finds the datasets that the version before made, under any name."""
    former_version.unpack("sailpoint", tmp_path, with_working_folder=False)
    with SandboxProcess(executions=20, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, **QUIET)
        place.run("sync", "paragon")
        rows = place.query("SELECT dataset, system, instance FROM task_history.accounts ORDER BY 1")
        assert rows == [("paragon", "paragon", ""), ("sailpoint", "sailpoint", "")]
