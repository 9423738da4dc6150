"""Translations of statements in a file of the emulator's environment, for all emulators that ever run there.

Part of ``launcher``'s process. Each of a run's emulators says much of what the others say, and each run what the one
before it said.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

_FILE = Path(sys.prefix) / "translations.sqlite"
_MAX_BYTES = 100 << 20
_WAITS_S = 30
_MODULES = ("known", "launcher", "merges", "stored_translations", "templates", "translations")
_PARTS = ("local-bigquery", "sqlglot", "duckdb")
_lock = threading.Lock()
_connection: sqlite3.Connection | None = None


def load(key: Any) -> Any:
    """The translation that was saved for the key; None where there is none."""
    if _connection is None:
        return None
    with _lock:
        try:
            row = _connection.execute("SELECT translation FROM kept WHERE key = ?", [_digest(key)]).fetchone()
        except sqlite3.Error:
            return None
    if not row:
        return None
    sql, used, positions, referenced = json.loads(row[0])
    return sql, frozenset(used), positions, frozenset(map(tuple, referenced))


def save(key: Any, translation: tuple[Any, ...]) -> None:
    """Keeps a translation; where the file cannot be written none is kept."""
    if _connection is None:
        return
    sql, used, positions, referenced = translation
    row = [_digest(key), json.dumps([sql, sorted(used), positions, sorted(referenced)])]
    with _lock, contextlib.suppress(sqlite3.Error):
        _connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", row)


def _digest(key: Any) -> bytes:
    """Of the key and of all that translates."""
    return hashlib.sha256(_code() + repr(key).encode()).digest()


def _code() -> bytes:
    global _of_code  # noqa: PLW0603 - of this process
    if _of_code is None:
        folder = Path(__file__).parent
        texts = [(folder / f"{name}.py").read_bytes() for name in _MODULES]
        _of_code = hashlib.sha256(b"".join([*texts, *(version(one).encode() for one in _PARTS)])).digest()
    return _of_code


_of_code: bytes | None = None


def open_file() -> None:
    """From now on translations are kept in the file, where it can be written."""
    global _connection  # noqa: PLW0603 - of this process
    try:
        if _FILE.exists() and _FILE.stat().st_size > _MAX_BYTES:
            _FILE.unlink()
        found = sqlite3.connect(_FILE, timeout=_WAITS_S, isolation_level=None, check_same_thread=False)
        found.execute("PRAGMA journal_mode = WAL")
        found.execute("PRAGMA synchronous = OFF")
        found.execute(
            "CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, translation TEXT) WITHOUT ROWID"
        )
    except (OSError, sqlite3.Error):
        return
    _connection = found
