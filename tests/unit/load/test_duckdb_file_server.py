"""One process has a DuckDB file open, and runs the statements of others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from task_history.core import lock_timeouts
from task_history.core.awaited_file import WaitForFile, is_awaited
from task_history.load import duckdb_file_server
from task_history.load.destinations import duckdb as duckdb_destination
from task_history.load.duckdb_file_server import FileServer, SharedFileConnection


class Opened:
    """A DuckDB file that a server opens and closes, and how often it did."""

    def __init__(self, file: Path) -> None:
        self.file, self.times = file, 0
        self._connection: Any = None

    @contextmanager
    def __call__(self) -> Iterator[Any]:
        if self._connection is None:
            self._connection = duckdb.connect(str(self.file))
            self.times += 1
        yield SimpleNamespace(native_connection=self._connection)

    def close(self) -> None:
        self._connection.close()
        self._connection = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "w.duckdb")


@pytest.fixture
def server(opened: Opened) -> Iterator[FileServer]:
    server = FileServer(opened, opened.close, is_awaited=partial(is_awaited, opened.file))
    server.start()
    yield server
    server.stop()


def wait_until(condition: Any) -> None:
    """Waits until the condition holds."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)


def test_statements_of_several_sessions_run_on_one_open_file(server: FileServer, opened: Opened) -> None:
    """Rows, names of columns, values and transactions are as in DuckDB's own connection; the file is opened once."""
    one, other = SharedFileConnection(server.address), SharedFileConnection(server.address)
    one.execute("CREATE TABLE t (a INTEGER, b TEXT)")
    other.begin()
    other.execute("INSERT INTO t VALUES (?, ?)", (1, "x"))
    assert one.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    other.commit()
    assert [name for name, *_ in one.execute("SELECT a, b FROM t").description or ()] == ["a", "b"]
    assert one.fetchone() == (1, "x")
    assert one.fetchone() is None
    third = one.duplicate()
    third.begin()
    third.execute("DELETE FROM t")
    third.rollback()
    assert other.execute("SELECT * FROM t").fetchmany(5) == [(1, "x")]
    assert opened.times == 1
    for connection in (one, other, third):
        connection.close()


def test_an_error_of_a_statement_is_raised_where_it_was_sent(server: FileServer) -> None:
    """The error is DuckDB's own, and the session goes on."""
    connection = SharedFileConnection(server.address)
    with pytest.raises(duckdb.CatalogException, match="nothing_there"):
        connection.execute("SELECT * FROM nothing_there")
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
    connection.close()


def test_what_a_session_did_not_commit_goes_with_it(server: FileServer) -> None:
    """A process that ends within a transaction leaves nothing of it, nor the right to write."""
    one, other = SharedFileConnection(server.address), SharedFileConnection(server.address)
    one.execute("CREATE TABLE t (a INTEGER)")
    one.begin_writing()
    one.begin()
    one.execute("INSERT INTO t VALUES (1)")
    one.close()
    other.begin_writing()
    assert other.execute("SELECT * FROM t").fetchall() == []
    other.close()


def test_one_session_writes_at_a_time_and_later_ones_know_its_instant(server: FileServer) -> None:
    """The next one to write waits for the end of the commit before, and is told the instant of its rows."""
    one, other = SharedFileConnection(server.address), SharedFileConnection(server.address)
    assert one.begin_writing() is None
    told: list[datetime | None] = []
    waiting = threading.Thread(target=lambda: told.append(other.begin_writing()))
    waiting.start()
    at = datetime(2026, 3, 1, tzinfo=UTC)
    one.note_instant(at)
    one.begin_writing()  # it has the right already
    assert told == []
    one.end_writing()
    waiting.join(60)
    assert told == [at]
    for connection in (one, other):
        connection.close()


def test_the_file_is_closed_for_others_from_time_to_time(
    server: FileServer, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none waits it takes longer; no session may be left, and the next one opens the file again."""
    first = SharedFileConnection(server.address)
    first.execute("CREATE TABLE t AS SELECT 1 AS a")
    monkeypatch.setattr(lock_timeouts, "FILE_OPEN_OF_UNAWAITED_ACCOUNTS_S", 0.0)
    second = first.duplicate()
    assert second.execute("SELECT a FROM t").fetchall() == [
        (1,)
    ]  # of the same process: it may need it to end
    first.close()
    second.close()
    wait_until(lambda: not opened.is_open)
    monkeypatch.undo()
    third = SharedFileConnection(server.address)
    assert third.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert opened.times == 2
    third.close()


def test_statements_of_many_accounts_share_more_memory_and_take_one_thread_each(
    server: FileServer, opened: Opened
) -> None:
    """What all wrote since the last checkpoint is in memory, too; a commit that needs more gets it for a while."""
    connection = SharedFileConnection(server.address)
    client = SimpleNamespace(
        native_connection=connection, execute_sql=lambda sql: connection.execute(sql).fetchall()
    )

    def limit() -> Any:
        return connection.execute("SELECT current_setting('memory_limit')").fetchone()

    usual = limit()
    assert usual == ("91.5 MiB",)
    assert connection.execute("SELECT current_setting('threads')").fetchone() == (1,)
    with duckdb_destination._memory(client, 90_000_000):
        assert limit() == usual
    with duckdb_destination._memory(client, 200_000_000):
        assert limit() == ("190.7 MiB",)
    assert limit() == usual
    connection.close()
    assert opened.times == 1


def test_the_file_is_closed_when_another_process_waits_for_it(
    server: FileServer, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a file of many accounts costs seconds: while none waits, it stays open much longer."""
    monkeypatch.setattr(lock_timeouts, "FILE_OPEN_OF_ACCOUNTS_S", 0.0)
    connection = SharedFileConnection(server.address)
    connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    connection.close()
    looks: list[bool] = []
    look = server._is_awaited

    def noted() -> bool:
        looks.append(look())
        return looks[-1]

    monkeypatch.setattr(server, "_is_awaited", noted)
    wait_until(lambda: len(looks) >= 2)
    assert opened.is_open
    with WaitForFile(opened.file) as wait:
        wait.announce()
        wait_until(lambda: not opened.is_open)
    assert looks[:2] == [False, False]


def test_where_the_server_has_ended_an_error_says_so(tmp_path: Path, opened: Opened) -> None:
    """A statement, and a new connection: DuckDB's error, which says what to do."""
    server = FileServer(opened, opened.close, is_awaited=partial(is_awaited, opened.file))
    server.start()
    duckdb_file_server.use(str(opened.file), server.address)
    try:
        connection = duckdb_file_server.connect(str(opened.file))
        connection.execute("SELECT 1")
        assert duckdb_file_server.address_of(str(tmp_path / "another.duckdb")) is None
        connection.close()
        server.stop()
        with pytest.raises(duckdb.IOException, match="run the same command again"):
            connection.execute("SELECT 1")
        with pytest.raises(duckdb.IOException, match="run the same command again"):
            duckdb_file_server.connect(str(opened.file))
    finally:
        duckdb_file_server._addresses.clear()


def test_a_file_that_cannot_be_opened_is_an_error_of_each_session(tmp_path: Path) -> None:
    """DuckDB's own words reach the process that wanted the file, also where dlt wrapped them."""

    @contextmanager
    def refused() -> Iterator[Any]:
        try:
            raise duckdb.IOException("Could not set lock on file")
        except duckdb.Error as error:
            raise ValueError("it is wrapped") from error
        yield

    server = FileServer(refused, lambda: None, is_awaited=lambda: False)
    server.start()
    for _ in range(2):
        connection = SharedFileConnection(server.address)
        with pytest.raises(duckdb.IOException, match="Could not set lock"):
            connection.execute("SELECT 1")
        connection.close()
    server.stop()
