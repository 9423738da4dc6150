"""Named locks of one run, which end with its process: in files of one machine, or in the Postgres of several.

A lock may leave a mark: a text that those who take it later can read, such as which work was done under it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..core import files, lock_timeouts
from ..core.errors import AlreadyRunning, WarehouseUnavailable
from ..core.file_lock import file_lock
from ..core.log import log
from .postgres import Connection, SharedState, Unreachable, described_connection

if TYPE_CHECKING:
    from filelock import BaseFileLock

Result = TypeVar("Result")

_RETRY_S = 0.5
"""Seconds between two attempts to reach the server."""
_MARKS_KEPT_S = 7 * 86_400.0
"""Seconds after which marks are deleted from the shared state."""
_NOW = "extract(epoch FROM clock_timestamp())::double precision"
_TAKE = """
SELECT name FROM unnest(%s::text[], %s::bigint[]) AS wanted (name, key) WHERE pg_try_advisory_lock(key)
"""
_HOLDER = """
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND (classid::bigint << 32) | objid::bigint = %s
"""
_MARK = f"""
INSERT INTO marks SELECT name, mark, {_NOW} FROM unnest(%s::text[], %s::text[]) AS fresh (name, mark)
ON CONFLICT (name) DO UPDATE SET mark = excluded.mark, written = excluded.written
"""


class Locks(Protocol):
    """Locks by name; safe to use from several threads."""

    wait: Callable[[float], None]
    """Sleeps so many seconds. Raises Stopped where the run is to end."""

    def take(self, names: Collection[str]) -> set[str]:
        """Those of the names that are free, which this run holds from now on; does not wait for the others.

        Raises:
            AlreadyRunning: a lock that this run held was lost, and another run has taken it.
            ConfigurationError, StateUnavailable, WarehouseUnavailable: the locks cannot be used.
        """
        ...

    def release(self, names: Collection[str]) -> None:
        """Releases the locks."""
        ...

    def mark(self, marks: Mapping[str, str]) -> None:
        """Leaves marks at locks that this run holds. Raises as ``take`` does."""
        ...

    def marks(self, names: Collection[str]) -> dict[str, str]:
        """The marks, by name, left at these locks, which this run holds, since it began. Raises as ``take`` does."""
        ...

    def holder(self, name: str) -> str:
        """The process that holds the lock, as words in parentheses; empty where none does, or it is not known which.

        Only locks that several machines share know it.
        """
        ...

    def confirm(self) -> None:
        """Checks that this run still holds its locks. Raises AlreadyRunning where another run holds one of them."""
        ...

    def close(self) -> None:
        """Releases all locks."""
        ...


@contextmanager
def held_lock(locks: Locks, name: str) -> Iterator[None]:
    """Context manager: waits for one lock and holds it. Raises as ``Locks.take`` and ``Locks.wait`` do."""
    while not locks.take([name]):
        locks.wait(lock_timeouts.NAMED_LOCK_POLL_S)
    try:
        yield
    finally:
        locks.release([name])


class FileLocks:
    """Locks as files in ``folder``; the operating system releases those of a process that dies."""

    def __init__(self, folder: Path, *, wait: Callable[[float], None]) -> None:
        self._folder = folder
        self.wait = wait
        self._held: dict[str, BaseFileLock] = {}
        self._began = time.time()

    def take(self, names: Collection[str]) -> set[str]:
        """As ``Locks.take``."""
        from filelock import Timeout

        taken = set()
        try:
            files.make_folder(self._folder, mode=0o777)
            for name in names:
                lock = file_lock(self._path(name), wait_s=0)
                with suppress(Timeout):
                    lock.acquire()
                    self._held[name] = lock
                    taken.add(name)
        except OSError as error:
            raise WarehouseUnavailable(
                f"The locks in {self._folder} cannot be used ({error.strerror}): remove the folder if no run uses it, or "
                "set DLT_DATA_DIR to a folder of your own."
            ) from error
        return taken

    def release(self, names: Collection[str]) -> None:
        """As ``Locks.release``."""
        for name in names:
            self._held.pop(name).release()

    def mark(self, marks: Mapping[str, str]) -> None:
        """As ``Locks.mark``."""
        for name, mark in marks.items():
            with os.fdopen(files.open_own(self._path(name), mode=0o666), "r+b") as file:
                file.truncate()
                file.write(f"{time.time()} {mark}".encode())

    def marks(self, names: Collection[str]) -> dict[str, str]:
        """As ``Locks.marks``."""
        found = {}
        for name in names:
            with suppress(OSError, ValueError):
                written, _, mark = files.read_text(self._path(name), max_bytes=10_000).partition(" ")
                if float(written) >= self._began:
                    found[name] = mark
        return found

    def holder(self, name: str) -> str:
        """As ``Locks.holder``."""
        del name
        return ""

    def confirm(self) -> None:
        """As ``Locks.confirm``: only the end of the process ends them."""

    def close(self) -> None:
        """As ``Locks.close``."""
        self.release(list(self._held))

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.lock"


class PostgresLocks:
    """Advisory locks of one connection to the shared state. ``place`` is the warehouse that they guard.

    An unreachable server is asked again for ``deadline_s`` seconds; ``wait`` sleeps, or raises Stopped.
    """

    def __init__(
        self, state: SharedState, place: str, *, deadline_s: float, wait: Callable[[float], None]
    ) -> None:
        self._state = state
        self._place = place
        self._deadline_s = deadline_s
        self.wait = wait
        self._thread_lock = threading.RLock()
        self._held: set[str] = set()
        self._own: Connection | None = None
        self._began: float | None = None

    def take(self, names: Collection[str]) -> set[str]:
        """As ``Locks.take``."""
        wanted = [name for name in names if name not in self._held]
        with self._thread_lock:
            taken = self._retried(lambda own: _taken(own, wanted, self._key))
            self._held |= taken
        return taken

    def release(self, names: Collection[str]) -> None:
        """As ``Locks.release``."""
        with self._thread_lock:
            released = self._held.intersection(names)
            self._held -= released
            with suppress(Unreachable), self._connected() as own:
                own.connection.execute(
                    "SELECT pg_advisory_unlock(key) FROM unnest(%s::bigint[]) AS held (key)",
                    ([self._key(name) for name in released],),
                )

    def mark(self, marks: Mapping[str, str]) -> None:
        """As ``Locks.mark``."""

        def write(own: Connection) -> None:
            own.connection.execute(_MARK, ([self._name(name) for name in marks], list(marks.values())))
            # An earlier version wrote names and not their hashes.
            own.connection.execute(
                f"DELETE FROM marks WHERE written < {_NOW} - %s OR position('/' IN name) > 0",
                (_MARKS_KEPT_S,),
            )

        with self._thread_lock:
            self._retried(write)

    def marks(self, names: Collection[str]) -> dict[str, str]:
        """As ``Locks.marks``."""

        def read(own: Connection) -> dict[str, str]:
            by_name = {self._name(name): name for name in names}
            rows = own.connection.execute(
                "SELECT name, mark FROM marks WHERE name = ANY (%s) AND written >= %s",
                (list(by_name), self._began),
            ).fetchall()
            return {by_name[name]: mark for name, mark in rows}

        with self._thread_lock:
            return self._retried(read)

    def holder(self, name: str) -> str:
        """As ``Locks.holder``."""
        with self._thread_lock, suppress(Unreachable), self._connected() as own:
            row = own.connection.execute(_HOLDER, (self._key(name),)).fetchone()
            return described_connection(str(row[0] or "")) if row else ""
        return ""

    def confirm(self) -> None:
        """As ``Locks.confirm``. While the server does not answer, no other run can get the locks."""
        with self._thread_lock:
            if not self._held:
                return
            try:
                with self._connected() as own:
                    own.connection.execute("SELECT 1")
            except Unreachable as error:
                log.warning("locks_not_confirmed", reason=str(error))

    def close(self) -> None:
        """As ``Locks.close``."""
        with self._thread_lock:
            self._held.clear()
            if self._own is not None:
                self._own.close()
                self._own = None

    def _retried(self, ask: Callable[[Connection], Result]) -> Result:
        began = time.monotonic()
        while True:
            try:
                with self._connected() as own:
                    return ask(own)
            except Unreachable as error:
                tried_s = time.monotonic() - began
                if tried_s >= self._deadline_s:
                    raise self._state.unavailable(str(error), tried_s=tried_s) from None
            self.wait(min(_RETRY_S, self._deadline_s))

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """The connection, with the locks that this run holds. Raises Unreachable, AlreadyRunning, ConfigurationError."""
        import psycopg

        try:
            if self._own is None:
                self._own = Connection(self._state)
                if self._began is None:
                    (self._began,) = self._own.row(f"SELECT {_NOW}")
                lost = self._held - _taken(self._own, self._held, self._key)
                if lost:
                    raise AlreadyRunning(
                        f"The connection to the shared state, {self._state.place}, was lost, and another run now holds "
                        "this run's lock. What was committed is safe; let the other run finish."
                    )
            yield self._own
        except psycopg.Error as error:
            own, self._own = self._own, None
            raise (error if own is None else own.failed(error)) from None

    def _name(self, name: str) -> str:
        """A hash: the filters of a backfill, which the name holds, may name a person."""
        return self._digest(name).hex()

    def _key(self, name: str) -> int:
        """The number of an advisory lock: 64 bits with a sign."""
        return int.from_bytes(self._digest(name)[:8], signed=True)

    def _digest(self, name: str) -> bytes:
        return hashlib.sha256(f"{self._place}/{name}".encode()).digest()


def _taken(own: Connection, names: Collection[str], key: Callable[[str], int]) -> set[str]:
    rows = own.connection.execute(_TAKE, (list(names), [key(name) for name in names])).fetchall()
    return {str(name) for (name,) in rows}
