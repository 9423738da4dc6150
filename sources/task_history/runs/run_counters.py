"""Counters of a run: what it has done so far, and what is left at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..core.models import Row, Window
from ..warehouse.keep_days import KeptSince


@dataclass(slots=True)
class Tally:
    """What a run has done so far; ``phase`` is what it is doing now."""

    phase: str = "starting"
    executions: int = 0
    settled: int = 0
    late: int = 0
    steps: int = 0
    payloads: int = 0
    redactions: int = 0
    """Values that were redacted in all that was read: rows, steps and payloads."""
    rejected: int = 0
    """Rows without a usable id that were kept apart."""
    unverified: int = 0
    unresolved: int = 0
    lost: Window | None = None
    """The time of which the vendor purged executions before a sync could read them."""
    deleted: dict[str, int] | None = None
    """Numbers of rows that were deleted because of ``keep_days_…``, by table; None where none were due."""
    kept_since: KeptSince = field(default_factory=KeptSince)
    """The instants before which this run deleted rows."""
    statistics_difference: tuple[int, int] | None = None
    """Executions that the vendor's statistics count and those stored, in closed buckets; None where they agree."""
    oldest_start: datetime | None = None
    """No execution that the run listed or read again began before this instant; None where there was none."""
    listed: int = 0
    """Executions that the vendor's listings returned."""
    failed: int = 0
    """Executions among ``listed`` that failed."""
    rows_ahead: int = 0
    """Estimated executions in the windows that are still to be listed after the present one."""
    requests_remaining: float | None = None
    """Estimated requests until the run ends; None while there is no estimate."""
    cursor: datetime | None = None

    def count_listed(self, rows: Sequence[Row], failed_statuses: Sequence[str]) -> None:
        """Counts the rows that a listing returned."""
        self.add_listed(len(rows), sum(row.get("status") in failed_statuses for row in rows))

    def add_listed(self, executions: int, failed: int) -> None:
        """Counts executions that a listing returned, ``failed`` of them failed."""
        self.listed += executions
        self.failed += failed

    def note_starts(self, starts: Iterable[datetime | None]) -> None:
        """Notes when executions began that were listed, or are read again."""
        known = [start for start in (self.oldest_start, *starts) if start is not None]
        self.oldest_start = min(known, default=None)

    def count_redactions(self, count: int) -> None:
        """Counts values that were redacted."""
        self.redactions += count

    def count_answer(self) -> None:
        """Takes one answered request off the estimate."""
        if self.requests_remaining:
            self.requests_remaining -= 1


@dataclass(frozen=True, slots=True)
class Remaining:
    """The backlog when a run ends: executions, steps and payloads that are not loaded."""

    open_executions: int
    details: int
    payloads: int
    unreadable: int = 0
    """Executions and payloads that could not be read; a later run tries them again."""
    next_try_at: datetime | None = None
    """Instant at which the first of ``unreadable`` is tried again; None without any."""

    @property
    def is_nothing(self) -> bool:
        """Whether no detail is left to load. Open executions do not count: only the vendor can end them."""
        return not self.details and not self.payloads
