"""What the pages of a listing showed of its order in this run: whether it is sorted, and whether it stays.

Pages of a list without a count follow each other for certain only where they show the same rows in the same
sequence. How many rows two pages have to share for that depends on what was seen:

- sorted by start: back to the last row of another instant, since rows of one instant may swap;
- not sorted, and the sequence was seen to stay: a few;
- not sorted, and nothing is known yet: half a page;
- not sorted, and it was seen to change: more than any row was seen to move between two requests.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise, takewhile

MIN_ORDERED_ROWS = 24
"""Neighbouring rows, each of another instant, that show that a listing is sorted: so many are not in order by chance."""
_CONFIRMED_ROWS = 100
"""Rows shown again in the same sequence, after which a few shared rows are enough."""
_MIN_CONFIRMED_ROWS = 8
"""So many rows shown again in the same sequence are no chance; until then a list is read twice."""
MIN_SHARED_ROWS = 3
"""Two pages that share fewer rows may agree by chance, where the order changes or positions shifted."""
_SHARED_PART = 25
"""A page shares one in so many of its rows with the next, where the sequence was seen to stay."""
_MAX_SHARED_PART = 0.9
MAX_MOVED_PART = 0.7
"""The largest move, as a part of the rows that two pages share, at which certainly no row was passed over."""


class SeenOrder:
    """The order of a listing's rows, as far as it was seen; shared by all lists of one listing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest_first = 0
        self._oldest_first = 0
        self._confirmed = 0
        self._moved = 0
        self._changes = False

    def note(self, starts: Sequence[datetime | None]) -> None:
        """Takes the start instants of a page's rows, in their order."""
        known = [start for start in starts if start is not None]
        with self._lock:
            self._newest_first += sum(one > two for one, two in pairwise(known))
            self._oldest_first += sum(one < two for one, two in pairwise(known))

    def confirm(self, rows: int) -> None:
        """So many rows were shown again in the same sequence."""
        with self._lock:
            self._confirmed += rows

    def note_change(self, moved: int = 0) -> None:
        """Rows were shown again in another sequence; one of them that many positions from where it was."""
        with self._lock:
            self._changes = True
            self._moved = max(self._moved, moved)

    @property
    def is_sorted(self) -> bool:
        """Whether all rows were seen to come sorted by their start, and enough of them to be no chance."""
        most = max(self._newest_first, self._oldest_first)
        return most >= MIN_ORDERED_ROWS and not min(self._newest_first, self._oldest_first)

    @property
    def is_unstable(self) -> bool:
        """Whether it was seen to change from one request to the next."""
        return self._changes

    @property
    def is_known(self) -> bool:
        """Whether enough was seen of the sequence to rely on it: that it is sorted, or stays as it is."""
        return not self._changes and (self.is_sorted or self._confirmed >= _MIN_CONFIRMED_ROWS)

    def shared(self, starts: Sequence[datetime | None]) -> int:
        """How many rows of a page, whose rows began at these instants, the next page has to show again."""
        size = len(starts)
        half = size // 2
        if self._changes:
            # Rows move further than two pages can share: an overlap would prove nothing.
            enough = max(half, math.ceil(self._moved / MAX_MOVED_PART))
            return enough if enough <= size * _MAX_SHARED_PART else min(half, 1)
        if self.is_sorted:
            ties = sum(1 for _ in takewhile(lambda start: start == starts[-1], reversed(starts)))
            return min(half, ties + 1)
        if self._confirmed < _CONFIRMED_ROWS:
            return half
        return min(half, max(MIN_SHARED_ROWS, size // _SHARED_PART))
