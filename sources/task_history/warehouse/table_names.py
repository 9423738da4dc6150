"""The qualified names of a dataset's tables in SQL, and queries for those of their rows that may still change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..core.models import FIRST_INSTANT, Table, Window
from .column_rules import ColumnRules
from .coverage import midnight
from .day_conditions import within
from .keep_days import KeptRows
from .sql_text import Answer

EVER = FIRST_INSTANT
"""An instant before every execution."""
RETENTION_GRACE = timedelta(days=7)
"""Time beyond the vendor's retention within which rows may still change, because they may be read that much late."""


@dataclass(frozen=True, slots=True)
class Names:
    """Qualified table names in SQL."""

    qualified: Callable[[str], str]
    """A table's full name."""
    literal: Callable[[datetime], str] | None = None
    """Renders an instant as an SQL constant, where reading is billed by volume; None elsewhere."""
    rows_of: Callable[[str, Collection[str]], Answer | None] | None = None
    """Reads these columns of a table, or all, where a query would be billed; its answer is None for a large table."""
    since: datetime | None = None
    """Executions that began before this instant no longer change."""
    kept: KeptRows = field(default_factory=KeptRows, compare=False)
    """Since when rows are kept; shared by all names that are made of these."""
    rules: ColumnRules = field(default_factory=ColumnRules)
    """Which columns are left out or hashed."""

    def __call__(self, name: str) -> str:
        return self.qualified(name)

    def recent(self, table: Table, window: Window | None = None) -> str:
        """The part of the table that may still change or be incomplete; all of it where reading is not billed.

        With ``window`` only executions that began in it, or of which that is not known.
        """
        if self.literal is None or table.partition is None:
            return self.qualified(table.name)
        column, since = table.partition, self.since or EVER
        if window is None:
            condition = f"{column} >= {self.literal(since)}"
        else:
            days = _whole_days(Window(max(since, window.start), window.end))
            condition = f"({column} >= {self.literal(days.start)} AND {column} < {self.literal(days.end)})"
        return f"(SELECT * FROM {self.qualified(table.name)} WHERE {condition} OR {column} IS NULL)"

    def on_days(self, table: Table, starts: Iterable[datetime | None]) -> str:
        """The part of the table for executions that began on the days of these instants; all where it is not billed.

        None stands for those of which it is not known when they began.
        """
        if self.literal is None or table.partition is None:
            return self.qualified(table.name)
        condition = within(table.partition, {None if start is None else midnight(start) for start in starts})
        return f"(SELECT * FROM {self.qualified(table.name)} WHERE {condition})"

    def between(self, table: Table, window: Window) -> str:
        """The part of the table that is partitioned by days of the window; all of it where reading is not billed."""
        if self.literal is None or table.partition is None:
            return self.qualified(table.name)
        days, column = _whole_days(window), table.partition
        condition = f"{column} >= {self.literal(days.start)} AND {column} < {self.literal(days.end)}"
        return f"(SELECT * FROM {self.qualified(table.name)} WHERE {condition})"


def _whole_days(window: Window) -> Window:
    """The window with the whole of its first and last day, as partitions are read."""
    return Window(midnight(window.start), midnight(window.end - timedelta.resolution) + timedelta(days=1))
