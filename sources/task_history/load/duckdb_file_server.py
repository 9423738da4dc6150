"""One process has a DuckDB file open for others that sync into it, and runs the statements that they send.

DuckDB reads the catalog of a file when it opens it and writes it when it closes it: with a hundred datasets half a
second each, several times per sync where processes take turns. Here the file stays open while they work.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from math import inf
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import duckdb

from ..core import lock_timeouts
from ..core.log import log
from .error_kinds import causes

MEMORY_BYTES = 96_000_000
"""DuckDB's memory limit in bytes: statements of several processes run at once, and what they write stays in memory until
a checkpoint, 60 MB of it for a write-ahead log of 16 MB."""
_ENDED = "The process that has the DuckDB file open for all accounts has ended: run the same command again."

_addresses: dict[str, str] = {}
"""Where this process sends its statements for a file, by the file's path."""


def use(file: str, address: str) -> None:
    """Has this process send its statements for the file to the server at that address."""
    _addresses[os.path.realpath(file)] = address


def address_of(file: str) -> str | None:
    """Where this process sends its statements for the file; None where it opens the file itself."""
    return _addresses.get(os.path.realpath(file)) if _addresses else None


def connect(file: str) -> SharedFileConnection:
    """A connection to the file through its server. Raises duckdb.Error where that has ended."""
    with suppress(EOFError, OSError, multiprocessing.AuthenticationError):
        return SharedFileConnection(_addresses[os.path.realpath(file)])
    raise duckdb.IOException(_ENDED)


class SharedFileConnection:
    """A connection to a DuckDB file through its server: the methods of DuckDB's own that dlt calls in a load.

    Raises duckdb.Error, also where the server has ended.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel: Any = Client(address, authkey=bytes(multiprocessing.current_process().authkey))
        self._lock = threading.Lock()
        self._rows: list[tuple[Any, ...]] = []
        self._is_writing = False
        self._begins = False
        """Whether the next statement is the first one of a transaction."""
        self.is_clean = True
        """Whether no transaction is open, nothing failed and no other process is kept from committing."""
        self.description: list[tuple[Any, ...]] | None = None
        self._channel.send(os.getpid())

    def execute(self, sql: str, values: Any = None) -> SharedFileConnection:
        """Runs a statement; its rows are there at once."""
        begins, self._begins = self._begins, False
        self.description, self._rows = self._asked("execute", sql, values, begins)
        return self

    sql = execute

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows, []
        return rows

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(iter(self.fetchmany(1)), None)

    def begin(self) -> None:
        self.is_clean, self._begins = False, True

    def commit(self) -> None:
        self._end_transaction("COMMIT")
        self.is_clean = True

    def rollback(self) -> None:
        self.is_clean = False
        self._end_transaction("ROLLBACK")

    def _end_transaction(self, sql: str) -> None:
        if self._begins:
            self._begins = False  # nothing was sent since it began
        else:
            self.execute(sql)

    def begin_writing(self) -> datetime | None:
        """Waits until no other process commits; returns the last instant at which rows were written.

        None where none was told since the file was opened.
        """
        last: datetime | None = self._asked("begin_writing")
        self._is_writing, self.is_clean = True, False
        return last

    def note_instant(self, at: datetime) -> None:
        """Tells the server that rows are written at this instant."""
        self._asked("note_instant", at)

    def end_writing(self) -> None:
        """Lets other processes commit."""
        if self._is_writing:
            self._is_writing = False
            self._asked("end_writing")

    def duplicate(self) -> SharedFileConnection:
        return SharedFileConnection(self._address)

    def close(self) -> None:
        self._channel.close()

    def _asked(self, *request: Any) -> Any:
        answer: Any = duckdb.IOException(_ENDED)
        with suppress(EOFError, OSError), self._lock:
            self._channel.send(request)
            answer = self._channel.recv()
        if isinstance(answer, Exception):
            self.is_clean = False
            raise answer
        return answer


class FileServer:
    """Opens a DuckDB file when a process wants it, and runs the statements of all processes on it.

    ``opened`` is a context manager that gives dlt's client with the file open, which stays open until ``close``;
    ``is_awaited`` says whether another process waits for the file.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[Any]],
        close: Callable[[], None],
        *,
        is_awaited: Callable[[], bool],
    ) -> None:
        self._opened, self._close, self._is_awaited = opened, close, is_awaited
        self._listener = Listener(
            family="AF_UNIX", backlog=64, authkey=bytes(multiprocessing.current_process().authkey)
        )
        self.address = str(self._listener.address)
        self._changed = threading.Condition()
        self._sessions: Counter[int] = Counter()
        """Open sessions by process."""
        self._opened_at: float | None = None
        """When the file was opened; None while it is closed."""
        self._is_closing = False
        self.writing = threading.Lock()
        """Held by the session that commits."""
        self.last_instant: datetime | None = None
        """The last instant at which rows were written; None where none was told since the file was opened."""

    def start(self) -> None:
        """Begins to serve, in threads."""
        for work in (self._accept, self._close_in_turn):
            threading.Thread(target=work, name="file-server", daemon=True).start()

    def close_soon(self) -> None:
        """Has the file closed once no process uses it; it is opened again when one wants it."""
        with self._changed:
            if self._opened_at is not None:
                self._opened_at = -inf

    def stop(self) -> None:
        """Closes the file once no process uses it."""
        with self._changed:
            self._is_closing = True
            self._changed.wait_for(lambda: not self._sessions, timeout=lock_timeouts.FILE_SESSIONS_END_S)
            self._close_file()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                channel = self._listener.accept()
            except (EOFError, ConnectionError, multiprocessing.AuthenticationError):
                continue  # a process that ended meanwhile
            except OSError:
                return  # the server has stopped
            threading.Thread(target=self._serve, args=(channel,), name="session", daemon=True).start()

    def _serve(self, channel: Connection[Any, Any]) -> None:
        """Runs the statements of one session until its process closes it or ends."""
        with suppress(EOFError, OSError), channel:
            process = channel.recv()
            try:
                with self._session(process) as session:
                    while True:
                        channel.send(session.answer(channel.recv()))
            except (EOFError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - told to the process that wanted the file
                channel.recv()
                channel.send(_duckdb_error(error))

    @contextmanager
    def _session(self, process: int) -> Iterator[_Session]:
        with self._changed:
            # A process that has a session may need another one to end that.
            self._changed.wait_for(lambda: not self._is_closing or self._sessions[process] > 0)
            with self._opened() as client:
                connection = client.native_connection.duplicate()
            if self._opened_at is None:
                connection.execute(f"SET memory_limit = '{MEMORY_BYTES}B'")
                # Sessions run side by side: to divide each small statement, too, takes a tenth more of the processors.
                connection.execute("SET threads = 1")
                self._opened_at = time.monotonic()
                self.last_instant = None
            self._sessions[process] += 1
        session = _Session(self, connection)
        try:
            yield session
        finally:
            session.end()
            with self._changed:
                self._sessions -= Counter({process: 1})
                self._changed.notify_all()

    def _close_in_turn(self) -> None:
        while True:
            time.sleep(lock_timeouts.FILE_POLL_S[0])
            with self._changed:
                if not self._is_due():
                    continue
                self._is_closing = True
                self._changed.wait_for(lambda: not self._sessions)
                self._close_file()
                # A waiting process tries that often.
                self._changed.wait(lock_timeouts.FILE_POLL_S[1])
                self._is_closing = False
                self._changed.notify_all()

    def _is_due(self) -> bool:
        """Whether the file has been open for so long that it has to be closed for other processes."""
        if self._opened_at is None:
            return False
        open_s = time.monotonic() - self._opened_at
        return open_s >= lock_timeouts.FILE_OPEN_OF_UNAWAITED_ACCOUNTS_S or (
            open_s >= lock_timeouts.FILE_OPEN_OF_ACCOUNTS_S and self._is_awaited()
        )

    def _close_file(self) -> None:
        if self._opened_at is not None:
            self._opened_at = None
            self._close()


class _Session:
    """The statements of one connection."""

    def __init__(self, server: FileServer, connection: Any) -> None:
        self._server, self._connection = server, connection
        self._is_writing = False

    def answer(self, request: tuple[Any, ...]) -> Any:
        name, *arguments = request
        try:
            return getattr(self, f"_{name}")(*arguments)
        except Exception as error:  # noqa: BLE001 - raised in the process that asked
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                # DuckDB takes no further statement until the file is opened anew.
                self._server.close_soon()
            return error

    def end(self) -> None:
        self._end_writing()
        try:
            self._connection.close()
        except duckdb.Error as error:
            log.debug("not_closed", reason=str(error))

    def _execute(
        self, sql: str, values: Sequence[Any] | None, begins: bool
    ) -> tuple[Any, list[tuple[Any, ...]]]:
        if begins:
            self._connection.execute("BEGIN TRANSACTION")
        done = self._connection.execute(sql, values)
        names = done.description
        if names is None:
            return None, []
        return [(name[0], *[None] * 6) for name in names], done.fetchall()

    def _begin_writing(self) -> datetime | None:
        if not self._is_writing:
            self._server.writing.acquire()
            self._is_writing = True
        return self._server.last_instant

    def _note_instant(self, at: datetime) -> None:
        self._server.last_instant = at

    def _end_writing(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self._server.writing.release()


def _duckdb_error(error: Exception) -> duckdb.Error:
    """The error as one that DuckDB itself raises where it opens a file."""
    found = next((cause for cause in causes(error) if isinstance(cause, duckdb.Error)), None)
    return found or duckdb.IOException(f"{type(error).__name__}: {error}")
