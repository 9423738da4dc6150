"""When a run of another machine counts as active."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from task_history.core import lock_timeouts
from task_history.core.commit_limits import CommitLimits
from task_history.core.errors import AlreadyRunning
from task_history.load.destinations.base import Backend
from task_history.load.destinations.bigquery import BigQueryBackend
from task_history.load.destinations.postgres_and_others import OtherBackend
from task_history.runs.run_lock import check_any_machine, check_other_machines

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


def _run(ago: timedelta) -> dict[str, object]:
    return {"command": "sync", "host": "elsewhere", "written_at": NOW - ago, "lock_file": "/run.lock"}


@pytest.mark.parametrize("warehouse", [Backend, OtherBackend, BigQueryBackend])
def test_a_run_that_still_commits_counts_as_active(warehouse: type[Backend]) -> None:
    """By each warehouse's commits a run of another machine counts as active from one to the next, and not for ever."""
    commits = warehouse.commits
    between = timedelta(seconds=1.5 * commits.seconds)
    with pytest.raises(AlreadyRunning, match="elsewhere"):
        check_other_machines([_run(between)], "sync", NOW, commits)
    with pytest.raises(AlreadyRunning, match="elsewhere"):
        check_any_machine([_run(between)], [], NOW, commits)
    longest = commits.seconds + max(commits.seconds, lock_timeouts.FILE_WAIT_OF_RUN_WITH_ROWS_S)
    check_any_machine([_run(timedelta(seconds=longest))], [], NOW, commits)


def test_the_message_says_when_the_command_goes_on() -> None:
    """The error names the machine, its last commit, and after how many seconds a killed run no longer counts."""
    with pytest.raises(AlreadyRunning, match=r"at 11:59:50 UTC.*goes on 210 s after"):
        check_other_machines([_run(timedelta(seconds=10))], "sync", NOW, CommitLimits(seconds=90))
    check_other_machines([_run(timedelta(seconds=10))], "audit", NOW, CommitLimits(seconds=90))
