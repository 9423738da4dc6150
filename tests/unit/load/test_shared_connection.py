"""A DuckDB file stays open for a moment, and others get in."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dlt
import pytest

from task_history import systems
from task_history.core import lock_timeouts
from task_history.load import shared_connection
from task_history.load.duckdb_turn_lock import FileTurn
from task_history.load.pipeline import Loader
from task_history_cli.runtime.target import Target
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

MOST_WAITED_S = 3 * lock_timeouts.FILE_OPEN_OF_RUN_S
"""On a busy machine another process may miss the moment in which the file is free, twice; a reader waits longer."""
_OPEN = """
import duckdb, sys, time
began = time.monotonic()
while True:
    try:
        duckdb.connect(sys.argv[1]).close()
        break
    except duckdb.IOException:
        if time.monotonic() - began > float(sys.argv[2]):
            sys.exit(1)
        time.sleep(0.1)
print(time.monotonic() - began)
"""


def _waited(file: Path, patience_s: float) -> float | None:
    """How many seconds another process waited until it had the file open; None when it gave up."""
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(file), str(patience_s)], capture_output=True, text=True, check=False
    )
    return float(done.stdout) if done.returncode == 0 else None


def _loader(folder: Path, dataset: str) -> Loader:
    pipeline = dlt.pipeline(
        f"task_history_{dataset}",
        pipelines_dir=str(folder / "pipelines"),
        destination=Target("duckdb", folder / "held.duckdb").destination(),
        dataset_name=dataset,
    )
    made = Loader(pipeline, systems.find("paragon"))
    made.prepare()
    return made


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return _loader(tmp_path, "paragon")


def test_it_stays_open_while_the_run_is_about_nothing_else(tmp_path: Path, loader: Loader) -> None:
    """Between two questions nobody else gets in, and it is not opened anew; once the run is over, all do."""
    loader.query("SELECT 1")
    assert _waited(tmp_path / "held.duckdb", 1.0) is None
    loader.close()
    assert _waited(tmp_path / "held.duckdb", 1.0) is not None


def test_it_is_given_up_while_the_run_waits(tmp_path: Path, loader: Loader) -> None:
    """While it waits for the vendor, another process has the file within two seconds, and it has it back after that."""
    with loader.released():
        loader.query("SELECT 1")
        waited = _waited(tmp_path / "held.duckdb", 10.0)
        assert waited is not None
        assert waited < 2.0
        assert loader.query("SELECT 1")[1] == [(1,)]
    loader.close()


def test_others_get_in_however_much_there_is_to_write(tmp_path: Path, loader: Loader) -> None:
    """While question follows upon question, another process has the file before a reader gives up."""
    other = subprocess.Popen(
        [sys.executable, "-c", _OPEN, str(tmp_path / "held.duckdb"), "15"], stdout=subprocess.PIPE, text=True
    )
    asked = 0
    with loader.released():
        while other.poll() is None:
            loader.query("SELECT 1")
            asked += 1
            time.sleep(0.01)
    loader.close()
    said, _ = other.communicate()
    assert other.returncode == 0
    assert float(said) < MOST_WAITED_S
    assert asked > 100


def test_others_get_in_while_it_asks_and_computes_in_turn(tmp_path: Path, loader: Loader) -> None:
    """Also where each question comes right after a request, another process has the file before a reader gives up."""
    other = subprocess.Popen(
        [sys.executable, "-c", _OPEN, str(tmp_path / "held.duckdb"), "15"], stdout=subprocess.PIPE, text=True
    )
    while other.poll() is None:
        with loader.released():
            time.sleep(0.02)
        loader.query("SELECT 1")
        time.sleep(0.08)
    loader.close()
    said, _ = other.communicate()
    assert other.returncode == 0
    assert float(said) < MOST_WAITED_S


def test_the_next_run_of_the_process_takes_the_open_file_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two runs of a fleet's process the file is not opened anew, and not kept beyond what one run may."""
    monkeypatch.setattr(shared_connection, "_leaves_open", True)
    monkeypatch.setattr(lock_timeouts, "FILE_IDLE_S", 600.0)
    monkeypatch.setattr(lock_timeouts, "FILE_OPEN_OF_RUN_S", 600.0)
    first = _loader(tmp_path, "paragon")
    # As long as the file is open, DuckDB keeps such a setting.
    first.execute(["SET GLOBAL default_null_order = 'nulls_first'"])
    first.close()
    assert _waited(tmp_path / "held.duckdb", 0.0) is None
    second = _loader(tmp_path, "paragon_second")
    assert "nulls_first" in str(second.query("SELECT current_setting('default_null_order')")[1]).lower()
    monkeypatch.setattr(lock_timeouts, "FILE_OPEN_OF_RUN_S", 0.0)
    second.close()
    assert _waited(tmp_path / "held.duckdb", 10.0) is not None


def test_a_file_is_not_opened_while_the_same_process_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is the process's: closing would give it up for the one who has just opened the file, too."""
    monkeypatch.setattr(shared_connection, "_leaves_open", True)
    monkeypatch.setattr(lock_timeouts, "FILE_IDLE_S", 600.0)
    second = _loader(tmp_path, "paragon_second")
    second.close()
    first = _loader(tmp_path, "paragon")
    first.close()
    done: list[str] = []
    is_closing = threading.Event()
    close, open_again = first.client.close_connection, second.client.open_connection

    def close_slowly() -> None:
        is_closing.set()
        time.sleep(0.5)
        close()
        done.append("closed")

    def open_and_note() -> None:
        open_again()
        done.append("opened")

    monkeypatch.setattr(first.client, "close_connection", close_slowly)
    monkeypatch.setattr(second.client, "open_connection", open_and_note)

    def close_as_idle() -> None:
        with first._connection.lock:
            first._connection.close()

    with ThreadPoolExecutor(1) as threads:
        closing = threads.submit(close_as_idle)
        assert is_closing.wait(60)
        second.query("SELECT 1")
        closing.result()
    assert done == ["closed", "opened"]
    monkeypatch.setattr(lock_timeouts, "FILE_OPEN_OF_RUN_S", 0.0)
    second.close()


def test_the_open_file_is_opened_by_nothing_else_in_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To close it anywhere in the process gives up DuckDB's lock: two processes would write at once."""
    monkeypatch.setattr(shared_connection, "_leaves_open", True)
    opened: list[str] = []
    is_watched = True

    def note(event: str, words: tuple[object, ...]) -> None:
        if is_watched and event == "open" and str(words[0]).endswith("warehouse.duckdb"):
            opened.append(str(words[0]))

    with SandboxProcess(executions=20, seed=5, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox)
        place.quick_sync()
        sys.addaudithook(note)
        place.quick_sync()
        place.run("sync", "paragon")
        is_watched = False
    monkeypatch.setattr(lock_timeouts, "FILE_OPEN_OF_RUN_S", 0.0)
    assert opened == []


_TAKE = """
import sys
from pathlib import Path
from task_history.load.duckdb_turn_lock import FileTurn
turn = FileTurn(Path(sys.argv[1]), sys.argv[2])
print(turn.take(), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def _other_process(folder: Path, file: str) -> Iterator[bool]:
    """A process that takes the turn for as long as it lives; yields whether it got it."""
    words = [sys.executable, "-c", _TAKE, str(folder), file]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline() == "True\n"
        process.kill()


def test_a_turn_is_of_one_process_until_its_last_connection_ends_it(tmp_path: Path) -> None:
    """Runs of one process share DuckDB's file, and its turn; other processes wait, but for no lock that cannot be."""
    first, second = FileTurn(tmp_path, "f"), FileTurn(tmp_path, "f")
    assert first.take()
    assert first.take()
    assert second.take()
    first.end()
    with _other_process(tmp_path, "f") as is_taken:
        assert not is_taken
    second.end()
    second.end()
    with _other_process(tmp_path, "f") as is_taken:
        assert is_taken
        assert not first.take()
    assert first.take()
    first.end()
    assert FileTurn(tmp_path / "missing", "f").take()


def test_who_waits_for_a_turn_does_not_try_to_open_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt takes milliseconds of a processor; a process that is killed ends its turn."""
    monkeypatch.setattr(lock_timeouts, "FILE_WAIT_LOGGED_S", 600.0)
    loader = _loader(tmp_path, "paragon")
    loader.close()
    attempts: list[float] = []
    open_connection = loader.client.open_connection

    def note() -> None:
        attempts.append(time.monotonic())
        open_connection()

    monkeypatch.setattr(loader.client, "open_connection", note)
    folder, file = tmp_path / "pipelines", str(tmp_path / "held.duckdb")
    with ThreadPoolExecutor(1) as threads:
        with _other_process(folder, file) as is_taken:
            assert is_taken
            asked = threads.submit(loader.query, "SELECT 1")
            time.sleep(0.5)
            assert attempts == []
        assert asked.result()[1] == [(1,)]
    assert len(attempts) == 1
    loader.close()
