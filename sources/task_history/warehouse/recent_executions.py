"""The executions that began since an instant, read by one query, for the questions that a sync asks about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.models import Window
from .status_history import StoredStatus

COLUMNS = "status_seen_at, e.fetched_at, e.read_by, e.run_id, e.is_open, e.purged_at_source"
"""The columns after id, start, status and partition."""


@dataclass(frozen=True, slots=True)
class RecentExecution:
    """A stored execution."""

    id: str
    started_at: datetime
    partition: str
    status: StoredStatus
    is_open: bool
    is_purged: bool


@dataclass(frozen=True, slots=True)
class RecentExecutions:
    """Stored executions that began at or after ``since``, purged ones included."""

    since: datetime
    rows: Sequence[RecentExecution]

    @classmethod
    def read(cls, since: datetime, rows: Iterable[tuple[Any, ...]], instant: Any) -> RecentExecutions:
        """Reads the rows of the query; ``instant`` converts its instants."""
        return cls(
            since,
            [
                RecentExecution(
                    str(row[0]),
                    instant(row[1]),
                    str(row[3] or ""),
                    StoredStatus(
                        str(row[2] or ""),
                        instant(row[4]) or instant(row[5]),
                        instant(row[5]),
                        row[6],
                        row[7],
                    ),
                    bool(row[8]),
                    row[9] is not None,
                )
                for row in rows
            ],
        )

    def in_window(
        self, window: Window, *, partition: str | None = None, with_purged: bool = False
    ) -> list[RecentExecution]:
        """Those that began in the window, of one partition or of all."""
        return [
            row
            for row in self.rows
            if row.started_at in window
            and (with_purged or not row.is_purged)
            and partition in (None, row.partition)
        ]
