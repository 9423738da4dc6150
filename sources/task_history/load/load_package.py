"""Arrow tables → a load package that dlt only has to load.

dlt makes its packages in two steps, ``extract`` and ``normalize``, which look into every schema, configuration and
file for what may have changed: that takes twice as long as the load itself. Rows that bring nothing new need neither.
https://dlthub.com/docs/reference/explainers/how-dlt-works
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.normalizers.utils import generate_dlt_id
from dlt.common.schema import Schema
from dlt.common.schema.typing import PIPELINE_STATE_TABLE_NAME
from dlt.common.schema.utils import (
    get_columns_names_with_prop,
    has_table_seen_data,
    pipeline_state_table,
)
from dlt.common.storages.configuration import LoadStorageConfiguration
from dlt.common.storages.load_package import PackageStorage, create_load_id
from dlt.common.storages.load_storage import LoadStorage
from dlt.common.utils import uniq_id
from dlt.pipeline.state_sync import bump_pipeline_state_version_if_modified, mark_state_extracted, state_doc

from ..core.arrow import ARROW

_FORMAT: Final = "parquet"
_GROUP = 50_000
"""Rows that one thread reads at a time."""
_ONCE = b"task_history.once"
_INSTANT = ARROW["timestamp"]

Cursor = tuple[tuple[str, ...], datetime]
"""Where in the pipeline's state it stands, and where it moves to."""


def cursor_path(source: str, resource: str, column: str) -> tuple[str, ...]:
    """Where dlt keeps the state of a resource's ``dlt.sources.incremental`` over the column."""
    return ("sources", source, "resources", resource, "incremental", column)


def are_wanted() -> bool:
    """Whether packages may be made here: not where somebody has dlt add keys of its own to every row."""
    added = ("add_dlt_load_id", "add_dlt_id")
    return not any(dlt.config.get(f"normalize.parquet_normalizer.{name}", bool) for name in added)


def prepare(schema: Schema) -> None:
    """Says of the schema that its tables are in use, which dlt finds out when the first rows pass ``normalize``."""
    if schema.state_table_name != PIPELINE_STATE_TABLE_NAME:
        return  # somebody wants other names than dlt's own, and gets them from dlt
    schema.update_table(pipeline_state_table(add_dlt_id=True))
    for table in (*schema.data_tables(), schema.tables[PIPELINE_STATE_TABLE_NAME]):
        table["x-normalizer"] = {"seen-data": True}


def fits(schema: Schema, made: Mapping[str, Any]) -> bool:
    """Whether the schema knows everything about the tables, and they have all that it asks for."""
    return _is_used(schema, PIPELINE_STATE_TABLE_NAME) and all(
        _is_used(schema, name) and _has_all(schema.tables[name]["columns"], table.schema)
        for name, table in made.items()
    )


def _is_used(schema: Schema, name: str) -> bool:
    return name in schema.tables and has_table_seen_data(schema.tables[name])


def _has_all(columns: Mapping[str, Any], fields: Any) -> bool:
    kinds = {name: ARROW.get(column.get("data_type", "")) for name, column in columns.items()}
    is_known = all(kinds.get(field.name) == field.type for field in fields)
    # Such as keys of rows that somebody has dlt add.
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
        folder = Path(pipeline.working_dir) / "load"
        self._storage = LoadStorage(True, (_FORMAT,), LoadStorageConfiguration(str(folder)))

    def pack(self, schema: Schema, made: Mapping[str, Any], cursor: Cursor | None) -> None:
        """One package of all rows and the state that speaks of them: dlt finds it whole or not at all."""
        pipeline, packages = self._pipeline, self._storage.new_packages
        load_id = create_load_id()
        with pipeline.managed_state() as state:
            if cursor is not None:
                _move(state, *cursor)
            packages.create_package(load_id, schema=schema)
            # What an abort of the package goes back to.
            pipeline._save_restore_snapshot(packages, load_id)  # noqa: SLF001 - there is no other way to it
            # Empty, it still has dlt empty the staging tables.
            packages.save_schema_updates(load_id, {})
            for name, table in made.items():
                known = schema.tables[name]
                keys = get_columns_names_with_prop(known, "primary_key")
                self._write(load_id, name, _whole(table, known["columns"]), keys)
            _, version, _ = bump_pipeline_state_version_if_modified(state)
            is_stored = pipeline.config.restore_from_destination
            if is_stored and version != state["_local"].get("_last_extracted_hash"):
                document = state_doc(state, load_id)
                package = packages.get_load_package_state(load_id)
                package["pipeline_state"] = document
                packages.save_load_package_state(load_id, package)
                columns: Any = schema.tables[PIPELINE_STATE_TABLE_NAME]["columns"]
                self._write(
                    load_id, PIPELINE_STATE_TABLE_NAME, _whole(_state_row(columns, document), columns)
                )
                mark_state_extracted(state, version)
            self._storage.commit_new_load_package(load_id)

    def _write(self, load_id: str, name: str, table: Any, keys: Collection[str] = ()) -> None:
        packages = self._storage.new_packages
        file = PackageStorage.build_job_file_name(name, uniq_id(5), loader_file_format=_FORMAT)
        path = packages.get_job_file_path(load_id, PackageStorage.NEW_JOBS_FOLDER, file)
        pq.write_table(
            table.replace_schema_metadata({_ONCE: b""}),
            packages.storage.make_full_path(path),
            compression=self._compression,
            row_group_size=_GROUP,
            # Where each value is another one, looking for those that are alike costs more than all else.
            use_dictionary=[
                one.name for one in table.schema if one.name not in keys and one.type != _INSTANT
            ],
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


def _move(state: Any, path: tuple[str, ...], to: datetime) -> None:
    for key in path:
        state = state.setdefault(key, {})
    for key in ("initial_value", "start_value"):
        state.setdefault(key, None)
    state |= {"last_value": to, "unique_hashes": []}


def _state_row(columns: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """The state as a row of dlt's own table."""
    row = {"_dlt_id": generate_dlt_id(), **document}
    kinds = {name: ARROW[column["data_type"]] for name, column in columns.items()}
    return pa.table({name: pa.array([row.get(name)], kind) for name, kind in kinds.items()})
