"""Writes a DuckDB file anew, so that nothing is left of rows that were deleted.

DuckDB neither overwrites the blocks that deleted rows leave nor gives them back: their bytes stay in the file.
https://duckdb.org/docs/stable/operations_manual/footprint_of_duckdb/reclaiming_space
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from dlt.destinations.exceptions import DatabaseException

from ...core.errors import WarehouseUnavailable
from ...warehouse.sql_text import quoted_name, quoted_text
from .duckdb_storage import DEFAULT

_COPY = "task_history_copy"
"""The name under which the new file is attached."""


def rewrite(client: Any, file: Path) -> None:
    """Replaces the file that ``client`` has open, and that is checkpointed, by a copy of what it holds.

    It is the old file or the new one at any moment, each of them whole. Then the client has the new file open.

    Raises:
        WarehouseUnavailable: there is no room for a copy, or DuckDB cannot copy something in the file.
    """
    file = file.resolve()
    log = Path(f"{file}.wal")
    copy = file.with_name(f".{file.name}.copy")
    _remove(copy)
    if log.exists() and log.stat().st_size:
        raise WarehouseUnavailable(
            f"{file} could not be written anew: its write-ahead log is not empty, as something else uses the connection. "
            "The rows are deleted, and their bytes may still be in the file. Run the same command again."
        )
    try:
        _check_room(file)
        _copy(client, copy)
        mode = file.stat()
        copy.chmod(mode.st_mode & 0o7777)
        with suppress(OSError):
            os.chown(copy, mode.st_uid, mode.st_gid)
        # The file is still open and locked: no other process writes to it between the copy and its new name.
        _sync(copy)
        copy.replace(file)
        _sync(file.parent)
    except (DatabaseException, duckdb.Error, OSError) as error:
        raise WarehouseUnavailable(
            f"{file} could not be written anew: {str(error).splitlines()[0]}. The rows are deleted, and their bytes may "
            "still be in the file. Remove the cause and run the same command again."
        ) from error
    finally:
        # What follows reads the new file, with the settings of a run.
        client.close_connection()
        client.open_connection()
        _remove(copy)


def _check_room(file: Path) -> None:
    """Raises OSError where the file's folder has less room than the file takes."""
    free, size = shutil.disk_usage(file.parent).free, file.stat().st_size
    if free < size:
        raise OSError(errno.ENOSPC, f"a copy may take {size:,} bytes, and {free:,} are free in {file.parent}")


def _copy(client: Any, copy: Path) -> None:
    ((name, tags),) = client.execute_sql(
        "SELECT database_name, tags FROM duckdb_databases() WHERE database_name = current_database()"
    )
    version = str((tags or {}).get("storage_version", DEFAULT)).removesuffix("+")
    attached = quoted_name(_COPY)
    # As much memory as there is: a copy holds more than the commit of a run.
    client.execute_sql("RESET GLOBAL memory_limit")
    client.execute_sql(
        f"ATTACH {quoted_text(str(copy))} AS {attached} (STORAGE_VERSION {quoted_text(version)})"
    )
    try:
        client.execute_sql(f"COPY FROM DATABASE {quoted_name(str(name))} TO {attached}")
        client.execute_sql(f"CHECKPOINT {attached}")
    finally:
        client.execute_sql(f"DETACH {attached}")


def _sync(path: Path) -> None:
    """Waits until the file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(copy: Path) -> None:
    for path in (copy, Path(f"{copy}.wal")):
        path.unlink(missing_ok=True)
