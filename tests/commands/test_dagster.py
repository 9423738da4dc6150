"""The Dagster definitions of all accounts, with a real Dagster in an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from task_history.runs.run_lock import lock_path, run_lock
from task_history_cli.fleet.command_process import CommandProcess
from task_history_cli.runtime.target import find_target, working_folder
from task_history_cli.sandbox.process import SandboxProcess
from tests.commands.test_fleet import set_sailpoint, wait_until
from tests.support import environments
from tests.support.forked_command import forked_command
from tests.support.imported_python import ImportedPython
from tests.support.place import ROOT, Place, truth
from tests.unit.core.test_cron import TAKEN

KEY = "key-that-nothing-prints"
IMPORTS = "import dagster._cli, tests.support.dagster_runs"
COMMAND = f"{sys.executable} -m task_history_cli.cli"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportedPython]:
    """Dagster's Python."""
    folder = tmp_path_factory.mktemp("python")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with ImportedPython(environments.dagster_python(), IMPORTS, env, folder) as imported:
        yield imported


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=40, seed=5, freeze=True) as server:
        yield server


def dagster_environment(place: Place, home: Path | None = None) -> dict[str, str]:
    """The environment of Dagster's processes: the command is that of another Python."""
    environment = {**place.env, "PYTHONPATH": str(ROOT), "TASK_HISTORY_COMMAND": COMMAND}
    environment.pop("DAGSTER_HOME", None)
    return environment | ({"DAGSTER_HOME": str(home)} if home else {})


def dagster(python: ImportedPython, place: Place, *runs: tuple[str, str | None]) -> dict[str, Any]:
    """What Dagster makes of the project, and what came of each run. Fails where it refuses a schedule that is taken.

    Its dozen commands are forked: as many interpreters would take most of the test's seconds.
    """
    with TemporaryDirectory() as folder, forked_command(Path(folder)) as bin_folder:
        done = python.run(
            "import sys; from tests.support.dagster_runs import main; main(*sys.argv[1:])",
            *(str(place.folder), json.dumps(runs), *TAKEN),
            folder=ROOT,
            env=dagster_environment(place) | {"TASK_HISTORY_COMMAND": str(bin_folder / "task-history")},
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert KEY not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    found["log"] = done.stderr
    return found


@pytest.fixture(scope="module")
def ran(
    python: ImportedPython, tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess
) -> tuple[Place, dict[str, Any]]:
    """What Dagster makes of several accounts, and of one run of each kind: of the last three syncs the first finds
    another one active, the second is refused, and the third gets no answer."""
    place = Place(tmp_path_factory.mktemp("project"), sandbox, retention_days=0, integrations=None)
    place.add_account("eu", sandbox, schedule="30 3 * * *")
    place.add_account("refused", sandbox, api_key="another-key")
    set_sailpoint(place, "http://127.0.0.1:9")
    place.env["SOURCES__TASK_HISTORY__TWINIT__TOKEN"] = "a-token"
    name = "task_history_paragon_eu"
    with place._inside():
        working = working_folder(find_target(None, name))
    with run_lock(lock_path(working, name), name, task="sync"):
        found = dagster(
            python,
            place,
            ("paragon/sync", None),
            ("paragon_eu/backfill", "2026-01-01"),
            ("task_history/views", None),
            ("task_history_freshness", None),
            ("paragon_eu/sync", None),
            ("paragon_refused/sync", None),
            ("sailpoint/sync", None),
        )
    return place, found


def test_every_account_has_its_assets_schedule_and_checks(
    ran: tuple[Place, dict[str, Any]], sandbox: SandboxProcess
) -> None:
    """Of each account: sync, backfill by month and its tables with their columns; a sync brings all rows, with figures;
    the checks compare warehouse and vendor; an account that cannot run is left out, and named."""
    place, found = ran
    assets = found["definitions"]["assets"]
    assert found["definitions"]["schedules"] == {
        "paragon_scheduled_sync_schedule": "0 * * * *",
        "paragon_eu_scheduled_sync_schedule": "30 3 * * *",
        "paragon_refused_scheduled_sync_schedule": "0 * * * *",
        "sailpoint_scheduled_sync_schedule": "0 * * * *",
        "task_history_freshness_schedule": "30 * * * *",
    }
    assert "2026-01-01" in assets["paragon/backfill"]["partitions"]
    assert assets["paragon_eu/workflow_executions"]["depends_on"] == [
        "paragon_eu/backfill",
        "paragon_eu/sync",
    ]
    assert "When the execution" in json.dumps(assets["paragon/workflow_executions"]["columns"])
    assert not any(name.startswith("twinit") for name in assets)
    assert "twinit is left out" in found["log"]
    # DuckDB has one writer. What a person has set stays.
    datasets = ("paragon", "paragon_eu", "paragon_refused", "sailpoint")
    limits = {f"{dataset}_{command}": 1 for dataset in datasets for command in ("sync", "backfill")}
    assert found["pools"] == [limits, limits | {"paragon_sync": 3}]
    synced, backfilled, views, freshness = found["runs"][:4]
    rows = truth(sandbox)
    assert place.executions() == rows
    assert synced["success"]
    assert synced["materialized"]["paragon/workflow_executions"]["rows_written"] == len(rows)
    figures = synced["materialized"]["paragon/sync"]
    assert (figures["executions"], figures["is_complete"]) == (len(rows), True)
    assert figures["requests_by_kind"]["list"] >= 1
    assert synced["checks"] == {"paragon/sync is_fresh": True, "paragon/sync is_equal_to_vendor": True}
    assert backfilled["success"]
    assert "paragon_eu/backfill" in backfilled["materialized"]
    assert views["checks"] == {"task_history/views views_hold": True}
    assert freshness["checks"] == {f"{dataset}/sync is_fresh": dataset == "paragon" for dataset in datasets}


def test_what_a_person_has_to_mend_is_not_tried_again(ran: tuple[Place, dict[str, Any]]) -> None:
    """Exit 3 fails at once with the command's own sentence, exit 4 is tried again, exit 5 is skipped."""
    running, refused, unavailable = ran[1]["runs"][4:]
    assert (running["success"], running["materialized"]) == (True, {})
    assert (refused["success"], refused["attempts"]) == (False, 1)
    assert "401" in refused["error"] or "refused" in refused["error"]
    assert (unavailable["success"], unavailable["attempts"]) == (False, 2)


@pytest.mark.torture
@pytest.mark.usefixtures("views")
def test_a_month_has_its_report(python: ImportedPython, tmp_path: Path, sandbox: SandboxProcess) -> None:
    """The asset of reports writes the page of each month that is asked for, and says where it is."""
    place = Place(tmp_path, sandbox)
    place.sync()
    month = datetime.now(UTC).strftime("%Y-%m")
    (report,) = dagster(python, place, ("task_history/report", f"{month}-01"))["runs"]
    assert report["materialized"]["task_history/report"]["file"] == str(
        tmp_path / "reports" / f"{month}.html"
    )
    assert "<title>Task history" in (tmp_path / "reports" / f"{month}.html").read_text("utf-8")


INTERRUPTED = """
import signal, sys, time
def end(*_):
    print("{}", flush=True)
    open("ended", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open("begun", "w").close()
print("at work", file=sys.stderr, flush=True)
time.sleep(300)
"""


def test_an_interruption_before_the_wait_ends_the_command_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the interruption comes while the log's reader is started, the command is not left running."""
    start = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        start(self)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        CommandProcess((sys.executable, "-c", INTERRUPTED), tmp_path).run("sync")
    assert (tmp_path / "ended").exists()


def test_an_interrupted_wait_ends_the_command_by_sigterm(tmp_path: Path) -> None:
    """Where the wait for a command is interrupted, it gets SIGTERM and has ended before the interruption goes on."""
    command = CommandProcess((sys.executable, "-c", INTERRUPTED), tmp_path)
    main = threading.main_thread().ident
    assert main is not None
    # A shell that starts tests in the background has SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            command.run("sync", on_line=lambda _: signal.pthread_kill(main, signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "ended").exists()


@pytest.mark.torture
def test_terminating_a_run_keeps_what_it_has_read(
    python: ImportedPython, tmp_path: Path, sandbox: SandboxProcess
) -> None:
    """A terminated run reaches the command as SIGTERM: it commits, notes that it was stopped, and leaves no process."""
    sandbox.reset_counters()
    place = Place(tmp_path, sandbox)
    home = tmp_path / "dagster"
    home.mkdir()
    sandbox.post("latency", {"ms": 200})
    words = ("asset", "materialize", "--select", "key:paragon/sync")
    with (
        forked_command(home) as bin_folder,
        python.started(
            "from dagster._cli import main; main()",
            *(*words, "-m", "task_history_cli.fleet.definitions"),
            folder=place.folder,
            env=dagster_environment(place, home) | {"TASK_HISTORY_COMMAND": str(bin_folder / "task-history")},
        ) as (process, files),
    ):
        wait_until(lambda: sandbox.counters().get("status_200", 0) > 3)
        os.kill(process, signal.SIGINT)
        sandbox.post("latency", {"ms": 0})
    out = "".join(file.read_text("utf-8") for file in files)
    outcomes = wait_until(lambda: place.query("SELECT outcome FROM paragon.sync_runs"))
    assert outcomes == [("stopped",)], out[-3000:]
    place.run("sync", "paragon")
    assert place.executions() == truth(sandbox)


def test_a_command_that_cannot_be_run_is_named(python: ImportedPython, tmp_path: Path) -> None:
    """Without an account, the definitions say what to set in place of being empty."""
    place = Place(tmp_path, None, start_date=None, rate_limit_requests=None, integrations=None)
    code = "import task_history_cli.fleet.definitions"
    done = python.run(code, folder=place.folder, env=dagster_environment(place))
    assert done.returncode == 1
    assert "No account is configured" in done.stderr
