"""Load packages that are made here hold what dlt's own would hold."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.common.versioned_state import decompress_state

from task_history import systems
from task_history.core.batch import Batch, Chunk
from task_history.core.commit_limits import CommitLimits
from task_history.load.dlt_internals import cursor_path
from task_history.load.dlt_resources import arrow_batch, resources
from task_history.load.load_package import PackageWriter, fits_schema, value_bytes
from task_history.load.pipeline import Loader
from task_history_cli.runtime.target import Target

NOW = datetime(2026, 9, 1, tzinfo=UTC)
PARAGON = systems.find("paragon")
OWN = {"_dlt_loads", "_dlt_version", "_dlt_pipeline_state"}


def loader(folder: Path, *, local: str = "pipelines") -> Loader:
    pipeline = dlt.pipeline(
        "task_history_paragon",
        pipelines_dir=str(folder / local),
        destination=Target("duckdb", folder / "made.duckdb").destination(),
        dataset_name="paragon",
    )
    return Loader(pipeline, PARAGON)


def batch(*ids: str, at: datetime = NOW, **more: Any) -> Batch:
    rows = [
        {
            "id": identity,
            "userId": "user",
            "status": "SUCCEEDED",
            "dateStarted": at.isoformat(),
            "fetched_at": NOW,
            **more,
        }
        for identity in ids
    ]
    run = {"run_id": "r", "command": "sync", "started_at": NOW, "outcome": "running", "written_at": at}
    filled = Batch(CommitLimits(), began_at=0.0)
    filled.add(Chunk(rows={"workflow_executions": rows}, notes={"sync_runs": [run]}, cursor=at))
    return filled


def _source(told: list[Any]) -> Any:
    @dlt.source(name="paragon", max_table_nesting=0, root_key=False)
    def paragon() -> Any:
        return told

    return paragon()


def held(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows by table, without dlt's own, and the columns with their types."""
    with duckdb.connect(str(file)) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'paragon'"
        ).fetchall()
        found = {"": sorted(columns)}
        for table in {str(row[0]) for row in columns} - OWN:
            # Each of them is written at an instant of its own.
            sql = f"SELECT * EXCLUDE (loaded_at) FROM paragon.{table} ORDER BY ALL"
            found[table] = connection.execute(sql).fetchall()
    return found


def state(file: Path) -> dict[str, Any]:
    """The newest state that is in the warehouse, without what differs from pipeline to pipeline."""
    with duckdb.connect(str(file)) as connection:
        sql = "SELECT state, _dlt_id, _dlt_load_id, version FROM paragon._dlt_pipeline_state ORDER BY version DESC"
        rows = connection.execute(sql).fetchall()
        loads = {row[0] for row in connection.execute("SELECT load_id FROM paragon._dlt_loads").fetchall()}
    assert len({row[1] for row in rows}) == len(rows)
    assert {row[2] for row in rows} <= loads
    found: dict[str, Any] = dict(decompress_state(rows[0][0]))
    assert found["_state_version"] == rows[0][3]
    return found


def test_it_is_what_dlt_would_have_made(tmp_path: Path) -> None:
    """The same batches by dlt's own steps: the same rows, columns, types and state."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    first, second = loader(ours), loader(theirs)
    first.prepare()
    second.prepare()
    for ids, at in ((("1", "2"), NOW), (("2", "3"), NOW + timedelta(hours=1))):
        schema = first.pipeline.schemas["paragon"]
        ready = arrow_batch(PARAGON, batch(*ids, at=at), first.writer())
        assert fits_schema(schema, ready.tables)
        first.commit(batch(*ids, at=at))
        writer = second.writer()
        told = resources(
            PARAGON, [arrow_batch(PARAGON, batch(*ids, at=at), writer)], writer, cursor="date_started"
        )
        second.pipeline.run(_source(told))
    first.close()
    second.close()
    assert held(ours / "made.duckdb") == held(theirs / "made.duckdb")
    assert len(held(ours / "made.duckdb")["workflow_executions"]) == 3
    made_here, made_there = state(ours / "made.duckdb"), state(theirs / "made.duckdb")
    assert made_here["sources"] == made_there["sources"]
    assert made_here.keys() == made_there.keys()
    assert first.cursor() == second.cursor() == NOW + timedelta(hours=1)


def _files(one: Loader) -> dict[str, Any]:
    """What the files of the package that is waiting look like, by table."""
    found = Path(one.pipeline.working_dir).glob("load/normalized/*/new_jobs/*.parquet")
    return {
        file.name.split(".")[0]: [(field.name, field.type, field.nullable) for field in pq.read_schema(file)]
        for file in found
    }


def test_its_files_are_what_dlt_would_have_written(tmp_path: Path) -> None:
    """The same columns in the same order, and required where they are required: BigQuery refuses others."""
    ours, theirs = loader(tmp_path / "ours"), loader(tmp_path / "theirs")
    for one in (ours, theirs):
        one.prepare()
        one.commit(batch("1", region="eu"))
    path = cursor_path("paragon", "workflow_executions", "date_started")
    later = NOW + timedelta(hours=1)
    ready = arrow_batch(PARAGON, batch("2", at=later), ours.writer())
    packer = PackageWriter(ours.pipeline, compression="snappy")
    packer.write(ours.pipeline.schemas["paragon"], ready.tables, (path, later))
    writer = theirs.writer()
    told = resources(
        PARAGON, [arrow_batch(PARAGON, batch("2", at=later), writer)], writer, cursor="date_started"
    )
    chosen = [one for one in told if one.name in {"workflow_executions", "sync_runs"}]
    theirs.pipeline.extract(_source(chosen))
    theirs.pipeline.normalize()
    expected = _files(theirs)
    assert set(expected) == {"workflow_executions", "sync_runs", "_dlt_pipeline_state"}
    assert ("id", pa.string(), False) in expected["workflow_executions"]
    assert _files(ours) == expected
    for one in (ours, theirs):
        one.close()


def test_a_file_says_how_many_bytes_its_values_have(tmp_path: Path) -> None:
    """A text that repeats counts as often as it stands there, though the file holds it once; files of dlt say nothing."""
    one = loader(tmp_path)
    one.prepare()
    one.commit(batch("0", userMail="short"))
    text = "x y " * 50_000
    ready = arrow_batch(PARAGON, batch(*map(str, range(30)), userMail=text), one.writer())
    PackageWriter(one.pipeline, compression="none").write(one.pipeline.schemas["paragon"], ready.tables, None)
    folder = Path(one.pipeline.working_dir)
    (file,) = folder.glob("load/normalized/*/new_jobs/workflow_executions.*.parquet")
    assert file.stat().st_size < 2 * len(text)
    assert 30 * len(text) <= (value_bytes(pq.read_metadata(file)) or 0) < 31 * len(text)
    pq.write_table(ready.tables["workflow_executions"], tmp_path / "dlt.parquet")
    assert value_bytes(pq.read_metadata(tmp_path / "dlt.parquet")) is None
    one.close()


def test_a_load_that_was_not_put_away_is_put_away(tmp_path: Path) -> None:
    """A kill after everything is loaded, and before dlt moves its record, stops no later run."""
    one = loader(tmp_path)
    one.prepare()
    one.commit(batch("1"))
    one.close()
    folder = Path(one.pipeline.working_dir) / "load"
    (done,) = (folder / "loaded").iterdir()
    done.rename(folder / "normalized" / done.name)
    for _ in range(2):
        other = loader(tmp_path)
        other.prepare()
        assert other.query("SELECT count(*) FROM paragon._dlt_loads")[1] == [(1,)]
        assert other.cursor() == NOW
        other.close()
    assert [entry.name for entry in (folder / "loaded").iterdir()] == [done.name]


def test_a_new_column_takes_dlts_way_and_the_next_batch_the_short_one(tmp_path: Path) -> None:
    """What the schema does not know yet is made by dlt, and nothing is lost before, with or after it."""
    one = loader(tmp_path)
    one.prepare()
    one.commit(batch("1"))
    new = batch("2", at=NOW + timedelta(hours=1), region="eu")
    assert not fits_schema(one.pipeline.schemas["paragon"], arrow_batch(PARAGON, new, one.writer()).tables)
    one.commit(batch("2", at=NOW + timedelta(hours=1), region="eu"))
    again = batch("3", at=NOW + timedelta(hours=2), region="us")
    assert fits_schema(one.pipeline.schemas["paragon"], arrow_batch(PARAGON, again, one.writer()).tables)
    one.commit(batch("3", at=NOW + timedelta(hours=2), region="us"))
    without = batch("4", at=NOW + timedelta(hours=3))
    assert fits_schema(one.pipeline.schemas["paragon"], arrow_batch(PARAGON, without, one.writer()).tables)
    one.commit(batch("4", "1", at=NOW + timedelta(hours=3)))
    assert one.query("SELECT id, region FROM paragon.workflow_executions ORDER BY id")[1] == [
        ("1", None),
        ("2", "eu"),
        ("3", "us"),
        ("4", None),
    ]
    assert one.cursor() == NOW + timedelta(hours=3)
    one.close()


def test_a_state_that_did_not_change_is_written_once(tmp_path: Path) -> None:
    """Commits that leave the cursor where it is add nothing to dlt's own table."""
    one = loader(tmp_path)
    one.prepare()
    for identity in "123":
        one.commit(batch(identity))
    assert one.query("SELECT count(*) FROM paragon._dlt_pipeline_state")[1] == [(1,)]
    assert one.query("SELECT count(*) FROM paragon._dlt_loads")[1] == [(3,)]
    one.close()


def test_the_cursor_comes_back_from_the_warehouse(tmp_path: Path) -> None:
    """A machine without the pipeline's folder goes on where the other one was."""
    one = loader(tmp_path)
    one.prepare()
    one.commit(batch("1"))
    one.commit(batch("2", at=NOW + timedelta(hours=5)))
    one.close()
    other = loader(tmp_path, local="elsewhere")
    other.prepare()
    assert other.cursor() == NOW + timedelta(hours=5)
    other.commit(batch("3", at=NOW + timedelta(hours=6)))
    other.close()
    shutil.rmtree(tmp_path / "pipelines")
    third = loader(tmp_path)
    third.prepare()
    assert third.cursor() == NOW + timedelta(hours=6)
    assert third.query("SELECT count(*) FROM paragon.workflow_executions")[1] == [(3,)]
    third.close()


def test_a_package_that_was_not_finished_is_forgotten(tmp_path: Path) -> None:
    """What a kill left of a package is removed, and what was finished is loaded."""
    one = loader(tmp_path)
    one.prepare()
    one.commit(batch("1"))
    one.close()
    folder = Path(one.pipeline.working_dir) / "load"
    half = folder / "new" / "1795000000.5" / "new_jobs"
    half.mkdir(parents=True)
    (half / "workflow_executions.0123456789.0.parquet").write_bytes(b"PAR1")
    other = loader(tmp_path)
    other.prepare()
    assert list((folder / "new").iterdir()) == []
    assert other.query("SELECT id FROM paragon.workflow_executions")[1] == [("1",)]
    other.close()


def test_where_dlt_adds_keys_of_its_own_the_way_is_dlts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who has dlt mark each row with its load gets the mark."""
    monkeypatch.setenv("NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID", "true")
    one = loader(tmp_path)
    one.prepare()
    one.commit(batch("1"))
    one.commit(batch("2", region="eu"))
    one.commit(batch("3", region="eu"))
    sql = "SELECT id FROM paragon.workflow_executions WHERE _dlt_load_id IS NOT NULL ORDER BY id"
    assert one.query(sql)[1] == [("1",), ("2",), ("3",)]
    one.close()
