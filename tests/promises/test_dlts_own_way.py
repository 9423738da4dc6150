"""The promises hold where rows go dlt's own way (extract, normalize, load), as with a version of dlt that is not known.

One switch leaves out all that goes another way: finished load packages, merges from Parquet, the connection that is
kept. The short version is Paragon's completeness, and a kill; the long one repeats every file of promises.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import dlt
import duckdb
import pytest

from task_history import systems
from task_history.core.batch import Batch, Chunk
from task_history.core.commit_limits import CommitLimits
from task_history.load import dlt_internals, working_dir
from task_history.load.pipeline import Loader
from task_history.warehouse import common_tables
from task_history_cli.runtime.target import Target
from task_history_cli.sandbox.process import SandboxProcess
from tests.promises.test_resumable import killed_again_and_again
from tests.support.place import PERFECT, ROOT, Place, differences

NOW = datetime(2026, 9, 1, tzinfo=UTC)
OTHERS = {
    "test_dlts_own_way.py": "this one",
    "test_every_system.py": "one system is enough to tell the ways apart",
    "test_tables_first.py": "dlt makes tables by a load; the same promise is here",
    "test_terminal.py": "writes to no warehouse",
}
PROMISES = sorted(file.name for file in Path(__file__).parent.glob("test_*.py") if file.name not in OTHERS)


@pytest.fixture(autouse=True)
def own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dlt_internals.SWITCH, "off")


def _loader(folder: Path) -> Loader:
    pipeline = dlt.pipeline(
        "task_history_paragon",
        pipelines_dir=str(folder / "pipelines"),
        destination=Target("duckdb", folder / "made.duckdb").destination(),
        dataset_name="paragon",
    )
    return Loader(pipeline, systems.find("paragon"))


def _commit(loader: Loader, *ids: str, at: datetime = NOW, status: str = "SUCCEEDED") -> None:
    rows = [
        {"id": one, "status": status, "dateStarted": NOW.isoformat(), "fetched_at": at, "another": one}
        for one in ids
    ]
    batch = Batch(CommitLimits(), began_at=0.0)
    batch.add(Chunk(rows={"workflow_executions": rows}, cursor=at))
    loader.commit(batch)


def test_rows_state_and_tables_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables, their columns, rows that replace others, and the cursor are those of the other way.

    Every table and column is there before the first row, and described. No package is made by hand, and dlt's own
    folders are left to it.
    """
    contents = []
    for way in ("on", "off"):
        monkeypatch.setenv(dlt_internals.SWITCH, way)
        if way == "off":
            _forbid_the_other_way(monkeypatch)
        folder = tmp_path / way
        loader = _loader(folder)
        loader.prepare()
        sql = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'paragon'"
        there = {(table, column): comment for table, column, comment in loader.query(sql)[1]}
        for table in common_tables.of(systems.find("paragon")):
            assert [column.name for column in table.columns if not there[table.name, column.name]] == []
        assert loader.cursor() is None
        _commit(loader, "a", "b", status="EXECUTING")
        _commit(loader, "b", "c", at=datetime(2026, 9, 2, tzinfo=UTC))
        loader.close()
        again = _loader(folder)
        again.prepare()
        assert datetime(2026, 9, 2, tzinfo=UTC) == again.cursor()
        again.close()
        with duckdb.connect(str(folder / "made.duckdb")) as connection:
            columns = connection.execute(
                "SELECT table_name, column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = 'paragon' AND table_name NOT LIKE '\\_dlt%' ESCAPE '\\' ORDER BY ALL"
            ).fetchall()
            rows = connection.execute(
                "SELECT id, status, another FROM paragon.workflow_executions ORDER BY id"
            ).fetchall()
        contents.append((columns, rows))
    assert contents[0] == contents[1]
    assert [("a", "EXECUTING", "a"), ("b", "SUCCEEDED", "b"), ("c", "SUCCEEDED", "c")] == contents[1][1]


def _forbid_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on what goes the other way fails the test."""

    def missed(*_: object, **__: object) -> None:
        raise AssertionError("this is not dlt's own way")

    for name in (
        "Packages", "mark_as_seen", "move_cursor", "sql_client_of", "table_of", "file_of", "query_settings", "retries",
    ):  # fmt: skip
        monkeypatch.setattr(dlt_internals, name, missed)
    for name in ("remove_old_loads", "complete_loads", "remove_killed_extracts"):
        monkeypatch.setattr(working_dir, name, missed)


@pytest.mark.torture
def test_a_copy_is_perfect(tmp_path: Path) -> None:
    """After a first sync that was killed and another, every execution is there once, as the vendor shows it."""
    with SandboxProcess(executions=20, seed=7, failed=0.3, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None)
        killed = place.start("sync", "paragon")
        time.sleep(1.5)
        killed.kill()
        killed.communicate()
        place.sync()
        assert PERFECT == differences(place, sandbox)
        assert place.query("SELECT count(*) FROM paragon.step_payloads")[0][0] > 0


def test_a_sync_has_all_rows(tmp_path: Path) -> None:
    """Every execution is there once, as the vendor shows it."""
    with SandboxProcess(executions=10, seed=7, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None, steps="none")
        place.quick_sync()
        assert PERFECT == differences(place, sandbox)


@pytest.mark.torture
def test_killed_at_random_instants(tmp_path: Path) -> None:
    """After a kill at a random instant and one more sync all tables equal those of an undisturbed sync."""
    killed_again_and_again(tmp_path, kills=1, executions=30, longest_s=1.5)


@pytest.mark.torture
@pytest.mark.parametrize("file", PROMISES)
def test_every_promise(file: str) -> None:
    """All promises of the file hold."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not torture", f"tests/promises/{file}"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
