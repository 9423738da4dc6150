"""The systems as dlt sources in a script of a user: what ``pipeline.run(paragon())`` loads and prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history import systems
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import ROOT

WORLD: dict[str, Any] = {"days": 8, "workflows": 5, "failed": 0.2, "open_days": 0.05, "freeze": True}

PLAIN_RUN = """
import json, sys
import dlt, task_history

name, settings = sys.argv[1], json.loads(sys.argv[2])
pipeline = dlt.pipeline(f"task_history_{name}", destination="duckdb", dataset_name=name)
pipeline.run(getattr(task_history, name)(**settings))
"""


def script(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in the folder with Python's warnings as errors and no setting of dlt's."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SOURCES__", "RUNTIME__", "LOAD__", "DESTINATION__", "NORMALIZE__"))
    }
    own = {
        "DLT_DATA_DIR": str(folder / "data"),
        "TASK_HISTORY_STATE_DIR": str(folder / "state"),
        "PYTHONPATH": str(ROOT / "sources"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *words],
        cwd=folder,
        env=environ | own,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("name", systems.names())
def test_a_plain_run_prints_no_warning(name: str, tmp_path: Path) -> None:
    """``pipeline.run`` with dlt's own settings loads what the vendor shows, and writes nothing to stderr.

    The second run brings rows into tables that are there already.
    """
    with SandboxProcess(name, executions=60, seed=3, future_hours=30, **WORLD) as sandbox:
        settings = sandbox.settings | {"start_date": "2020-01-01", "rate_limit_requests": 0}
        for hours in (0, 26):
            sandbox.advance(hours * 3600)
            done = script(tmp_path, PLAIN_RUN, name, json.dumps(settings))
            assert (done.returncode, done.stderr) == (0, "")
        expected = len(sandbox.truth())
    with duckdb.connect(str(tmp_path / f"task_history_{name}.duckdb"), read_only=True) as connection:
        table = f"{name}.{systems.find(name).executions.name}"
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchall() == [(expected,)]
