"""Arrow tables → a load package that dlt only has to load.

dlt makes its packages in two steps, ``extract`` and ``normalize``, which look into every schema, configuration and
file for what may have changed: that takes twice as long as the load itself. Rows that bring nothing new need neither.
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

from ..core.arrow import ARROW
from . import dlt_internals

_GROUP = 50_000
"""Rows that one thread reads at a time."""
_ONCE = b"task_history.once"

Cursor = tuple[tuple[str, ...], datetime]
"""Where in the pipeline's state it stands, and where it moves to."""


def are_wanted() -> bool:
    """Whether packages may be made here: not where dlt is set to add keys of its own to every row."""
    if not dlt_internals.are_used():
        return False
    added = ("add_dlt_load_id", "add_dlt_id")
    return not any(dlt.config.get(f"normalize.parquet_normalizer.{name}", bool) for name in added)


def fits(schema: Schema, made: Mapping[str, Any]) -> bool:
    """Whether the schema knows everything about the tables, and they have all that it asks for."""
    return dlt_internals.is_seen(schema, dlt_internals.state_table_name()) and all(
        dlt_internals.is_seen(schema, name) and _has_all(schema.tables[name]["columns"], table.schema)
        for name, table in made.items()
    )


def _has_all(columns: Mapping[str, Any], fields: Any) -> bool:
    kinds = {name: ARROW.get(column.get("data_type", "")) for name, column in columns.items()}
    is_known = all(kinds.get(field.name) == field.type for field in fields)
    # Such as keys of rows that dlt is set to add.
    missing = columns.keys() - set(fields.names)
    return is_known and all(columns[name].get("nullable", True) for name in missing)


def is_once(file: str) -> bool:
    """Whether the file is known to hold no key twice: an earlier version's may."""
    return _ONCE in (pq.read_schema(file).metadata or {})


class Packer:
    """Makes packages of one pipeline."""

    def __init__(self, pipeline: dlt.Pipeline, *, compression: str) -> None:
        self._pipeline = pipeline
        self._compression = compression
        self._packages = dlt_internals.Packages(pipeline)

    def pack(self, schema: Schema, made: Mapping[str, Any], cursor: Cursor | None) -> None:
        """One package of all rows and the state that speaks of them: dlt finds it whole or not at all."""
        packages = self._packages
        with self._pipeline.managed_state() as state:
            if cursor is not None:
                dlt_internals.move_cursor(state, *cursor)
            load_id = packages.begin(schema)
            for name, table in made.items():
                known = schema.tables[name]
                keys = dlt_internals.columns_with(known, "primary_key")
                self._write(packages.new_file(load_id, name), _whole(table, known["columns"]), keys)
            if (row := packages.keep_state(load_id, state)) is not None:
                name = dlt_internals.state_table_name()
                columns: Any = schema.tables[name]["columns"]
                self._write(packages.new_file(load_id, name), _whole(_as_table(columns, row), columns))
            packages.commit(load_id)

    def _write(self, path: str, table: Any, keys: Collection[str] = ()) -> None:
        pq.write_table(
            table.replace_schema_metadata({_ONCE: b""}),
            path,
            compression=self._compression,
            row_group_size=_GROUP,
            # Where each value is another one, looking for those that are alike costs more than all else.
            use_dictionary=[
                field.name for field in table.schema if field.name not in keys and field.type == ARROW["text"]
            ],
            write_statistics=False,  # nothing reads them: files are loaded whole
        )


def _whole(table: Any, columns: Mapping[str, Any]) -> Any:
    """The table as the warehouse has it: every column, in its order, and required where it is required there.

    BigQuery refuses a file that would make a required column one that may be empty.
    """
    arrays, fields = [], []
    for name, column in columns.items():
        if column.get("data_type") in ARROW:
            kind = ARROW[column["data_type"]]
            is_there = name in table.column_names
            arrays.append(table[name] if is_there else pa.nulls(table.num_rows, kind))
            fields.append(pa.field(name, kind, nullable=column.get("nullable", True)))
    return pa.table(arrays, schema=pa.schema(fields))


def _as_table(columns: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """One row of a table of dlt's own."""
    kinds = {name: ARROW[column["data_type"]] for name, column in columns.items()}
    return pa.table({name: pa.array([row.get(name)], kind) for name, kind in kinds.items()})
