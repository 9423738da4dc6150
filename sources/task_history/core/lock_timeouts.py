"""Locks, in seconds: how long each is waited for, how often it is tried, and how long a DuckDB file is held open."""

from __future__ import annotations

# A DuckDB file, which one process at a time can have open for writing.
FILE_WAIT_OF_RUN_S = 10.0
"""How long a run waits that has read nothing yet."""
FILE_WAIT_OF_RUN_WITH_ROWS_S = 120.0
"""How long a run waits that has read rows already, and each of several accounts that are synced into one file. A run
of another machine counts as active for longer after its last commit, see ``runs/run_lock``."""
FILE_WAIT_OF_READER_S = 15.0
"""How long a command waits that only reads: a sync has the file open while it commits or queries."""
FILE_OPEN_OF_RUN_S = 4.0
"""How long a run has the file open at most while others may wait: less than any of these waits."""
FILE_IDLE_S = 0.25
"""How long a run has the file open unused, as while it waits for the vendor."""
FILE_OPEN_OF_ACCOUNTS_S = 8.0
"""The same for the process that has it open for the syncs of many accounts, while another one waits."""
FILE_OPEN_OF_UNAWAITED_ACCOUNTS_S = 60.0
"""How long that process has it open at most while none of this project's commands waits: other programs, which can only
try to open the file, get their turn, too."""
FILE_SESSIONS_END_S = 10.0
"""How long the process that has a file open for others waits at its end until they have ended their sessions."""
FILE_WAIT_LOGGED_S = 3.0
"""After this many seconds of waiting the log says that the file is waited for."""
FILE_POLL_S = 0.05, 0.15
"""Minimum and maximum seconds between two attempts of a run to open the file; each pause is random."""

# The lock of a run: one at a time per pipeline.
RUN_LOCK_WAIT_S = 0.5
"""How long a run waits for it: another process may hold it for a moment, only to see whether it is free."""
RUN_LOCK_POLL_S = 1.0
"""How often a run tries that waits until another run, with another task, has ended."""

NAMED_LOCK_POLL_S = 0.2
"""How often a lock with a name of its own, in a file or in Postgres, is tried: others hold it briefly."""
DAYS_POLL_S = 2.0
"""How often a backfill tries the days that other runs hold."""
BUDGET_FILE_WAIT_S = 0.25
"""How long one attempt waits for the SQLite file of the budget; a request that waits for a slot tries again."""
