"""The end of every run is noted, and no run whose process died is shown as active."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history.core.errors import WarehouseUnavailable
from task_history.load.dlt_internals import SWITCH
from task_history.load.pipeline import Loader
from task_history.runs.run_lock import host, run_lock
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place
from tests.support.snapshot import Snapshot
from tests.support.torture import rest_as_torture

ERRORS = (RuntimeError("a fault"), WarehouseUnavailable("no room"))
COMMANDS = ("sync", "backfill", "audit", "replay")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=40, seed=3, days=2, freeze=True) as found:
        yield found


@pytest.fixture(scope="module")
def synced(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    place = Place(tmp_path_factory.mktemp("synced"), sandbox, integrations=None, steps="none")
    place.sync()
    return Snapshot(place)


@pytest.fixture
def place(synced: Snapshot) -> Place:
    """A place after its first sync."""
    return synced.restore()


def running(place: Place, command: str, machine: str, lock: Path) -> None:
    """Notes a run of that command that has no end, as a kill leaves it."""
    with duckdb.connect(str(place.file)) as connection:
        connection.execute(
            "INSERT INTO paragon.sync_runs SELECT * REPLACE ('killed' AS run_id, ? AS command, 'running' AS outcome, "
            "NULL AS ended_at, NULL AS is_complete, ? AS host, ? AS lock_file) FROM paragon.sync_runs LIMIT 1",
            [command, machine, str(lock)],
        )


def shown(place: Place) -> str:
    """What status says of the run."""
    (status,) = json.loads(place.run("status", "paragon", "--json").stdout)["systems"]
    (outcome,) = {run["outcome"] for run in status["runs"] if run["run_id"] == "killed"}
    return str(outcome)


def noted(place: Place) -> Any:
    return place.query("SELECT outcome FROM paragon.sync_runs WHERE run_id = 'killed'")[0][0]


def test_the_end_of_a_first_sync_is_a_statement_and_no_load(place: Place) -> None:
    """A small account is two loads, executions and workflows; the end of its run is no further one, and later."""
    # On dlt's own way a load makes the tables, too.
    loads = 3 if os.environ.get(SWITCH) == "off" else 2
    assert place.query("SELECT count(*) FROM paragon._dlt_loads") == [(loads,)]
    assert place.query(
        "SELECT outcome, is_complete, ended_at IS NOT NULL, "
        "loaded_at > (SELECT max(loaded_at) FROM paragon.workflow_executions) FROM paragon.sync_runs"
    ) == [("complete", True, True, True)]


@pytest.mark.parametrize("command", rest_as_torture(COMMANDS, ("backfill",)))
def test_a_killed_run_is_told_and_closed(place: Place, command: str) -> None:
    """While its lock is free, status says so at once, and the next run of any command notes its end."""
    lock = place.folder / "other.lock"
    running(place, command, host(), lock)
    with run_lock(lock, "other"):
        assert shown(place) == "running"
        place.sync()
        assert noted(place) == "running"
    assert shown(place) == "interrupted"
    assert noted(place) == "running"
    today = datetime.now(UTC).date()
    place.run("audit", "paragon", "--from", str(today - timedelta(days=1)), "--to", str(today))
    assert noted(place) == "interrupted"


def test_a_run_on_another_machine_is_left_alone(place: Place) -> None:
    """Whether its lock is held cannot be known here."""
    running(place, "backfill", "another-machine", place.folder / "other.lock")
    place.sync()
    assert (shown(place), noted(place)) == ("running", "running")


def test_two_machines_do_not_load_into_one_file(place: Place, sandbox: SandboxProcess) -> None:
    """While the same command commits on another machine: exit code 5 before a request; after its silence all goes on."""
    running(place, "sync", "another-machine", place.folder / "other.lock")
    at = "UPDATE paragon.sync_runs SET written_at = ? WHERE run_id = 'killed'"

    def write(when: datetime) -> None:
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(at, [when])

    write(datetime.now(UTC) - timedelta(seconds=20))
    sandbox.reset_counters()
    told = place.run("sync", "paragon", expect=5).stderr
    assert "active on the machine another-machine" in told
    assert "one machine at a time" in told
    assert not sandbox.counters().get("list")
    assert place.query("SELECT count(*) FROM paragon.sync_runs WHERE outcome = 'failed'") == [(0,)]
    write(datetime.now(UTC) - timedelta(minutes=3))
    assert place.sync()["complete"]


@pytest.mark.parametrize(
    ("method", "error"),
    rest_as_torture(
        product(("commit", "warehouse"), ERRORS), kept=[("commit", ERRORS[1]), ("warehouse", ERRORS[0])]
    ),
    ids=str,
)
def test_each_run_that_fails_leaves_a_row(
    place: Place, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    """Wherever the error comes from, and however many runs in a row it ends."""

    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Loader, method, fails)
    for runs in (1, 2):
        place.sync(expect=None)
        rows = place.query(
            "SELECT outcome, reason, ended_at IS NOT NULL FROM paragon.sync_runs WHERE outcome <> 'complete'"
        )
        assert rows == [("failed", f"{type(error).__name__}: {error}", True)] * runs
    monkeypatch.undo()
    assert place.sync()["complete"]
