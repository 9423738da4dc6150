"""Which windows are loaded: one row a day, kept with the rows that it speaks of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from .model import Row, Window
from .windows import days


@dataclass(frozen=True, slots=True)
class Day:
    """What is loaded of one day."""

    window: Window
    executions: int
    api_total: int | None
    is_verified: bool
    checked_at: datetime

    @property
    def day(self) -> datetime:
        """Its midnight."""
        return midnight(self.window.start)


class Book:
    """The coverage as it is known now, and what of it changed since it was last written."""

    def __init__(self, known: Iterable[Day] = ()) -> None:
        self._days = {day.day: day for day in known}
        self._changed: set[datetime] = set()

    @property
    def span(self) -> Window | None:
        """From the first covered instant to the last."""
        if not self._days:
            return None
        return Window(
            min(day.window.start for day in self._days.values()),
            max(day.window.end for day in self._days.values()),
        )

    def add(
        self,
        window: Window,
        starts: Iterable[datetime],
        *,
        is_counted: bool,
        is_verified: bool,
        checked_at: datetime,
    ) -> None:
        """The window is loaded with executions that began at ``starts``; it may touch what is known."""
        rows = Counter(map(midnight, starts))
        for part in days(window):
            day = midnight(part.start)
            number = rows[day]
            fresh = Day(part, number, number if is_counted else None, is_verified, checked_at)
            self._put(day, _joined(self._days.get(day), fresh))

    def found_late(self, starts: Iterable[datetime], *, checked_at: datetime) -> None:
        """Executions that became visible in windows that were covered before."""
        for day, number in Counter(map(midnight, starts)).items():
            known = self._days.get(day)
            if known is not None:
                total = None if known.api_total is None else known.api_total + number
                executions = known.executions + number
                self._put(day, replace(known, executions=executions, api_total=total, checked_at=checked_at))

    def checked_at(self, instant: datetime) -> datetime:
        """When the instant's day was last read or compared. Raises KeyError when it is not covered."""
        return self._days[midnight(instant)].checked_at

    def checked(self, instant: datetime, *, checked_at: datetime) -> None:
        """The instant's day was compared and needed no change."""
        known = self._days.get(midnight(instant))
        if known is not None:
            self._put(known.day, replace(known, checked_at=checked_at))

    def changes(self, run_id: str) -> list[Row]:
        """The rows of ``coverage`` that are to be written; each is given once."""
        changed, self._changed = sorted(self._changed), set()
        return [_row(self._days[day], run_id) for day in changed]

    def _put(self, day: datetime, entry: Day) -> None:
        self._days[day] = entry
        self._changed.add(day)


def _joined(known: Day | None, fresh: Day) -> Day:
    """Both as one entry where they touch; otherwise the one that reaches further.

    Where they overlap, no execution is in both: what is read twice is compared, not listed.
    """
    if known is None or (fresh.window.start <= known.window.start and known.window.end <= fresh.window.end):
        return fresh
    if fresh.window.start <= known.window.end and known.window.start <= fresh.window.end:
        is_counted = known.api_total is not None and fresh.api_total is not None
        return Day(
            Window(min(known.window.start, fresh.window.start), max(known.window.end, fresh.window.end)),
            known.executions + fresh.executions,
            (known.api_total or 0) + (fresh.api_total or 0) if is_counted else None,
            known.is_verified and fresh.is_verified,
            fresh.checked_at,
        )
    return max(known, fresh, key=lambda entry: entry.window.end)


def _row(entry: Day, run_id: str) -> Row:
    return {
        "day": entry.day,
        "window_start": entry.window.start,
        "window_end": entry.window.end,
        "executions": entry.executions,
        "api_total": entry.api_total,
        "is_verified": entry.is_verified,
        "checked_at": entry.checked_at,
        "run_id": run_id,
    }


def midnight(instant: datetime) -> datetime:
    """The start of the instant's day, UTC."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
