"""Read-only connections to a DuckDB file, whose SQL can reach nothing but the file's tables; waits for its lock."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from typing import Any

from ..core import lock_timeouts
from ..core.awaited_file import WaitForFile
from ..core.errors import WarehouseUnavailable
from ..core.log import log

_SETTINGS = (
    "GLOBAL TimeZone = 'UTC'",
    "python_enable_replacements = false",
    "enable_external_access = false",
    "lock_configuration = true",
)
"""Settings in order: the time zone must be set before external access is off, everything before the lock."""
_SETTING = Lock()
LOCKED = ("conflicting lock", "could not set lock")
"""What DuckDB says, in small letters, of a file that another process has open."""
OTHER_VERSION = (
    "to read a database file with storage version number",
    "to read a database file with version number",
)
"""What DuckDB 2.x and 1.x say of a file that a newer one made."""


def is_made(file: Path) -> bool:
    """Whether the DuckDB file is there: an empty one is none, as a kill leaves it while DuckDB makes it."""
    return file.exists() and file.stat().st_size > 0


def open_for_reading(file: Path, *, is_locked: bool = True) -> Any:
    """Opens a connection that can read the tables of the file and nothing else; instants are UTC.

    It reads and writes no other file, opens no address, loads no extension and, if ``is_locked``, keeps its settings:
    https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview

    The connection of a run (sync, backfill, audit, replay) is another one: it loads Parquet files and can therefore read
    files. Names and values in its SQL are quoted or bound.

    Raises:
        WarehouseUnavailable: another process keeps the file, or it is no DuckDB file.
    """
    connection = _opened(file)
    with _SETTING:
        # All connections of a process to one file share the settings.
        ((is_done,),) = connection.execute("SELECT current_setting('lock_configuration')").fetchall()
        for setting in () if is_done else _SETTINGS[: None if is_locked else -1]:
            connection.execute(f"SET {setting}")
    return connection


def _opened(file: Path) -> Any:
    """A connection that may be waited for. Raises WarehouseUnavailable."""
    import duckdb

    began = time.monotonic()
    is_logged = False
    with WaitForFile(file) as wait:
        while True:
            try:
                return duckdb.connect(str(file), read_only=True, config={"threads": 2})
            except duckdb.IOException as error:
                waited_s = time.monotonic() - began
                if not _is_locked(error) or waited_s > lock_timeouts.FILE_WAIT_OF_READER_S:
                    raise WarehouseUnavailable(_explained(file, error)) from error
                wait.announce()
                if waited_s > lock_timeouts.FILE_WAIT_LOGGED_S and not is_logged:
                    is_logged = True
                    log.info(
                        "waiting_for_file",
                        reason=str(error).splitlines()[0],
                        seconds=lock_timeouts.FILE_WAIT_OF_READER_S,
                    )
                time.sleep(0.1)
            except duckdb.Error as error:
                raise WarehouseUnavailable(_explained(file, error)) from error


def _is_locked(error: Exception) -> bool:
    return any(sign in str(error).lower() for sign in LOCKED)


def _explained(file: Path, error: Exception) -> str:
    import duckdb

    message = str(error).splitlines()[0]
    if _is_locked(error):
        return (
            f"{file} is open for writing in another process: close it there, or wait for its end. ({message})"
        )
    if any(text in message for text in OTHER_VERSION):
        return (
            f"{file} is intact, but DuckDB {duckdb.__version__} does not read its storage version: upgrade duckdb "
            f"here, or copy the file into one that older versions read, as docs/how-to/other-warehouses.md says. "
            f"({message})"
        )
    return f"{file} cannot be opened as a DuckDB file: name another one, or move it away. ({message})"
