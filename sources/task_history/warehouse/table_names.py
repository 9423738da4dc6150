"""The qualified names of a dataset's tables in SQL, and queries for those of their rows that may still change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..core.models import FIRST_INSTANT, LAST_INSTANT, Table, Window
from .column_rules import ColumnRules
from .coverage import midnight
from .day_conditions import within
from .keep_days import KeptRows
from .left_days import LeftDays
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
    left_days: Callable[[], LeftDays | None] = field(default=lambda: None, compare=False)
    """The days outside of which nothing is left to read; None where that is not known."""
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

    def left(
        self, table: Table, window: Window | None = None, *, selected_since: datetime | None = None
    ) -> str:
        """The part of the table in which something may be left to read; all of it where reading is not billed.

        With ``window`` only executions that began in it, or of which that is not known. ``selected_since`` is when the
        executions of a selection begin; None where none is selected.
        """
        days = self.left_days()
        if self.literal is None or table.partition is None or days is None:
            return self.recent(table, window)
        if selected_since is not None and selected_since < days.selected_since:
            return self.recent(table, window)
        conditions = self._in_windows(
            table.partition, days.windows(None if window is None else _whole_days(window))
        )
        return f"(SELECT * FROM {self.qualified(table.name)} WHERE {conditions})"

    def since_left(self, table: Table) -> str:
        """The part of the table since the first day on which something may be left to read."""
        days = self.left_days()
        if self.literal is None or table.partition is None or days is None:
            return self.recent(table)
        condition = self._in_windows(table.partition, [Window(days.first, LAST_INSTANT)])
        return f"(SELECT * FROM {self.qualified(table.name)} WHERE {condition})"

    def _in_windows(self, column: str, windows: Iterable[Window]) -> str:
        """The condition that the instant in a column lies in one of the windows, or is not known."""
        assert self.literal is not None  # noqa: S101 - nothing is narrowed otherwise
        conditions = [f"{column} IS NULL"]
        for window in windows:
            start = self.literal(max(window.start, self.since or EVER))
            is_last = window.end >= LAST_INSTANT
            end = "" if is_last else f" AND {column} < {self.literal(window.end)}"
            conditions.append(f"({column} >= {start}{end})")
        return " OR ".join(conditions)

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
