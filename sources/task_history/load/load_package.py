"""Writes Arrow tables as a finished load package, without dlt's steps ``extract`` and ``normalize``.

These two steps check every schema, configuration and file for changes, which takes twice as long as the load itself.
Rows that change no schema need neither.
https://dlthub.com/docs/reference/explainers/how-dlt-works
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.schema import Schema

from ..core.arrow_types import ARROW
from . import dlt_internals

_ROW_GROUP_SIZE = 50_000
"""Rows per row group, which is what one thread reads at a time."""
_UNIQUE_KEYS = b"task_history.once"
"""Metadata key of Parquet files in which no primary key stands twice."""
_VALUE_BYTES = b"task_history.value_bytes"
"""Metadata key of Parquet files under which stands how many bytes their values have, each as often as it is there."""

CursorMove = tuple[tuple[str, ...], datetime]
"""Path of the cursor in the pipeline's state, and its new value."""


def can_make_packages() -> bool:
    """Whether packages may be written here: not where dlt is set to add its own keys to every row."""
    if not dlt_internals.are_used():
        return False
    added = ("add_dlt_load_id", "add_dlt_id")
    return not any(dlt.config.get(f"normalize.parquet_normalizer.{name}", bool) for name in added)


def fits_schema(schema: Schema, tables: Mapping[str, Any]) -> bool:
    """Whether the schema has all columns of the tables, and the tables all columns that it requires."""
    return dlt_internals.is_seen(schema, dlt_internals.state_table_name()) and all(
        dlt_internals.is_seen(schema, name) and _has_all(schema.tables[name]["columns"], table.schema)
        for name, table in tables.items()
    )


def _has_all(columns: Mapping[str, Any], fields: Any) -> bool:
    kinds = {name: ARROW.get(column.get("data_type", "")) for name, column in columns.items()}
    is_known = all(kinds.get(field.name) == field.type for field in fields)
    # Such as keys of rows that dlt is set to add.
    missing = columns.keys() - set(fields.names)
    return is_known and all(columns[name].get("nullable", True) for name in missing)


def has_unique_keys(file: pq.FileMetaData) -> bool:
    """Whether the Parquet file is marked as having no primary key twice; files of earlier versions are not."""
    return _UNIQUE_KEYS in (file.metadata or {})


def value_bytes(file: pq.FileMetaData) -> int | None:
    """How many bytes the values of the Parquet file have; None where it does not say, as in files of dlt."""
    marked = (file.metadata or {}).get(_VALUE_BYTES)
    return None if marked is None else int(marked)


class PackageWriter:
    """Writes load packages of one pipeline."""

    def __init__(self, pipeline: dlt.Pipeline, *, compression: str) -> None:
        self._pipeline = pipeline
        self._compression = compression
        self._packages = dlt_internals.Packages(pipeline)

    def write(self, schema: Schema, tables: Mapping[str, Any], cursor: CursorMove | None) -> None:
        """Writes one package with all rows and the pipeline's state; dlt finds the whole package or none."""
        packages = self._packages
        with self._pipeline.managed_state() as state:
            if cursor is not None:
                dlt_internals.move_cursor(state, *cursor)
            load_id = packages.begin(schema)
            for name, table in tables.items():
                stored = schema.tables[name]
                keys = dlt_internals.columns_with(stored, "primary_key")
                self._write_file(
                    packages.new_file(load_id, name), _with_all_columns(table, stored["columns"]), keys
                )
            if (row := packages.add_state(load_id, state)) is not None:
                name = dlt_internals.state_table_name()
                columns: Any = schema.tables[name]["columns"]
                self._write_file(
                    packages.new_file(load_id, name), _with_all_columns(_one_row_table(columns, row), columns)
                )
            packages.commit(load_id)

    def _write_file(self, path: str, table: Any, keys: Collection[str] = ()) -> None:
        pq.write_table(
            table.replace_schema_metadata({_UNIQUE_KEYS: b"", _VALUE_BYTES: str(table.nbytes).encode()}),
            path,
            compression=self._compression,
            row_group_size=_ROW_GROUP_SIZE,
            # Dictionary encoding of columns with distinct values would take longer than all else.
            use_dictionary=[
                field.name for field in table.schema if field.name not in keys and field.type == ARROW["text"]
            ],
            write_statistics=False,  # nothing reads them: files are loaded whole
        )


def _with_all_columns(table: Any, columns: Mapping[str, Any]) -> Any:
    """The table with every column of the warehouse, in the same order and with the same nullability.

    BigQuery refuses a file in which a required column is nullable.
    """
    arrays, fields = [], []
    for name, column in columns.items():
        if column.get("data_type") in ARROW:
            kind = ARROW[column["data_type"]]
            is_there = name in table.column_names
            arrays.append(table[name] if is_there else pa.nulls(table.num_rows, kind))
            fields.append(pa.field(name, kind, nullable=column.get("nullable", True)))
    return pa.table(arrays, schema=pa.schema(fields))


def _one_row_table(columns: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """An Arrow table with one row for one of dlt's own tables."""
    kinds = {name: ARROW[column["data_type"]] for name, column in columns.items()}
    return pa.table({name: pa.array([row.get(name)], kind) for name, kind in kinds.items()})
