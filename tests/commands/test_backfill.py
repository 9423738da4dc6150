"""A backfill loads a range once, beside the live sync, and goes on where it was killed."""

from __future__ import annotations

import json
import math
import random
import signal
import time
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.promises.test_resumable import COMMIT
from tests.support.killed_runs import contents
from tests.support.place import Place, truth
from tests.support.torture import rest_as_torture

MONTH = ("--from", "2026-09-01", "--to", "2026-10-01")
NOW = "2026-10-20T12:00:00+00:00"


def inside(
    rows: dict[str, dict[str, Any]], start: str = "2026-09-01", end: str = "2026-10-01"
) -> dict[str, Any]:
    """The executions that began in the range."""
    return {key: row for key, row in rows.items() if start <= row["dateStarted"] < end}


def backfill(place: Place, *words: str, expect: int | None = 0) -> dict[str, Any]:
    done = place.run("backfill", "paragon", "--json", *words, expect=expect)
    found: dict[str, Any] = json.loads(done.stdout)
    found["stderr"] = done.stderr
    return found


def live_state(place: Place) -> list[tuple[Any, ...]]:
    """What the warehouse keeps of the live sync's state, cursor included."""
    return place.query(
        "SELECT version, state FROM paragon._dlt_pipeline_state WHERE pipeline_name = 'task_history_paragon' ORDER BY 1"
    )


def test_a_month_equals_the_truth_and_the_live_cursor_stays(tmp_path: Path) -> None:
    """The month is complete in every field at one request a page; state and cursor of the sync are untouched."""
    with SandboxProcess(executions=1_500, seed=61, days=75, now=NOW, freeze=True) as sandbox:
        place = Place(
            tmp_path, sandbox, steps="failed", start_date="2026-10-15", integrations=None, retention_days=0
        )
        place.quick_sync()
        before = live_state(place)
        sandbox.reset_counters()
        result = backfill(place, *MONTH)
        right = inside(truth(sandbox))
        assert inside(place.executions()) == right
        assert sandbox.counters()["list"] <= 1.02 * math.ceil(len(right) / 100) + 5
        assert live_state(place) == before
        assert result["complete"]
        assert result["not_covered"] == []
        assert sandbox.counters()["reads_more_than_once"] == []
        failed = {key for key, row in right.items() if row["status"] == "FAILED"}
        details = {
            row[0]
            for row in place.query(
                "SELECT id FROM paragon.execution_details WHERE date_started < '2026-10-01'"
            )
        }
        assert details == failed


def test_days_that_a_backfill_did_not_verify_are_compared_again(tmp_path: Path) -> None:
    """330 rows of one instant lie deeper than the vendor goes; once it goes deeper, the same backfill has them all."""
    with SandboxProcess(
        executions=500, seed=3, days=3, now=NOW, freeze=True, tie_burst=330, switch={"max_offset": 150}
    ) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", payloads="none", integrations=None, retention_days=0)
        words = ("--from", NOW[:8] + "01", "--to", NOW[:10])
        result = backfill(place, *words)
        assert not result["complete"]
        assert result["unverified_windows"]
        sandbox.switches(max_offset=None)
        result = backfill(place, *words)
        assert (result["complete"], result["unverified_windows"]) == (True, 0)
        assert place.query("SELECT bool_and(is_verified) FROM paragon.coverage") == [(True,)]
        # What is open is looked at again.
        assert backfill(place, *words)["requests"] <= 1


def test_what_is_covered_is_not_asked_for_again(tmp_path: Path) -> None:
    """A second backfill, also from a machine that knows nothing, sends no request; a wider one lists the rest only."""
    with SandboxProcess(executions=800, seed=62, days=75, now=NOW, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None, retention_days=0)
        backfill(place, *MONTH)
        place.env["DLT_DATA_DIR"] = str(tmp_path / "another_machine")
        sandbox.reset_counters()
        again = backfill(place, *MONTH)
        assert again["requests"] == 0
        assert "covered" in again["stderr"]
        backfill(place, "--from", "2026-08-25", "--to", "2026-10-05")
        asked = [request["target"] for request in sandbox.requests()]
        assert not any("afterDate=2026-09-1" in target or "afterDate=2026-09-2" in target for target in asked)
        assert inside(place.executions(), "2026-08-25", "2026-10-05") == inside(
            truth(sandbox), "2026-08-25", "2026-10-05"
        )


def test_filters_load_only_what_they_name_and_are_covered_apart(tmp_path: Path) -> None:
    """What was loaded under filters is no whole coverage; the whole range loaded later completes it."""
    with SandboxProcess(executions=1_000, seed=63, days=75, now=NOW, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None, retention_days=0)
        result = backfill(place, *MONTH, "--status", "FAILED", "--integration", "slack", "--steps", "failed")
        right = inside(truth(sandbox))
        held = place.executions()
        assert 0 < len(held) < sum(row["status"] == "FAILED" for row in right.values())
        assert all(row["status"] == "FAILED" for row in held.values())
        assert result["steps"] > 0
        assert place.query("SELECT DISTINCT integration FROM paragon.workflows") == [("slack",)]
        assert {row[0] for row in place.query("SELECT filters FROM paragon.coverage")} == {
            "integration=slack&status=FAILED"
        }
        backfill(place, *MONTH)
        assert inside(place.executions()) == right
        assert backfill(place, *MONTH, "--status", "DELAYED")["requests_by_kind"].get("list", 0) == 0


def test_a_month_of_a_zone_begins_at_its_midnight(tmp_path: Path) -> None:
    """``--timezone`` moves the month's bounds, across a change of the clocks."""
    with SandboxProcess(executions=600, seed=64, days=75, now=NOW, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None, retention_days=0)
        found = backfill(place, "--month", "2026-09", "--timezone", "Europe/Berlin")
        assert found["range"]["from"] == "2026-08-31T22:00:00Z"
        assert found["range"]["until"] == "2026-09-30T22:00:00Z"
        expected = inside(truth(sandbox), "2026-08-31T22:00", "2026-09-30T22:00")
        assert place.executions() == expected


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "future": (("--month", "2036-01"), "has not happened yet"),
    "reversed": (("--from", "2026-09-10", "--to", "2026-09-01"), "not before"),
    "empty": (("--from", "2026-09-10", "--to", "2026-09-10"), "excluded"),
    "purged": (("--month", "2020-01"), "purged"),
    "zone": (("--month", "2026-09", "--timezone", "Europe/Berln"), "Europe/Berlin"),
    "no_month": (("--month", "2026-13"), "2026-09"),
    "no_day": (("--from", "soon", "--to", "2026-09-01"), "2026-09-01"),
    "both": (("--month", "2026-09", "--from", "2026-09-01"), "not both"),
    "none": ((), "--month 2026-09"),
    "half": (("--from", "2026-09-01"), "--to"),
}


@pytest.mark.parametrize("name", WRONG, ids=str)
def test_ranges_that_cannot_be_are_explained(tmp_path: Path, name: str) -> None:
    """A range that makes no sense ends with exit code 2 and what to do, before a request is sent."""
    words, advice = WRONG[name]
    place = Place(tmp_path, None, base_url="http://127.0.0.1:9", api_key="k" * 10, project_id="p")
    for command in ("backfill", "plan", "audit"):
        assert advice in place.run(command, "paragon", *words, expect=2).stderr


CHANGING: dict[str, dict[str, Any]] = {
    "purge": {"purge_while_paging": 3},
    "insert_newest_first": {"insert_late_while_paging": 2, "ignore_sort": True},
    "both": {"purge_while_paging": 3, "insert_late_while_paging": 2},
}


@pytest.mark.parametrize(
    ("name", "executions"),
    rest_as_torture(product(CHANGING, (2_500, 4_000, 12_000)), kept=[("purge", 2_500)]),
)
def test_purged_and_inserted_while_paging(tmp_path: Path, name: str, executions: int) -> None:
    """The oldest vanish, or 40 late ones appear all over the range while it is read: no row that lives is missed."""
    with SandboxProcess(
        executions=executions, seed=65, days=75, now=NOW, freeze=True, switch=CHANGING[name]
    ) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None, retention_days=0)
        pages = math.ceil(len(inside(truth(sandbox), "2026-08-01", "2026-10-15")) / 100)
        backfill(place, "--from", "2026-08-01", "--to", "2026-10-15")
        spent = sandbox.counters()["list"]
        sandbox.switches(purge_while_paging=0, insert_late_while_paging=0)
        held, right = place.executions(), inside(truth(sandbox), "2026-08-01", "2026-10-15")
        assert right.keys() - held.keys() == set()
        if name == "purge":
            # Finding where the oldest went costs about the same however long the range is.
            assert spent <= 1.03 * pages + 12


def _killed(folder: Path, kills: int, executions: int, longest_s: float) -> None:
    words = (*MONTH, "--steps", "failed", "--payloads", "failed")
    with SandboxProcess(
        executions=executions, seed=71, days=75, now=NOW, freeze=True, latency_ms=1
    ) as sandbox:
        quiet, harried = folder / "quiet", folder / "harried"
        quiet.mkdir()
        harried.mkdir()
        undisturbed = Place(quiet, sandbox, retention_days=0)
        backfill(undisturbed, *words)
        needed = sandbox.counters()
        sandbox.reset_counters()
        place = Place(harried, sandbox, retention_days=0)
        rng = random.Random(5)
        for _ in range(kills):
            process = place.start("backfill", "paragon", *words)
            time.sleep(rng.uniform(0.5, longest_s))
            process.kill()
            process.communicate()
        backfill(place, *words)
        spent = sandbox.counters()
        assert contents(place) == contents(undisturbed)
        for kind in ("execution", "payload"):
            assert spent[kind] <= needed[kind] + kills * COMMIT
        assert spent["list"] <= needed["list"] * 1.05 + kills * 110


def test_killed_at_random_instants(tmp_path: Path) -> None:
    """After kills at random instants and one more run all tables equal those of an undisturbed backfill."""
    _killed(tmp_path, kills=1, executions=200, longest_s=1.5)


@pytest.mark.torture
def test_killed_at_a_hundred_random_instants(tmp_path: Path) -> None:
    """The same, a hundred times."""
    _killed(tmp_path, kills=100, executions=40_000, longest_s=9)


@pytest.mark.torture
def test_a_month_of_a_hundred_thousand(tmp_path: Path) -> None:
    """A month of 100,000 executions takes one request a page and 2 %, and equals the truth."""
    with SandboxProcess(executions=250_000, seed=72, days=75, now=NOW, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None, retention_days=0)
        backfill(place, *MONTH)
        right = inside(truth(sandbox))
        assert len(right) > 95_000
        assert sandbox.counters()["list"] <= 1.02 * math.ceil(len(right) / 100) + 5
        assert inside(place.executions()) == right


@pytest.mark.torture
def test_a_sync_and_a_backfill_write_side_by_side(tmp_path: Path) -> None:
    """Both run at once into one file: both complete, nothing is read twice, everything is right."""
    _side_by_side(tmp_path, executions=100, latency_ms=60)


@pytest.mark.torture
def test_a_sync_and_a_long_backfill_write_side_by_side(tmp_path: Path) -> None:
    """The same with more to do."""
    _side_by_side(tmp_path, executions=9_000, latency_ms=2)


def _side_by_side(tmp_path: Path, *, executions: int, latency_ms: int) -> None:
    with SandboxProcess(
        executions=executions, seed=66, days=75, now=NOW, freeze=True, latency_ms=latency_ms
    ) as sandbox:
        place = Place(tmp_path, sandbox, start_date="2026-10-10", integrations=None, retention_days=0)
        place.sync("--max-requests", "1")
        old = place.start("backfill", "paragon", *MONTH)
        new = place.start("sync", "paragon")
        for process in (new, old):
            _, told = process.communicate(timeout=200)
            assert process.returncode == 0, told[-2000:]
        right, held = truth(sandbox), place.executions()
        assert inside(held) == inside(right)
        assert inside(held, "2026-10-10", "2027") == inside(right, "2026-10-10", "2027")
        assert sandbox.counters()["reads_more_than_once"] == []


def test_a_run_that_ends_by_an_unexpected_error_says_so_in_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And marks one that was killed as interrupted, though it commits nothing else itself."""
    from task_history.runs import common_phases

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault")

    with SandboxProcess(executions=200, days=10, now=NOW, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, start_date="2026-10-18", integrations=None, retention_days=0)
        days = ("--from", "2026-10-14", "--to", "2026-10-15")
        backfill(place, *days)
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "INSERT INTO paragon.sync_runs SELECT * REPLACE ('killed' AS run_id, 'running' AS outcome, "
                "NULL AS ended_at, NULL AS is_complete) FROM paragon.sync_runs WHERE command = 'backfill'"
            )
        monkeypatch.setattr(common_phases, "settle_open_executions", fails)
        place.run("backfill", "paragon", *days, expect=1)
    outcomes = place.query(
        "SELECT outcome, run_id = 'killed', reason FROM paragon.sync_runs WHERE command = 'backfill'"
    )
    assert sorted(outcomes, key=str) == [
        ("complete", False, None),
        ("failed", False, "RuntimeError: a fault"),
        ("interrupted", True, None),
    ]


def test_a_backfill_of_another_range_waits(tmp_path: Path) -> None:
    """It begins when the first has ended, and both ranges are loaded; one of the same range is refused."""
    with SandboxProcess(executions=500, seed=71, days=75, now=NOW, freeze=True, latency_ms=60) as sandbox:
        place = Place(tmp_path, sandbox, steps="none", integrations=None, retention_days=0)
        later = ("backfill", "paragon", "--from", "2026-10-01", "--to", "2026-10-10")
        first = place.start("backfill", "paragon", *MONTH)
        lock = tmp_path / "dlt" / "pipelines"
        while not any(" to " in path.read_text() for path in lock.glob("*/*_backfill.lock")):
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)
        refused = place.run("backfill", "paragon", *MONTH, expect=5)
        assert "it does what this one would do" in refused.stderr
        stopped = place.run(*later, "--max-minutes", "0.05")
        assert "Stopped: --max-minutes reached" in stopped.stderr
        second = place.start(*later)
        assert second.stderr is not None
        while "waiting_for_run" not in (line := second.stderr.readline()):
            assert line
        assert "backfill 2026-09-01T00:00:00+00:00 to 2026-10-01T00:00:00+00:00" in line
        first.send_signal(signal.SIGCONT)
        for process in (first, second):
            _, told = process.communicate(timeout=300)
            assert process.returncode == 0, told
        assert place.executions() == inside(truth(sandbox), "2026-09-01", "2026-10-10")
