"""DuckDB: a file that one process at a time may write to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow.parquet as pq
from dlt.common.configuration import configspec
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import (
    HasFollowupJobs,
    LoadJob,
    RunnableLoadJob,
)
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import Schema
from dlt.destinations.exceptions import DatabaseException

from ...core.arrow_types import ARROW
from ...core.columns import LOADED_AT
from ...core.errors import ConfigurationError
from ...warehouse.sql_text import quoted_name, quoted_text
from .. import dlt_internals, duckdb_file_server
from ..dlt_internals import (
    DuckDbClient,
    DuckDbClientConfiguration,
    DuckDbCopyJob,
    DuckDbCredentials,
)
from ..load_package import has_unique_keys, value_bytes
from .base import Backend, Descriptions
from .duckdb_instants import Instants
from .duckdb_pools import FileServerPool, ReadOnlyPool
from .duckdb_rewrite import rewrite
from .duckdb_settings import check_credentials
from .duckdb_storage import DEFAULT, check_version, create_file

_MEMORY_BYTES = 48_000_000
"""DuckDB's memory limit in bytes: a commit needs little, and DuckDB would use all that it may."""
_CHECKPOINT_MEMORY_BYTES: tuple[int | None, ...] = (
    _MEMORY_BYTES,
    100_000_000,
    200_000_000,
    400_000_000,
    None,
)
"""Memory limits in bytes that a checkpoint tries in turn; None for all of the machine. A checkpoint holds up to 2,048
rows of a changed column at once, however long their texts are."""
_MAX_LOG_BYTES = 16_000_000
"""Size of the write-ahead log at which its rows are moved into the file, as by DuckDB's default."""
_MAX_UNWRITTEN_BYTES = 28_000_000
"""Size in memory of rows not yet in the file at which they are moved: each column of a small table takes a block, however
short the log. Three commits of listed rows reach it and fill one row group; one that grows later is compressed again."""
_MAX_TRANSACTION_BYTES = 32_000_000
"""Maximum bytes of text that one transaction writes."""
_LONG_ROW_BYTES = 4_000
"""Bytes of text per row above which DuckDB holds several copies of a row until its transaction is written."""
_SLICE_BYTES = 8_000_000
"""Bytes of text that one transaction writes of a file with long texts."""
_COPIES_HELD = 6
"""Approximate number of copies of a long text that DuckDB holds until its transaction is written."""
_ROW_NUMBER = "file_row_number"
"""DuckDB's column with the number of a row in a Parquet file: https://duckdb.org/docs/stable/data/parquet/overview"""
_MEMORY_MULTIPLES = (1, 2, 4, 8)
"""Multiples of the estimated memory that are tried."""
_OUT_OF_MEMORY_SIGNS = ("failed to pin block", "out of memory", "failed to allocate")


def destination(file: Path) -> Any:
    """The dlt destination of a DuckDB file."""
    credentials = DuckDbCredentials(str(file))
    credentials.global_config = {
        "memory_limit": f"{_MEMORY_BYTES}B",
        "threads": 2,
        # It keeps what it freed until that is more than this.
        "allocator_flush_threshold": "1MB",
        "preserve_insertion_order": False,
        # A checkpoint that has too little memory ends the connection: ``DuckDbBackend.settle`` makes them, with enough.
        "wal_autocheckpoint": "1TB",
    }
    # Named in code: dlt takes no other word for it, and its default is 80 times slower.
    return DuckDb(credentials, preferred_loader_file_format="parquet")


def reader(file: Path, dataset: str) -> Any:
    """The dlt destination of a DuckDB file that any SQL can only read, and only in that dataset."""
    found = DuckDb(DuckDbCredentials(str(file)))
    found.only_reads = dataset
    return found


@configspec(init=False)
class DuckDbConfiguration(DuckDbClientConfiguration):
    """dlt's settings under ``destination.duckdb``, and ``storage_version``."""

    storage_version: str = DEFAULT
    """The storage version of a file that a run makes."""


@dlt_internals.extends(dlt.destinations.duckdb)
class DuckDb(dlt.destinations.duckdb):
    """The DuckDB destination for dlt, which caches its capabilities: dlt asks for them a dozen times per commit."""

    spec: type[DuckDbClientConfiguration] = DuckDbConfiguration
    storage_version: str = DEFAULT
    """That of a file that is made, as the settings say."""
    only_reads: str | None = None
    """The only dataset that can be read; None where the file is written."""
    loaded_at: str | None = None
    """The instant of the present commit, as an SQL constant; None where no commit began."""

    def __init__(self, credentials: DuckDbCredentials, **options: Any) -> None:
        super().__init__(credentials, **{"destination_name": "duckdb", **options})
        self._able: dict[bool, DestinationCapabilitiesContext] = {}
        self._configurations: dict[tuple[str | None, str | None], Any] = {}
        """The settings with their pool of connections, by dataset and default schema."""

    def capabilities(self, config: Any = None, naming: Any = None) -> DestinationCapabilitiesContext:
        if not dlt_internals.are_used():
            return super().capabilities(config, naming)
        has_case = naming is not None and naming.is_case_sensitive
        if has_case not in self._able:
            self._able[has_case] = super().capabilities(config, naming)
        # dlt writes into what it gets.
        return self._able[has_case].copy()

    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        if dlt_internals.are_used() and initial_config.is_resolved():
            # dlt asks for them again before it starts jobs, and then has a pool of connections for each.
            return initial_config
        try:
            config: Any = super().configuration(initial_config, accept_partial)
        except ConfigurationException as error:
            raise ConfigurationError(f"destination.duckdb: {str(error).splitlines()[0]}") from None
        check_credentials(config.credentials)
        check_version(config.storage_version)
        self.storage_version = config.storage_version
        if self.only_reads is not None:
            config.credentials.conn_pool = ReadOnlyPool(config.credentials, self.only_reads)
        elif duckdb_file_server.address_of(str(config.credentials.database)) is not None:
            config.credentials.conn_pool = FileServerPool(config.credentials)
        return config

    def client(self, schema: Schema, initial_config: Any = None) -> Any:
        if not dlt_internals.are_used():
            return super().client(schema, initial_config)
        # dlt makes a client for each step, table and file of a load, and would resolve all settings for most of them.
        config: Any = initial_config or self.spec()
        if not config.is_resolved():
            key = config.dataset_name, config.default_schema_name
            if key not in self._configurations:
                self._configurations[key] = self.configuration(config)
            config = self._configurations[key]
        return _Client(schema, config, self.capabilities(config, schema.naming), self)


@dlt_internals.without_merge_jobs
class _Client(DuckDbClient):
    """Merges directly from the load files; dlt's way by staging tables takes twice as long."""

    def __init__(
        self,
        schema: Schema,
        config: DuckDbClientConfiguration,
        capabilities: DestinationCapabilitiesContext,
        owner: DuckDb,
    ) -> None:
        super().__init__(schema, config, capabilities)
        self._owner = owner

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        is_merged = table["write_disposition"] == "merge" and isinstance(job, DuckDbCopyJob)
        return _Merge(file_path, self._owner.loaded_at) if is_merged else job

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:  # noqa: ARG002
        return False

    def initialize_storage(self, truncate_tables: Any = None) -> None:
        # dlt would make a staging dataset after each load, to empty the tables of which there are none.
        if not self.in_staging_dataset_mode or truncate_tables:
            # Without dlt's warning of a file named like the dataset, which takes a query: such a name is refused.
            super(DuckDbClient, self).initialize_storage(truncate_tables)


class _Merge(RunnableLoadJob, HasFollowupJobs):
    """Load job that replaces stored rows by the rows of a file with the same keys.

    ``loaded_at`` is the SQL constant that these rows get as such; None leaves what the file says.
    """

    def __init__(self, file_path: str, loaded_at: str | None) -> None:
        super().__init__(file_path)
        self._loaded_at = loaded_at

    def run(self) -> None:
        client = dlt_internals.sql_client_of(self)
        table = client.make_qualified_table_name(self.load_table_name)
        keys_of = dlt_internals.columns_with(dlt_internals.table_of(self), "primary_key")
        names = list(map(client.escape_column_name, keys_of))
        keys = " AND ".join(f"s.{name} = t.{name}" for name in names)
        path = dlt_internals.file_of(self)
        file, metadata = f"read_parquet({quoted_text(path)})", pq.read_metadata(path)
        is_unique = has_unique_keys(metadata)
        deduplication = "" if is_unique else self._deduplicating_clause(client, file, names)
        # A pending package of an earlier version has no such column.
        is_written = self._loaded_at is not None and LOADED_AT.name in metadata.schema.names
        columns = f"* REPLACE ({self._loaded_at} AS {LOADED_AT.name})" if is_written else "*"
        for part in _slices(client, path, file, metadata, is_whole=bool(deduplication)):
            delete = f"DELETE FROM {table} AS t WHERE EXISTS (SELECT 1 FROM {part.rows} AS s WHERE {keys})"
            insert = f"INSERT INTO {table} BY NAME SELECT {columns} FROM {part.rows}{deduplication}"
            _write(client, (delete, insert), part.long_bytes)

    def _deduplicating_clause(self, client: Any, file: str, names: Sequence[str]) -> str:
        """The SQL clause that keeps each key once, where a file of an earlier version holds one twice; else empty."""
        key = ", ".join(names)
        ((is_doubled,),) = client.execute_sql(f"SELECT count(*) > count(DISTINCT ({key})) FROM {file}")
        if not is_doubled:
            return ""
        newest = dlt_internals.newest_column(dlt_internals.table_of(self))
        order = f" ORDER BY {client.escape_column_name(newest)} DESC" if newest else ""
        return f" QUALIFY row_number() OVER (PARTITION BY {key}{order}) = 1"


@dataclass(frozen=True, slots=True)
class _Slice:
    """Rows of a file that one transaction writes."""

    rows: str
    """The SQL expression that selects the rows."""
    long_bytes: int = 0
    """Bytes of their texts if these are long, else 0."""


def _slices(client: Any, path: str, file: str, metadata: pq.FileMetaData, *, is_whole: bool) -> list[_Slice]:
    """The file in slices of about 8 MB, where its texts are long; one slice with ``is_whole``.

    Texts are counted as often as they stand in a row: the file holds one that repeats once.
    """
    size_of_all = value_bytes(metadata)
    if size_of_all is not None and size_of_all <= _short_bytes(metadata.num_rows):
        return [_Slice(file)]
    schema = metadata.schema.to_arrow_schema()
    texts = [quoted_name(field.name) for field in schema if field.type == ARROW["text"]]
    size = " + ".join(f"coalesce(strlen({name}), 0)" for name in texts) or "0"
    ((count, total),) = client.execute_sql(f"SELECT count(*), coalesce(sum({size}), 0)::BIGINT FROM {file}")
    if total <= _short_bytes(count):
        return [_Slice(file)]
    if is_whole or _ROW_NUMBER in schema.names:
        return [_Slice(file, total)]
    numbered = f"read_parquet({quoted_text(path)}, {_ROW_NUMBER} = true)"
    slices = client.execute_sql(
        f"SELECT min(row), max(row), sum(size)::BIGINT FROM (SELECT *, sum(size) OVER (ORDER BY row) // {_SLICE_BYTES} "
        f"AS slice FROM (SELECT {_ROW_NUMBER} AS row, {size} AS size FROM {numbered})) GROUP BY slice ORDER BY 1"
    )
    return [
        _Slice(
            f"(SELECT * EXCLUDE ({_ROW_NUMBER}) FROM {numbered} WHERE {_ROW_NUMBER} BETWEEN {first} AND {last})",
            slice_bytes,
        )
        for first, last, slice_bytes in slices
    ]


def _short_bytes(rows: int) -> int:
    """Up to how many bytes the texts of so many rows are no long ones."""
    return min(_MAX_TRANSACTION_BYTES, _LONG_ROW_BYTES * rows)


def _write(client: Any, statements: Sequence[str], long_bytes: int) -> None:
    """Runs the statements in one transaction, again with more memory where there was too little."""
    for times in _MEMORY_MULTIPLES:
        size = times * (_MEMORY_BYTES + _COPIES_HELD * long_bytes)
        try:
            with _memory(client, size), client.begin_transaction():
                client.execute_sql(";\n".join(statements))
        except (DatabaseException, duckdb.Error) as error:
            if times == _MEMORY_MULTIPLES[-1] or not any(
                sign in str(error).lower() for sign in _OUT_OF_MEMORY_SIGNS
            ):
                raise
        else:
            return


def _usual_memory(client: Any) -> int:
    """DuckDB's memory limit in bytes: of this process, or of the one that has the file open for many accounts."""
    is_shared = isinstance(client.native_connection, duckdb_file_server.SharedFileConnection)
    return duckdb_file_server.MEMORY_BYTES if is_shared else _MEMORY_BYTES


def _unwritten_bytes(client: Any) -> int:
    """Bytes of memory that hold rows which are not in the file yet. DuckDB cannot free them before a checkpoint."""
    sql = "SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'"
    ((size,),) = client.execute_sql(sql)
    return int(size)


@contextmanager
def _memory(client: Any, size: int | None) -> Iterator[None]:
    """Context manager: DuckDB may use at least these bytes of memory within the block; None for all of the machine."""
    usual = _usual_memory(client)
    if size is not None and size <= usual:
        yield
        return
    client.execute_sql("RESET GLOBAL memory_limit" if size is None else f"SET memory_limit = '{size}B'")
    try:
        yield
    finally:
        # What is not written to the file yet may need more for a while.
        with suppress(DatabaseException, duckdb.Error):
            client.execute_sql(f"SET memory_limit = '{usual}B'")


class DuckDbBackend(Backend):
    is_exclusive = True
    takes_packages = True
    compression = "none"  # they go no further than this disk

    def __init__(self, destination: Any) -> None:
        super().__init__(destination)
        self._checkpoint_memory = _CHECKPOINT_MEMORY_BYTES
        self._instants = Instants()

    def create(self, client: Any) -> None:
        version = getattr(self.destination, "storage_version", DEFAULT)
        create_file(Path(str(client.credentials.database)), version)

    def checkpoint(self, client: Any) -> None:
        """Moves the rows of the write-ahead log into the file, with as much memory as that needs.

        Raises DuckDB's error where the file cannot be written, as on a full disk: the rows stay in the log.
        """
        while True:
            try:
                with _memory(client, self._checkpoint_memory[0]):
                    client.execute_sql("CHECKPOINT")
            except (DatabaseException, duckdb.Error) as error:
                lacks_memory = any(sign in str(error).lower() for sign in _OUT_OF_MEMORY_SIGNS)
                if not lacks_memory and "fatal error" in str(error).lower():
                    raise
                if not lacks_memory or len(self._checkpoint_memory) == 1:
                    # Another thread of this process may be writing.
                    return
                self._checkpoint_memory = self._checkpoint_memory[1:]
                # The rows are safe in the log, but DuckDB takes no further statement on this connection.
                client.close_connection()
                client.open_connection()
            else:
                return

    def without_deleted_rows(self, client: Any) -> None:
        self.checkpoint(client)
        rewrite(client, Path(str(client.credentials.database)))

    def begin_commit(self, client: Any) -> str:
        """Takes an instant later than all that are stored in the file, also where the clock was set back.

        No other process writes until the commit is over: this one has the file open, or the right to write into it.
        """
        at = self._instants.next(client, datetime.now(UTC))
        literal = f"TIMESTAMPTZ '{at.isoformat()}'"
        if isinstance(self.destination, DuckDb):
            self.destination.loaded_at = literal
        return literal

    def after_commit(self, client: Any) -> None:
        log = Path(f"{Path(str(client.credentials.database)).resolve()}.wal")
        with suppress(FileNotFoundError):
            if log.stat().st_size >= _MAX_LOG_BYTES or _unwritten_bytes(client) >= _MAX_UNWRITTEN_BYTES:
                self.checkpoint(client)

    def unused(self, client: Any) -> None:
        if isinstance(client.native_connection, duckdb_file_server.SharedFileConnection):
            with suppress(duckdb.Error):  # then its server has ended, and the next use says so
                client.native_connection.end_writing()

    def describe(self, client: Any, sentences: Descriptions) -> None:
        describe_changed(client, sentences)


def describe_changed(client: Any, sentences: Descriptions) -> None:
    """Writes those descriptions of tables and columns that are there with another one, or with none."""
    rows = client.execute_sql(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = %s "
        "UNION ALL SELECT table_name, '', comment FROM duckdb_tables() "
        "WHERE database_name = current_database() AND schema_name = %s",
        client.dataset_name,
        client.dataset_name,
    )
    there = {(str(table), str(column)): text for table, column, text in rows or ()}
    new = {key: text for key, text in sentences.items() if key in there and there[key] != text}
    if new:
        # At once: hundreds of statements, each committed for itself, take longer than a sync.
        with client.begin_transaction():
            client.execute_sql(";\n".join(comment_statement(client, *key, text) for key, text in new.items()))


def comment_statement(client: Any, table: str, column: str, text: str) -> str:
    """The statement that sets the description of a table, or of a column if one is named."""
    name = client.make_qualified_table_name(table)
    what = f"COLUMN {name}.{client.escape_column_name(column)}" if column else f"TABLE {name}"
    return f"COMMENT ON {what} IS {quoted_text(text)}"
