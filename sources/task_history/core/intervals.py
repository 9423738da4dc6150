"""Arithmetic of windows (split, merge, gaps, overlap), page offsets and start instants. Pure functions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from .models import MS, Window, floor_ms

DAY = timedelta(days=1)


def halves(window: Window) -> tuple[Window, Window] | None:
    """The window cut in two at a whole millisecond; None when it is one millisecond long."""
    middle = floor_ms(window.start + (window.end - window.start) / 2)
    if not window.start < middle < window.end:
        return None
    return Window(window.start, middle), Window(middle, window.end)


def share(window: Window, part: float, *, not_before: datetime) -> Window:
    """The first ``part`` of the window, at least up to ``not_before`` and one millisecond."""
    end = floor_ms(window.start + (window.end - window.start) * min(part, 1.0))
    end = max(end, not_before, window.start + MS)
    return Window(window.start, min(end, window.end))


def days(window: Window) -> Iterator[Window]:
    """The window cut at midnights, UTC."""
    start = window.start.astimezone(UTC)
    while start < window.end:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        yield Window(start, min(midnight, window.end))
        start = midnight


def merged(windows: Iterable[Window]) -> list[Window]:
    """The windows in order, with those that overlap or touch joined."""
    joined: list[Window] = []
    for window in sorted(windows, key=attrgetter("start")):
        if window.is_empty:
            continue
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined


def gaps(window: Window, covered: Iterable[Window]) -> list[Window]:
    """The parts of the window that lie in none of the ``covered`` windows, in order."""
    uncovered_windows = []
    position = window.start
    for loaded in merged(covered):
        if loaded.end <= position or loaded.start >= window.end:
            continue
        if loaded.start > position:
            uncovered_windows.append(Window(position, loaded.start))
        position = max(position, loaded.end)
    if position < window.end:
        uncovered_windows.append(Window(position, window.end))
    return uncovered_windows


def overlap(window: Window, other: Window) -> Window:
    """The intersection of two windows; empty when they have none."""
    start = max(window.start, other.start)
    return Window(start, max(start, min(window.end, other.end)))


def is_ascending(instants: Iterable[datetime | None]) -> bool:
    """Whether the instants are in ascending order; None values are skipped."""
    previous: datetime | None = None
    for instant in instants:
        if instant is not None:
            if previous is not None and instant < previous:
                return False
            previous = instant
    return True


def uncovered(pages: Mapping[int, int], upto: int) -> int | None:
    """The first position below ``upto`` that no page holds; ``pages`` maps offsets to rows."""
    position = 0
    for offset in sorted(pages):
        if offset > position:
            break
        position = max(position, offset + pages[offset])
    return position if position < upto else None


class Starts:
    """Index of executions by start instant, for counting in windows."""

    def __init__(self, starts: Mapping[str, datetime]) -> None:
        pairs = sorted((instant, identity) for identity, instant in starts.items())
        self._instants: Sequence[datetime] = [instant for instant, _ in pairs]
        self._ids: Sequence[str] = [identity for _, identity in pairs]

    def count(self, window: Window) -> int:
        """Number of executions that started in the window."""
        return bisect_left(self._instants, window.end) - bisect_left(self._instants, window.start)

    def ids(self, window: Window) -> set[str]:
        """Ids of the executions that started in the window."""
        return set(
            self._ids[bisect_left(self._instants, window.start) : bisect_left(self._instants, window.end)]
        )
