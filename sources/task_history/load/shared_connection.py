"""One warehouse connection that all threads share, closed when other processes may be waiting for it.

One process at a time can open a DuckDB file. Opening and closing it takes longer than most queries, and about as long
as a commit; so the connection stays open for a moment after each use, and as long as the run waits for nothing else.
Where many accounts share a file, opening it takes a multiple of that: the next run of the same process takes it over.
"""

from __future__ import annotations

import atexit
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..core import lock_timeouts
from ..core.awaited_file import WaitForFile
from ..core.errors import TaskHistoryError
from ..core.log import log
from .duckdb_file_server import address_of
from .duckdb_turn_lock import FileTurn
from .error_kinds import is_conflict, is_disconnected, is_locked

Result = TypeVar("Result")
_RECONNECT_S = 0.25, 0.75
"""Minimum and maximum seconds between two attempts to reach a database that ended the connection."""
_CONFLICTS = 8
"""How often a statement is sent that meets changes of other processes."""
_CONFLICT_WAIT_S = 0.1, 2.0
"""Minimum and maximum seconds between two attempts, at random: processes that met once would else meet again."""


_left_open: SharedConnection | None = None
"""The connection that the last run of this process left open for the next one."""
_leaves_open = False
"""Whether each run of this process leaves its connection open for the next one."""


def leave_open_between_runs() -> None:
    """Has each run of this process leave its file open for a moment, for the next run of the process.

    For a process that syncs one account after the other.
    """
    global _leaves_open  # noqa: PLW0603 - a property of the process
    if not _leaves_open:
        _leaves_open = True
        # DuckDB ends the process with an error where Python's end interrupts the thread that closes the file.
        atexit.register(_close_left_open)


def _close_left_open() -> None:
    if _left_open is not None:
        with _left_open.lock:
            _left_open.close()


class SharedConnection:
    """Opens ``client()``, dlt's client of the warehouse, when it is needed; safe to use from many threads.

    ``is_exclusive`` says that only one process at a time can have the warehouse open; only then is the connection
    closed for others. Without ``stays_open`` it is closed after each use. ``lock_wait_s`` is how long it waits at first,
    and ``turns_in`` the folder in which processes that wait for the same file find each other. ``on_unused`` gets the
    client after each use, while it is open. ``fault_deadline_s`` is
    how long a database is waited for that ended the connection.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        *,
        is_exclusive: bool,
        stays_open: bool = True,
        lock_wait_s: float = lock_timeouts.FILE_WAIT_OF_RUN_S,
        turns_in: Path | None = None,
        fault_deadline_s: float = 0.0,
        on_unused: Callable[[Any], None] = lambda _: None,
    ) -> None:
        self._on_unused = on_unused
        self._fault_deadline_s = fault_deadline_s
        self._was_open = False
        self._stays_open = stays_open
        self.lock = threading.RLock()
        """Held by the thread that uses the connection."""
        self.lock_wait_s = lock_wait_s
        self._client = client
        self._turns_in = turns_in
        self._turn: FileTurn | None = None
        self._is_exclusive = is_exclusive
        self._is_open = threading.Event()
        self._is_closed = threading.Event()
        self._users = 0
        self._waits = 0
        self._has_waited = False
        """Whether the run waited for something else since the connection was opened."""
        self._waits_lock = threading.Lock()
        self._opened_at = self._used_at = 0.0
        self.reopens_at = 0.0
        """From when on the file may be opened again, so that other processes get their turn."""

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Context manager: yields the open client; no other thread of this process uses it meanwhile."""
        with self.lock:
            self._users += 1
            try:
                if not self._is_open.is_set():
                    self._open()
                yield self._client()
            except BaseException:
                # The connection itself may be broken; the next query opens another.
                if self._users == 1:
                    self.close()
                raise
            finally:
                self._users -= 1
                if not self._users and self._is_open.is_set():
                    self._on_unused(self._client())
                self._used_at = time.monotonic()
                if not self._stays_open and not self._users:
                    self.close()
                self._close_if_due()

    def with_retries(self, action: Callable[[Any], Result], *, is_repeatable: bool = True) -> Result:
        """The result of ``action`` with the open client; called again where another process was first, as in a deadlock.

        It is called again too where a database ended the open connection, if what it leaves in the warehouse is the same
        however often it is called, which ``is_repeatable`` says.

        Raises:
            The error of the last call: another one, ``fault_deadline_s`` are over, or others were first each time.
        """
        began: float | None = None
        conflicts = 0
        handled = sys.exc_info()[1]
        while True:
            try:
                with self.opened() as client:
                    return action(client)
            except Exception as error:
                # What this project raises has been tried again, or is refused for good.
                if is_conflict(error, handled=handled) and not isinstance(error, TaskHistoryError):
                    conflicts += 1
                    log.info("warehouse_conflict", reason=" ".join(str(error).split()), attempt=conflicts)
                    if conflicts == _CONFLICTS:
                        raise
                    wait_s = _CONFLICT_WAIT_S
                elif is_repeatable and self._may_reconnect and is_disconnected(error):
                    now = time.monotonic()
                    if began is None:
                        began = now
                        log.warning(
                            "warehouse_disconnected", reason=str(error), seconds=self._fault_deadline_s
                        )
                    if now - began >= self._fault_deadline_s:
                        raise
                    wait_s = _RECONNECT_S
                else:
                    raise
            time.sleep(random.uniform(*wait_s))

    @property
    def _may_reconnect(self) -> bool:
        # Within another use of the connection something that it began may be lost.
        with self.lock:
            return self._was_open and not self._is_exclusive and not self._users

    @contextmanager
    def released(self) -> Iterator[None]:
        """Context manager: within it the connection may be closed, because the run waits for something else."""
        with self._waits_lock:
            self._waits += 1
            self._has_waited = True
        try:
            yield
        finally:
            with self._waits_lock:
                self._waits -= 1

    def close(self) -> None:
        """Closes the connection if it is open. The caller holds ``lock``."""
        if self._is_open.is_set():
            self._is_open.clear()
            self._is_closed.set()
            try:
                self._client().close_connection()
            except Exception as error:  # noqa: BLE001 - the next query raises what is wrong
                log.debug("not_closed", reason=str(error))
            if self._turn is not None:
                self._turn.end()

    def leave(self) -> None:
        """Ends the use by this run: closes the connection, or leaves it open for the next run of this process.

        It is closed for other processes as while a run waits. The caller holds ``lock``.
        """
        global _left_open  # noqa: PLW0603 - the next run finds it there
        is_left = _leaves_open and self._is_exclusive and self._stays_open and self._is_open.is_set()
        if not is_left or address_of(self._file) is not None:
            self.close()
            return
        self._waits += 1
        self._used_at = time.monotonic()
        _left_open = self
        self._close_if_due()

    @contextmanager
    def handed_over(self, file: str) -> Iterator[float | None]:
        """Context manager: keeps open what was left open, and closes it at the end.

        Yields since when that file is open; None where it is not. Meanwhile no other thread closes it: closing the
        file gives up the lock of the whole process, also where another connection has just opened it.
        """
        with self.lock:
            try:
                yield self._opened_at if self._is_open.is_set() and self._file == file else None
            finally:
                self.close()

    @property
    def _file(self) -> str:
        return str(self._client().credentials.database)

    def _open(self) -> None:
        global _left_open
        former, _left_open = _left_open, None
        if former is None:
            self._connect()
            return
        self.reopens_at = max(self.reopens_at, former.reopens_at)
        with former.handed_over(self._file) as since:
            self._connect()
            if since is not None:
                self._opened_at = since

    def _connect(self) -> None:
        time.sleep(max(0.0, self.reopens_at - time.monotonic()))
        if self._is_exclusive:
            with WaitForFile(Path(self._file)) as wait:
                self._open_in_turn(wait.announce)
        else:
            self._open_in_turn(lambda: None)
        self._is_open.set()
        self._was_open = True
        self._has_waited = False
        self._opened_at = self._used_at = time.monotonic()
        if self._is_exclusive:
            self._is_closed = threading.Event()
            threading.Thread(
                target=self._close_when_idle, args=(self._is_closed,), name="watch", daemon=True
            ).start()

    def _open_in_turn(self, announce: Callable[[], None]) -> None:
        """Opens the warehouse once other processes let it; ``announce`` tells them that this one waits."""
        client = self._client()
        began = time.monotonic()
        is_logged = False
        while True:
            waited_s = time.monotonic() - began
            is_long, is_over = waited_s > lock_timeouts.FILE_WAIT_LOGGED_S, waited_s > self.lock_wait_s
            # Without its turn it tries where DuckDB shall say who has the file.
            if self._may_open() or is_over or (is_long and not is_logged):
                try:
                    client.open_connection()
                except Exception as error:
                    if self._turn is not None:
                        self._turn.end()
                    if not is_locked(error) or is_over:
                        raise
                    if is_long and not is_logged:
                        is_logged = True
                        reason = str(error).splitlines()[0]
                        log.info("waiting_for_file", reason=reason, seconds=self.lock_wait_s)
                else:
                    return
            announce()
            time.sleep(random.uniform(*lock_timeouts.FILE_POLL_S))

    def _may_open(self) -> bool:
        """Whether it is this process's turn at the file."""
        if self._turn is None and self._is_exclusive and self._turns_in is not None:
            if address_of(self._file) is not None:
                return True  # the process that has the file open has the turn
            self._turn = FileTurn(self._turns_in, self._file)
        return self._turn is None or self._turn.take()

    def _close_when_idle(self, is_closed: threading.Event) -> None:
        """Runs in a thread until the connection is closed: closes it once it is idle or was open for too long."""
        while not is_closed.wait(max(0.1, self._used_at + lock_timeouts.FILE_IDLE_S - time.monotonic())):
            if self.lock.acquire(blocking=False):
                try:
                    if not is_closed.is_set():
                        self._close_if_due()
                finally:
                    self.lock.release()

    def _close_if_due(self) -> None:
        waits = self._waits or self._has_waited
        if not (self._is_exclusive and waits and self._is_open.is_set()) or self._users:
            return
        now = time.monotonic()
        is_long = now - self._opened_at >= lock_timeouts.FILE_OPEN_OF_RUN_S
        if is_long:
            # A waiting process tries that often.
            self.reopens_at = now + lock_timeouts.FILE_POLL_S[1]
        if is_long or now - self._used_at >= lock_timeouts.FILE_IDLE_S:
            self.close()
