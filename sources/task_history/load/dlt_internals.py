"""All of dlt that is not its public API: the one place to look at when a version of dlt works in another way.

What stands here was read in dlt 1.31. With another version, or with ``TASK_HISTORY_DLT_INTERNALS=off``, rows go dlt's
own way (extract, normalize, load): slower, and with nothing of this module but what reading a warehouse needs. Where
dlt writes down what is public: https://dlthub.com/docs/api_reference
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import dlt

from ..core.log import log

if TYPE_CHECKING:
    from dlt.common.exceptions import MissingDependencyException as MissingDependencyException
    from dlt.common.schema import Schema
    from dlt.common.storages.load_package import LoadJobInfo as LoadJobInfo
    from dlt.common.storages.load_package import ParsedLoadJobFileName as ParsedLoadJobFileName
    from dlt.destinations.impl.bigquery.bigquery import BigQueryClient as BigQueryClient
    from dlt.destinations.impl.bigquery.bigquery_adapter import CLUSTER_COLUMNS_HINT as CLUSTER_COLUMNS_HINT
    from dlt.destinations.impl.bigquery.bigquery_adapter import (
        TABLE_DESCRIPTION_HINT as TABLE_DESCRIPTION_HINT,
    )
    from dlt.destinations.impl.bigquery.configuration import (
        BigQueryClientConfiguration as BigQueryClientConfiguration,
    )
    from dlt.destinations.impl.bigquery.sql_client import BigQuerySqlClient as BigQuerySqlClient
    from dlt.destinations.impl.duckdb.configuration import DuckDbBaseCredentials as DuckDbBaseCredentials
    from dlt.destinations.impl.duckdb.configuration import DuckDbConnectionPool as DuckDbConnectionPool
    from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials as DuckDbCredentials
    from dlt.destinations.impl.duckdb.duck import DuckDbClient as DuckDbClient
    from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob as DuckDbCopyJob
    from dlt.destinations.job_client_impl import SqlJobClientBase as SqlJobClientBase
    from dlt.destinations.job_impl import FinalizedLoadJobWithFollowupJobs as FinalizedLoadJobWithFollowupJobs
    from dlt.destinations.job_impl import FollowupJobRequestImpl as FollowupJobRequestImpl
    from dlt.destinations.sql_client import SqlClientBase as SqlClientBase

VERSION: Final = "1.31"
"""The minor version of dlt in which all of this was read."""
SWITCH: Final = "TASK_HISTORY_DLT_INTERNALS"
FORMAT: Final = "parquet"

# Imported when they are first asked for: BigQuery's bring Google's client, which takes half a second and 50 MB.
CLASSES: Final[Mapping[str, str]] = {
    "BigQueryClient": "dlt.destinations.impl.bigquery.bigquery",
    "BigQueryClientConfiguration": "dlt.destinations.impl.bigquery.configuration",
    "BigQuerySqlClient": "dlt.destinations.impl.bigquery.sql_client",
    "CLUSTER_COLUMNS_HINT": "dlt.destinations.impl.bigquery.bigquery_adapter",
    "DuckDbBaseCredentials": "dlt.destinations.impl.duckdb.configuration",
    "DuckDbClient": "dlt.destinations.impl.duckdb.duck",
    "DuckDbConnectionPool": "dlt.destinations.impl.duckdb.configuration",
    "DuckDbCopyJob": "dlt.destinations.impl.duckdb.duck",
    "DuckDbCredentials": "dlt.destinations.impl.duckdb.configuration",
    "FinalizedLoadJobWithFollowupJobs": "dlt.destinations.job_impl",
    "FollowupJobRequestImpl": "dlt.destinations.job_impl",
    "LoadJobInfo": "dlt.common.storages.load_package",
    "MissingDependencyException": "dlt.common.exceptions",
    "ParsedLoadJobFileName": "dlt.common.storages.load_package",
    "SqlClientBase": "dlt.destinations.sql_client",
    "SqlJobClientBase": "dlt.destinations.job_client_impl",
    "TABLE_DESCRIPTION_HINT": "dlt.destinations.impl.bigquery.bigquery_adapter",
}
"""Classes of dlt that ours extend or ask for, and hints that it has no function for, by the module of each."""

_Class = TypeVar("_Class", bound=type)


def __getattr__(name: str) -> Any:
    if name not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(CLASSES[name]), name)


def are_used() -> bool:
    """Whether the rows may go another way than dlt's own."""
    return is_read_version() and os.environ.get(SWITCH, "on").strip().lower() not in (
        "off",
        "false",
        "no",
        "0",
    )


def is_read_version() -> bool:
    """Whether this is the version of dlt for which this module was written."""
    return str(dlt.__version__).split(".")[:2] == VERSION.split(".")


@cache
def warn_of_another_version() -> None:
    """Says once in a process that another version of dlt than the one that was read is installed."""
    if not is_read_version():
        log.warning(
            "dlt_version",
            installed=str(dlt.__version__),
            tested=VERSION,
            hint=f"rows go dlt's own way, which is slower; pip install 'dlt>={VERSION},<{_next(VERSION)}'",
        )


def _next(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) + 1}"


# Resources


def steps(resource: Any) -> int:
    """How many steps the rows of a dlt resource go through, the one that makes them included."""
    return len(resource._pipe)


# The state of a pipeline


def cursor_path(source: str, resource: str, column: str) -> tuple[str, ...]:
    """Where dlt keeps the state of a resource's ``dlt.sources.incremental`` over the column."""
    return ("sources", source, "resources", resource, "incremental", column)


def cursor(state: Any, path: tuple[str, ...]) -> Any:
    """How far the incremental under the path has come; None before it began."""
    for key in (*path, "last_value"):
        state = state.get(key) if isinstance(state, Mapping) else None
    return state


def move_cursor(state: Any, path: tuple[str, ...], to: datetime) -> None:
    """Sets how far the incremental under the path has come, as its own ``advance`` does."""
    for key in path:
        state = state.setdefault(key, {})
    for key in ("initial_value", "start_value"):
        state.setdefault(key, None)
    state |= {"last_value": to, "unique_hashes": []}


# Tables in a schema


def state_table_name() -> str:
    """The table in which dlt keeps states of pipelines."""
    from dlt.common.schema.typing import PIPELINE_STATE_TABLE_NAME

    return PIPELINE_STATE_TABLE_NAME


def mark_as_seen(schema: Schema) -> None:
    """Says of the schema that its tables hold rows, which dlt finds out when the first pass ``normalize``."""
    from dlt.common.schema.utils import pipeline_state_table

    if schema.state_table_name != state_table_name():
        return  # the user wants other names than dlt's own, and gets them from dlt
    schema.update_table(pipeline_state_table(add_dlt_id=True))
    for table in (*schema.data_tables(), schema.tables[state_table_name()]):
        table["x-normalizer"] = {"seen-data": True}


def is_seen(schema: Schema, name: str) -> bool:
    """Whether the table is known and was made in the warehouse."""
    from dlt.common.schema.utils import has_table_seen_data

    return name in schema.tables and has_table_seen_data(schema.tables[name])


def make_version_table(client: Any) -> None:
    """Makes dlt's table of schema versions where the dataset is there and the table is not.

    dlt makes it with the other tables, and asks it first whether that is needed.
    """
    if not client.is_storage_initialized():
        return
    schema = client.schema
    ((_, stored_columns),) = client.get_storage_tables([schema.version_table_name])
    if stored_columns:
        return
    columns = list(schema.get_table_columns(schema.version_table_name).values())
    statements = client._get_table_update_sql(schema.version_table_name, columns, generate_alter=False)
    client.sql_client.execute_many(statements)


def columns_with(table: Any, hint: Any) -> list[str]:
    """The names of the table's columns that have the hint, in their order; of all with ``name``."""
    from dlt.common.schema.utils import get_columns_names_with_prop

    return list(get_columns_names_with_prop(table, hint))


def newest_column(table: Any) -> str | None:
    """The column of which the highest value wins where a key stands twice; None where there is none."""
    from dlt.common.schema.utils import get_dedup_sort_tuple

    sort = get_dedup_sort_tuple(table)
    return sort[0] if sort else None


# Load packages


class Packages:
    """The load packages of one pipeline that are not made by its ``extract`` and ``normalize``."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        from dlt.common.storages.configuration import LoadStorageConfiguration
        from dlt.common.storages.load_storage import LoadStorage

        self._pipeline: Any = pipeline
        self._storage = LoadStorage(
            True, (FORMAT,), LoadStorageConfiguration(str(_load(pipeline.working_dir)))
        )

    def begin(self, schema: Schema) -> str:
        """The id of a new package; an abort of it goes back to the pipeline as it is now."""
        from dlt.common.storages.load_package import create_load_id

        load_id, packages = create_load_id(), self._storage.new_packages
        packages.create_package(load_id, schema=schema)
        self._pipeline._save_restore_snapshot(packages, load_id)
        # Empty, it still has dlt empty the staging tables.
        packages.save_schema_updates(load_id, {})
        return load_id

    def new_file(self, load_id: str, table: str) -> str:
        """The path of a file in which the package has rows of the table."""
        from dlt.common.storages.load_package import PackageStorage
        from dlt.common.utils import uniq_id

        packages = self._storage.new_packages
        file = PackageStorage.build_job_file_name(table, uniq_id(5), loader_file_format=FORMAT)
        path = packages.get_job_file_path(load_id, PackageStorage.NEW_JOBS_FOLDER, file)
        return packages.storage.make_full_path(path)

    def keep_state(self, load_id: str, state: Any) -> Mapping[str, Any] | None:
        """Has the package bring the pipeline's state; its row for the state table, None where nothing changed."""
        from dlt.common.normalizers.utils import generate_dlt_id
        from dlt.pipeline.state_sync import (
            bump_pipeline_state_version_if_modified,
            mark_state_extracted,
            state_doc,
        )

        _, version, _ = bump_pipeline_state_version_if_modified(state)
        is_stored = self._pipeline.config.restore_from_destination
        if not is_stored or version == state["_local"].get("_last_extracted_hash"):
            return None
        document = state_doc(state, load_id)
        packages = self._storage.new_packages
        package = packages.get_load_package_state(load_id)
        package["pipeline_state"] = document
        packages.save_load_package_state(load_id, package)
        mark_state_extracted(state, version)
        return {"_dlt_id": generate_dlt_id(), **document}

    def commit(self, load_id: str) -> None:
        """From now on ``pipeline.load()`` finds the package, whole."""
        self._storage.commit_new_load_package(load_id)


# The working folder of a pipeline

_EXTRACT = re.compile(r"[0-9a-f]{16}")
_LOADS_KEPT = 20
"""Loads whose records stay, for those who look at them with dlt's own command."""


def _load(folder: str | Path) -> Path:
    return Path(folder) / "load"


def forget_old_loads(folder: Path) -> None:
    """Removes the records of loads that are done, all but the newest; ``folder`` is the pipeline's."""
    done = _load(folder) / "loaded"
    if done.is_dir():
        # Named by the second in which they began.
        loads = sorted((entry for entry in done.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
        for entry in loads[:-_LOADS_KEPT]:
            shutil.rmtree(entry, ignore_errors=True)


def finish_loads(folder: Path) -> None:
    """Puts away what was loaded by a run that was killed before it did: dlt would stop at it, each time.

    Only for the holder of the pipeline's lock.
    """
    for mark in sorted(_load(folder).glob("normalized/*/package_completed.json")):
        done = _load(folder) / "loaded" / mark.parent.name
        shutil.rmtree(done, ignore_errors=True)
        done.parent.mkdir(exist_ok=True)
        mark.parent.rename(done)


def forget_killed_extracts(folder: Path) -> None:
    """Removes what killed runs had begun to extract or to pack: none of it can be loaded.

    Only for the holder of the pipeline's lock.
    """
    _remove(_entries(_load(folder) / "new"))
    _remove(entry for entry in _entries(folder / "normalize") if _EXTRACT.fullmatch(entry.name))


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _remove(entries: Iterable[Path]) -> None:
    for entry in entries:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)


# Destinations and their jobs


def extends(base: type) -> Callable[[_Class], _Class]:
    """Marks a destination that extends one of dlt's, which finds there which arguments were left at their defaults."""

    def mark(extended: _Class) -> _Class:
        extended.__orig_base__ = base  # type: ignore[attr-defined]
        return extended

    return mark


def without_merge_jobs(client: _Class) -> _Class:
    """Has a client of dlt make no jobs that merge from staging tables: its load jobs merge.

    Raises AttributeError where dlt makes them in another place.
    """
    client._create_merge_followup_jobs  # type: ignore[attr-defined]  # noqa: B018
    client._create_merge_followup_jobs = lambda self, table_chain: []  # type: ignore[attr-defined]  # noqa: ARG005
    return client


def sql_client_of(job: Any) -> Any:
    """The SQL client of a load job that runs."""
    return job._job_client.sql_client


def table_of(job: Any) -> Any:
    """The table, as dlt's schema has it, into which a load job loads."""
    return job._load_table


def file_of(job: Any) -> str:
    """The path of the file that a load job loads."""
    return str(job._file_path)


def borrowed(pool: Any, opened: Callable[[], Any]) -> Any:
    """A connection of a pool of dlt's for DuckDB, which is ``opened`` if none is open."""
    with pool._conn_lock:
        if pool._conn is None:
            pool._conn = opened()
        pool._conn_borrows += 1
        return pool._conn.duplicate()


def query_settings(client: Any) -> Any:
    """The settings with which a SQL client for BigQuery sends its statements."""
    return client._default_query


def retries(client: Any) -> Any:
    """How long and how often a SQL client for BigQuery tries again."""
    return client._default_retry
