"""One reading of a list that is not known to be counted: pages that are seen to go on from each other.

Each page begins with the last rows of the one before. Where it does not, rows moved in between, and it is asked for
again from further back. ``seen_order`` says how many rows two pages share, ``evidence`` which page is the last.

Of the list A to F, in pages of four of which two rows are shared::

    offset 0  A B C D
    offset 2  C D E F   begins with the last two rows of the page before: it joins
    offset 4  E F       only repeated rows: the end, by ``chain``
    offset 4  F E       another sequence: a row moved, and the reading is unverified
    offset 4  (empty)   no evidence of an end: the reading is unverified
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from ..core.models import Page, Row, Window
from ..warehouse.verified_days import Completeness
from .counted_window import Pages
from .evidence import (
    CHAIN,
    COUNT,
    REPEAT,
    PageLengths,
    is_only_row,
    of_nothing,
    other_than_counted,
    unverified,
)
from .rows_before import RowsBefore
from .seen_order import MAX_MOVED_PART, MIN_SHARED_ROWS, SeenOrder

_PAGES_BACK = (0.5, 2, 10)
"""How far back a page is asked for again that does not join the one before it."""
_MAX_STALE = 30
"""Pages in a row without a row that is not known."""
_SHORT_WINDOW = timedelta(days=7)
"""A list of less time mostly fills no page, so that only the list without a window shows how long pages are."""
_MAX_BEGINNINGS = 3
"""How often the list's beginning is read again, where further rows come before the others meanwhile."""
_UNFINISHED = "the list was not read to its end"
_LONE = "pages of one row have none to share"
_EMPTY = "a page behind rows came empty"
_MOVED = "a page does not join the one before it: rows moved while they were read"
_CHANGES = "the order of the list changes from request to request"
FEW_SHARED = "too few rows came twice to show that the order of the list stays"
_ROWS_WENT = "the vendor's count became less while the list was read"
CAME_BEFORE = "rows came before those that were read, and were not found there"
_MOVED_FAR = "the order of the list changes by more rows than two pages share"
_OFFSET = "offsets lead to the same rows"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A page as it was shown at an offset, one id and start for each position; an empty id where a row has none."""

    offset: int
    page: Page
    ids: list[str]
    starts: list[datetime | None]
    fresh: list[Row]

    def __len__(self) -> int:
        return len(self.ids)


class Chain:
    """One list, page after page, from the row at ``offset`` on.

    ``lengths`` and ``order`` are what other lists of the listing showed, ``earlier`` is the reading of the same list
    before this one, ``expected`` how many of its rows other lists showed.
    """

    def __init__(
        self,
        pages: Pages,
        *,
        lengths: PageLengths,
        order: SeenOrder,
        window: Window | None,
        offset: int = 0,
        earlier: Chain | None = None,
        expected: int = 0,
    ) -> None:
        self._pages = pages
        self._system = pages.system
        self._lengths = lengths
        self._order = order
        self._window = window
        self._offset = offset
        self._earlier = earlier
        self._expected = expected
        self.positions: dict[str, int] = {}
        """The position of each row that was read; -1 where the page that showed it joins no other."""
        self.first_size = 0
        """How many rows the first page shows."""
        self.asked = offset
        """The position from which on the last page was asked for."""
        self._evidence_of_nothing: Completeness | None = None
        """What an empty first page is evidence of; None where it has rows."""
        self._has_followers = False
        """Whether a page was asked for that follows the first one."""
        self.reached_end = False
        """Whether the end of the list was reached."""
        self._reason = ""
        """The reason why the pages may not follow each other."""
        self._total: int | None = None
        self._is_recounted = False
        """Whether the vendor's count changed while the list was read."""
        self._is_reduced = False
        """Whether it became less."""
        self.newest: datetime | None = None
        """When the newest of its rows began."""
        self._last_start: datetime | None = None
        """When the last row of the last page began."""
        self._newcomers = 0
        """Rows that the earlier reading did not show."""
        self._all_newcomers_are_newer = earlier is not None
        """Whether those are newer than all that the earlier reading showed."""
        self._end = 0
        """The position behind the last page."""
        self._rows_before = RowsBefore()
        self._joined: _Shown | None = None
        """The last page that joined the one before it."""
        self._is_only_row = False
        """Whether the list was seen to hold a single row."""
        self._nameless: set[int] = set()
        """The positions of rows without an id."""
        self._empty: set[int] = set()
        """Offsets after rows at which a page came back empty."""

    @property
    def is_joined(self) -> bool:
        """Whether every page went on from the one before it."""
        return not self._reason

    @property
    def evidence(self) -> Completeness:
        """The evidence that the rows of all its pages are complete."""
        if self._evidence_of_nothing is not None:
            return self._evidence_of_nothing
        if not self.reached_end:
            return unverified(self._reason or _UNFINISHED)
        if self._total is not None:
            if self._count != self._total:
                return other_than_counted(self._total, self._count)
            if not self._is_recounted:
                return COUNT
        if self._reason:
            return unverified(self._reason)
        if self.may_lack_rows_before:
            return unverified(CAME_BEFORE)
        doubt = self._doubt
        return CHAIN if not doubt else REPEAT if self._is_repeated else unverified(doubt)

    @property
    def _doubt(self) -> str:
        """Why pages that joined up to the end may not show all rows; empty where they do."""
        if not self._has_followers or self._is_only_row:
            return ""
        if self._order.is_unstable:
            return _CHANGES
        if self._is_reduced:
            return _ROWS_WENT
        is_short = self._count <= self._offset + self.first_size and self._lengths.is_short(self.first_size)
        return "" if self._order.is_known or is_short else FEW_SHARED

    @property
    def _count(self) -> int:
        """How many rows the list is known to hold, those before ``offset`` included."""
        return self._offset + len(self.positions) + len(self._nameless)

    @property
    def _is_repeated(self) -> bool:
        """Whether the reading before this one showed the same rows."""
        before = self._earlier
        is_whole = before is not None and before.reached_end and self._all_newcomers_are_newer
        return is_whole and len(self.positions) - self._newcomers == len(before.positions)  # type: ignore[union-attr]

    def __iter__(self) -> Iterator[list[Row]]:
        """The rows of each page that were not on those before. Raises what the client raises."""
        last = first = self._ask(self._offset)
        if not last.ids:
            # One empty answer is no evidence.
            last = self._ask(self._offset)
        self._note_positions(last, self._offset)
        self.first_size = len(last)
        if not last.ids:
            is_whole = not self._offset
            expected = first.page.total or self._expected
            self._evidence_of_nothing = (
                of_nothing(last.page, expected=expected) if is_whole else unverified(_EMPTY)
            )
            self.reached_end = True
            return
        self.reached_end = self._is_end(last) or self._is_short_of_others(last)
        yield last.fresh
        stale = 0
        while not self.reached_end:
            shared = self._order.shared(last.starts)
            pages = list(self._following(last, shared))
            shown, fresh = pages[-1], [row for page in pages for row in page.fresh]
            if shown.ids == last.ids and len(last) > 1:
                # A page that is longer than what was asked for is the whole list, at any offset.
                self.reached_end = len(last) > self._system.listing.page_size
                self._reason = "" if self.reached_end else _OFFSET
                self._rows_before = RowsBefore()
                return
            is_only = False
            if last.offset == self._offset == 0 and len(last) == 1 and not shown.ids:
                again = self._ask(shown.offset)
                is_only = is_only_row(last.page, (shown.page, again.page))
                self._note_positions(again, again.offset)
                shown, fresh = again, again.fresh
            # A page of one row that comes again at the next position ends the reading, unverified: no row is shared.
            is_shared_only = not fresh and 0 < len(shown) <= max(1, shared)
            if is_shared_only and shown.page.more:
                # More is announced: only a second look tells a page that was cut short from the end.
                again = self._ask(shown.offset)
                is_shared_only = again.ids == shown.ids
                fresh = again.fresh
                self._note_positions(again, self.positions[shown.ids[0]] if shown.ids[0] else shown.offset)
                shown = again
            self.reached_end = is_only or is_shared_only or self._is_end(shown)
            self._is_only_row = is_only
            self._reason = "" if is_only else self._reason
            if fresh:
                yield fresh
            stale = 0 if fresh else stale + 1
            if not shown.ids or stale > _MAX_STALE:
                break
            last = shown

    def rows_before(self) -> Iterator[list[Row]]:
        """What came before the rows that were read while they were, from the beginning of the list once more.

        To be called when the reading has ended. A row that was not read yet may have come there, too: an update may bring
        it to the front, or between rows that were read. So the last page is asked for again as well: what came since does
        not count as what came before. Raises what the client raises.
        """
        is_other_count = self._is_recounted and self._count != self._total
        if self._offset or not (self.may_lack_rows_before or is_other_count):
            return
        for _ in range(_MAX_BEGINNINGS):
            for fresh in self._beginning():
                self._rows_before.note_found(len(fresh))
                yield fresh
            if self._joined is None:
                return
            # Where all rows come sorted by their start, none comes between others but one that became visible late.
            if not self._order.is_sorted:
                again = self._ask(self._joined.offset)
                self._rows_before.note_page(self._begin_of(again), again.offset)
                yield again.fresh
            if not self.may_lack_rows_before:
                return

    def _beginning(self) -> Iterator[list[Row]]:
        """The rows of the list's first pages that are not known, up to a page that shows one which is."""
        known, offset = set(self.positions), 0
        for _ in range(_MAX_STALE):
            shown = self._ask(offset)
            yield shown.fresh
            offset += len(shown)
            if not shown.ids or not known.isdisjoint(shown.ids):
                return

    def _begin_of(self, again: _Shown) -> int | None:
        """The position in the list at which a page begins that was read before; None where its rows moved otherwise."""
        positions = enumerate(self._positions_of(again))
        begins = {position - at for at, position in positions if again.ids[at]}
        begin = begins.pop() if len(begins) == 1 else -1
        return begin if begin >= 0 else None

    @property
    def may_lack_rows_before(self) -> bool:
        """Whether rows came before those that were read, and ``rows_before`` did not find as many."""
        return self._rows_before.may_be_missing and not self._offset

    def _following(self, last: _Shown, shared: int) -> Iterator[_Shown]:
        """The page after the last one; before it the pages that did not join, because rows had moved."""
        size = len(last)
        self._has_followers = True
        offset = last.offset + max(1, size - shared)
        first: _Shown | None = None
        for pages_back in (0.0, *_PAGES_BACK):
            shown = self._ask(max(0, offset - int(size * pages_back)))
            position = self._goes_on(shown, shared)
            if position is not None:
                self._rows_before.note_page(position, shown.offset)
                self._note_positions(shown, position)
                self._joined = shown
                yield shown
                return
            yield shown
            first = first or shown
            is_empty_again = not shown.ids and shown.offset in self._empty
            if not shown.ids:
                self._empty.add(shown.offset)
            if self._order.is_unstable or not shared or not shown.offset or is_empty_again:
                break
        assert first is not None  # noqa: S101 - at least one page was asked for
        if first.ids and shared >= MIN_SHARED_ROWS:
            self._order.note_change()
        self._reason = self._reason or (_EMPTY if not first.ids else _MOVED if shared else _LONE)
        self._note_positions(first, first.offset)
        yield _Shown(first.offset, first.page, first.ids, first.starts, [])

    def _ask(self, offset: int) -> _Shown:
        self.asked = offset
        page = self._pages.one(self._window, offset)
        ids = [""] * page.size
        starts: list[datetime | None] = [None] * page.size
        for position, row in zip(page.positions, page.rows, strict=True):
            ids[position], starts[position] = self._system.identity(row), self._system.started_at(row)
        self._order.note(starts)
        if page.total is not None:
            self._is_recounted |= self._total not in (None, page.total)
            self._is_reduced |= self._total is not None and page.total < self._total
            self._total = page.total
            if page.total > page.size:
                self._lengths.counts_list(page.total, page.size, lambda: page.total)
        fresh: list[Row] = []
        for position, row in zip(page.positions, page.rows, strict=True):
            if ids[position] not in self.positions:
                self.positions[ids[position]] = -1
                fresh.append(row)
                self._compare(ids[position], starts[position])
        return _Shown(offset, page, ids, starts, fresh)

    def _compare(self, identity: str, start: datetime | None) -> None:
        """Takes a row that this reading shows for the first time: whether the earlier one showed it."""
        before = self._earlier
        if before is not None and identity not in before.positions:
            self._newcomers += 1
            self._all_newcomers_are_newer &= (
                start is not None and before.newest is not None and start > before.newest
            )
        if start is not None and (self.newest is None or start > self.newest):
            self.newest = start

    def _note_positions(self, shown: _Shown, position: int) -> None:
        for at, identity in enumerate(shown.ids, position):
            if identity:
                self.positions[identity] = at
            else:
                self._nameless.add(at)
        self._last_start = shown.starts[-1] if shown.starts else None
        self._end = position + len(shown)

    def _goes_on(self, shown: _Shown, shared: int) -> int | None:
        """The position in the list at which the page begins; None where it does not join what was read."""
        begin = next((at for at, identity in enumerate(shown.ids) if identity), None)
        if begin is None:
            return None
        if self._order.is_unstable:
            return shown.offset if self._is_near(shown, shared) else None
        positions = self._positions_of(shown)
        first, start = positions[begin] - begin, shown.starts[begin]
        if positions[begin] < 0:
            return None
        if self._order.is_sorted and start and self._last_start and start != self._last_start:
            # It stands before the last instant, whose rows are all on this page, in any order.
            return first
        known = [position for position in positions if position >= 0]
        if any(one > two for one, two in pairwise(known)):
            self._order.note_change(_farthest(positions, shown.offset))
            return None
        in_sequence = (not shown.ids[at] or position == first + at for at, position in enumerate(positions))
        run = next((at for at, is_next in enumerate(in_sequence) if not is_next), len(positions))
        shift = first - shown.offset
        least = shared
        if shared < MIN_SHARED_ROWS:
            # One or two rows may be the same by chance: all that were seen from the first one on have to come again,
            # and more of them where positions shifted.
            least = max(shared, min(len(shown), self._end - first))
            least = least if shift == self._rows_before.shift else max(least, MIN_SHARED_ROWS)
        if not shared or run < least:
            return None
        self._order.confirm(run)
        return first

    def _positions_of(self, shown: _Shown) -> list[int]:
        """The positions at which the page's rows were seen before; -1 of those that were not."""
        return [self.positions.get(identity, -1) for identity in shown.ids]

    def _is_near(self, shown: _Shown, shared: int) -> bool:
        """Whether the page shows rows again that were seen near their positions; notes how far they moved."""
        positions = self._positions_of(shown)
        before = self._earlier.positions if self._earlier else {}
        moved = max(
            _farthest(positions, shown.offset),
            _farthest([before.get(identity, -1) for identity in shown.ids], shown.offset),
        )
        self._order.note_change(moved)
        if moved > MAX_MOVED_PART * shared or shared < MIN_SHARED_ROWS:
            self._reason = self._reason or _MOVED_FAR
        return sum(position >= 0 for position in positions) > shared // 2

    def _is_end(self, shown: _Shown) -> bool:
        """Whether certainly nothing follows the page."""
        is_shorter = self._lengths.note(len(shown))
        if not shown.ids:
            return False
        if shown.page.more is False:
            return True
        total = shown.page.total
        # As many rows may have been seen although some of them are gone: the page has to reach the last position, too.
        is_last = total is not None and shown.offset + len(shown) >= total
        if total is not None and is_last and self._count == self._total == total:
            return self._lengths.counts_list(total, shown.page.size, lambda: self._total_at(total - 1))
        return shown.page.more is None and self._total is None and is_shorter

    def _total_at(self, offset: int) -> int | None:
        """The vendor's count on the page at the offset; None where it counts that page's rows."""
        page = self._pages.one(self._window, offset)
        return None if page.total == page.size else page.total

    def _is_short_of_others(self, first: _Shown) -> bool:
        """Whether the first page is shorter than one of the list without a window, which is requested once in a run."""
        window = self._window
        if window is None or window.end - window.start > _SHORT_WINDOW or first.page.more is not None:
            return False
        if len(first) >= self._system.listing.page_size or not self._lengths.may_look():
            return False
        self._lengths.note(len(self._pages.one(None).rows))
        return self._lengths.note(len(first))


def _farthest(positions: Sequence[int], offset: int) -> int:
    """How far any of a page's rows stands from its position before."""
    return max(
        (abs(position - offset - at) for at, position in enumerate(positions) if position >= 0), default=0
    )
