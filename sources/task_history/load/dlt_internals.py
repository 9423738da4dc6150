"""Every use of dlt that is not its public API, to check against a new version of dlt together with ``working_dir``.

It was written for dlt 1.31. With another version, or with ``TASK_HISTORY_DLT_INTERNALS=off``, rows take dlt's own
steps (extract, normalize, load), which are slower and use only those functions here that reading a warehouse needs.
dlt's public API: https://dlthub.com/docs/api_reference
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import dlt

from ..core import files
from ..core.log import log
from .working_dir import load_folder

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
    from dlt.destinations.impl.duckdb.configuration import (
        DuckDbClientConfiguration as DuckDbClientConfiguration,
    )
    from dlt.destinations.impl.duckdb.configuration import DuckDbConnectionPool as DuckDbConnectionPool
    from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials as DuckDbCredentials
    from dlt.destinations.impl.duckdb.duck import DuckDbClient as DuckDbClient
    from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob as DuckDbCopyJob
    from dlt.destinations.impl.motherduck.configuration import (
        MotherduckConnectionPool as MotherduckConnectionPool,
    )
    from dlt.destinations.job_client_impl import SqlJobClientBase as SqlJobClientBase
    from dlt.destinations.job_impl import FinalizedLoadJobWithFollowupJobs as FinalizedLoadJobWithFollowupJobs
    from dlt.destinations.job_impl import FollowupJobRequestImpl as FollowupJobRequestImpl
    from dlt.destinations.sql_client import SqlClientBase as SqlClientBase
    from dlt.load.configuration import LoaderConfiguration as LoaderConfiguration

VERSION: Final = "1.31"
"""The minor version of dlt for which this module was written."""
SWITCH: Final = "TASK_HISTORY_DLT_INTERNALS"
"""The environment variable that turns the use of dlt's internals off."""
FORMAT: Final = "parquet"

# Imported at first use: BigQuery's classes import Google's client, which takes half a second and 50 MB.
CLASSES: Final[Mapping[str, str]] = {
    "BigQueryClient": "dlt.destinations.impl.bigquery.bigquery",
    "BigQueryClientConfiguration": "dlt.destinations.impl.bigquery.configuration",
    "BigQuerySqlClient": "dlt.destinations.impl.bigquery.sql_client",
    "CLUSTER_COLUMNS_HINT": "dlt.destinations.impl.bigquery.bigquery_adapter",
    "DuckDbBaseCredentials": "dlt.destinations.impl.duckdb.configuration",
    "DuckDbClientConfiguration": "dlt.destinations.impl.duckdb.configuration",
    "DuckDbClient": "dlt.destinations.impl.duckdb.duck",
    "DuckDbConnectionPool": "dlt.destinations.impl.duckdb.configuration",
    "DuckDbCopyJob": "dlt.destinations.impl.duckdb.duck",
    "DuckDbCredentials": "dlt.destinations.impl.duckdb.configuration",
    "FinalizedLoadJobWithFollowupJobs": "dlt.destinations.job_impl",
    "FollowupJobRequestImpl": "dlt.destinations.job_impl",
    "LoadJobInfo": "dlt.common.storages.load_package",
    "LoaderConfiguration": "dlt.load.configuration",
    "MissingDependencyException": "dlt.common.exceptions",
    "MotherduckConnectionPool": "dlt.destinations.impl.motherduck.configuration",
    "ParsedLoadJobFileName": "dlt.common.storages.load_package",
    "SqlClientBase": "dlt.destinations.sql_client",
    "SqlJobClientBase": "dlt.destinations.job_client_impl",
    "TABLE_DESCRIPTION_HINT": "dlt.destinations.impl.bigquery.bigquery_adapter",
}
"""Modules of dlt by the name of the class or hint that this project imports from them."""

_Class = TypeVar("_Class", bound=type)


def __getattr__(name: str) -> Any:
    if name not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(CLASSES[name]), name)


def are_used() -> bool:
    """Whether rows may bypass dlt's own steps extract and normalize."""
    return is_supported_version() and os.environ.get(SWITCH, "on").strip().lower() not in (
        "off",
        "false",
        "no",
        "0",
    )


def is_supported_version() -> bool:
    """Whether the installed dlt has the minor version for which this module was written."""
    return str(dlt.__version__).split(".")[:2] == VERSION.split(".")


@cache
def warn_of_another_version() -> None:
    """Logs once per process that the installed version of dlt is not the one this module was written for."""
    if not is_supported_version():
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
    """Number of steps in the pipe of a dlt resource, its generator included."""
    return len(resource._pipe)


# The state of a pipeline


def cursor_path(source: str, resource: str, column: str) -> tuple[str, ...]:
    """Path in the pipeline's state of a resource's ``dlt.sources.incremental`` over the column."""
    return ("sources", source, "resources", resource, "incremental", column)


def cursor(state: Any, path: tuple[str, ...]) -> datetime | None:
    """The last value of the incremental at the path, UTC; None before its first value."""
    for key in (*path, "last_value"):
        state = state.get(key) if isinstance(state, Mapping) else None
    value = datetime.fromisoformat(state) if isinstance(state, str) else state
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def move_cursor(state: Any, path: tuple[str, ...], to: datetime) -> None:
    """Sets the last value of the incremental at the path, as its method ``advance`` does."""
    for key in path:
        state = state.setdefault(key, {})
    for key in ("initial_value", "start_value"):
        state.setdefault(key, None)
    state |= {"last_value": to, "unique_hashes": []}


# Tables in a schema


def state_table_name() -> str:
    """Name of the table in which dlt stores the states of pipelines."""
    from dlt.common.schema.typing import PIPELINE_STATE_TABLE_NAME

    return PIPELINE_STATE_TABLE_NAME


def mark_as_seen(schema: Schema) -> None:
    """Marks the schema's tables as having rows, which dlt does when their first rows pass ``normalize``."""
    from dlt.common.schema.utils import pipeline_state_table

    if schema.state_table_name != state_table_name():
        return  # with another naming convention dlt does this itself
    schema.update_table(pipeline_state_table(add_dlt_id=True))
    for table in (*schema.data_tables(), schema.tables[state_table_name()]):
        table["x-normalizer"] = {"seen-data": True}


def is_seen(schema: Schema, name: str) -> bool:
    """Whether the schema has the table and dlt created it in the warehouse."""
    from dlt.common.schema.utils import has_table_seen_data

    return name in schema.tables and has_table_seen_data(schema.tables[name])


def make_own_tables(pipeline: dlt.Pipeline, schema: Schema) -> None:
    """Creates dlt's tables of versions, loads and states where the dataset, which exists, is without them.

    dlt creates them together with the other tables, but queries them before that.
    """
    from dlt.common.schema.utils import pipeline_state_table

    schema = schema.clone()
    if state_table_name() not in schema.tables and schema.state_table_name == state_table_name():
        schema.update_table(pipeline_state_table(add_dlt_id=True))
    with pipeline._get_destination_clients(schema)[0] as client:
        own: Any = client
        names = (schema.version_table_name, schema.loads_table_name, schema.state_table_name)
        for name, stored_columns in own.get_storage_tables([name for name in names if name in schema.tables]):
            if not stored_columns:
                columns = list(schema.get_table_columns(name).values())
                own.sql_client.execute_many(own._get_table_update_sql(name, columns, generate_alter=False))


def completed_staging(pipeline: dlt.Pipeline, schema: Schema) -> dict[str, list[str] | None]:
    """Creates what staging tables lack, and returns their lacking columns; None for a table that was not there.

    dlt does not look: it notes which version of the schema the staging dataset has.
    """
    from dlt.common.destination.client import WithStagingDataset

    with pipeline.destination_client(schema.name) as found:
        if not isinstance(found, WithStagingDataset):
            return {}
        client: Any = found
        names = list(filter(client.should_load_data_to_staging_dataset, schema.data_table_names()))
        if not names:
            return {}
        with client.with_staging_dataset():
            client.initialize_storage()
            stored = dict(client.get_storage_tables(names))
            lacking = {
                name: sorted(missing) if stored.get(name) else None
                for name in names
                if (missing := column_types(schema, name).keys() - stored.get(name, {}).keys())
            }
            if lacking:
                client.update_stored_schema([*lacking, schema.version_table_name], force=True)
        return lacking


def columns_with(table: Any, hint: Any) -> list[str]:
    """Names of the table's columns that have the hint, in order; the hint ``name`` returns all columns."""
    from dlt.common.schema.utils import get_columns_names_with_prop

    return list(get_columns_names_with_prop(table, hint))


def stored_columns(schema: Schema | None) -> set[tuple[str, str]]:
    """The columns that the schema has with their types, by table and column."""
    return {
        (name, column)
        for name, table in (schema.tables if schema else {}).items()
        for column, hint in table["columns"].items()
        if "data_type" in hint
    }


def column_types(schema: Schema | None, table: str) -> dict[str, Any]:
    """dlt's types of the columns that the table has in the schema."""
    columns = schema.tables.get(table, {}).get("columns", {}) if schema else {}
    return {name: column["data_type"] for name, column in columns.items() if "data_type" in column}


def newest_column(table: Any) -> str | None:
    """The column whose highest value wins among rows with the same key; None where there is none."""
    from dlt.common.schema.utils import get_dedup_sort_tuple

    sort = get_dedup_sort_tuple(table)
    return sort[0] if sort else None


# Load packages


class Packages:
    """Creates load packages of one pipeline without its steps ``extract`` and ``normalize``."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        from dlt.common.storages.configuration import LoadStorageConfiguration
        from dlt.common.storages.load_storage import LoadStorage

        self._pipeline: Any = pipeline
        self._storage = LoadStorage(
            True, (FORMAT,), LoadStorageConfiguration(str(load_folder(pipeline.working_dir)))
        )

    def begin(self, schema: Schema) -> str:
        """Creates a package and returns its id; aborting the package restores the pipeline's present state."""
        from dlt.common.storages.load_package import create_load_id

        load_id, packages = create_load_id(), self._storage.new_packages
        packages.create_package(load_id, schema=schema)
        self._pipeline._save_restore_snapshot(packages, load_id)
        # An empty update still makes dlt truncate the staging tables.
        packages.save_schema_updates(load_id, {})
        return load_id

    def new_file(self, load_id: str, table: str) -> str:
        """Path of a new file in the package for rows of the table."""
        from dlt.common.storages.load_package import PackageStorage
        from dlt.common.utils import uniq_id

        packages = self._storage.new_packages
        file = PackageStorage.build_job_file_name(table, uniq_id(5), loader_file_format=FORMAT)
        path = packages.get_job_file_path(load_id, PackageStorage.NEW_JOBS_FOLDER, file)
        return packages.storage.make_full_path(path)

    def add_state(self, load_id: str, state: Any) -> Mapping[str, Any] | None:
        """Adds the pipeline's state to the package; returns its row for the state table, None if it is unchanged."""
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
        """Completes the package, so that ``pipeline.load()`` finds it."""
        self._storage.commit_new_load_package(load_id)


# Destinations and their jobs


def extends(base: type) -> Callable[[_Class], _Class]:
    """Class decorator: names dlt's destination that a class extends, from which dlt reads the default arguments."""

    def mark(extended: _Class) -> _Class:
        extended.__orig_base__ = base  # type: ignore[attr-defined]
        return extended

    return mark


def without_merge_jobs(client: _Class) -> _Class:
    """Class decorator: a client whose load jobs merge, and which creates no merge jobs from staging tables.

    Raises AttributeError where dlt creates these jobs elsewhere.
    """
    client._create_merge_followup_jobs  # type: ignore[attr-defined]  # noqa: B018
    client._create_merge_followup_jobs = lambda self, table_chain: []  # type: ignore[attr-defined]  # noqa: ARG005
    return client


_PRECEDED = "task_history_preceded"


def precede_merges(destination: Any, statement: Callable[[Any, Any], str | None]) -> None:
    """Has the destination run a statement first in each job that merges staged rows, in the job's transaction.

    ``statement`` gets the SQL client and dlt's schema of the table; None runs nothing.
    """
    if hasattr(destination, _PRECEDED):
        return
    make = destination.client

    def client(schema: Schema, initial_config: Any = None) -> Any:
        made: Any = make(schema, initial_config)
        create = made._create_merge_followup_jobs

        def preceded(table_chain: Any) -> Any:
            jobs = create(table_chain)
            if (first := statement(made.sql_client, table_chain[0])) is not None:
                for job in jobs:
                    file = Path(job.new_file_path())
                    # One statement per line.
                    files.replace(file, f"{first}\n{file.read_text('utf-8')}".encode())
            return jobs

        made._create_merge_followup_jobs = preceded
        return made

    destination.client = client
    setattr(destination, _PRECEDED, True)


def merge_in_transactions(destination: Any) -> None:
    """Has each merge into the destination be one transaction, where dlt does not say whether the database has these.

    dlt sends a merge without BEGIN there. Where its statements are not one transaction for being sent at once, as they
    are in Postgres, stored rows would be away until the new ones are inserted, and stay away after a kill.
    """
    able = destination.capabilities()
    if able.supports_transactions is None and able.supports_ddl_transactions:
        destination.caps_params["supports_transactions"] = True


def sql_client_of(job: Any) -> Any:
    """The SQL client of a running load job."""
    return job._job_client.sql_client


def table_of(job: Any) -> Any:
    """dlt's schema of the table into which a load job loads."""
    return job._load_table


def file_of(job: Any) -> str:
    """The path of the file that a load job loads."""
    return str(job._file_path)


def borrowed(pool: Any, opened: Callable[[], Any]) -> Any:
    """Borrows a connection from dlt's DuckDB pool, which calls ``opened`` if none is open."""
    with pool._conn_lock:
        if pool._conn is None:
            pool._conn = opened()
        pool._conn_borrows += 1
        return pool._conn.duplicate()


def with_local_config(pool: Any, connection: Any, local_config: Any, pragmas: Any) -> Any:
    """The connection with the settings that a connection of dlt's DuckDB pool has."""
    pool._apply_local_config(connection, local_config, pragmas)
    return connection


def query_settings(client: Any) -> Any:
    """The query job settings of a BigQuery SQL client."""
    return client._default_query


def hints_of_bigquery_type(client: Any, sql_type: str) -> Any:
    """dlt's type of a column that has this type in BigQuery, as hints of the column."""
    return client._from_db_type(sql_type, None, None)


def retries(client: Any) -> Any:
    """The retry policy of a BigQuery SQL client."""
    return client._default_retry
