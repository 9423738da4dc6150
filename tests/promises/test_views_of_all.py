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
from tests.support.few_views import few_views
from tests.support.place import Place
from tests.support.torture import rest_as_torture
from tests.support.views_of_all import PER_ACCOUNT, QUIET, synced_machines

__all__ = ["postgres", "postgres_of_all_tests"]


pytestmark = pytest.mark.usefixtures("views")

AGAIN: dict[str, list[int]] = {"none": [], "one": [1], "all": [0, 1, 2]}
"""The machines that sync a second time."""


@pytest.fixture(params=rest_as_torture(["duckdb", "postgres"], ["duckdb"]))
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


@pytest.mark.parametrize("again", rest_as_torture(AGAIN, ["none"]))
def test_views_show_the_accounts_of_all_configurations(
    warehouse: str, server: Server | None, tmp_path: Path, again: str
) -> None:
    """Whichever of three configurations synced last, the views show the rows of all.

    A dataset that is dropped leaves the registry at the next sync; without the registry, as before there was one, the
    datasets are found by their tables.
    """

    def machine(name: str, sandbox: SandboxProcess, **settings: Any) -> Place:
        return _machine(tmp_path / name, server, sandbox, tmp_path / "warehouse.duckdb", **settings)

    on = ("--destination", warehouse)
    with (
        few_views("executions"),
        synced_machines(machine, warehouse, again=AGAIN[again]) as (first, _, third),
    ):
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
    if again == "none":
        return
    third.run("views", *on)
    assert json.loads(third.run("views", "--check", "--json", *on).stdout)["broken"] == 0


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
    with SandboxProcess(executions=20, freeze=True) as sandbox, few_views("executions"):
        place = Place(tmp_path, sandbox, **QUIET)
        place.run("sync", "paragon")
        rows = place.query("SELECT dataset, system, instance FROM task_history.accounts ORDER BY 1")
        assert rows == [("paragon", "paragon", ""), ("sailpoint", "sailpoint", "")]
