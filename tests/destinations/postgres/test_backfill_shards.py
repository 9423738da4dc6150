"""A backfill in several processes: each day is read by one of them, and the end is that of one backfill."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from task_history.core.exit_codes import ExitCode
from task_history_cli.sandbox.process import SandboxProcess
from tests.commands.test_fleet import running_workers
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import MONTH, NOW, ON_POSTGRES, PostgresPlace
from tests.support.place import Place, truth

WHOLE: dict[str, Any] = {"days": 75, "now": NOW, "freeze": True}
FIVE_DAYS = ("--from", "2026-09-01", "--to", "2026-09-06")
"""As much of the month as shows the promise: each day is a commit in each test."""
TWO_DAYS = ("--from", "2026-09-01", "--to", "2026-09-03")
SETTINGS: dict[str, Any] = {"payloads": "none", "integrations": None, "retention_days": 0}


class LoadingPlace(PostgresPlace):
    """One whose processes make no views: what they load is the promise."""

    makes_views = False


def inside(rows: dict[str, dict[str, Any]], *, days: int) -> dict[str, Any]:
    """The executions that began in the first days of September."""
    end = f"{datetime(2026, 9, 1, tzinfo=UTC) + timedelta(days=days):%Y-%m-%d}"
    return {key: row for key, row in rows.items() if "2026-09-01" <= row["dateStarted"] < end}


def start(place: Place, *words: str) -> subprocess.Popen[str]:
    return place.start("backfill", "paragon", "--json", *ON_POSTGRES, *words)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a command printed with --json; fails when it did not end well."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def wait_for_requests(sandbox: SandboxProcess, number: int) -> None:
    end = time.monotonic() + 120
    while len(sandbox.requests()) < number:
        assert time.monotonic() < end, "nobody works"
        time.sleep(0.05)


def check_days(place: PostgresPlace, sandbox: SandboxProcess, *, days: int = 5) -> None:
    """The first days of September are complete in every field, each is covered once, and each detail is there."""
    right = inside(truth(sandbox), days=days)
    assert right
    assert place.executions() == right
    assert place.query(
        "SELECT count(*), count(DISTINCT day), bool_and(is_verified) FROM paragon.coverage"
    ) == [(days, days, True)]
    assert {row[0] for row in place.query("SELECT id FROM paragon.execution_details")} == set(right)


@pytest.mark.parametrize(
    ("words", "days", "shards", "executions"),
    [(TWO_DAYS, 2, 2, 1_500), pytest.param(MONTH, 30, 3, 4_000, marks=pytest.mark.torture)],
)
def test_shards_share_the_days_of_a_range(
    tmp_path: Path, postgres: Server, words: tuple[str, ...], days: int, shards: int, executions: int
) -> None:
    """Several processes: the range is complete, nothing was read twice, and a later backfill finds nothing to do."""
    with SandboxProcess(executions=executions, seed=61, **WHOLE) as sandbox:
        place = LoadingPlace(tmp_path, sandbox, postgres, **SETTINGS)
        result = ended(start(place, *words, "--shards", str(shards)))
        check_days(place, sandbox, days=days)
        assert (result["complete"], result["not_covered"]) == (True, [])
        assert [shard["exit_code"] for shard in result["shards"]] == [0] * shards
        right = inside(truth(sandbox), days=days)
        assert result["executions"] == len(right)
        counters = sandbox.counters()
        assert counters["reads_more_than_once"] == []
        # A page more for each of the days, and one that compares, at most.
        assert counters["list"] <= math.ceil(len(right) / 100) + 2 * days
        assert ended(start(place, *words))["requests"] <= 1


def test_days_of_a_shard_that_is_killed_are_taken_by_another(tmp_path: Path, postgres: Server) -> None:
    """SIGKILL of one process amid the work: the command ends well and the range is complete."""
    with SandboxProcess(executions=1_500, seed=62, latency_ms=50, **WHOLE) as sandbox:
        place = LoadingPlace(tmp_path, sandbox, postgres, **SETTINGS)
        process = start(place, *FIVE_DAYS, "--shards", "2")
        wait_for_requests(sandbox, 40)
        os.kill(running_workers(process.pid)[0], signal.SIGKILL)
        result = ended(process)
        assert result["complete"]
        assert [shard["exit_code"] for shard in result["shards"]].count(None) == 1
        check_days(place, sandbox)


@pytest.mark.torture
def test_two_machines_share_a_range(tmp_path: Path, postgres: Server) -> None:
    """Two working folders and one Postgres: each day is loaded by one of them; a machine that is killed holds up none."""
    with SandboxProcess(executions=1_500, seed=65, latency_ms=50, **WHOLE) as sandbox:
        places = []
        for name in ("a", "b", "c"):
            (tmp_path / name).mkdir()
            place = LoadingPlace(tmp_path / name, sandbox, postgres, **SETTINGS)
            place.env["TASK_HISTORY_STATE"] = postgres.url
            places.append(place)
        running = [start(place, *FIVE_DAYS, "--shards", "1") for place in places]
        wait_for_requests(sandbox, 40)
        running[0].kill()
        running[0].communicate()
        found = [ended(process) for process in running[1:]]
        assert [one["complete"] for one in found] == [True, True]
        assert all(one["executions"] for one in found)
        check_days(places[1], sandbox)


def test_the_shared_state_holds_no_user(tmp_path: Path, postgres: Server) -> None:
    """A shard of one user's executions leaves marks without that user's name, and removes those of earlier versions."""
    with SandboxProcess(executions=200, seed=68, **WHOLE) as sandbox:
        place = LoadingPlace(tmp_path, sandbox, postgres, **SETTINGS)
        place.env["TASK_HISTORY_STATE"] = postgres.url
        ended(start(place, *TWO_DAYS, "--shards", "1"))
        place.execute(
            "INSERT INTO task_history_state.marks SELECT 'warehouse/backfill user=' || name, mark, written "
            "FROM task_history_state.marks"
        )
        user = min(row["userId"] for row in inside(truth(sandbox), days=2).values() if row.get("userId"))
        ended(start(place, *TWO_DAYS, "--shards", "1", "--user", user))
        marks = place.query("SELECT name, mark FROM task_history_state.marks")
    assert marks
    assert not [texts for texts in marks if user in str(texts) or "user=" in str(texts)]


def test_two_backfills_of_different_ranges_run_at_once(tmp_path: Path, postgres: Server) -> None:
    """Two ranges of one account side by side: both end well, and both are complete."""
    with SandboxProcess(executions=400, seed=63, latency_ms=50, **WHOLE) as sandbox:
        place = LoadingPlace(tmp_path, sandbox, postgres, **SETTINGS)
        ranges = (
            ("--from", "2026-09-01", "--to", "2026-09-02"),
            ("--from", "2026-09-02", "--to", "2026-09-03"),
        )
        running = [start(place, *words, "--shards", "1") for words in ranges]
        assert [ended(process)["complete"] for process in running] == [True, True]
        check_days(place, sandbox, days=2)


def test_a_second_backfill_of_the_same_range_is_told_so(tmp_path: Path, postgres: Server) -> None:
    """While one loads a range, another one of it ends with exit code 5 and sends nothing."""
    with SandboxProcess(executions=1_000, seed=64, latency_ms=200, **WHOLE) as sandbox:
        place = LoadingPlace(tmp_path, sandbox, postgres, **SETTINGS)
        place.env["TASK_HISTORY_STATE"] = postgres.url
        first = start(place, *MONTH)
        wait_for_requests(sandbox, 1)
        second = place.run_process("backfill", "paragon", *ON_POSTGRES, *MONTH)
        assert second.returncode == ExitCode.ALREADY_RUNNING, second.stderr
        assert f"process {first.pid}" in second.stderr
        assert first.poll() is None
        first.terminate()
        first.communicate(timeout=60)
        assert first.returncode == 0


@pytest.mark.torture
def test_two_machines_never_sync_one_account_at_once(tmp_path: Path, postgres: Server) -> None:
    """While one machine syncs, another one is told so; once the first is killed it works."""
    with SandboxProcess(executions=500, seed=66, latency_ms=200, **WHOLE) as sandbox:
        places = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            place = LoadingPlace(tmp_path / name, sandbox, postgres, **SETTINGS)
            place.env["TASK_HISTORY_STATE"] = postgres.url
            places.append(place)
        first = places[0].start("sync", "paragon", *ON_POSTGRES)
        wait_for_requests(sandbox, 1)
        second = places[1].run_process("sync", "paragon", *ON_POSTGRES)
        assert second.returncode == ExitCode.ALREADY_RUNNING, second.stderr
        assert f"process {first.pid} on" in second.stderr
        first.kill()
        first.communicate()
        third = places[1].run_process("sync", "paragon", *ON_POSTGRES, "--max-requests", "3")
        assert third.returncode == 0, third.stderr


@pytest.mark.parametrize("system", ["twinit", "b3os"])
def test_a_list_without_times_is_not_shared(tmp_path: Path, postgres: Server, system: str) -> None:
    """Where each process would read the whole list, --shards is refused with the reason."""
    with SandboxProcess(system, executions=20, freeze=True) as sandbox:
        place = LoadingPlace(tmp_path, sandbox, postgres, system=system)
        words = ("backfill", system, *MONTH, "--shards", "2", *ON_POSTGRES)
        done = place.run(*words, expect=ExitCode.USAGE)
        assert "does not filter its lists by time" in done.stderr


@pytest.mark.parametrize(("system", "number"), [("paragon", 2), ("sailpoint", 2), ("twinit", 1), ("b3os", 1)])
def test_how_many_backfills_of_an_account_run_at_once(
    tmp_path: Path, postgres: Server, system: str, number: int
) -> None:
    """A scheduler is told: two, but one where each would read whole lists."""
    with SandboxProcess(system, executions=5, freeze=True) as sandbox:
        place = LoadingPlace(tmp_path, sandbox, postgres, system=system)
        (account,) = json.loads(place.run("fleet", "list", "--json", *ON_POSTGRES).stdout)["accounts"]
        assert account["backfills_at_once"] == number


def test_shards_of_duckdb_are_refused(tmp_path: Path) -> None:
    """DuckDB has one writer: --shards says so and names the way out."""
    with SandboxProcess(executions=20, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox)
        done = place.run("backfill", "paragon", *MONTH, "--shards", "2", expect=ExitCode.USAGE)
        assert "one process write at a time" in done.stderr
        assert sandbox.requests() == []
