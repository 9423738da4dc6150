"""First runs of a command that are killed at random instants, and what the same command makes of them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.place import Place

TABLES = {
    "workflow_executions": "id, user_id, workflow_id, status, date_started, date_ended, run_duration, task_count",
    "step_executions": "id, workflow_execution_id, step_id, type, status, date_started, date_ended, next, prev",
    "step_payloads": "step_execution_id, workflow_execution_id, input, output, redactions, outcome",
    "execution_details": "id, outcome, steps, run_duration, date_started",
    "workflows": "workflow_id, integration",
    "coverage": "day, lane, filters, executions, is_verified",
}
Contents = dict[str, Counter[tuple[Any, ...]]]
MakePlace = Callable[[str], Place]
"""Makes a place with an empty warehouse, by a name that is its own."""


def contents(place: Place, dataset: str = "paragon") -> Contents:
    """What the warehouse holds, as far as it does not depend on when a run was."""
    return {
        table: Counter(place.query(f"SELECT {columns} FROM {dataset}.{table}"))
        for table, columns in TABLES.items()
    }


def kill_first_runs(
    make: MakePlace, words: Sequence[str], *, kills: int, seed: int, dataset: Callable[[str], str]
) -> None:
    """Kills so many first runs of a command, each in a place of its own, and runs the command again, to its end.

    Instants lie between the start of the process and a third beyond the time that it takes undisturbed. Every third
    run is killed a second time.
    """
    quiet, rng = make("quiet"), random.Random(seed)
    began = time.monotonic()
    done = quiet.run_process(*words)
    longest_s = (time.monotonic() - began) * 4 / 3
    assert done.returncode == 0, done.stderr
    expected = contents(quiet, dataset("quiet"))
    assert expected["workflow_executions"]
    for number in range(kills):
        place = make(f"killed{number}")
        own, waits = dataset(f"killed{number}"), []
        for _ in range(2 if number % 3 == 2 else 1):
            process = place.start(*words)
            waits.append(rng.uniform(0, longest_s))
            time.sleep(waits[-1])
            process.kill()
            process.communicate()
        told = f"run {number} of {' '.join(words)}, killed after {waits} s"
        done = place.run(*words, expect=None)
        assert done.returncode == 0, f"{told}: {done.stderr[-3000:]}"
        assert contents(place, own) == expected, told
        running = place.query(f"SELECT count(*) FROM {own}.sync_runs WHERE outcome = 'running'")
        assert running == [(0,)], told
