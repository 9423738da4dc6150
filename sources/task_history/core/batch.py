"""Batches: the rows, coverage and cursor that one commit writes together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from .commit_limits import CommitLimits
from .models import Row

if TYPE_CHECKING:
    from .arrow_types import RowColumns


_FREE_FIELDS, _FIELD_BYTES = 100, 1_000
"""Each field of a row beyond the first 100 counts as 1,000 bytes: the memory it takes until it is written."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows, notes and cursor of one piece of work; a commit writes whole chunks."""

    rows: Mapping[str, list[Row]] = field(default_factory=dict)
    """Rows by table."""
    columnar: Mapping[str, Sequence[RowColumns]] = field(default_factory=dict)
    """Rows in columns, by table."""
    notes: Mapping[str, list[Row]] = field(default_factory=dict)
    """Rows by table that do not cause a commit by themselves, such as window reads."""
    cursor: datetime | None = None
    """Executions that began before are loaded once these rows are; None leaves the cursor as it is."""
    size: int = 0
    """Approximate bytes of free text in the rows."""
    leaves_backlog_unchanged: bool = False
    """Whether the rows add nothing to the backlog."""
    is_due: bool = False
    """Whether the batch is committed after this chunk."""
    is_end: bool = False
    """Whether this chunk is committed before the next one is made."""
    is_last_of_window: bool = False
    """Whether the coverage is committed, too, where the batch has no rows."""


FLUSH = Chunk(is_end=True)
"""Asks for a commit that is complete before the run goes on, because the next step queries the warehouse."""

END_OF_WINDOW = Chunk(is_end=True, is_last_of_window=True)
"""Asks for a commit of all that is known, coverage without rows included, before the run goes on."""

COMMIT_NOW = Chunk(is_due=True)
"""Asks for a commit because enough was read since the last one."""


class CommitProgress:
    """Counts the batches of a run that were handed out and those that were committed."""

    def __init__(self) -> None:
        self.handed_out = 0
        self.committed = 0
        self._last: Future[None] | None = None

    def begin(self, commit: Future[None]) -> None:
        """Registers the commit of the batch that was handed out last."""
        self._last = commit

    def wait(self) -> None:
        """Waits until every batch is in the warehouse. Raises the error of a failed commit."""
        if self._last is not None:
            self._last.result()


class Batch:
    """The chunks of one commit."""

    def __init__(self, limits: CommitLimits, *, began_at: float) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.columnar: dict[str, list[RowColumns]] = {}
        self.cursor: datetime | None = None
        self._began_at = began_at
        self._count = 0
        self._bytes = 0
        self._limits = limits
        self.leaves_backlog_unchanged = True
        """Whether the backlog that the warehouse reports is the same with and without this batch."""

    def add(self, chunk: Chunk) -> None:
        for table, rows in chunk.rows.items():
            self.rows.setdefault(table, []).extend(rows)
            self._count += len(rows)
            self._bytes += _FIELD_BYTES * sum(max(0, len(row) - _FREE_FIELDS) for row in rows)
            self.leaves_backlog_unchanged &= chunk.leaves_backlog_unchanged or not rows
        for table, parts in chunk.columnar.items():
            self.columnar.setdefault(table, []).extend(parts)
            size = sum(part.size for part in parts)
            self._count += size
            self.leaves_backlog_unchanged &= chunk.leaves_backlog_unchanged or not size
        self.note(chunk.notes)
        self._bytes += chunk.size
        self.cursor = chunk.cursor or self.cursor

    def note(self, rows: Mapping[str, list[Row]]) -> None:
        """Adds rows that do not cause a commit by themselves."""
        for table, table_rows in rows.items():
            self.rows.setdefault(table, []).extend(table_rows)

    @property
    def filled(self) -> set[str]:
        """Names of the tables that have rows in this batch."""
        return {table for table, parts in (*self.rows.items(), *self.columnar.items()) if parts}

    def only_row(self, table: str) -> Row | None:
        """The row of that table where the batch holds it and nothing else, no cursor either."""
        rows = self.rows.get(table, [])
        is_only = self.filled == {table} and len(rows) == 1 and self.cursor is None
        return rows[0] if is_only else None

    def rows_by_table(self) -> Counter[str]:
        """Number of rows by table, without tables that have none."""
        counts = Counter({table: len(rows) for table, rows in self.rows.items()})
        for table, parts in self.columnar.items():
            counts[table] += sum(part.size for part in parts)
        return +counts

    def is_full(self, now: float) -> bool:
        """Whether a limit of the commit (rows, bytes or seconds) is reached."""
        return (
            self._count >= self._limits.rows
            or self._bytes >= self._limits.bytes
            or now - self._began_at >= self._limits.seconds
        )

    @property
    def share(self) -> float:
        """Fill level: the larger of rows and bytes, as a share of the limit."""
        return max(self._count / self._limits.rows, self._bytes / self._limits.bytes)

    def __len__(self) -> int:
        """Number of rows from the vendor."""
        return self._count
