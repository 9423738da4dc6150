"""A Prefect flow: the syncs of several accounts as processes, side by side, tried again only where that helps.

``python prefect_flow.py`` serves it every hour; ``prefect concurrency-limit create task-history 4`` bounds how many syncs
run at a time over all flow runs.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from prefect import flow, task
from prefect.futures import wait
from prefect.states import Completed, State

FOLDER = "/srv/task-history"
COMMAND = ".venv/bin/task-history"
ACCOUNTS = (("paragon",), ("paragon", "--instance", "eu"))
DONE, UNAVAILABLE, ALREADY_RUNNING = 0, 4, 5
RUNNING: set[subprocess.Popen[bytes]] = set()
"""The commands of this flow run that have not ended."""


class Unavailable(Exception):
    """The vendor or the warehouse was away, or the process was killed: a later attempt may do better."""


def is_worth_another_try(_: Any, __: Any, state: State) -> bool:
    """Whether the task failed in a way that time mends."""
    return isinstance(state.result(raise_on_failure=False), Unavailable)


@task(
    retries=3,
    retry_delay_seconds=[60, 120, 240],
    retry_condition_fn=is_worth_another_try,
    tags=["task-history"],
)
def sync(*words: str) -> Any:
    """Runs ``task-history sync`` and returns its result."""
    code, result = run("sync", *words)
    error = str(result.get("error") or f"exit code {code}")
    if code == ALREADY_RUNNING:
        return Completed(name="Skipped", message=error)
    if code == UNAVAILABLE or code < 0:
        raise Unavailable(error)
    if code != DONE:
        raise RuntimeError(error)
    return result


def run(*words: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the result of a command."""
    # In a session of its own it gets SIGTERM only from the flow.
    with subprocess.Popen(
        [COMMAND, *words, "--json"], cwd=FOLDER, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        RUNNING.add(process)
        try:
            out, _ = process.communicate()
        finally:
            RUNNING.discard(process)
    return process.returncode, json.loads(out or b"{}")


@flow(name="task-history")
def task_history(accounts: tuple[tuple[str, ...], ...] = ACCOUNTS) -> list[State]:
    """The sync of each account, side by side; fails where one of them fails."""
    syncs = [sync.with_options(task_run_name=f"sync {' '.join(words)}").submit(*words) for words in accounts]
    try:
        wait(syncs)
    except BaseException:
        # A cancelled flow run is interrupted here, its tasks are not: each command commits what it has read, and ends.
        for process in tuple(RUNNING):
            process.terminate()
        raise
    return [each.state for each in syncs]


if __name__ == "__main__":
    task_history.serve(name="hourly", cron="0 * * * *", limit=1)
