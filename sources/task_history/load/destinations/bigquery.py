"""BigQuery: dlt's destination, with merges that read only the days that they change, and with counted cost.

Tables are partitioned and clustered by ``Table.partition`` and ``Table.cluster`` of their definitions, in
``systems/table_parts`` and ``warehouse/common_tables``.

https://cloud.google.com/bigquery/docs/best-practices-costs
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import dlt
from dlt.common.configuration import configspec
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest, LoadJob, StorageSchemaInfo
from dlt.common.schema import Schema
from dlt.common.schema.typing import TTableSchemaColumns
from google.api_core.exceptions import NotFound
from google.cloud.bigquery import Client as Connection
from google.cloud.bigquery import LoadJobConfig, QueryJobConfig
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

from ...core import files
from ...core.columns import LOADED_AT
from ...core.commit_limits import CommitLimits
from ...core.errors import ConfigurationError, WarehouseUnavailable
from ...warehouse.bigquery_billed_bytes import MIN_BILLED_BYTES
from ...warehouse.day_conditions import literal
from ...warehouse.sql_text import BIGQUERY, quoted_name
from .. import dlt_internals
from ..dlt_internals import (
    BigQueryClient,
    BigQueryClientConfiguration,
    BigQuerySqlClient,
    FinalizedLoadJobWithFollowupJobs,
    FollowupJobRequestImpl,
    LoadJobInfo,
    ParsedLoadJobFileName,
)
from ..google_internals import bytes_read
from . import bigquery_descriptions, bigquery_files, bigquery_unbilled
from .base import PARTITION_MAY_CHANGE, Backend, Cost, Descriptions, billed
from .bigquery_merge import Merge
from .bigquery_package_days import PackageDays

_CHANGES_WITHIN = timedelta(days=120)
"""Time back to which merges look for a row's stored version, where the vendor states no retention."""
_TABLE = re.compile(r"(?:`[^`]+`\.){2}`[^`]+`|(?:`[^`]+`\.){2}INFORMATION_SCHEMA\.\w+")
"""A table as statements name it: project, dataset and name in backticks."""


@configspec
class BigQueryConfiguration(BigQueryClientConfiguration):
    """dlt's settings under ``destination.bigquery``, and ``maximum_bytes_billed``."""

    maximum_bytes_billed: int | None = None
    """Bytes that one run may be billed for; None for any number."""

    def on_resolved(self) -> None:
        """Raises ConfigurationError when the limit is less than the smallest statement is billed for."""
        super().on_resolved()
        limit = self.maximum_bytes_billed
        if limit is not None and limit < MIN_BILLED_BYTES:
            raise ConfigurationError(
                f"destination.bigquery.maximum_bytes_billed = {limit:,} lets no statement run: BigQuery bills at least "
                f"{MIN_BILLED_BYTES:,} bytes for one that reads a table. Raise it, or take it out for no limit."
            )


@dlt_internals.extends(dlt.destinations.bigquery)
class BigQuery(dlt.destinations.bigquery):
    """The BigQuery destination for dlt. ``changes_within`` is how far back the vendor's rows may still change.

    Settings stand under ``destination.bigquery`` as for dlt's own:
    https://dlthub.com/docs/dlt-ecosystem/destinations/bigquery
    """

    spec = BigQueryConfiguration

    def __init__(self, *, changes_within: timedelta | None = None, **options: Any) -> None:
        options.setdefault("destination_name", "bigquery")
        # Free JSON is text here, so that Parquet can hold everything; it is smaller and typed.
        super().__init__(**{"preferred_loader_file_format": "parquet", **options})
        self.changes_within = changes_within or _CHANGES_WITHIN
        self.since: datetime | None = None
        """Up to when the last sync settled everything, less that time."""
        self.cost = Cost()
        self.package_days = PackageDays(self.cost)
        self.seen = _WarehouseCache()
        self._credentials: Any = None

    @property
    def client_class(self) -> type[Any]:
        return _Client if dlt_internals.are_used() else super().client_class

    def client(self, schema: Schema, initial_config: Any = None) -> Any:
        config: Any = self.configuration(initial_config)
        if not dlt_internals.are_used():
            if config.maximum_bytes_billed is not None:
                raise ConfigurationError(
                    f"destination.bigquery.maximum_bytes_billed = {config.maximum_bytes_billed} cannot be kept with dlt "
                    f"{dlt.__version__}: install dlt {dlt_internals.VERSION}, or unset it."
                )
            return super().client(schema, initial_config)
        # A token is asked for once, not with every connection.
        self._credentials = self._credentials or _SharedCredentials(config.credentials)
        self.cost.limit = config.maximum_bytes_billed
        return _Client(schema, config, self.capabilities(config, schema.naming), self, self._credentials)


@dataclass(slots=True)
class _WarehouseCache:
    """Datasets and schemas that this process found in the warehouse, cached for later commits."""

    datasets: set[str] = field(default_factory=set)
    schemas: dict[tuple[str, str], StorageSchemaInfo] = field(default_factory=dict)


class _SharedCredentials:
    """Credentials that reuse their access token for all connections."""

    def __init__(self, credentials: Any) -> None:
        self.project_id = credentials.project_id
        self._credentials = credentials
        self._native: Any = None

    def to_native_credentials(self) -> Any:
        if self._native is None:
            self._native = self._credentials.to_native_credentials()
        return self._native


class _SqlClient(BigQuerySqlClient):
    """SQL client that labels its jobs, counts the bytes they process, and limits the bytes billed."""

    cost: Cost
    deadline_s: float

    def open_connection(self) -> Connection:
        warnings.filterwarnings(
            "ignore", message="Cannot create BigQuery Storage client"
        )  # rows are few here
        connection = super().open_connection()
        # dlt gives its deadline to statements that it sends itself; the cursor's would go on for ten minutes.
        connection.query_and_wait = partial(  # type: ignore[method-assign]
            connection.query_and_wait,
            retry=dlt_internals.retries(self),
            job_retry=DEFAULT_JOB_RETRY.with_deadline(self.deadline_s),
        )
        connection.default_load_job_config = LoadJobConfig(labels=dict(self.cost.labels))
        return connection

    def truncate_tables_if_exist(self, *tables: str) -> None:
        if tables:
            super().truncate_tables_if_exist(*tables)

    @contextmanager
    def execute_query(self, query: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        # Set here, since a connection may be older than the run's name.
        settings = dlt_internals.query_settings(self)
        settings.labels = dict(self.cost.labels)
        tables = len(set(_TABLE.findall(str(query)))) or 1
        if self.cost.left is not None:
            self.cost.check(tables)
            settings.maximum_bytes_billed = self.cost.left
        with super().execute_query(query, *args, **kwargs) as cursor:
            processed, said = bytes_read(cursor.native_cursor)
            self.cost.count(processed, billed(processed, tables) if said is None else said)
            yield cursor

    def estimate(self, sql: str) -> int:
        """Bytes that the statement would process, by a dry run, which is free."""
        config = QueryJobConfig(
            dry_run=True,
            default_dataset=dlt_internals.query_settings(self).default_dataset,
            labels=dict(self.cost.labels),
        )
        job = self.native_connection.query(sql, job_config=config)
        return int(job.total_bytes_processed or 0)


class _Client(BigQueryClient):
    def __init__(
        self,
        schema: Schema,
        config: BigQueryConfiguration,
        capabilities: DestinationCapabilitiesContext,
        owner: BigQuery,
        credentials: Any,
    ) -> None:
        super().__init__(schema, config, capabilities)
        made = self.sql_client
        self.sql_client = _SqlClient(
            made.dataset_name,
            made.staging_dataset_name,
            credentials,
            capabilities,
            config.get_location(),
            config.project_id,
            config.http_timeout,
            config.retry_deadline,
        )
        self.sql_client.cost = owner.cost
        self.sql_client.deadline_s = config.retry_deadline
        self._owner = owner

    def is_storage_initialized(self) -> bool:
        dataset, known = self.sql_client.dataset_name, self._owner.seen.datasets
        if dataset not in known and super().is_storage_initialized():
            known.add(dataset)
        return dataset in known

    def get_stored_schema_by_hash(self, version_hash: str) -> StorageSchemaInfo:
        key, known = (self.sql_client.dataset_name, version_hash), self._owner.seen.schemas
        if key not in known and (found := super().get_stored_schema_by_hash(version_hash)) is not None:
            known[key] = found
        return cast(StorageSchemaInfo, known.get(key))

    def get_storage_tables(self, table_names: Iterable[str]) -> Iterable[tuple[str, TTableSchemaColumns]]:
        # INFORMATION_SCHEMA is billed.
        for name, table in bigquery_unbilled.found_tables(self.sql_client, table_names).items():
            columns: dict[str, Any] = {
                field.name: {
                    "name": field.name,
                    "nullable": field.is_nullable,
                    **dlt_internals.hints_of_bigquery_type(self, bigquery_unbilled.sql_type(field)),
                }
                for field in (table.schema if table else ())
            }
            yield name, columns

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        found = bigquery_unbilled.found_tables(self.sql_client, truncate_tables or ())
        super().initialize_storage([name for name, table in found.items() if table is None or table.num_rows])

    def complete_load(self, load_id: str) -> None:
        # dlt inserts the row by a statement; a load job is not billed.
        row = {
            "load_id": load_id,
            "schema_name": self.schema.name,
            "status": 0,
            "inserted_at": datetime.now(UTC).isoformat(),
            "schema_version_hash": self.schema.version_hash,
        }
        name = self.schema.loads_table_name
        job = re.sub(r"[^\w-]", "_", f"{self.sql_client.dataset_name}{name}_{load_id}")
        bigquery_unbilled.load_row(self.sql_client, name, row, job=job)

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        file = Path(file_path)
        if file.suffix == ".sql":
            # A merge that a killed process left.
            self._owner.package_days.note(self.sql_client, self.schema, file.parent.parent)
        if bigquery_files.is_empty(file) or bigquery_files.fits_statement(str(table["name"]), file):
            # A file that only makes its table known, or that the merge itself holds, is no reason for a job.
            return FinalizedLoadJobWithFollowupJobs.from_file_path(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def create_table_chain_completed_followup_jobs(
        self,
        table_chain: Sequence[PreparedTableSchema],
        completed_table_chain_jobs: Sequence[LoadJobInfo] | None = None,
    ) -> list[FollowupJobRequest]:
        """Returns the job that merges the staged rows in one statement; dlt merges nested tables."""
        (table, *nested) = table_chain
        for done in completed_table_chain_jobs or ():
            package = bigquery_files.present_path(done).parent.parent
            self._owner.package_days.note(self.sql_client, self.schema, package)
        if nested or table["write_disposition"] != "merge":
            return super().create_table_chain_completed_followup_jobs(table_chain, completed_table_chain_jobs)
        jobs = (job for job in completed_table_chain_jobs or () if job.job_file_info.file_format != "sql")
        written = [bigquery_files.present_path(job) for job in jobs]
        if all(bigquery_files.is_empty(path) for path in written):
            return []
        with self.sql_client as client:
            merge, truncation = self._merge(client, table, written)
            if self._owner.cost.limit is not None:
                self._owner.cost.expect(client.estimate(merge), str(table["name"]))
        name = ParsedLoadJobFileName(str(table["name"]), ParsedLoadJobFileName.new_file_id(), 0, "sql")
        job = FollowupJobRequestImpl(name.file_name())
        # One script, since each job takes seconds; run again, it merges nothing.
        files.write_new(Path(job.new_file_path()), "\n".join([merge, *truncation]).encode())
        return [job]

    def _merge(self, client: Any, table: Any, written: Sequence[Path]) -> tuple[str, list[str]]:
        """The statement that merges the rows of these files, and the one that empties staging, where it has some."""

        def escaped(hint: Any) -> list[str]:
            return [client.escape_column_name(name) for name in dlt_internals.columns_with(table, hint)]

        stored, staged = client.get_qualified_table_names(table["name"])
        newest = dlt_internals.newest_column(table)
        partition = next(iter(dlt_internals.columns_with(table, "partition")), None)
        own = [path for path in written if bigquery_files.fits_statement(str(table["name"]), path)]
        columns = dlt_internals.columns_with(table, "name")
        types = {name: str(table["columns"][name]["data_type"]) for name in columns}
        sources = [bigquery_files.rows_as_sql(own, types)] if own else []
        if is_staged := len(own) < len(written):
            sources.append(f"SELECT {', '.join(escaped('name'))} FROM {staged}")
        merge = Merge(
            stored,
            f"({' UNION ALL '.join(sources)})" if own else staged,
            escaped("name"),
            escaped("primary_key"),
            client.escape_column_name(newest) if newest else None,
            None if partition is None else client.escape_column_name(partition),
            bool(table.get(PARTITION_MAY_CHANGE)),
            client.escape_column_name(LOADED_AT.name) if LOADED_AT.name in table["columns"] else None,
        )
        truncation = [f"TRUNCATE TABLE {staged}"] if is_staged else []
        if partition is None:
            return merge.sql(), truncation
        days = bigquery_files.days(written, partition)
        if days is None:
            days = {row[0] for row in client.execute_sql(merge.staged_days()) or ()}
        if merge.partition_may_change:
            since = min(
                datetime.now(UTC) - self._owner.changes_within, self._owner.since or datetime.now(UTC)
            )
            since = since.replace(hour=0, minute=0, second=0, microsecond=0)
            (key,) = dlt_internals.columns_with(table, "primary_key")
            ids = bigquery_files.keys(written, key)
            literals = None if ids is None else map(bigquery_files.text_literal, ids)
            days |= {row[0] for row in client.execute_sql(merge.former_days(since, literals)) or ()}
        return merge.sql(days), truncation


class BigQueryBackend(Backend):
    # A commit takes 10 to 20 s, and one table 1,500 load jobs a day: https://cloud.google.com/bigquery/quotas#load_jobs
    commits = CommitLimits(least_rows=25_000, bytes=64_000_000, seconds=300.0, details=5_000)
    workers = 8
    most_commits = 1_500
    takes_packages = True
    literal = staticmethod(literal)

    def __init__(self, destination: Any) -> None:
        super().__init__(destination)
        # dlt's own merges read what is staged after the load.
        self.truncates_staging_late = self.empties_staging = self.tells_row_counts = dlt_internals.are_used()

        self._unnoted: PackageDays | None = None
        """Notes that any day may change, where dlt's own client merges packages without a note."""
        if isinstance(destination, BigQuery) and dlt_internals.are_used():
            self.package_days = destination.package_days
        else:
            self._unnoted = PackageDays(Cost())

    @property
    def cost(self) -> Cost | None:
        found: Cost | None = getattr(self.destination, "cost", None)
        return found if dlt_internals.are_used() else None

    def limit_merges(self, since: datetime) -> None:
        if isinstance(self.destination, BigQuery):
            self.destination.since = since

    def begin_commit(self, client: Any) -> str:
        if self._unnoted is not None:
            self._unnoted.note_any_day_again(client)
        return super().begin_commit(client)

    def forget_tables(self) -> None:
        if isinstance(self.destination, BigQuery):
            self.destination.seen = _WarehouseCache()

    def known_schemas(self) -> list[tuple[str, str]]:
        return sorted(self.destination.seen.schemas) if isinstance(self.destination, BigQuery) else []

    def know_schemas(self, known: Iterable[Sequence[str]]) -> None:
        if isinstance(self.destination, BigQuery):
            for dataset, version in known:
                # Of a stored schema dlt uses that it is there.
                info = StorageSchemaInfo(version, "", 0, 0, datetime.now(UTC), "")
                self.destination.seen.schemas.setdefault((dataset, version), info)

    def describe(self, client: Any, sentences: Descriptions) -> None:
        labels = dict(self.cost.labels) if self.cost else {}
        bigquery_descriptions.describe(client, sentences, labels)

    def describe_views(self, client: Any, dataset: str, texts: Mapping[str, Mapping[str, str]]) -> None:
        bigquery_descriptions.describe_views(client, dataset, texts)

    def views_state(self, client: Any, dataset: str) -> str | None:
        return bigquery_unbilled.views_state(client, dataset)

    def probe(self, client: Any, datasets: Sequence[str]) -> list[str]:
        connection = client.native_connection
        # Runs a job, and changes rows, which BigQuery allows only where billing is enabled; it leaves nothing behind.
        client.execute_sql("CREATE TEMP TABLE probe AS SELECT 1 AS a; DELETE FROM probe WHERE TRUE")
        lines = [f"BigQuery takes jobs and changes in the project {client.project_id}."]
        for name in datasets:
            full = f"{client.project_id}.{name}"
            quoted = quoted_name(client.project_id, name, dialect=BIGQUERY)
            try:
                found = connection.get_dataset(full)
            except NotFound:
                _dry_run(client, f"CREATE SCHEMA {quoted}")
                lines.append(f"The dataset {name} will be created in {client.location} by the first sync.")
                continue
            if found.location.upper() != client.location.upper():
                raise WarehouseUnavailable(
                    f"The dataset {full} lies in {found.location}, and destination.bigquery.location is "
                    f"{client.location}: set it to {found.location}, or name another dataset."
                )
            _dry_run(client, f"CREATE TABLE {quoted}.task_history_probe (a INT64)")
            lines.append(f"The dataset {name} is there, in {found.location}, and tables may be made in it.")
        return lines

    def datasets(self, client: Any) -> list[str]:
        return bigquery_unbilled.datasets(client)

    def tables(self, client: Any, dataset: str) -> list[str] | None:
        return bigquery_unbilled.tables(client, dataset)

    def rows_of(
        self, client: Any, table: str, columns: Collection[str] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]] | None:
        return bigquery_unbilled.rows_of(client, table, columns)

    def stored_bytes(self, client: Any, table: str) -> int:
        return bigquery_unbilled.stored_bytes(client, table)

    def row_counts(self, client: Any, tables: Iterable[str]) -> dict[str, int]:
        found = bigquery_unbilled.found_tables(client, tables)
        return {name: int(table.num_rows) for name, table in found.items() if table is not None}


def _dry_run(client: Any, sql: str) -> None:
    """Raises BigQuery's error about the statement by a dry run, which dlt's client does not offer."""
    if isinstance(client, _SqlClient):
        client.estimate(sql)
