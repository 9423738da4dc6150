"""A sync into BigQuery that is killed at any instant goes on, and leaves every row once."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlaceWithoutViews
from tests.destinations.bigquery.recorder import Recorder
from tests.support.killed_runs import contents, kill_first_runs
from tests.support.place import PERFECT, differences

WORDS = ("sync", "paragon", "--destination", "bigquery")


def _killed_again_and_again(bigquery: Emulator, folder: Path, *, kills: int, executions: int) -> None:
    with (
        SandboxProcess(executions=executions, seed=31, days=2, freeze=True) as sandbox,
        Recorder(bigquery.url) as quiet,
        Recorder(bigquery.url) as harried,
    ):
        # Of what is killed and goes on, views are made by the processes that are killed alone.
        undisturbed = BigQueryPlaceWithoutViews(folder / "quiet", sandbox, quiet, integrations=None)
        undisturbed.sync()
        needed, sent = sandbox.counters(), len(quiet.requests)
        sandbox.reset_counters()
        place = BigQueryPlaceWithoutViews(folder / "harried", sandbox, harried, integrations=None)
        rng = random.Random(7)
        for _ in range(kills):
            process = place.start(*WORDS)
            at = len(harried.requests) + rng.randrange(1, sent)
            while process.poll() is None and len(harried.requests) < at:
                time.sleep(0.002)
            process.kill()
            process.communicate()
        assert place.sync()["complete"]
        assert contents(place) == contents(undisturbed)
        spent = sandbox.counters()
        for kind in ("execution", "payload"):
            assert spent[kind] <= needed[kind] * (kills + 1)


@pytest.mark.torture
def test_killed_at_twenty_random_requests(bigquery: Emulator, tmp_path: Path) -> None:
    """After kills between any two requests to BigQuery and one more sync, all tables equal those of a quiet one."""
    _killed_again_and_again(bigquery, tmp_path, kills=20, executions=100)


@pytest.mark.torture
def test_twenty_first_runs_that_are_killed_go_on(bigquery: Emulator, tmp_path: Path) -> None:
    """Killed at any instant from its first on, the same command goes on, and all tables equal those of a quiet run."""
    with ExitStack() as stack, SandboxProcess(executions=30, seed=31, days=2, freeze=True) as sandbox:

        def make(name: str) -> BigQueryPlaceWithoutViews:
            recorder = stack.enter_context(Recorder(bigquery.url))
            return BigQueryPlaceWithoutViews(tmp_path / name, sandbox, recorder, integrations=None)

        kill_first_runs(make, WORDS, kills=20, seed=9, dataset=lambda _: "paragon")


def test_killed_between_upload_and_poll(recorder: Recorder, tmp_path: Path) -> None:
    """BigQuery has the file; the sync was killed before the answer. The next is told of the job and loads the rest.

    All executions and steps are as the vendor has them, each once, and no payload is there twice.
    """
    with SandboxProcess(executions=30, seed=3, days=2, freeze=True) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path / "a", sandbox, recorder, integrations=None)
        place.makes_views = False
        held = recorder.add(method="PUT", path="/upload/", text="user_id", holds_answer=True)
        process = place.start(*WORDS)
        assert held.reached.wait(60)
        process.kill()
        process.communicate()
        held.release.set()
        assert place.sync()["complete"]
        assert any(request.status == 409 for request in recorder.requests)
        assert differences(place, sandbox) == PERFECT
        assert place.different_steps(sandbox) == set()
        [(payloads, different)] = place.query(
            "SELECT count(*), count(DISTINCT step_execution_id) FROM paragon.step_payloads"
        )
        assert payloads == different > 0
