"""How long locks are held and waited for."""

from __future__ import annotations

from task_history.core import lock_waits


def test_a_file_is_given_away_before_any_process_gives_up() -> None:
    """A process that has a DuckDB file open closes it sooner than the least patient process stops waiting for it."""
    held = max(lock_waits.FILE_OPEN_OF_RUN_S, lock_waits.FILE_OPEN_OF_ACCOUNTS_S)
    waits = (
        lock_waits.FILE_WAIT_OF_RUN_S,
        lock_waits.FILE_WAIT_OF_RUN_WITH_ROWS_S,
        lock_waits.FILE_WAIT_OF_READER_S,
    )
    assert held + 1 <= min(waits)
