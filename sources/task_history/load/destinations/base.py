"""What the loader has to know of a warehouse that dlt does not say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

from ...core.batch import Commits
from ...core.errors import WarehouseUnavailable

PARTITION_MAY_CHANGE = "x-task-history-may-move"
"""The hint of a table whose rows may come back in another partition."""

Descriptions = Mapping[tuple[str, str], str]
"""Descriptions by table and column; a table's own under the empty name."""


LEAST_BILLED = 10 * 2**20
"""What a statement that reads anything is billed at least."""


def billed(processed: int) -> int:
    """The bytes that are billed for one statement: whole MiB, at least ten of them, nothing for nothing."""
    return max(LEAST_BILLED, -(-processed // 2**20) * 2**20) if processed else 0


@dataclass(slots=True)
class Cost:
    """What a run has the warehouse read, where that is billed."""

    limit: int | None = None
    """Bytes that the run may be billed for; None for any number."""
    estimated: int = 0
    """Bytes that dry runs named for the merges, before they ran."""
    processed: int = 0
    """Bytes that were processed."""
    billed: int = 0
    """Bytes that are billed for that."""
    reserved: int = 0
    """Bytes that the merges of the commit in hand may be billed for."""
    labels: dict[str, str] = field(default_factory=dict)
    """What the warehouse's jobs and tables are marked with."""

    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def left(self) -> int | None:
        """Bytes that may still be billed; None for any number."""
        return None if self.limit is None else max(0, self.limit - self.billed)

    def count(self, processed: int | None) -> None:
        """So much was processed."""
        with self._lock:
            self.processed += processed or 0
            self.billed += billed(processed or 0)

    def check(self) -> None:
        """Raises WarehouseUnavailable when not even the smallest statement is left of the limit."""
        if self.left is not None and self.left < LEAST_BILLED:
            raise WarehouseUnavailable(
                f"{self.left:,} bytes are left of maximum_bytes_billed = {self.limit:,} for this run, and a statement "
                f"that reads anything is billed {LEAST_BILLED:,}. What was fetched is kept: raise "
                "destination.bigquery.maximum_bytes_billed and run the same command again."
            )

    def expect(self, estimate: int, table: str) -> None:
        """So much is about to be processed. Raises WarehouseUnavailable when that is beyond the limit."""
        with self._lock:
            left = None if self.left is None else max(0, self.left - self.reserved)
            if left is not None and billed(estimate) > left:
                raise WarehouseUnavailable(
                    f"Merging into {table} would be billed {billed(estimate):,} bytes, and {left:,} are left of "
                    f"maximum_bytes_billed = {self.limit:,} for this run. Nothing of that was billed, and what was "
                    "fetched is kept: raise destination.bigquery.maximum_bytes_billed and run the same command again."
                )
            self.estimated += estimate
            self.reserved += billed(estimate)


class Backend:
    """One warehouse. The methods here fit a database of which nothing is known."""

    commits = Commits()
    is_exclusive = False
    """Whether one process at a time may have it open."""
    workers = 2
    """Files and merges that are loaded side by side; each keeps memory of its own."""

    def __init__(self, destination: Any) -> None:
        self.destination = destination

    takes_packages = False
    """Whether it loads Parquet as it is written here, and dlt need not look at it before."""
    compression = "snappy"
    """Of the files that it loads."""
    empties_late = False
    """Whether staged rows are removed at a run's end, since removing them with every commit takes its time."""
    literal: Callable[[datetime], str] | None = None
    """An instant as a constant in SQL, where what a statement reads is billed; None elsewhere."""

    def reaches(self, since: datetime) -> None:
        """What began before is settled for good: rows that come back need not be looked for further back."""

    @property
    def cost(self) -> Cost | None:
        """What the run has cost so far; None where nothing is billed by the byte."""
        return None

    def forget(self) -> None:
        """Somebody changed tables: what is known of them has to be asked again."""

    def describe(self, client: Any, sentences: Descriptions) -> None:
        """Writes the descriptions that dlt does not write; ``client`` is an open SQL client."""

    def settle(self, client: Any) -> None:
        """Puts in order what was written, where reading it is quicker then."""

    def committed(self, client: Any) -> None:
        """Called after each commit, while the warehouse is open."""

    def describe_views(self, client: Any, dataset: str, texts: Mapping[str, Mapping[str, str]]) -> None:
        """Gives columns of views sentences that their statements do not give, by view and column."""

    def probe(self, client: Any, datasets: Sequence[str]) -> list[str]:
        """What is there already, and whether a sync could write; changes nothing.

        Raises:
            WarehouseUnavailable: something is missing; says what.
        """
        client.execute_sql("SELECT 1")
        return [
            f"The dataset {datasets[0]} {'is there' if client.has_dataset() else 'will be created by the first sync'}."
        ]

    def datasets(self, client: Any) -> list[str]:
        """The datasets that there are; none where one question is enough for all."""
        del client
        return []

    def row_counts(self, client: Any, tables: Iterable[str]) -> dict[str, int]:
        """How many rows the tables hold, by table."""
        counts = {}
        for table in tables:
            rows = client.execute_sql(f"SELECT count(*) FROM {client.make_qualified_table_name(table)}")
            counts[table] = int(rows[0][0])
        return counts
