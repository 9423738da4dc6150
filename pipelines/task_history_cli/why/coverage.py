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
class KnownExecution:
    """What is known about an execution that is not in the warehouse, to compare it with filters."""

    fields: Mapping[str, str | None]
    """Values by filter name; unknown values are left out."""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """The position of an instant relative to the loaded windows."""

    kind: Kind
    window: Window
    """The gap that contains it; the instant itself where it is covered."""
    filters: tuple[str, ...] = ()
    """The filters under which it would have been loaded."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The loaded windows, and the limits of syncs and of the vendor's retention."""

    days: Sequence[Day]
    lost: Sequence[Window]
    """Windows that the vendor purged before a sync could read them."""
    start: datetime
    """The instant at which a first sync begins."""
    horizon: datetime | None
    """The instant before which the vendor has purged executions; None when it keeps everything."""
    rechecked_from: datetime | None
    """The instant from which the next sync looks for late executions; None before the first sync."""
    kept_since: datetime | None = None
    """The instant before which executions are deleted from the warehouse; None where they are kept for ever."""
    blind: Sequence[Window] = ()
    """Windows that were purged before they were read; coverage holds them as empty."""

    @property
    def unfiltered(self) -> list[Window]:
        """The windows that are loaded without filters."""
        return self._windows("")

    @property
    def by_filters(self) -> dict[str, list[Window]]:
        """The windows that are loaded under filters only."""
        names = sorted({day.filters for day in self.days if day.filters and day.lane != AUDIT})
        return {name: self._windows(name) for name in names}

    @property
    def cursor(self) -> datetime | None:
        """The instant that the syncs have reached; None before the first sync."""
        ends = [w.end for day in self.days if day.lane == SYNC and not day.filters for w in day.windows]
        return max(ends, default=None)

    def checked_at(self, instant: datetime) -> datetime | None:
        """The time at which the windows around the instant were last read or compared."""
        times = [d.checked_at for d in self.days if not d.filters and any(instant in w for w in d.windows)]
        return max(times, default=None)

    def doubt(self, instant: datetime) -> str | None:
        """Why the windows around the instant are not known to be loaded whole; None where they are."""
        days = [d for d in self.days if not d.filters and any(instant in w for w in d.windows)]
        newest = max(days, key=lambda day: day.checked_at, default=None)
        return None if newest is None or newest.is_verified else newest.completeness.reason

    def spot(self, when: Window, system: System, known: KnownExecution | None = None) -> Spot:
        """The position of an execution that began within ``when``; the part that is not covered decides."""
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

    def _fits(self, name: str, gap: Window, system: System, known: KnownExecution | None) -> bool | None:
        if known is None:
            return None
        read = [
            d.checked_at for d in self.days if d.filters == name and any(gap.start in w for w in d.windows)
        ]
        return fits(read_filters(name), known, system, read_at=max(read, default=None))


def filter_values(
    system: System, row: Mapping[str, object], integration: str | None
) -> dict[str, str | None]:
    """The row's value for each filter of the system; the row has the warehouse's column names."""
    values: dict[str, str | None] = {}
    for filter_ in system.listing.filters:
        if filter_.column is not None:
            value = row.get(filter_.column)
            values[filter_.name] = None if value is None else str(value)
        elif integration is not None and filter_.name == "integration":
            values[filter_.name] = integration
    return values


def blind(reads: Iterable[tuple[Window, datetime]], retention: timedelta | None) -> list[Window]:
    """The parts of the windows that were purged before they were read; each window comes with the time it was read."""
    if retention is None:
        return []
    reads = list(reads)
    in_time = [Window(max(window.start, read_at - retention), window.end) for window, read_at in reads]
    too_late = merged(Window(window.start, min(window.end, read_at - retention)) for window, read_at in reads)
    return [part for window in too_late for part in gaps(window, in_time)]


def read_filters(text: str) -> dict[str, str]:
    """Parses filters written by ``coverage.filters_text``."""
    pairs = (part.partition("=") for part in text.split("&") if part)
    return {name: unquote(value) for name, _, value in pairs}


def fits(
    filters: Mapping[str, str], known: KnownExecution, system: System, *, read_at: datetime | None
) -> bool | None:
    """Whether a listing under the filters showed it at ``read_at``; None when that is not known."""
    matches = [_fits(name, value, known, system, read_at) for name, value in filters.items()]
    if False in matches:
        return False
    return None if None in matches else True


def _fits(
    name: str, value: str, known: KnownExecution, system: System, read_at: datetime | None
) -> bool | None:
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
