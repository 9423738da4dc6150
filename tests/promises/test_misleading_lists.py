"""A list that shows less than it has, once or for long, loses no row silently: what is unverified is mended later."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.misleading_lists import is_outside
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import PERFECT, Place, differences, truth
from tests.support.torture import rest_as_torture

UNVERIFIED = "SELECT count(*) FROM paragon.coverage WHERE NOT is_verified"
_NOW = datetime.now(UTC)
RANGE = ("--from", f"{_NOW - timedelta(days=25):%Y-%m-%d}", "--to", f"{_NOW + timedelta(days=1):%Y-%m-%d}")


def _place(folder: Path, sandbox: SandboxProcess) -> Place:
    return Place(folder, sandbox, steps="none", payloads="none", integrations=None)


def _sandbox(executions: int, *, days: int = 20, **switch: Any) -> SandboxProcess:
    return SandboxProcess(executions=executions, seed=5, days=days, freeze=True, switch=switch)


def _missing(place: Place, sandbox: SandboxProcess) -> set[str]:
    """The executions that lie in windows that are loaded, and are not held."""
    ((end,),) = place.query("SELECT max(window_end) FROM paragon.coverage")
    began = {key: datetime.fromisoformat(row["dateStarted"]) for key, row in truth(sandbox).items()}
    return {key for key, start in began.items() if start < end} - place.executions().keys()


MISLEADING: dict[str, dict[str, Any]] = {
    "empty_in_the_midst": {"total": "absent", "empty_at": 20, "misled_says": "link"},
    "empty_beyond": {"total": "absent", "empty_from": 300},
    "half_and_silent": {"half_at": 20, "misled_says": "nothing"},
    "first_is_empty": {"empty_at": 1, "misled_says": "list"},
    "first_counts_none": {"empty_at": 1, "misled_says": "end"},
}


@pytest.mark.torture
@pytest.mark.parametrize(("command", "switch"), list(product(("sync", "backfill"), MISLEADING)))
def test_an_answer_that_misleads_costs_no_row(tmp_path: Path, command: str, switch: str) -> None:
    """The run has all rows and has verified them."""
    with _sandbox(3_000, **MISLEADING[switch]) as sandbox:
        place = _place(tmp_path, sandbox)
        if command == "sync":
            result = place.quick_sync()
        else:
            result = json.loads(place.run("backfill", "paragon", *RANGE, "--json").stdout)
        assert (result["complete"], result["unverified_windows"]) == (True, 0)
        assert _missing(place, sandbox) == set()


@pytest.mark.parametrize(
    ("command", "executions", "days"),
    rest_as_torture([("sync", 1_200, 20), ("backfill", 1_200, 20), ("sync", 600, 3)], [("sync", 600, 3)]),
)
def test_pages_that_stay_empty_for_long_are_mended_by_later_runs(
    tmp_path: Path, command: str, executions: int, days: int
) -> None:
    """What they hid is unverified and named by the run; later runs of the same command bring and verify it."""
    with _sandbox(executions, days=days, empty_at=3, empty_times=10_000) as sandbox:
        place = _place(tmp_path, sandbox)

        def run() -> dict[str, Any]:
            if command == "sync":
                return place.quick_sync()
            done = place.run("backfill", "paragon", *RANGE, "--json", expect=None)
            assert done.returncode in (0, 10), done.stderr
            result: dict[str, Any] = json.loads(done.stdout)
            return result

        assert run()["unverified_windows"] > 0
        (unverified,) = place.query(UNVERIFIED)[0]
        assert unverified > 0
        sandbox.switches(empty_at=0)
        for _ in range(unverified // 3 + 1):
            result = run()
        assert (result["complete"], result["unverified_windows"]) == (True, 0)
        assert place.query(UNVERIFIED) == [(0,)]
        assert _missing(place, sandbox) == set()


@pytest.mark.torture
def test_a_count_that_is_never_met_stays_unverified_and_costs_a_bounded_number_of_requests(
    tmp_path: Path,
) -> None:
    """All rows come; each sync compares a few days, says that they are not verified, and ends."""
    with _sandbox(3_000, total_added=7) as sandbox:
        place = _place(tmp_path, sandbox)
        first = place.quick_sync()
        assert first["unverified_windows"] > 0
        assert differences(place, sandbox) == PERFECT
        for _ in range(2):
            again = place.quick_sync()
            assert again["unverified_windows"] > 0
            assert again["requests"] <= 150


@pytest.mark.torture
def test_rows_that_began_outside_of_the_window_that_lists_them_are_loaded(tmp_path: Path) -> None:
    """They stand in the warehouse with the instant that the vendor gives, and a second sync changes nothing."""
    with _sandbox(700, outside_share=0.01) as sandbox:
        place = _place(tmp_path, sandbox)
        place.quick_sync()
        outside = {identity for identity in truth(sandbox) if is_outside(identity, 0.01)}
        held = {row[0] for row in place.query("SELECT id FROM paragon.workflow_executions")}
        assert held == truth(sandbox).keys()
        old = place.query("SELECT id FROM paragon.workflow_executions WHERE date_started < '2025-01-01'")
        assert {row[0] for row in old} == outside
        assert outside
        place.quick_sync()
        again = place.query("SELECT id FROM paragon.workflow_executions WHERE date_started < '2025-01-01'")
        assert {row[0] for row in again} == outside
