"""A reader waits for a file that another process has open, and says so."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from task_history.core import lock_timeouts
from task_history.core.awaited_file import is_awaited
from task_history.core.errors import WarehouseUnavailable
from task_history.warehouse import duckdb_file_reader

_HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_a_wait_for_a_locked_file_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The line names the file, the process and how long it waits at most; after that the error does."""
    file = tmp_path / "held.duckdb"
    monkeypatch.setattr(lock_timeouts, "FILE_WAIT_LOGGED_S", 0.0)
    monkeypatch.setattr(lock_timeouts, "FILE_WAIT_OF_READER_S", 0.5)
    caplog.set_level(logging.INFO, "task_history")
    command = [sys.executable, "-c", _HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(WarehouseUnavailable, match="open for writing in another process"):
            duckdb_file_reader.open_for_reading(file)
        holder.stdin.close()
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("waiting_for_file ")
    assert str(holder.pid) in line
    assert "seconds=0.5" in line


def test_a_reader_that_waits_says_so_to_the_process_that_has_the_file(tmp_path: Path) -> None:
    """From its second attempt on, until it has the file."""
    file = tmp_path / "held.duckdb"
    command = [sys.executable, "-c", _HOLD, str(file)]
    connections = []
    reader = threading.Thread(target=lambda: connections.append(duckdb_file_reader.open_for_reading(file)))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        assert not is_awaited(file)
        reader.start()
        while not is_awaited(file):
            assert reader.is_alive()
        holder.stdin.close()
    reader.join(60)
    assert not is_awaited(file)
    connections[0].close()
