"""A sync that is killed at any instant loses at most the commit under way, and the next one goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.killed_runs import contents, kill_first_runs
from tests.support.place import INTEGRATIONS, PERFECT, Place, differences

NOW = "2026-09-04T12:00:00+00:00"
COMMIT = 1_000
"""The most requests that one commit of details holds."""


def killed_again_and_again(folder: Path, kills: int, executions: int, longest_s: float) -> None:
    with SandboxProcess(executions=executions, seed=31, freeze=True, latency_ms=1) as sandbox:
        quiet, harried = folder / "quiet", folder / "harried"
        quiet.mkdir()
        harried.mkdir()
        undisturbed = Place(quiet, sandbox, integrations=INTEGRATIONS)
        undisturbed.quick_sync()
        needed = sandbox.counters()
        sandbox.reset_counters()
        place = Place(harried, sandbox, integrations=INTEGRATIONS)
        rng = random.Random(5)
        for _ in range(kills):
            process = place.start("sync", "paragon")
            time.sleep(rng.uniform(0.5, longest_s))
            process.kill()
            process.communicate()
        place.quick_sync()
        spent = sandbox.counters()
        assert differences(place, sandbox) == PERFECT
        assert contents(place) == contents(undisturbed)
        for kind in ("execution", "payload"):
            assert spent[kind] <= needed[kind] + kills * COMMIT
        place.quick_sync()
        assert place.query("SELECT count(*) FROM paragon.sync_runs WHERE outcome = 'running'") == [(0,)]
        working = [
            path for path in (harried / "dlt").rglob("*") if path.parent.name in ("loaded", "normalize")
        ]
        assert len(working) <= 20 + 2


@pytest.mark.torture
def test_killed_at_random_instants(tmp_path: Path) -> None:
    """After kills at random instants and one more sync all tables equal those of an undisturbed sync."""
    killed_again_and_again(tmp_path, kills=1, executions=100, longest_s=1.5)


@pytest.mark.torture
def test_killed_at_fifty_random_instants(tmp_path: Path) -> None:
    """The same, fifty times."""
    killed_again_and_again(tmp_path, kills=50, executions=12_000, longest_s=9)


SYNC = ("sync", "paragon")
BACKFILL = ("backfill", "paragon", "--from", "2026-09-01", "--to", "2026-09-03")


def first_runs_killed(
    folder: Path, words: Sequence[str], *, kills: int, seed: int, executions: int = 60
) -> None:
    with SandboxProcess(executions=executions, seed=31, days=3, now=NOW, freeze=True) as sandbox:

        def make(name: str) -> Place:
            (folder / name).mkdir()
            return Place(folder / name, sandbox, integrations=None, payloads="all")

        kill_first_runs(make, words, kills=kills, seed=seed, dataset=lambda _: "paragon")


@pytest.mark.parametrize(
    "words", [SYNC, pytest.param(BACKFILL, marks=pytest.mark.torture)], ids=["sync", "backfill"]
)
def test_first_runs_that_are_killed_from_their_first_instant_on(tmp_path: Path, words: Sequence[str]) -> None:
    """The same command goes on without help, and all tables equal those of an undisturbed run."""
    first_runs_killed(tmp_path, words, kills=1, seed=1, executions=20)


@pytest.mark.torture
@pytest.mark.parametrize(("words", "kills"), [(SYNC, 200), (BACKFILL, 100)], ids=["sync", "backfill"])
def test_three_hundred_first_runs_killed(tmp_path: Path, words: Sequence[str], kills: int) -> None:
    """The same, three hundred times."""
    first_runs_killed(tmp_path, words, kills=kills, seed=2)
