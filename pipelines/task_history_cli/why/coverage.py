"""Position of an execution's start relative to the loaded windows. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import unquote

from task_history.core.intervals import gaps, merged, overlap
from task_history.core.models import Window
from task_history.systems.protocol import System
from task_history.warehouse.coverage import AUDIT, SYNC, Day

_SKEW = timedelta(minutes=1)

Kind = Literal["covered", "perhaps", "filtered", "blind", "lost", "purged", "before", "after", "gap"]
"""
- ``perhaps``: covered only under filters of which it is not known whether it fits them.
- ``blind``: covered, and first read when the vendor had purged it already.
- ``lost``: passed over, because the vendor had purged it before a sync came to it.
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an execution that is not in the warehouse, for comparing it with filters."""

    fields: Mapping[str, str | None]
    """By the names of filters; those that nothing tells are not in it."""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something lies, and in which stretch of what is loaded or is not."""

    kind: Kind
    window: Window
    """The stretch around it that has nothing loaded; itself where it is covered."""
    filters: tuple[str, ...] = ()
    """Under which filters it would have been loaded."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is loaded, and how far the syncs and the vendor reach."""

    days: Sequence[Day]
    lost: Sequence[Window]
    """What the vendor purged before any sync could read it."""
    start: datetime
    """Where a first sync begins."""
    horizon: datetime | None
    """What began before is purged by the vendor; None when it keeps everything."""
    rechecked_from: datetime | None
    """From when on the next sync looks again for what came late; None before the first."""
    blind: Sequence[Window] = ()
    """What was purged before it was read, and is covered as empty."""

    @property
    def unfiltered(self) -> list[Window]:
        """The windows that are loaded without filters."""
        return self._windows("")

    @property
    def by_filters(self) -> dict[str, list[Window]]:
        """What is loaded under filters only."""
        names = sorted({day.filters for day in self.days if day.filters and day.lane != AUDIT})
        return {name: self._windows(name) for name in names}

    @property
    def cursor(self) -> datetime | None:
        """How far the syncs are; None before the first."""
        ends = [w.end for day in self.days if day.lane == SYNC and not day.filters for w in day.windows]
        return max(ends, default=None)

    def checked_at(self, instant: datetime) -> datetime | None:
        """When the windows around the instant were last read or compared."""
        times = [d.checked_at for d in self.days if not d.filters and any(instant in w for w in d.windows)]
        return max(times, default=None)

    def spot(self, when: Window, system: System, known: Known | None = None) -> Spot:
        """Where something lies that began within ``when``: what of it is not covered says it."""
        missing = gaps(when, self.unfiltered)
        if not missing:
            return Spot("covered" if gaps(when, self.blind) else "blind", when)
        gap = missing[0]
        fits = {name: self._fits(name, gap, system, known) for name in self._around(gap)}
        if any(fits.values()):
            return Spot("covered", when, tuple(name for name, does in fits.items() if does))
        if fits:
            return Spot("perhaps" if None in fits.values() else "filtered", gap, tuple(fits))
        return Spot(*self._uncovered(gap))

    def _uncovered(self, gap: Window) -> tuple[Kind, Window]:
        for window in self.lost:
            if not overlap(window, gap).is_empty:
                return "lost", window
        if self.horizon is not None and gap.end <= self.horizon:
            return "purged", gap
        unfiltered = self.unfiltered
        if self.cursor is None:
            if gap.start >= self.start:
                return "after", Window(self.start, gap.end)
        elif gap.start >= self.cursor:
            return "after", Window(self.cursor, gap.end)
        before = [window for window in unfiltered if window.end <= gap.start]
        after = [window for window in unfiltered if window.start >= gap.end]
        if not before:
            return "before", Window(gap.start, after[0].start) if after else gap
        return "gap", Window(before[-1].end, after[0].start if after else gap.end)

    def _windows(self, filters: str) -> list[Window]:
        return merged(
            window
            for day in self.days
            if day.filters == filters and day.lane != AUDIT
            for window in day.windows
        )

    def _around(self, gap: Window) -> list[str]:
        return [name for name, windows in self.by_filters.items() if not gaps(gap, windows)]

    def _fits(self, name: str, gap: Window, system: System, known: Known | None) -> bool | None:
        if known is None:
            return None
        read = [
            d.checked_at for d in self.days if d.filters == name and any(gap.start in w for w in d.windows)
        ]
        return fits(read_filters(name), known, system, read_at=max(read, default=None))


def filter_values(
    system: System, row: Mapping[str, object], integration: str | None
) -> dict[str, str | None]:
    """What the row, as the warehouse names it, says to each filter of the system."""
    values: dict[str, str | None] = {}
    for filter_ in system.listing.filters:
        if filter_.column is not None:
            value = row.get(filter_.column)
            values[filter_.name] = None if value is None else str(value)
        elif integration is not None and filter_.name == "integration":
            values[filter_.name] = integration
    return values


def blind(reads: Iterable[tuple[Window, datetime]], retention: timedelta | None) -> list[Window]:
    """What of those windows, each with when it was read, no read came to before it was purged."""
    if retention is None:
        return []
    reads = list(reads)
    in_time = [Window(max(window.start, read_at - retention), window.end) for window, read_at in reads]
    too_late = merged(Window(window.start, min(window.end, read_at - retention)) for window, read_at in reads)
    return [part for window in too_late for part in gaps(window, in_time)]


def read_filters(text: str) -> dict[str, str]:
    """The filters as ``coverage.filters_text`` wrote them."""
    pairs = (part.partition("=") for part in text.split("&") if part)
    return {name: unquote(value) for name, _, value in pairs}


def fits(
    filters: Mapping[str, str], known: Known, system: System, *, read_at: datetime | None
) -> bool | None:
    """Whether a listing under the filters showed it at ``read_at``; None when that cannot be told."""
    matches = [_fits(name, value, known, system, read_at) for name, value in filters.items()]
    if False in matches:
        return False
    return None if None in matches else True


def _fits(name: str, value: str, known: Known, system: System, read_at: datetime | None) -> bool | None:
    if name not in known.fields:
        return None
    is_same = known.fields[name] == value
    if name != "status":
        return is_same
    # A status is of the time at which it was asked for.
    had_ended = _had_ended(known.ended_at, read_at)
    if value in system.open_statuses:
        return False if had_ended else None
    return had_ended if is_same else False


def _had_ended(ended_at: datetime | None, read_at: datetime | None) -> bool | None:
    """Whether it had ended when it was read; None within what two clocks may differ."""
    if ended_at is None or read_at is None or abs(ended_at - read_at) <= _SKEW:
        return None
    return ended_at < read_at
