"""A sync that is killed at any instant loses at most the commit in hand, and the next one goes on."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import PERFECT, Place, differences

TABLES = {
    "workflow_executions": "id, user_id, workflow_id, status, date_started, date_ended, run_duration, task_count",
    "step_executions": "id, workflow_execution_id, step_id, type, status, date_started, date_ended, next, prev",
    "step_payloads": "step_execution_id, workflow_execution_id, input, output, redactions, outcome",
    "execution_details": "id, outcome, steps, run_duration, date_started",
    "workflows": "workflow_id, integration",
}
COMMIT = 1_000
"""The most requests that one commit of details holds."""


def _contents(place: Place) -> dict[str, Counter[tuple[Any, ...]]]:
    return {
        table: Counter(place.query(f"SELECT {columns} FROM paragon.{table}"))
        for table, columns in TABLES.items()
    }


def killed_again_and_again(folder: Path, kills: int, executions: int, longest_s: float) -> None:
    with SandboxProcess(executions=executions, seed=31, freeze=True, latency_ms=1) as sandbox:
        quiet, harried = folder / "quiet", folder / "harried"
        quiet.mkdir()
        harried.mkdir()
        undisturbed = Place(quiet, sandbox)
        undisturbed.sync()
        needed = sandbox.counters()
        sandbox.reset_counters()
        place = Place(harried, sandbox)
        rng = random.Random(5)
        for _ in range(kills):
            process = place.start("sync", "paragon")
            time.sleep(rng.uniform(0.5, longest_s))
            process.kill()
            process.communicate()
        place.sync()
        spent = sandbox.counters()
        assert differences(place, sandbox) == PERFECT
        assert _contents(place) == _contents(undisturbed)
        for kind in ("execution", "payload"):
            assert spent[kind] <= needed[kind] + kills * COMMIT
        place.sync()
        assert place.query("SELECT count(*) FROM paragon.sync_runs WHERE outcome = 'running'") == [(0,)]
        working = [
            path for path in (harried / "dlt").rglob("*") if path.parent.name in ("loaded", "normalize")
        ]
        assert len(working) <= 20 + 2


def test_killed_at_random_instants(tmp_path: Path) -> None:
    """After kills at random instants and one more sync all tables equal those of an undisturbed sync."""
    killed_again_and_again(tmp_path, kills=4, executions=700, longest_s=5)


@pytest.mark.torture
def test_killed_at_fifty_random_instants(tmp_path: Path) -> None:
    """The same, fifty times."""
    killed_again_and_again(tmp_path, kills=50, executions=12_000, longest_s=9)
