"""The positions at which one reading of a list saw each row, and where a further page begins among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from ..core.models import Page, Row
from .seen_order import MIN_SHARED_ROWS, SeenOrder


@dataclass(frozen=True, slots=True)
class ShownPage:
    """A page as it was shown at an offset, one id and start for each position; an empty id where a row has none."""

    offset: int
    page: Page
    ids: list[str]
    starts: list[datetime | None]
    fresh: list[Row]
    """The rows that were not known before."""

    def __len__(self) -> int:
        return len(self.ids)


class SeenPositions:
    """The positions of the rows of one reading."""

    def __init__(self) -> None:
        self.by_id: dict[str, int] = {}
        """The position of each row, by its id; -1 where the page that showed it joins no other."""
        self.without_id: set[int] = set()
        """The positions of rows without an id."""
        self._last_start: datetime | None = None
        """When the last row of the last page began."""
        self._end = 0
        """The position behind the last page."""

    def __len__(self) -> int:
        return len(self.by_id) + len(self.without_id)

    def note(self, shown: ShownPage, position: int) -> None:
        """Takes a page that begins at the position."""
        for at, identity in enumerate(shown.ids, position):
            if identity:
                self.by_id[identity] = at
            else:
                self.without_id.add(at)
        self._last_start = shown.starts[-1] if shown.starts else None
        self._end = position + len(shown)

    def positions_of(self, shown: ShownPage) -> list[int]:
        """Where the page's rows were seen before; -1 for those that were not."""
        return [self.by_id.get(identity, -1) for identity in shown.ids]

    def position_of_known_page(self, shown: ShownPage) -> int | None:
        """The position of a page all of whose rows were seen before, in the same sequence; None otherwise."""
        begins = {position - at for at, position in enumerate(self.positions_of(shown)) if shown.ids[at]}
        begin = begins.pop() if len(begins) == 1 else -1
        return begin if begin >= 0 else None

    def position_of_next_page(
        self, shown: ShownPage, shared: int, *, order: SeenOrder, shift: int
    ) -> int | None:
        """The position of the page requested after the last one; None where it shows too few of that page's rows again.

        ``shared`` is how many rows it has to show again; ``shift`` how far the last page stood from its offset. What it
        says of the list's order is noted in ``order``.
        """
        begin = next((at for at, identity in enumerate(shown.ids) if identity), None)
        if begin is None:
            return None
        positions = self.positions_of(shown)
        first, start = positions[begin] - begin, shown.starts[begin]
        if positions[begin] < 0:
            return None
        if order.is_sorted and start and self._last_start and start != self._last_start:
            # The page begins with a row of another instant than the last row read: all of that instant are on it.
            return first
        known = [position for position in positions if position >= 0]
        if any(one > two for one, two in pairwise(known)):
            order.note_change(largest_move(positions, shown.offset))
            return None
        in_sequence = (not shown.ids[at] or position == first + at for at, position in enumerate(positions))
        run = next((at for at, is_next in enumerate(in_sequence) if not is_next), len(positions))
        least = shared
        if shared < MIN_SHARED_ROWS:
            # One or two rows may be the same by chance: all that were seen from the first one on have to come again,
            # and more of them where positions shifted.
            least = max(shared, min(len(shown), self._end - first))
            least = least if first - shown.offset == shift else max(least, MIN_SHARED_ROWS)
        if not shared or run < least:
            return None
        order.confirm(run)
        return first


def largest_move(positions: Sequence[int], offset: int) -> int:
    """The largest distance of one of a page's rows from the position at which it was seen before."""
    return max(
        (abs(position - offset - at) for at, position in enumerate(positions) if position >= 0), default=0
    )
