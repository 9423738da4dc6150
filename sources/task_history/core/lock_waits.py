"""How long each lock is waited for, and how often it is tried meanwhile, in seconds."""

from __future__ import annotations

# A DuckDB file, which one process at a time can have open for writing.
FILE_WAIT_OF_RUN_S = 10.0
"""Of a run that has read nothing yet."""
LONG_FILE_WAIT_S = 120.0
"""Of a run once rows could be lost, and of accounts that are synced side by side into one file."""
FILE_WAIT_OF_READER_S = 15.0
"""Of a command that only reads: a sync has the file open while it commits or queries."""
FILE_WAIT_LOGGED_S = 3.0
"""After so long the log says that the file is waited for."""
FILE_POLL_S = 0.05, 0.15
"""A run tries to open the file at a random interval from one to the other."""

# The lock of a run: one at a time per pipeline.
RUN_LOCK_WAIT_S = 0.5
"""Another process may hold it for a moment, to see whether it is held."""
RUN_LOCK_POLL_S = 1.0
"""Of a run that waits for another one with another task."""

NAMED_LOCK_POLL_S = 0.2
"""Of locks that others hold briefly, in files or in Postgres."""
DAYS_POLL_S = 2.0
"""Of the days of a backfill that other runs hold."""
BUDGET_FILE_WAIT_S = 0.25
"""For one attempt at the SQLite file of the budget; a request that waits for a slot tries again."""
