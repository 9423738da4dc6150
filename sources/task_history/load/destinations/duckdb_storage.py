"""The storage version of a new DuckDB file, which says which versions of DuckDB can open it.

https://duckdb.org/docs/stable/internals/storage
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

import duckdb

from ...core.errors import ConfigurationError

DEFAULT = "v1.0.0"
"""All DuckDB 1.x and 2.x open it, and files are no larger for it. Only the newest open what is DuckDB's own default."""


def create_file(file: Path, version: str) -> None:
    """Makes an empty database of that storage version, which it keeps whoever writes to it; leaves a file that is there.

    It appears whole: a process that is killed leaves no half of it.

    Raises:
        ConfigurationError: the installed DuckDB writes no such version.
        duckdb.IOException: the folder cannot be written.
    """
    if file.exists():
        return
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        duckdb.connect(str(beside), config={"storage_compatibility_version": version}).close()
        with suppress(FileExistsError):
            # Another process may have made it meanwhile.
            os.link(beside, file)
    except duckdb.InvalidInputException:
        raise ConfigurationError(
            f"destination.duckdb.storage_version: DuckDB {duckdb.__version__} writes no files of version {version!r}. "
            f"It is v and the oldest version of DuckDB that shall open the file, such as {DEFAULT}, or latest."
        ) from None
    except OSError:
        # Not every file system has links.
        with suppress(FileNotFoundError):
            beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
