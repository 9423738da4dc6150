"""The tables are there before anything is read, whatever was there before."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from task_history import systems
from task_history.core.batch import Batch, Chunk
from task_history.core.commit_limits import CommitLimits
from task_history.load.pipeline import Loader
from task_history.warehouse import common_tables
from task_history_cli.runtime.target import Target
from tests.support.torture import rest_as_torture

NOW = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "made.duckdb"


def loader(file: Path) -> Loader:
    pipeline = dlt.pipeline(
        "task_history_paragon",
        pipelines_dir=str(file.parent / "pipelines"),
        destination=Target("duckdb", file).destination(),
        dataset_name="paragon",
    )
    return Loader(pipeline, systems.find("paragon"))


def commit(to: Loader, **more: Any) -> None:
    row = {
        "id": "1",
        "status": "SUCCEEDED",
        "dateStarted": "2026-09-01T00:00:00.000Z",
        "fetched_at": NOW,
        **more,
    }
    batch = Batch(CommitLimits(), began_at=0.0)
    batch.add(Chunk(rows={"workflow_executions": [row]}, cursor=NOW))
    to.commit(batch)


def columns(file: Path) -> set[tuple[str, str]]:
    with duckdb.connect(str(file)) as connection:
        sql = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'paragon'"
        return set(connection.execute(sql).fetchall())


def test_tables_are_made_without_a_load(file: Path) -> None:
    """Before the first commit every table and column is there, described, and nothing was loaded."""
    first = loader(file)
    first.prepare()
    assert first.query("SELECT count(*) FROM paragon._dlt_loads")[1] == [(0,)]
    sql = "SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'paragon' AND table_name = 'sync_runs'"
    assert first.query(f"{sql} AND comment IS NULL")[1] == [(0,)]
    first.close()
    there = columns(file)
    for table in common_tables.of(systems.find("paragon")):
        assert {(table.name, column.name) for column in table.columns} <= there


def test_a_run_that_ended_before_its_first_commit_leaves_nothing_behind(file: Path) -> None:
    """The next process finds the tables and goes on; its cursor is kept."""
    first = loader(file)
    first.prepare()
    first.close()
    second = loader(file)
    second.prepare()
    assert second.cursor() is None
    commit(second)
    second.close()
    third = loader(file)
    third.prepare()
    assert third.cursor() == NOW
    assert third.query("SELECT id FROM paragon.workflow_executions")[1] == [("1",)]
    third.close()


def test_what_is_new_is_made_beside_what_the_vendor_sent(file: Path) -> None:
    """A table that this version brings is made; a column that only the vendor knows, and its rows, stay."""
    first = loader(file)
    first.prepare()
    commit(first, resumable=True)
    # As a version left it that knew no workflows.
    with first.kept_open():
        schema = first.pipeline.schemas["paragon"]
        schema.drop_tables(["workflows"])
        first.pipeline.schemas.save_schema(schema)
        first.execute(["DROP TABLE paragon.workflows"])
    first.close()
    second = loader(file)
    second.prepare()
    assert "resumable" in second.pipeline.schemas["paragon"].tables["workflow_executions"]["columns"]
    commit(second, id="2", resumable=False)
    assert second.query("SELECT id, resumable FROM paragon.workflow_executions ORDER BY id")[1] == [
        ("1", True),
        ("2", False),
    ]
    second.close()
    assert ("workflows", "integration") in columns(file)


@pytest.mark.parametrize("is_empty", rest_as_torture([True, False], [True]), ids=["empty", "missing"])
def test_a_file_is_made_whole_or_not_at_all(
    file: Path, monkeypatch: pytest.MonkeyPatch, is_empty: bool
) -> None:
    """An empty file, which a kill may leave as DuckDB makes it, is filled; one that is being made has another name."""
    if is_empty:
        file.touch()
    left = file.with_name(f".{file.name}.1.new")
    left.touch()
    os.utime(left, (0, 0))
    seen: list[int] = []
    connect = duckdb.connect

    def noting(*words: Any, **more: Any) -> Any:
        seen.append(_size(file))
        return connect(*words, **more)

    monkeypatch.setattr(duckdb, "connect", noting)
    first = loader(file)
    first.prepare()
    commit(first)
    first.close()
    assert seen[0] == 0
    assert 0 not in seen[1:]
    assert list(file.parent.glob(".*.new")) == []
    _goes_on(file)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _without_tables(file: Path, *statements: str) -> None:
    """Runs statements over the file, which is made where it is not there."""
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)


def _goes_on(file: Path) -> None:
    """A next run makes the tables, commits a row and keeps it."""
    following = loader(file)
    following.prepare()
    commit(following)
    assert following.query("SELECT id FROM paragon.workflow_executions")[1] == [("1",)]
    following.close()
    last = loader(file)
    last.prepare()
    assert last.cursor() == NOW
    last.close()


def test_a_dataset_without_tables_is_filled(file: Path) -> None:
    """A first run that was killed between dataset and tables, or a dataset made by hand: the next run goes on."""
    _without_tables(file, "CREATE SCHEMA paragon")
    _goes_on(file)


def test_a_dataset_made_anew_by_hand_is_filled(file: Path) -> None:
    """A file that was deleted and made again with an empty dataset, beside the working folder of the run before."""
    first = loader(file)
    first.prepare()
    commit(first)
    first.close()
    file.unlink()
    _without_tables(file, "CREATE SCHEMA paragon")
    _goes_on(file)


def test_a_dataset_without_a_table_of_dlts_is_filled(file: Path) -> None:
    """Tables of dlt's own that were dropped by hand are made again, and no row is lost."""
    first = loader(file)
    first.prepare()
    commit(first)
    first.close()
    for table in ("_dlt_version", "_dlt_loads", "_dlt_pipeline_state"):
        _without_tables(file, f"DROP TABLE paragon.{table}")
        _goes_on(file)
