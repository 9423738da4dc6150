"""The qualified names of a dataset's tables in SQL, and of the parts of them that may still change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..core.models import Table
from .coverage import midnight

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Before anything."""


@dataclass(frozen=True, slots=True)
class Names:
    """Qualified table names in SQL."""

    qualified: Callable[[str], str]
    """A table's full name."""
    literal: Callable[[datetime], str] | None = None
    """Renders an instant as an SQL constant, where reading is billed by volume; None elsewhere."""
    since: datetime | None = None
    """Executions that began before this instant no longer change."""

    def __call__(self, name: str) -> str:
        return self.qualified(name)

    def recent(self, table: Table, *, day: datetime | None = None) -> str:
        """The part of the table that may still change or be incomplete; all of it where reading is not billed.

        ``day`` narrows it to that one.
        """
        name = self.qualified(table.name)
        if self.literal is None or table.partition is None:
            return name
        column, since = table.partition, self.literal(self.since or EVER)
        if day is not None:
            start = midnight(day)
            end = self.literal(start + timedelta(days=1))
            return f"(SELECT * FROM {name} WHERE {column} >= {self.literal(start)} AND {column} < {end})"
        return f"(SELECT * FROM {name} WHERE {column} >= {since} OR {column} IS NULL)"
