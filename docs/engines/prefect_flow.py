"""A Prefect flow: the sync of one account as a process, tried again only where that helps."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from prefect import flow, task
from prefect.states import Failed

FOLDER = "/srv/task-history"
UNAVAILABLE, ALREADY_RUNNING = 4, 5


class Unavailable(Exception):
    """The vendor or the warehouse was away: a later attempt may do better."""


def is_worth_another_try(_: Any, __: Any, state: Any) -> bool:
    """Whether the task failed in a way that time mends."""
    return isinstance(state.data, Unavailable) or "Unavailable" in str(state.message)


@task(retries=3, retry_delay_seconds=[60, 120, 240], retry_condition_fn=is_worth_another_try)
def sync(*words: str) -> Any:
    """Runs ``task-history sync`` and returns its result."""
    done = subprocess.run(
        [".venv/bin/task-history", "sync", *words, "--json"], cwd=FOLDER, stdout=subprocess.PIPE, check=False
    )
    result = json.loads(done.stdout or b"{}")
    if done.returncode == UNAVAILABLE:
        raise Unavailable(result.get("error", ""))
    if done.returncode not in (0, ALREADY_RUNNING):
        return Failed(message=result.get("error", f"exit code {done.returncode}"))
    return result


@flow
def task_history(
    accounts: tuple[tuple[str, ...], ...] = (("paragon",), ("paragon", "--instance", "eu")),
) -> None:
    """The sync of each account, side by side."""
    for state in [sync.submit(*words, return_state=True) for words in accounts]:
        state.wait()
