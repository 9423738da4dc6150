"""The DuckDB file that ``destination.duckdb.credentials`` names.

https://dlthub.com/docs/dlt-ecosystem/destinations/duckdb#destination-configuration
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from task_history.core.errors import ConfigurationError

_SETTING = "destination.duckdb.credentials"
_IN_MEMORY = re.compile(r":\w+:.*")
"""Such as ``:memory:`` and ``:external:``."""
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):.*", re.DOTALL)
"""A scheme of two characters or more: one letter and a colon is a drive of Windows."""
_SECRET_PARTS = re.compile(r"(?<=//)[^/]*@|\?.*", re.DOTALL)
"""User and password in an address, and its query, which may be signed."""
_SQLITE = b"SQLite format 3\0"
"""The first bytes of a SQLite database: https://www.sqlite.org/fileformat.html#the_database_header"""
_MOTHERDUCK = ("md", "motherduck")


def duckdb_path(value: Any) -> Path:
    """The absolute path of the file.

    Raises:
        ConfigurationError: the value names no file, or one that cannot be used.
    """
    if isinstance(value, Mapping):
        value = value.get("database")
    if not isinstance(value, str):
        raise _refused(f"found {type(value).__name__}")
    text = value.strip()
    path = _without_scheme(text)
    if not path:
        raise _refused("it is empty")
    if _IN_MEMORY.fullmatch(path):
        raise ConfigurationError(
            f"{_SETTING}: {path!r} would forget everything at the end of the run, and what is open or lacks details is "
            "asked of the warehouse. Name a file."
        )
    if address := _ADDRESS.fullmatch(path):
        raise _is_address(address[1].lower(), path)
    if path.endswith(("/", "\\")):
        raise ConfigurationError(f"{_SETTING}: {path} is a folder. Name a file in it.")
    try:
        if "\0" in path:
            raise ValueError(path)
        return _checked(Path(path).expanduser().absolute())
    except (OSError, RuntimeError, ValueError) as error:
        raise _refused(f"{path[:200]!r} is no path of a file here ({type(error).__name__})") from None


def _without_scheme(text: str) -> str:
    """The path in ``duckdb:///relative``, ``duckdb:////absolute``, ``duckdb:relative`` or a plain path."""
    if not text.startswith("duckdb:"):
        return text
    address, has_options, _ = text.partition("?")
    if has_options:
        raise ConfigurationError(
            f"{_SETTING}: options after a ? are not taken in the address of a DuckDB file. Name the file alone, and set "
            f"options in .dlt/config.toml under [{_SETTING}]."
        )
    path = unquote(address.removeprefix("duckdb:"))
    if path.startswith("////"):
        return "/" + path.lstrip("/")
    return path.removeprefix("///") if path.startswith("///") else path.removeprefix("//")


def _is_address(scheme: str, path: str) -> ConfigurationError:
    shown = _SECRET_PARTS.sub("", path)[:200]
    if scheme in _MOTHERDUCK:
        return ConfigurationError(
            f"{_SETTING}: {scheme}: is an address of MotherDuck: set it as destination.motherduck.credentials, and give "
            "--destination motherduck."
        )
    if scheme in ("postgres", "postgresql"):
        return ConfigurationError(
            f"{_SETTING}: {shown!r} is an address of Postgres: set it as destination.postgres.credentials, and give "
            "--destination postgres."
        )
    if scheme == "ducklake":
        return ConfigurationError(
            f"{_SETTING}: {shown!r} is an address of DuckLake: set destination.ducklake.credentials, and give "
            "--destination ducklake."
        )
    return ConfigurationError(
        f"{_SETTING}: {shown!r} is an address, and DuckDB writes only to files of this machine. Name a file."
    )


def _checked(file: Path) -> Path:
    if file.is_dir():
        raise ConfigurationError(f"{_SETTING}: {file} is a folder. Name a file in it.")
    if file.exists() and not file.is_file():
        raise ConfigurationError(f"{_SETTING}: {file} is not a regular file. Name another one.")
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"{_SETTING}: there is no folder {file.parent}. Make it or name another file."
        )
    if _begins_as_sqlite(file):
        raise ConfigurationError(f"{_SETTING}: {file} is a database of SQLite. Name another file.")
    return file


@cache
def _begins_as_sqlite(file: Path) -> bool:
    """Whether DuckDB would download its extension for SQLite to open the file.

    Looked at once: where a run of this process has the file open, to close it here would give up DuckDB's lock, which
    is the process's. https://man7.org/linux/man-pages/man2/F_SETLK.2const.html
    """
    try:
        with file.open("rb") as opened:
            return opened.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False  # DuckDB says what is wrong with it


def _refused(reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{_SETTING} must name a file, such as warehouse.duckdb or duckdb:///data/warehouse.duckdb: {reason}."
    )
