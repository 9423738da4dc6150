"""The qualified names of a dataset's tables in SQL, and of the parts of them that may still change."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..core.models import FIRST_INSTANT, Table, Window
from .column_rules import ColumnRules
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

    def recent(self, table: Table) -> str:
        """The part of the table that may still change or be incomplete; all of it where reading is not billed."""
        if self.literal is None or table.partition is None:
            return self.qualified(table.name)
        column, since = table.partition, self.literal(self.since or EVER)
        return f"(SELECT * FROM {self.qualified(table.name)} WHERE {column} >= {since} OR {column} IS NULL)"

    def between(self, table: Table, window: Window) -> str:
        """The part of the table that is partitioned by days of the window; all of it where reading is not billed."""
        if self.literal is None or table.partition is None:
            return self.qualified(table.name)
        column, start, end = table.partition, self.literal(window.start), self.literal(window.end)
        return f"(SELECT * FROM {self.qualified(table.name)} WHERE {column} >= {start} AND {column} < {end})"
