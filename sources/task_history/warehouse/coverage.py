"""Coverage: the record of loaded windows, one row per day and lane, committed with the rows it covers.

A lane is who writes: ``sync`` behind the live cursor, ``backfill`` in ranges of its own, ``audit`` what it
compared. Each lane has one writer at a time, so that two that run at once, also on two machines, never
overwrite each other's notes. What is loaded under filters is noted apart from what is loaded whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_
from types import MappingProxyType
from urllib.parse import quote

from ..core import dataset_names
from ..core.intervals import days, gaps, merged, overlap
from ..core.models import Row, Window, iso_ms
from .verified_days import Completeness

SYNC, BACKFILL, AUDIT = dataset_names.SYNC, dataset_names.BACKFILL, dataset_names.AUDIT
LIST = "list"
"""The filter name under which coverage keeps the list, where an account has several."""


def filters_text(filters: Mapping[str, str]) -> str:
    """Filters as text: ``integration=slack&status=FAILED``; empty for none."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(filters.items()))


def list_of(filters: str) -> str:
    """The account's list that these filters name; empty for the first one."""
    return dict(part.split("=", 1) for part in filters.split("&") if part).get(LIST, "")


def _excludes(filters: str, other_filters: str) -> bool:
    """Whether no execution can match both sets of filters."""
    filter_values, other = (
        dict(part.split("=", 1) for part in text.split("&") if part) for text in (filters, other_filters)
    )
    return any(other.get(name, value) != value for name, value in filter_values.items())


@dataclass(frozen=True, slots=True)
class Day:
    """The coverage of one day by one lane."""

    day: datetime
    """Midnight UTC at which the day begins."""
    lane: str
    filters: str
    windows: tuple[Window, ...]
    """The covered windows, disjoint and in order."""
    executions: int
    api_total: int | None
    is_verified: bool
    checked_at: datetime
    completeness: Completeness = field(default_factory=Completeness)

    @property
    def covered(self) -> timedelta:
        """Total covered time of the day."""
        return sum((window.end - window.start for window in self.windows), timedelta())


class Coverage:
    """The coverage known to a run, and this lane's changes that are not written yet."""

    def __init__(self, days: Iterable[Day] = (), *, lane: str = SYNC, filters: str = "") -> None:
        self._lane, self.filters = lane, filters
        self.reset(days)

    def reset(self, days: Iterable[Day]) -> None:
        """Replaces the known days, and drops changes that are not written yet."""
        self._known = list(days)
        own = (self._lane, self.filters)
        self._days = {day.day: day for day in self._known if (day.lane, day.filters) == own}
        self._changed: set[datetime] = set()
        # The windows of all days, merged once: an account has thousands of days and few gaps between them.
        self._own: list[Window] | None = None

    @property
    def span(self) -> Window | None:
        """From the first instant that this lane covers to the last."""
        windows = [window for day in self._days.values() for window in day.windows]
        return Window(min(windows).start, max(window.end for window in windows)) if windows else None

    @property
    def unbroken(self) -> Window | None:
        """The last window of this lane that has no gap."""
        return self.own[-1] if self.own else None

    @property
    def covered(self) -> list[Window]:
        """The windows loaded completely under the filters, by any lane with the same or fewer filters."""
        return merged((*self.own, *self._other_windows()))

    def covered_within(self, window: Window) -> list[Window]:
        """The parts of the window that are covered."""
        return _parts(window, (*self.own, *self._other_windows()))

    def own_within(self, window: Window) -> list[Window]:
        """The parts of the window that this lane has loaded completely under its filters."""
        return _parts(window, self.own)

    def _other_windows(self) -> Iterator[Window]:
        """Windows that any lane but audit had loaded under the same or fewer filters when this run began."""
        own_filters = set(filter(None, self.filters.split("&")))
        return (
            window
            for day in self._known
            if day.lane != AUDIT and set(filter(None, day.filters.split("&"))) <= own_filters
            for window in day.windows
        )

    @property
    def unverified_windows(self) -> list[Window]:
        """The covered windows of this lane's unverified days, the least recently checked first."""
        return self.windows_to_verify(None)

    def windows_to_verify(self, since: datetime | None) -> list[Window]:
        """Unverified windows; of days verified but for rejected rows the part from ``since`` on, None for all of it."""
        found = []
        for day in sorted(self._days.values(), key=lambda one: (one.checked_at, one.day)):
            start, end = day.windows[0].start, day.windows[-1].end
            if since is not None and day.completeness.is_complete_but_rejected:
                start = max(start, since)
            found += [Window(start, end)] if not day.is_verified and start < end else []
        return found

    @property
    def has_rows(self) -> bool:
        """Whether any executions are loaded under the filters."""
        return any(day.executions for day in self._days.values())

    @property
    def rejected(self) -> dict[datetime, int]:
        """Number of rejected rows by midnight UTC, without days that have none."""
        return {day: of.completeness.rejected for day, of in self._days.items() if of.completeness.rejected}

    @property
    def own(self) -> list[Window]:
        """The windows that this lane has loaded completely under its filters."""
        if self._own is None:
            self._own = merged(window for day in self._days.values() for window in day.windows)
        return self._own

    def touched(self, window: Window) -> Window | None:
        """The part of the window in which any lane had stored executions when this run began; None without any.

        Executions loaded under other filters count, unless these name another value of the same filter.
        """
        parts = [
            part
            for day in self._known
            if day.lane != AUDIT and not _excludes(self.filters, day.filters)
            for stored in day.windows
            if not (part := overlap(window, stored)).is_empty
        ]
        return Window(min(parts).start, max(part.end for part in parts)) if parts else None

    def gaps(self, window: Window) -> list[Window]:
        """The parts of the window that are not covered, oldest first."""
        return gaps(window, self.covered)

    def add(
        self,
        window: Window,
        rows: Mapping[datetime, int],
        *,
        is_counted: bool,
        completeness: Completeness,
        checked_at: datetime,
        rejected: Mapping[datetime, int] = MappingProxyType({}),
    ) -> None:
        """The window is loaded with so many executions, and rejected rows, of each day; it may touch what is known."""
        self._own = merged((*self.own, window))
        for part in days(window):
            day = midnight(part.start)
            number, without_id = rows.get(day, 0), rejected.get(day, 0)
            of_day = replace(completeness, rejected=without_id)
            fresh = Day(
                day,
                self._lane,
                self.filters,
                (part,),
                number,
                number + without_id if is_counted else None,
                of_day.is_verified,
                checked_at,
                of_day,
            )
            self._put(_joined(self._days.get(day), fresh))

    def replace_comparison(
        self,
        window: Window,
        executions: int,
        api_total: int | None,
        *,
        completeness: Completeness,
        checked_at: datetime,
    ) -> None:
        """Replaces this lane's coverage of the day by the window, which was compared and lies within one day."""
        self._own = None
        self._put(
            Day(
                midnight(window.start),
                self._lane,
                self.filters,
                (window,),
                executions,
                api_total,
                completeness.is_verified,
                checked_at,
                completeness,
            )
        )

    def add_late(self, starts: Iterable[datetime], *, checked_at: datetime) -> None:
        """Adds executions that became visible late, in windows that were covered before."""
        for day, number in by_midnight(starts).items():
            earlier = self._days.get(day)
            if earlier is not None:
                total = None if earlier.api_total is None else earlier.api_total + number
                executions = earlier.executions + number
                self._put(replace(earlier, executions=executions, api_total=total, checked_at=checked_at))

    def checked_at(self, instant: datetime) -> datetime:
        """Time at which the instant's day was last read or compared. Raises KeyError when it is not covered."""
        return self._days[midnight(instant)].checked_at

    def mark_compared(
        self,
        window: Window,
        *,
        completeness: Completeness,
        checked_at: datetime,
        rejected: Mapping[datetime, int] = MappingProxyType({}),
    ) -> None:
        """Marks the window as compared. Days wholly within it are as complete as it is; others at most as they were.

        ``rejected`` is how many rejected rows each day has, also in parts of it that lie outside of the window.
        """
        for part in days(window):
            earlier = self._days.get(midnight(part.start))
            if earlier is None:
                continue
            without_id = rejected.get(earlier.day, 0)
            is_whole = all(
                part.start <= stretch.start and stretch.end <= part.end for stretch in earlier.windows
            )
            of_day, is_verified = earlier.completeness.compared(
                completeness, was_verified=earlier.is_verified, is_whole=is_whole, rejected=without_id
            )
            total = earlier.api_total
            if total is not None:
                total += without_id - earlier.completeness.rejected
            self._put(
                replace(
                    earlier,
                    is_verified=is_verified,
                    checked_at=checked_at,
                    completeness=of_day,
                    api_total=total,
                )
            )

    def mark_rejected(self, rejected: Mapping[datetime, int]) -> None:
        """Notes that days have so many rejected rows; what is known of them otherwise stays."""
        for day, number in rejected.items():
            earlier = self._days.get(day)
            if earlier is not None and number > earlier.completeness.rejected:
                completeness = replace(earlier.completeness, rejected=number)
                self._put(replace(earlier, is_verified=completeness.is_verified, completeness=completeness))

    def changed_rows(self, run_id: str) -> list[Row]:
        """The rows of ``coverage`` to write; each is returned once."""
        changed, self._changed = sorted(self._changed), set()
        return [_row(self._days[day], run_id) for day in changed]

    def _put(self, entry: Day) -> None:
        self._days[entry.day] = entry
        self._changed.add(entry.day)


def _parts(window: Window, stored_windows: Iterable[Window]) -> list[Window]:
    """The parts of the window that lie in the stored windows. An account has thousands of those, a window few."""
    near = (stored for stored in stored_windows if stored.start < window.end and window.start < stored.end)
    return merged(overlap(window, stored) for stored in near)


def _joined(earlier: Day | None, fresh: Day) -> Day:
    """Joins two entries of the same day.

    What is listed twice replaces what was noted before where it contains it; elsewhere no execution is in
    both: what is read twice is compared, not listed.
    """
    (window,) = fresh.windows
    if earlier is None or all(
        window.start <= known_part.start and known_part.end <= window.end for known_part in earlier.windows
    ):
        return fresh
    is_counted = earlier.api_total is not None and fresh.api_total is not None
    return replace(
        fresh,
        windows=tuple(merged((*earlier.windows, window))),
        executions=earlier.executions + fresh.executions,
        api_total=(earlier.api_total or 0) + (fresh.api_total or 0) if is_counted else None,
        is_verified=earlier.is_verified and fresh.is_verified,
        completeness=earlier.completeness & fresh.completeness,
    )


def _row(entry: Day, run_id: str) -> Row:
    return {
        "day": entry.day,
        "lane": entry.lane,
        "filters": entry.filters,
        "window_start": entry.windows[0].start,
        "window_end": entry.windows[-1].end,
        "covered_ms": round(entry.covered.total_seconds() * 1000),
        "windows": json.dumps([[iso_ms(window.start), iso_ms(window.end)] for window in entry.windows]),
        "executions": entry.executions,
        "api_total": entry.api_total,
        "is_verified": entry.is_verified,
        "evidence": entry.completeness.evidence,
        "reason": entry.completeness.reason,
        "rejected": entry.completeness.rejected if entry.completeness.evidence else None,
        "left_out": None,  # ``LeftOut.with_counts`` fills it
        "checked_at": entry.checked_at,
        "run_id": run_id,
    }


def read_day(row: Row) -> Day:
    """Parses a row of ``coverage``. Raises ValueError."""
    return Day(
        midnight(row["day"]),
        str(row["lane"]),
        str(row["filters"] or ""),
        read_windows(row["windows"]),
        int(row["executions"] or 0),
        row["api_total"],
        bool(row["is_verified"]),
        row["checked_at"],
        # Columns that a warehouse of an earlier version has not.
        Completeness.stored(row.get("evidence"), row.get("reason"), row.get("rejected")),
    )


def read_windows(text: str) -> tuple[Window, ...]:
    """Parses the windows of a row of ``coverage``. Raises ValueError."""
    return tuple(
        Window(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in json.loads(text)
    )


def unfiltered(every_day: Iterable[Day], partition: str = "") -> list[Day]:
    """The windows of the first list that are loaded without filters, or in every part where the list has parts.

    A part of which nothing is noted on a day was not there then.
    """
    if not partition:
        return [day for day in every_day if not day.filters]
    groups: dict[tuple[datetime, str], list[Day]] = {}
    for day in every_day:
        if is_part(day.filters, partition):
            groups.setdefault((day.day, day.lane), []).append(day)
    return [_common(days) for days in groups.values()]


def is_part(filters: str, partition: str) -> bool:
    """Whether these filters name a whole list or a whole part of one."""
    filter_names = [part.partition("=")[0] for part in filters.split("&") if part]
    return sorted(filter_names) == sorted([partition] if partition else []) or filter_names == [LIST]


def _common(parts: Sequence[Day]) -> Day:
    windows = list(parts[0].windows)
    for part in parts[1:]:
        overlaps = [overlap(first, second) for first in windows for second in part.windows]
        windows = [window for window in overlaps if not window.is_empty]
    return replace(
        parts[0],
        filters="",
        windows=tuple(merged(windows)),
        executions=sum(part.executions for part in parts),
        api_total=None,
        is_verified=all(part.is_verified for part in parts),
        checked_at=min(part.checked_at for part in parts),
        completeness=reduce(and_, (part.completeness for part in parts)),
    )


def by_midnight(starts: Iterable[datetime]) -> Counter[datetime]:
    """Number of instants per day, by midnight UTC."""
    return Counter(map(midnight, starts))


def midnight(instant: datetime) -> datetime:
    """The start of the instant's day, UTC."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
