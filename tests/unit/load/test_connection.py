"""A DuckDB file stays open for a moment, and others get in."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import dlt
import pytest

from task_history import systems
from task_history.load.pipeline import Loader
from task_history_cli.runtime.target import Target

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


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    pipeline = dlt.pipeline(
        "task_history_paragon",
        pipelines_dir=str(tmp_path / "pipelines"),
        destination=Target("duckdb", tmp_path / "held.duckdb").destination(),
        dataset_name="paragon",
    )
    made = Loader(pipeline, systems.find("paragon"))
    made.prepare()
    return made


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
    """While question follows upon question, another process has the file within eight seconds."""
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
    assert float(said) < 8.0
    assert asked > 100


def test_others_get_in_while_it_asks_and_computes_in_turn(tmp_path: Path, loader: Loader) -> None:
    """Also where each question comes right after a request, another process has the file within eight seconds."""
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
    assert float(said) < 8.0
