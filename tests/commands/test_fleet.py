"""All configured accounts at once: list, sync and status."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.runs.run_lock import lock_path, run_lock
from task_history.settings_reader import build
from task_history_cli.fleet.accounts import first_month
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import INTEGRATIONS, Place, truth
from tests.support.torture import rest_as_torture

KEY = "key-that-nothing-prints"
EXECUTIONS = 40


@pytest.fixture(autouse=True)
def processes_make_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are started as processes make views."""
    monkeypatch.setattr(Place, "makes_views", True)


def set_sailpoint(place: Place, base_url: str) -> None:
    """Configures an account of SailPoint with credentials that its vendor does not know."""
    prefix = "SOURCES__TASK_HISTORY__SAILPOINT__"
    settings = {"base_url": base_url, "client_id": "nobody", "client_secret": KEY, "fault_deadline_s": "0"}
    for name, value in settings.items():
        place.env[prefix + name.upper()] = value


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=EXECUTIONS, seed=5, freeze=True) as server:
        yield server


def running_workers(command: int) -> list[int]:
    """The worker processes of that command in the order of their start; its fork server starts them.

    Each has a session of its own. Of accounts in one DuckDB file, the first is the process that has it open.
    """
    parents, sessions, starts = {}, {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(entry.name)], sessions[int(entry.name)] = int(fields[1]), int(fields[3])
            starts[int(entry.name)] = int(fields[19]), int(entry.name)
    workers = [
        process
        for process, parent in parents.items()
        if parents.get(parent) == command and sessions[process] == process
    ]
    return sorted(workers, key=lambda process: starts[process])


def sync_fleet(place: Place, *words: str) -> None:
    """One sync of the fleet, which has to end well."""
    done = place.run_process("fleet", "sync", *words)
    assert done.returncode == 0, done.stderr


def wait_until(condition: Any) -> Any:
    """What the condition gives once it gives something."""
    end = time.monotonic() + 300
    while not (value := condition()):
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.02)
    return value


def test_list_names_each_account_and_what_is_wrong_with_it(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Every account that settings are made for, of every system, with dataset and schedule, and no secret."""
    place = Place(tmp_path, sandbox)
    place.add_account("eu", sandbox, schedule="30 3 * * 1-5")
    place.add_account("broken", sandbox, schedule="whenever")
    place.env["SOURCES__TASK_HISTORY__SAILPOINT__CLIENT_ID"] = "somebody"
    told = json.loads(place.run("fleet", "list", "--json", expect=3).stdout)
    accounts = {account["account"]: account for account in told["accounts"]}
    assert list(accounts) == ["paragon", "paragon/broken", "paragon/eu", "sailpoint"]
    assert accounts["paragon"]["dataset"] == "paragon"
    assert accounts["paragon"]["schedule"] == "0 * * * *"
    assert accounts["paragon/eu"]["dataset"] == "paragon_eu"
    assert accounts["paragon/eu"]["schedule"] == "30 3 * * 1-5"
    assert "five cron fields" in accounts["paragon/broken"]["error"]
    assert "tenant" in accounts["sailpoint"]["error"] or "client_secret" in accounts["sailpoint"]["error"]
    assert accounts["paragon"]["backfills_at_once"] == 1
    text = place.run("fleet", "list", expect=3).stdout
    assert "paragon/broken cannot run" in text
    assert sandbox.api_key not in text + json.dumps(told)
    place.run("fleet", "list", "--select", "paragon", "--select", "*/eu")


def test_without_an_account_it_says_what_to_set(tmp_path: Path) -> None:
    """No account is configured: exit code 3, with the way to go; a pattern that matches none, or an option of another
    action: exit code 2."""
    place = Place(tmp_path, None, start_date=None, rate_limit_requests=None, integrations=None)
    assert "No account is configured" in place.run("fleet", "sync", expect=3).stderr
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text("[sources]\ntask_history = 3\n")
    assert "Did you mean [sources.task_history]?" in place.run("fleet", "list", expect=3).stderr
    (tmp_path / ".dlt" / "config.toml").unlink()
    place.set(project_id="p", api_key="k")
    assert "Configured: paragon." in place.run("fleet", "sync", "--select", "payroll*", expect=2).stderr
    for words in (
        ("list", "--fail-if-stale", "2h"),
        ("sync", "--fail-if-stale", "2h"),
        ("status", "--jobs", "3"),
        ("status", "--max-requests", "5"),
        ("list", "--max-minutes", "5"),
    ):
        assert f"fleet {words[0]} does not use it" in place.run("fleet", *words, expect=2).stderr
    assert "from 1 to 64" in place.run("fleet", "sync", "--jobs", "0", expect=2).stderr


def test_a_broken_account_holds_up_no_other(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Accounts side by side: each has its line and, by three loads, its rows, a refused one its reason; worst code is
    the end's."""
    place = Place(tmp_path, sandbox, integrations=INTEGRATIONS)
    place.add_account("two", sandbox)
    set_sailpoint(place, sandbox.base_url)
    done = place.run_process("fleet", "sync", "--jobs", "2")
    assert done.returncode in (3, 4), done.stderr
    assert "2 of 3 accounts done" in done.stderr
    assert "Not done: sailpoint." in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(("paragon", "sailpoint"))]
    assert len(lines) == 3, done.stderr
    assert KEY not in done.stderr + done.stdout
    for dataset in ("paragon", "paragon_two"):
        assert place.executions(dataset) == truth(sandbox)
        # One each of executions, workflows, and steps with payloads; the end of the run is none.
        assert place.query(f"SELECT count(*) FROM {dataset}._dlt_loads") == [(3,)]
    told = json.loads(place.run("fleet", "status", "--json").stdout)
    rows = {account["account"]: account["status"]["rows"] for account in told["accounts"]}
    assert sorted(rows) == ["paragon", "paragon/two", "sailpoint"]
    assert rows["paragon/two"]["workflow_executions"] == EXECUTIONS
    assert rows["sailpoint"]["workflow_executions"] == 0
    text = place.run("fleet", "status").stdout
    assert "paragon/two" in text


@pytest.mark.parametrize("later", rest_as_torture(["four", "four five"], ["four"]))
def test_views_are_made_once_for_all_accounts_of_a_file(
    tmp_path: Path, sandbox: SandboxProcess, later: str
) -> None:
    """However many accounts are new: the views are made once, before the first rows; where none is new, not at all."""
    place = Place(tmp_path, sandbox)
    place.add_account("one", sandbox)

    def made(*words: str) -> list[str]:
        done = place.run_process("fleet", "sync", "--jobs", "2", "--log-format", "json", *words)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        return [line["datasets"] for line in lines if line["message"] == "views_created"]

    assert made() == ["paragon,paragon_one"]
    # The tables of the second account are copied from the first.
    first, second = (
        place.query(
            "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            f"WHERE schema_name = '{name}' ORDER BY ALL"
        )
        for name in ("paragon", "paragon_one")
    )
    assert first == second
    assert place.query("SELECT instance, count(*) FROM task_history.executions GROUP BY 1 ORDER BY 1") == [
        (instance, EXECUTIONS) for instance in ("", "one")
    ]
    for instance in later.split():
        place.add_account(instance, sandbox)
    if later == "four":
        assert made("--select", "paragon/four") == ["paragon,paragon_four,paragon_one"]
        assert made("--select", "paragon/four") == []
    else:
        sync_fleet(place, "--select", "paragon/five")
        assert made() == ["paragon,paragon_five,paragon_four,paragon_one"]
        assert made() == []


def test_an_account_has_views_though_its_tables_were_not_made_before(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    """Another run has one account while the tables of all are made: its own sync makes them, and the views."""
    place = Place(tmp_path, sandbox)
    place.add_account("busy", sandbox)
    folder = place.folder / "dlt" / "pipelines"
    place.sync()
    [working] = [path for path in folder.iterdir() if path.name.startswith("task_history-")]
    with run_lock(lock_path(working, "task_history_paragon_busy"), "task_history_paragon_busy", task="other"):
        done = place.run_process("fleet", "sync")
    assert done.returncode == 5, done.stderr
    sync_fleet(place, "--select", "paragon/busy")
    assert place.query("SELECT count(*) FROM task_history.executions WHERE instance = 'busy'") == [
        (EXECUTIONS,)
    ]


def test_a_killed_worker_fails_only_its_account(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """SIGKILL of a worker: its account is named, all others end well, and the next sync goes on."""
    place = Place(tmp_path, sandbox)
    place.add_account("one", sandbox)
    sandbox.post("latency", {"ms": 100})
    process = place.start("fleet", "sync", "--jobs", "1")
    worker = wait_until(lambda: sandbox.counters().get("status_200") and running_workers(process.pid))[-1]
    os.kill(worker, signal.SIGKILL)
    sandbox.post("latency", {"ms": 0})
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "paragon: exit code 1. Its process was killed" in err
    assert "1 of 2 accounts done" in err
    assert place.executions("paragon_one") == truth(sandbox)
    sync_fleet(place, "--select", "paragon")
    assert place.executions() == truth(sandbox)


def test_where_the_process_that_has_the_file_open_is_killed_the_next_sync_goes_on(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    """Its accounts fail with the reason and what to do; the same command goes on and loses nothing."""
    place = Place(tmp_path, sandbox)
    place.add_account("one", sandbox)
    sandbox.post("latency", {"ms": 100})
    process = place.start("fleet", "sync", "--jobs", "1")
    server, _ = wait_until(lambda: sandbox.counters().get("status_200") and running_workers(process.pid))
    os.kill(server, signal.SIGKILL)
    sandbox.post("latency", {"ms": 0})
    _, err = process.communicate(timeout=300)
    assert process.returncode == 4, err
    assert "has ended" in err
    assert "run the same command again" in err
    sync_fleet(place)
    assert place.executions() == place.executions("paragon_one") == truth(sandbox)


@pytest.mark.parametrize("name", rest_as_torture(["SIGINT", "SIGTERM"], ["SIGTERM"]))
def test_a_signal_ends_it_after_the_commit_in_hand(
    tmp_path: Path, sandbox: SandboxProcess, name: str
) -> None:
    """The first signal: no further account begins, the active one keeps what it read; the same command goes on."""
    place = Place(tmp_path, sandbox)
    place.add_account("second", sandbox)
    sandbox.post("latency", {"ms": 200})
    process = place.start("fleet", "sync", "--jobs", "1", "--json", start_new_session=True)
    wait_until(lambda: sandbox.counters().get("status_200", 0) > 3)
    os.killpg(process.pid, getattr(signal, name))
    sandbox.post("latency", {"ms": 0})
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert told["is_stopped"]
    assert told["not_begun"] == ["paragon/second"]
    assert told["accounts"][0]["result"]["stopped"]
    sync_fleet(place)
    assert place.executions() == place.executions("paragon_second") == truth(sandbox)


def test_workers_end_with_their_parent(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """SIGKILL of the command: no worker stays behind, and the same command goes on. The folder's modules are not ours."""
    place = Place(tmp_path, sandbox)
    (tmp_path / "filelock.py").write_text("raise SystemExit")
    sandbox.post("latency", {"ms": 100})
    process = place.start_new("fleet", "sync", "--jobs", "1")
    workers = wait_until(lambda: sandbox.counters().get("status_200") and running_workers(process.pid))
    process.kill()
    sandbox.post("latency", {"ms": 0})
    process.communicate(timeout=60)
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    sync_fleet(place)
    assert place.executions() == truth(sandbox)


def test_a_probe_fails_where_a_dataset_is_behind(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """``--fail-if-stale``: exit code 11 for what was never synced or is too far behind, 0 otherwise."""
    place = Place(tmp_path, sandbox)
    place.add_account("eu", sandbox)
    place.run("status", "--fail-if-stale", "1h")
    place.run("status", "paragon", "--fail-if-stale", "1h", expect=11)
    place.run("sync", "paragon")
    place.run("status", "paragon", "--fail-if-stale", "1h")
    # A dataset is behind by whole seconds.
    wait_until(lambda: place.run("status", "paragon", "--fail-if-stale", "0m", expect=None).returncode == 11)
    assert (
        json.loads(place.run("fleet", "status", "--fail-if-stale", "1h", "--json", expect=11).stdout)[
            "exit_code"
        ]
        == 11
    )
    place.run("fleet", "status", "--fail-if-stale", "1h", "--select", "paragon")
    assert "90m, 2h or 1d" in place.run("status", "--fail-if-stale", "soon", expect=2).stderr


def test_months_to_backfill_begin_where_the_vendor_does() -> None:
    """The first month is the oldest that the vendor keeps, whatever the first sync began with."""
    now = datetime(2026, 3, 15, tzinfo=UTC)
    given = {"project_id": "p", "api_key": "k", "retention_days": 90}
    paragon = systems.find("paragon")

    def month(**more: Any) -> str:
        return first_month(build(paragon, given | more), now).strftime("%Y-%m")

    assert month() == month(start_date="2026-03-01") == "2025-12"
    assert month(start_date="2025-06-15") == "2025-06"
    assert month(retention_days=0) == "2025-03"
