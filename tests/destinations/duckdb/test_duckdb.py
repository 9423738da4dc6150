"""What DuckDB is written: each key once, whatever a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa

from task_history_cli.runtime.target import Target


def _load(file: Path, *rows: tuple[str, int, str]) -> list[tuple[Any, ...]]:
    pipeline = dlt.pipeline(
        "once",
        pipelines_dir=str(file.parent / "pipelines"),
        destination=Target("duckdb", file).destination(),
        dataset_name="data",
    )
    table = pa.table(dict(zip(("id", "seen", "state"), map(list, zip(*rows, strict=True)), strict=True)))
    made = dlt.resource(
        lambda: iter([table]),
        name="runs",
        primary_key="id",
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
        columns={"seen": {"dedup_sort": "desc"}},
    )
    pipeline.run(made)
    with duckdb.connect(str(file)) as connection:
        return connection.execute("SELECT id, seen, state FROM data.runs ORDER BY id").fetchall()


def test_a_file_that_holds_a_key_twice_is_written_once(tmp_path: Path) -> None:
    """Of two rows with one key, which files of an earlier version may hold, the newest is written, once."""
    file = tmp_path / "once.duckdb"
    assert _load(file, ("a", 1, "old"), ("a", 3, "newest"), ("b", 1, "only"), ("a", 2, "newer")) == [
        ("a", 3, "newest"),
        ("b", 1, "only"),
    ]
    assert _load(file, ("a", 4, "later"), ("c", 1, "new")) == [
        ("a", 4, "later"),
        ("b", 1, "only"),
        ("c", 1, "new"),
    ]


def test_what_is_loaded_again_is_there_once(tmp_path: Path) -> None:
    """The same file again, as after a kill, changes nothing, and no second copy of the rows is kept."""
    file = tmp_path / "once.duckdb"
    rows = [("a", 1, "x"), ("b", 1, "y")]
    assert _load(file, *rows) == _load(file, *rows) == rows
    with duckdb.connect(str(file)) as connection:
        schemas = connection.execute("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()
    assert schemas == [("data",)]


def test_a_long_text_in_many_rows_is_written(tmp_path: Path) -> None:
    """Rows that need more memory than their file shows, since a text that repeats stands in it once, are written."""
    rows = [(str(number), 1, "x y " * 600_000) for number in range(30)]
    assert len(_load(tmp_path / "long.duckdb", *rows)) == 30
