"""What is written together: rows, the coverage that speaks of them, and the cursor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from .models import Row

if TYPE_CHECKING:
    from .arrow import RowColumns


_COSTS_S = 10.0
"""What a kill may cost where a commit is cheap, in seconds of the budget."""

_MANY_FIELDS, _FIELD_BYTES = 100, 1_000
"""Each field beyond counts as so many bytes of text: so much a row takes until it is written."""


@dataclass(frozen=True, slots=True)
class Commits:
    """How much one commit holds: what a kill can cost, against what a commit costs in that warehouse."""

    rows: int = 60_000
    least_rows: int = 5_000
    """So many even where the budget gives fewer."""
    bytes: int = 16_000_000
    """Of free text."""
    seconds: float = 60.0
    """What was fetched is committed after that long at the latest."""
    details: int = 500
    """Requests for details."""

    def paced(self, limit: int, period_s: float, *, page_size: int) -> Commits:
        """The same for a budget: what it gives in ten seconds, so that a kill costs no more of it.

        ``limit`` is requests in a period, 0 for any number.
        """
        if not limit:
            return self
        rows = round(_COSTS_S * limit / period_s) * page_size
        return replace(self, rows=min(self.rows, max(self.least_rows, rows)))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A little work that is done."""

    rows: Mapping[str, list[Row]] = field(default_factory=dict)
    """By table."""
    columnar: Mapping[str, Sequence[RowColumns]] = field(default_factory=dict)
    """Rows in columns, by table."""
    notes: Mapping[str, list[Row]] = field(default_factory=dict)
    """Rows that alone are no reason to commit."""
    cursor: datetime | None = None
    """Everything that began before is loaded, once these rows are."""
    size: int = 0
    """Bytes of free text in it, about."""
    is_quiet: bool = False
    """Whether nothing in it makes anything else wanted."""
    is_due: bool = False
    """Whether it is time to commit."""
    is_end: bool = False
    """Whether what comes next has to find it in the warehouse."""


END = Chunk(is_end=True)
"""What follows asks the warehouse: everything before has to be in it."""

DUE = Chunk(is_due=True)
"""Enough was read since the last commit."""


class CommitProgress:
    """How many batches of a run were handed out, and how many of them are in the warehouse."""

    def __init__(self) -> None:
        self.handed_out = 0
        self.committed = 0
        self._last: Future[None] | None = None

    def begin(self, commit: Future[None]) -> None:
        """The batch that was handed out last is being committed."""
        self._last = commit

    def wait(self) -> None:
        """Returns once all of them are in the warehouse. Raises what a commit raised."""
        if self._last is not None:
            self._last.result()


class Batch:
    """Chunks that become one commit."""

    def __init__(self, most: Commits, *, began_at: float) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.columnar: dict[str, list[RowColumns]] = {}
        self.cursor: datetime | None = None
        self._began_at = began_at
        self._count = 0
        self._bytes = 0
        self._most = most
        self.is_quiet = True
        """Whether the warehouse would say of what is left what it says without this batch."""

    def add(self, chunk: Chunk) -> None:
        for table, rows in chunk.rows.items():
            self.rows.setdefault(table, []).extend(rows)
            self._count += len(rows)
            self._bytes += _FIELD_BYTES * sum(max(0, len(row) - _MANY_FIELDS) for row in rows)
            self.is_quiet &= chunk.is_quiet or not rows
        for table, parts in chunk.columnar.items():
            self.columnar.setdefault(table, []).extend(parts)
            size = sum(part.size for part in parts)
            self._count += size
            self.is_quiet &= chunk.is_quiet or not size
        self.note(chunk.notes)
        self._bytes += chunk.size
        self.cursor = chunk.cursor or self.cursor

    def note(self, rows: Mapping[str, list[Row]]) -> None:
        """Adds rows that alone are no reason to commit."""
        for table, noted in rows.items():
            self.rows.setdefault(table, []).extend(noted)

    @property
    def filled(self) -> set[str]:
        """The tables of which it holds rows."""
        return {table for table, parts in (*self.rows.items(), *self.columnar.items()) if parts}

    def rows_by_table(self) -> Counter[str]:
        """How many rows it holds of each table that it holds any of."""
        counts = Counter({table: len(rows) for table, rows in self.rows.items()})
        for table, parts in self.columnar.items():
            counts[table] += sum(part.size for part in parts)
        return +counts

    def is_full(self, now: float) -> bool:
        """Whether it is time to commit: a commit never holds more than a bounded amount of work."""
        return (
            self._count >= self._most.rows
            or self._bytes >= self._most.bytes
            or now - self._began_at >= self._most.seconds
        )

    @property
    def share(self) -> float:
        """How much it holds of what a commit may hold."""
        return max(self._count / self._most.rows, self._bytes / self._most.bytes)

    def __len__(self) -> int:
        """Rows that came from the vendor."""
        return self._count
