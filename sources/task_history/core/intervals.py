"""Rules about windows, pages and positions. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

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
    """The same instants in as few windows as possible, in order."""
    found: list[Window] = []
    for window in sorted(windows):
        if window.is_empty:
            continue
        if found and window.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, window.end))
        else:
            found.append(window)
    return found


def gaps(window: Window, covered: Iterable[Window]) -> list[Window]:
    """What of the window lies in none of those, in order."""
    found = []
    at = window.start
    for known in merged(covered):
        if known.end <= at or known.start >= window.end:
            continue
        if known.start > at:
            found.append(Window(at, known.start))
        at = max(at, known.end)
    if at < window.end:
        found.append(Window(at, window.end))
    return found


def overlap(window: Window, other: Window) -> Window:
    """What lies in both; empty when nothing does."""
    start = max(window.start, other.start)
    return Window(start, max(start, min(window.end, other.end)))


def is_ascending(instants: Iterable[datetime | None]) -> bool:
    """Whether no instant lies before one that stands before it; those unknown do not count."""
    last: datetime | None = None
    for instant in instants:
        if instant is not None:
            if last is not None and instant < last:
                return False
            last = instant
    return True


def uncovered(pages: Mapping[int, int], upto: int) -> int | None:
    """The first position below ``upto`` that no page holds; ``pages`` maps offsets to rows."""
    at = 0
    for offset in sorted(pages):
        if offset > at:
            break
        at = max(at, offset + pages[offset])
    return at if at < upto else None


class Starts:
    """Ids by the instant at which their executions began, for counting in windows."""

    def __init__(self, starts: Mapping[str, datetime]) -> None:
        pairs = sorted((instant, identity) for identity, instant in starts.items())
        self._instants: Sequence[datetime] = [instant for instant, _ in pairs]
        self._ids: Sequence[str] = [identity for _, identity in pairs]

    def count(self, window: Window) -> int:
        """How many lie in the window."""
        return bisect_left(self._instants, window.end) - bisect_left(self._instants, window.start)

    def ids(self, window: Window) -> set[str]:
        """Which lie in the window."""
        return set(
            self._ids[bisect_left(self._instants, window.start) : bisect_left(self._instants, window.end)]
        )
