"""How long locks are held and waited for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from task_history.core import lock_timeouts
from task_history.core.commit_limits import CommitLimits
from task_history.core.errors import AlreadyRunning
from task_history.runs.run_lock import check_other_machines


def test_a_file_is_given_away_before_any_process_gives_up() -> None:
    """A process that has a DuckDB file open closes it sooner than the least patient process stops waiting for it."""
    held = max(lock_timeouts.FILE_OPEN_OF_RUN_S, lock_timeouts.FILE_OPEN_OF_ACCOUNTS_S)
    waits = (
        lock_timeouts.FILE_WAIT_OF_RUN_S,
        lock_timeouts.FILE_WAIT_OF_RUN_WITH_ROWS_S,
        lock_timeouts.FILE_WAIT_OF_READER_S,
    )
    assert held + 1 <= min(waits)


def test_a_run_that_waits_for_the_file_counts_as_active() -> None:
    """Another machine takes a run for killed only after the longest time that it waits without a commit."""
    now = datetime(2026, 9, 1, tzinfo=UTC)
    waits = timedelta(seconds=lock_timeouts.FILE_WAIT_OF_RUN_WITH_ROWS_S)
    limits = CommitLimits()
    silent = waits + timedelta(seconds=limits.seconds)
    run = {"command": "sync", "host": "another-machine", "written_at": now - silent + timedelta(seconds=1)}
    with pytest.raises(AlreadyRunning):
        check_other_machines([run], "sync", now, limits)
    check_other_machines([run], "sync", now + timedelta(seconds=2), limits)
