"""Parquet files of a load package that go into BigQuery: their days and keys, and their rows as SQL."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyarrow import compute, concat_tables
from pyarrow.parquet import read_metadata, read_table

from ...warehouse import common_tables
from ...warehouse.sql_text import BIGQUERY, quoted_text, sql_type
from ..dlt_internals import LoadJobInfo
from ..load_package import value_bytes

_IN_STATEMENTS = frozenset(
    {common_tables.SYNC_RUNS.name, common_tables.COVERAGE.name, common_tables.WINDOW_READS.name}
)
"""Tables of which few rows may stand in a statement: they hold nothing of the vendor's, whose rows do not belong into
BigQuery's history of jobs."""
_MAX_ROWS, _MAX_BYTES = 200, 60_000
"""Maximum rows and bytes of values that stand in a statement, which may have a million characters."""
_MAX_KEYS = 2_000
"""Maximum keys that stand in a statement."""


def present_path(job: LoadJobInfo) -> Path:
    """Path of the job's file: for the last job dlt names the folder to which it is moved only afterwards."""
    done = Path(job.file_path)
    return done if done.exists() else done.parent.parent / "started_jobs" / done.name


def is_empty(file: Path) -> bool:
    """Whether the file has no rows."""
    return file.suffix == ".parquet" and file.exists() and read_metadata(file).num_rows == 0


def fits_statement(table: str, file: Path) -> bool:
    """Whether the rows stand in the statement that merges them, so that no load job and no staging table is needed."""
    if table not in _IN_STATEMENTS or file.suffix != ".parquet" or not file.exists():
        return False
    found = read_metadata(file)
    size = value_bytes(found)
    return found.num_rows <= _MAX_ROWS and size is not None and size <= _MAX_BYTES


def days(files: Sequence[Path], column: str) -> set[datetime | None] | None:
    """The days of the column in Parquet files, with None for rows without one; None for files of other kinds."""
    if any(path.suffix != ".parquet" for path in files):
        return None
    values = concat_tables(read_table(path, columns=[column]) for path in files)[column]
    return set(compute.unique(compute.floor_temporal(values, unit="day")).to_pylist())


def keys(files: Sequence[Path], column: str) -> list[str] | None:
    """The texts of the column in Parquet files, each once; None where they are too many, or no texts."""
    if any(path.suffix != ".parquet" for path in files):
        return None
    if sum(read_metadata(path).num_rows for path in files) > _MAX_KEYS:
        return None
    values = [
        value for path in files for value in read_table(path, columns=[column])[column].unique().to_pylist()
    ]
    return sorted(set(values)) if all(isinstance(value, str) for value in values) else None


def rows_as_sql(files: Sequence[Path], types: Mapping[str, str]) -> str:
    """The rows of the files as one query; ``types`` are dlt's types by column."""
    rows = [row for path in files for row in read_table(path, columns=list(types)).to_pylist()]
    return " UNION ALL ".join(f"SELECT {', '.join(_literals(row, types))}" for row in rows)


def _literals(row: Mapping[str, Any], types: Mapping[str, str]) -> Iterable[str]:
    return (f"{_literal(row[name], kind)} AS `{name}`" for name, kind in types.items())


def _literal(value: Any, kind: str) -> str:
    """The value as an SQL constant, in which nothing looks like the end of a statement or line."""
    if value is None:
        return f"CAST(NULL AS {sql_type(kind, BIGQUERY)})"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00'"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"CAST('{value}' AS FLOAT64)"
    if isinstance(value, int):
        return str(value)
    return text_literal(str(value))


def text_literal(text: str) -> str:
    """The text as an SQL constant on one line; dlt cuts statements at semicolons and line ends."""
    quoted = quoted_text(text, BIGQUERY).replace(";", "\\x3b").replace("\r", "\\r").replace("\0", "\\x00")
    return "".join(
        f"\\u{ord(sign):04x}" if sign in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029" else sign for sign in quoted
    )
