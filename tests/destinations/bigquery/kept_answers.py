"""What takes long to work out, kept in a file of the environment for all processes that ever run there."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import sys
import threading
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

_MAX_BYTES = 100 << 20
_WAITS_S = 30


class KeptAnswers:
    """Answers by key in the file ``kept-{name}.sqlite``; where that cannot be written none are kept.

    They are those of the code of these modules of this folder and of these packages: what another version answered is
    not found.
    """

    def __init__(self, name: str, modules: Iterable[str], packages: Iterable[str]) -> None:
        self._modules, self._packages = tuple(modules), tuple(packages)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        file = Path(sys.prefix) / f"kept-{name}.sqlite"
        try:
            if file.exists() and file.stat().st_size > _MAX_BYTES:
                file.unlink()
            found = sqlite3.connect(file, timeout=_WAITS_S, isolation_level=None, check_same_thread=False)
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = OFF")
            found.execute("CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID")
        except (OSError, sqlite3.Error):
            return
        self._connection = found

    def load(self, key: str) -> bytes | None:
        """The answer that was kept for the key; None where there is none."""
        if self._connection is None:
            return None
        with self._lock:
            try:
                row = self._connection.execute(
                    "SELECT answer FROM kept WHERE key = ?", [self._digest(key)]
                ).fetchone()
            except sqlite3.Error:
                return None
        return bytes(row[0]) if row else None

    def save(self, key: str, answer: bytes) -> None:
        """Keeps an answer."""
        if self._connection is not None:
            with self._lock, contextlib.suppress(sqlite3.Error):
                self._connection.execute(
                    "INSERT OR REPLACE INTO kept VALUES (?, ?)", [self._digest(key), answer]
                )

    def _digest(self, key: str) -> bytes:
        return hashlib.sha256(self._code + key.encode()).digest()

    @cached_property
    def _code(self) -> bytes:
        """A digest of all that answers."""
        folder = Path(__file__).parent
        texts = [(folder / f"{name}.py").read_bytes() for name in self._modules]
        parts = [*texts, *(version(one).encode() for one in self._packages)]
        return hashlib.sha256(b"".join(parts)).digest()
