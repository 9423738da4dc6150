"""Base class of the backends, and the bytes that a run is billed for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

from ...core.commit_limits import CommitLimits
from ...core.errors import WarehouseUnavailable
from ...warehouse.bigquery_billed_bytes import MIN_BILLED_BYTES

PARTITION_MAY_CHANGE = "x-task-history-may-move"
"""The hint of a table in which a row may change its partition."""

Descriptions = Mapping[tuple[str, str], str]
"""Descriptions by table and column; the description of a table is under the empty column name."""


def billed(processed: int, tables: int = 1) -> int:
    """Bytes billed for one statement: the processed bytes in whole MiB, at least 10 MiB a table; 0 for none."""
    return max(MIN_BILLED_BYTES * tables, -(-processed // 2**20) * 2**20) if processed else 0


@dataclass(slots=True)
class Cost:
    """Counts the bytes that a run is billed for, and enforces its limit. Safe to use from many threads."""

    limit: int | None = None
    """Bytes that the run may be billed for; None for any number."""
    processed: int = 0
    """Bytes that were processed."""
    billed: int = 0
    """Bytes billed for them, as the warehouse says, or where it does not, as the function ``billed`` computes them."""
    noted: tuple[int, int] | None = None
    """Bytes billed and processed that a run's row tells of; None before it was made."""
    reserved: int = 0
    """Bytes that the merges of the present commit may be billed for."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels of the warehouse's jobs and tables."""

    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def left(self) -> int | None:
        """Bytes that may still be billed; None for any number."""
        return None if self.limit is None else max(0, self.limit - self.billed)

    def name_jobs(self, system: str, run_id: str | None) -> None:
        """Labels what follows with the system and the run; ``none`` stands for a command that is no run."""
        self.labels |= {"task_history_system": system, "task_history_run": run_id or "none"}

    def count(self, processed: int, billed: int) -> None:
        """Adds the bytes of a statement that has run."""
        with self._lock:
            self.processed += processed
            self.billed += billed

    def note(self) -> tuple[int, int]:
        """Bytes billed and processed until now, which the run's row tells of."""
        with self._lock:
            self.noted = (self.billed, self.processed)
            return self.noted

    def check(self, tables: int) -> None:
        """Raises WarehouseUnavailable when the rest of the limit is less than a statement on that many tables costs."""
        if self.left is not None and self.left < MIN_BILLED_BYTES * tables:
            raise WarehouseUnavailable(
                f"{self.left:,} bytes are left of maximum_bytes_billed = {self.limit:,} for this run, and a statement "
                f"that reads {tables} {'table' if tables == 1 else 'tables'} is billed {MIN_BILLED_BYTES * tables:,}. "
                "What was fetched is kept: raise destination.bigquery.maximum_bytes_billed and run the command again."
            )

    def expect(self, estimate: int, table: str) -> None:
        """Reserves the estimated bytes of a merge, which reads the table and its staged rows.

        Raises:
            WarehouseUnavailable: they exceed the limit.
        """
        expected = billed(estimate, 2)
        with self._lock:
            left = None if self.left is None else max(0, self.left - self.reserved)
            if left is not None and expected > left:
                raise WarehouseUnavailable(
                    f"Merging into {table} would be billed {expected:,} bytes, and {left:,} are left of "
                    f"maximum_bytes_billed = {self.limit:,} for this run. Nothing of that was billed, and what was "
                    "fetched is kept: raise destination.bigquery.maximum_bytes_billed and run the command again."
                )
            self.reserved += expected


class Backend:
    """The properties of one warehouse. The methods here suit any database."""

    commits = CommitLimits()
    """Limits of one commit."""
    is_exclusive = False
    """Whether only one process at a time can have the warehouse open."""
    workers = 2
    """Number of concurrent load jobs; each takes memory of its own."""

    def __init__(self, destination: Any) -> None:
        self.destination = destination

    describes_view_columns = True
    """Whether COMMENT ON COLUMN takes the columns of views."""
    takes_packages = False
    """Whether Parquet files can be loaded without dlt's normalize step."""
    compression = "snappy"
    """Compression of the Parquet files."""
    truncates_staging_late = False
    """Whether staging tables are truncated once at the end of a run, because doing it with each commit is slow."""
    empties_staging = False
    """Whether each merge empties its staging table itself."""
    most_commits: int | None = None
    """Maximum commits a day into one dataset; None for any number."""
    tells_row_counts = False
    """Whether numbers of rows cost nothing: no query is run and no bytes are billed for them."""
    package_days: Any = None
    """Notes which days a package changes, where a commit merges its tables one by one, see ``warehouse.left_days``."""
    literal: Callable[[datetime], str] | None = None
    """Renders an instant as an SQL constant, where reading is billed by volume; None elsewhere."""

    def create(self, client: Any) -> None:
        """Creates the place of the warehouse before it is opened for the first time, where that is a file."""

    def limit_merges(self, since: datetime) -> None:
        """Limits the partitions that merges read: executions that began before ``since`` no longer change."""

    @property
    def cost(self) -> Cost | None:
        """The bytes billed for the run; None where reading is not billed by volume."""
        return None

    def forget_tables(self) -> None:
        """Discards what is cached about tables, after they were changed by hand."""

    def known_schemas(self) -> list[tuple[str, str]]:
        """Dataset and version hash of the schemas that are known to be stored, where that is asked by billed queries."""
        return []

    def know_schemas(self, known: Iterable[Sequence[str]]) -> None:
        """Takes these schemas, as ``known_schemas`` gave them, for stored."""

    def note_changes_on_any_day(self, client: Any) -> None:
        """Notes that statements change executions or details of days that are not known, before they do."""
        if self.package_days is not None:
            self.package_days.note_any_day(client)

    def describe(self, client: Any, sentences: Descriptions) -> None:
        """Writes the descriptions that dlt does not write; ``client`` is an open SQL client."""

    def checkpoint(self, client: Any) -> None:
        """Moves written rows into their final place, where that makes reading faster."""

    def without_deleted_rows(self, client: Any) -> None:
        """Removes what deleted rows left behind, where the warehouse is a file."""

    def begin_commit(self, client: Any) -> str:
        """Takes the instant of what is written next, while the warehouse is open; returns it as an SQL expression."""
        del client
        return "CURRENT_TIMESTAMP"

    def after_commit(self, client: Any) -> None:
        """Called after each commit, while the warehouse is open."""

    def unused(self, client: Any) -> None:
        """Called after each use of the warehouse, while it is open."""

    def describe_views(self, client: Any, dataset: str, texts: Mapping[str, Mapping[str, str]]) -> None:
        """Writes descriptions of view columns that CREATE VIEW cannot set; ``texts`` are by view and column."""

    def views_state(self, client: Any, dataset: str) -> str | None:
        """A text that changes when datasets do, or views and tables in ``dataset``, without a query.

        None where it takes a query.
        """
        del client, dataset
        return None

    def probe(self, client: Any, datasets: Sequence[str]) -> list[str]:
        """Checks whether a sync could write, and returns what exists as lines of text; changes nothing.

        Raises:
            WarehouseUnavailable: a right or a dataset is missing; the message names it.
        """
        client.execute_sql("SELECT 1")
        return [
            f"The dataset {datasets[0]} {'is there' if client.has_dataset() else 'will be created by the first sync'}."
        ]

    def datasets(self, client: Any) -> list[str]:
        """Names of all datasets; none where one query reads the columns of all."""
        del client
        return []

    def tables(self, client: Any, dataset: str) -> list[str] | None:
        """Names of all tables and views of a dataset that is in ``datasets``; None where it is not there."""
        del client, dataset
        return None

    def rows_of(
        self, client: Any, table: str, columns: Collection[str] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]] | None:
        """The names of these columns of a table, or of all, and its rows; None where a query reads them better."""
        del client, table, columns
        return None

    def stored_bytes(self, client: Any, table: str) -> int:
        """Bytes that a table holds, where reading is billed by volume; 0 elsewhere."""
        del client, table
        return 0

    def row_counts(self, client: Any, tables: Iterable[str]) -> dict[str, int]:
        """Number of rows by table."""
        counts = {}
        for table in tables:
            rows = client.execute_sql(f"SELECT count(*) FROM {client.make_qualified_table_name(table)}")
            counts[table] = int(rows[0][0])
        return counts
