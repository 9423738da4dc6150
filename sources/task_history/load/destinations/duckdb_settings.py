"""DuckDB's settings in dlt's credentials: dlt runs them as SQL, so only plain names and values are taken.

https://dlthub.com/docs/dlt-ecosystem/destinations/duckdb#additional-configuration
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...core.errors import ConfigurationError

_EXTENSION = re.compile(r"[a-z][a-z0-9_]{0,60}")
"""Pattern of an installed extension's name: no path, no address, one word."""
_ALLOWED = frozenset(
    {
        "allocator_background_threads",
        "allocator_flush_threshold",
        "checkpoint_threshold",
        "enable_checkpoint_on_shutdown",
        "enable_object_cache",
        "enable_progress_bar",
        "max_memory",
        "max_temp_directory_size",
        "memory_limit",
        "preserve_insertion_order",
        "threads",
        "timezone",
        "wal_autocheckpoint",
        "worker_threads",
    }
)
"""Allowed settings: none names a file, an address or a program, as ``log_query_path`` does."""
_HANDED_OVER = ("global_config", "custom_user_agent")
"""The setting that dlt hands to ``duckdb.connect`` and runs no SQL with; for MotherDuck it sets that itself."""
_VALUE = re.compile(r"[A-Za-z0-9_+./% -]{1,60}")
_PRAGMA = re.compile(r"(?P<name>\w+)(?:\s*=\s*(?P<quote>'?)(?P<value>[^';]+)(?P=quote))?")


def check_credentials(credentials: Any, destination: str = "duckdb") -> None:
    """Raises ConfigurationError when a setting would run any other SQL.

    ``credentials`` belong to any dlt destination that uses DuckDB.
    """
    try:
        _check_credentials(credentials)
    except _Refused as refused:
        raise ConfigurationError(f"destination.{destination}.credentials.{refused}") from None


class _Refused(Exception):
    """A refused setting: its name, its value and the reason."""


def _check_credentials(credentials: Any) -> None:
    for name in credentials.extensions or ():
        if not (isinstance(name, str) and _EXTENSION.fullmatch(name)):
            raise _refused("extensions", name, "is no plain name of an extension, such as json")
    if credentials.statements:
        raise _refused(
            "statements", credentials.statements[0], "is SQL: run it yourself, once, in the warehouse"
        )
    for pragma in credentials.pragmas or ():
        match = _PRAGMA.fullmatch(str(pragma).strip())
        if match is None:
            raise _refused("pragmas", pragma, "is not of the form name or name=value")
        _check_setting("pragmas", match["name"], match["value"] or "")
    for place in ("global_config", "local_config"):
        settings: Mapping[str, Any] = getattr(credentials, place) or {}
        for name, value in settings.items():
            if (place, name) != _HANDED_OVER:
                _check_setting(place, name, value)
    if credentials.session_timezone is not None:
        _check_setting("session_timezone", "timezone", credentials.session_timezone)


def _check_setting(place: str, name: str, value: Any) -> None:
    if name.lower() not in _ALLOWED:
        raise _refused(
            place, name, f"cannot be set here. Settings of DuckDB that can be: {_listed(_ALLOWED)}"
        )
    if isinstance(value, str) and value and not _VALUE.fullmatch(value):
        raise _refused(place, f"{name} = {value}", "is no plain value, such as 1GB")
    if not isinstance(value, str | int | float):
        raise _refused(place, f"{name} = {value!r}", "is no plain value, such as 1GB")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _refused(place: str, value: Any, reason: str) -> _Refused:
    return _Refused(f"{place}: {str(value)[:200]!r} {reason}.")
