"""The storage version of a new DuckDB file, which says which versions of DuckDB can open it.

https://duckdb.org/docs/stable/internals/storage
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

import duckdb

from ...core.errors import ConfigurationError
from ...warehouse.duckdb_file_reader import is_made

DEFAULT = "v1.0.0"
"""All DuckDB 1.x and 2.x open it, and files are no larger for it. Only the newest open what is DuckDB's own default."""
_SETTING = "storage_compatibility_version"
_CREATION_S = 60.0
"""Seconds after which an unfinished new file is one of a process that was killed."""


def check_version(version: str) -> None:
    """Raises ConfigurationError when the installed DuckDB writes no such version."""
    if version == DEFAULT:
        return
    try:
        duckdb.connect(":memory:", config={_SETTING: version}).close()
    except duckdb.InvalidInputException:
        raise ConfigurationError(
            f"destination.duckdb.storage_version: DuckDB {duckdb.__version__} writes no version {version!r}. "
            f"It is v and the oldest version of DuckDB that shall open the file, such as {DEFAULT}, or latest."
        ) from None


def create_file(file: Path, version: str) -> None:
    """Creates the DuckDB file whole or not at all, if it is missing or empty; it keeps its storage version ever after.

    A process that is killed while DuckDB creates its file leaves an empty one, which DuckDB does not open. What makes
    it impossible to create the file is an error when it is opened.
    """
    if str(file) == ":memory:" or is_made(file):
        return
    made = file.with_name(f".{file.name}.{os.getpid()}.new")
    with suppress(OSError, duckdb.Error):
        for left in file.parent.glob(f".{file.name}.*.new"):
            if time.time() - left.stat().st_mtime > _CREATION_S:
                left.unlink()
        duckdb.connect(str(made), config={_SETTING: version}).close()
        try:
            # Unlike a rename, a link replaces no file that another process has created meanwhile.
            file.hardlink_to(made)
        except FileExistsError:
            _replace_empty(file, made)
    made.unlink(missing_ok=True)


def _replace_empty(file: Path, made: Path) -> None:
    """Puts the new file in the place of an empty one; leaves one with content, as another process may just have made."""
    with file.open("rb") as opened:
        # Of several processes that find it empty the first replaces it; the others then hold one that is no longer there.
        fcntl.flock(opened, fcntl.LOCK_EX)
        status = os.fstat(opened.fileno())
        if not status.st_size and os.path.samestat(status, file.stat()):
            made.replace(file)
