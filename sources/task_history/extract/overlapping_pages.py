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

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

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
from .inserted_rows import InsertedRows
from .seen_order import MAX_MOVED_PART, MIN_SHARED_ROWS, SeenOrder
from .seen_positions import SeenPositions, ShownPage, largest_move

_PAGES_BACK = (0.5, 2, 10)
"""How far back a page is asked for again that does not join the one before it."""
_MAX_STALE = 30
"""Pages in a row without a row that is not known."""
_SHORT_WINDOW = timedelta(days=7)
"""A list of less time mostly fills no page, so that only the list without a window shows how long pages are."""
_MAX_BEGINNING_READS = 3
"""How often the list's first pages are requested again, where rows are inserted meanwhile."""
_UNFINISHED = "the list was not read to its end"
_LONE = "pages of one row have none to share"
_EMPTY = "a page behind rows came empty"
_MOVED = "a page does not join the one before it: rows moved while they were read"
_CHANGES = "the order of the list changes from request to request"
FEW_SHARED = "too few rows came twice to show that the order of the list stays"
COUNT_FELL = "the vendor's count fell while the list was read"
UNFOUND_ROWS = "rows were inserted before those that were read, and were not found"
_FEWER_ROWS = "the reading before showed more rows"
_MOVED_FAR = "the order of the list changes by more rows than two pages share"
_OFFSET = "offsets lead to the same rows"


class Chain:
    """One list, page after page, from the row at ``offset`` on.

    ``first`` is the page there, where it was read already; ``first_ids`` are those of the list's first page, which was
    requested after it.
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
        first: Page | None = None,
        first_ids: Collection[str] = (),
        earlier: Chain | None = None,
        expected: int = 0,
    ) -> None:
        self._pages = pages
        self._system = pages.system
        self._lengths = lengths
        self._order = order
        self._window = window
        self._offset = offset
        self._first = first
        self._first_ids = dict.fromkeys(first_ids, 0)
        """Ids that are known, beside those of this reading, when the list's first pages are requested again."""
        self._earlier = earlier
        self._expected = expected
        self._seen = SeenPositions()
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
        self._count_fell = False
        """Whether the vendor's count fell while the list was read."""
        self.starts: dict[str, datetime | None] = {}
        """When each of its rows began, by id."""
        self.newest: datetime | None = None
        """When the newest of its rows began."""
        self._all_newcomers_are_newer = earlier is not None
        """Whether the rows that the earlier reading did not show are newer than all that it showed."""
        self._inserted = InsertedRows()
        self._last_joined_offset: int | None = None
        """The offset of the last page that joined the one before it."""
        self._is_ended_by_length = False
        """Whether the last page was taken for the last one because it is shorter than others."""
        self._is_only_row = False
        """Whether the list was seen to hold a single row."""
        self._empty: set[int] = set()
        """Offsets after rows at which a page came back empty."""

    @property
    def positions(self) -> Mapping[str, int]:
        """The position of each row that was read, by its id; -1 where the page that showed it joins no other."""
        return self._seen.by_id

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
        if self.has_unread_rows:
            return unverified(UNFOUND_ROWS)
        if self._is_ended_by_length and self._earlier and len(self._earlier.positions) > len(self.positions):
            return unverified(_FEWER_ROWS)
        doubt = self._doubt
        return CHAIN if not doubt else REPEAT if self._is_repeated else unverified(doubt)

    @property
    def _doubt(self) -> str:
        """Why pages that joined up to the end may not show all rows; empty where they do."""
        if not self._has_followers or self._is_only_row:
            return ""
        if self._order.is_unstable:
            return _CHANGES
        if self._count_fell and not self._order.is_sorted:
            return COUNT_FELL
        is_short = self._count <= self._offset + self.first_size and self._lengths.is_short(self.first_size)
        return "" if self._order.is_known or is_short else FEW_SHARED

    @property
    def _count(self) -> int:
        """How many rows the list is known to hold, those before ``offset`` included."""
        return self._offset + len(self._seen)

    @property
    def _is_repeated(self) -> bool:
        """Whether the reading before this one showed the same rows, but for new ones and the oldest, which expired."""
        before = self._earlier
        if before is None or not before.reached_end or not self._all_newcomers_are_newer:
            return False
        oldest = min((start for start in self.starts.values() if start is not None), default=None)
        gone = [before.starts[identity] for identity in before.starts.keys() - self.starts.keys()]
        return all(start is not None and oldest is not None and start < oldest for start in gone)

    def __iter__(self) -> Iterator[list[Row]]:
        """The rows of each page that were not on those before. Raises what the client raises."""
        last = first = (
            self._ask(self._offset) if self._first is None else self._shown(self._offset, self._first)
        )
        if not last.ids:
            # One empty answer is no evidence.
            last = self._ask(self._offset)
        self._seen.note(last, self._offset)
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
                self._inserted = InsertedRows()
                return
            is_only = False
            if last.offset == self._offset == 0 and len(last) == 1 and not shown.ids:
                again = self._ask(shown.offset)
                is_only = is_only_row(last.page, (shown.page, again.page))
                self._seen.note(again, again.offset)
                shown, fresh = again, again.fresh
            # A page of one row that comes again at the next position ends the reading, unverified: no row is shared.
            is_shared_only = not fresh and 0 < len(shown) <= max(1, shared)
            if is_shared_only and shown.page.more:
                # More is announced: only a second look tells a page that was cut short from the end.
                again = self._ask(shown.offset)
                is_shared_only = again.ids == shown.ids
                fresh = again.fresh
                position = again.offset if self._order.is_unstable else self._goes_on(again, 1)
                self._inserted.note_page(position, again.offset)
                self._seen.note(again, again.offset if position is None else position)
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

    def reread_beginning(self) -> Iterator[list[Row]]:
        """Rows that were inserted before those that were read, from the list's first pages, which are requested again.

        To be called when the reading has ended. An inserted row may be one that was not read yet: an update may move it
        to the front, or, in a list that is not sorted, between rows that were read, where no page is requested again.

        1. The first pages are requested up to one that shows a known row.
        2. If the list is not sorted, the last page that joined is requested again: its position tells how many rows were
           inserted by now.
        3. Both are repeated a few times, until as many rows were read.

        Raises what the client raises.
        """
        is_other_count = self._is_recounted and self._count != self._total
        if not (self.has_unread_rows or (is_other_count and not self._offset)):
            return
        for _ in range(_MAX_BEGINNING_READS):
            for fresh in self._read_beginning():
                self._inserted.note_read(len(fresh))
                if fresh:
                    yield fresh
            if self._order.is_sorted and self._offset:
                # In a sorted list what is inserted before ``offset`` are new executions; ``first_ids`` may hold some.
                self._inserted.note_all_read()
            if self._last_joined_offset is None or self._order.is_sorted:
                return
            again = self._ask(self._last_joined_offset)
            if again.fresh:
                yield again.fresh
            position = self._seen.position_of_known_page(again)
            self._inserted.note_page(position, again.offset)
            if position is None or not self.has_unread_rows:
                return

    def _read_beginning(self) -> Iterator[list[Row]]:
        """The rows of the list's first pages that are not known, up to a page that shows one which is."""
        known, offset = {*self.positions, *self._first_ids}, 0
        if self._offset:
            # Rows before ``offset`` do not belong to this reading.
            self._first_ids |= self.positions
        for _ in range(_MAX_STALE):
            shown = self._ask(offset, self._first_ids if self._offset else None)
            yield shown.fresh
            offset += len(shown)
            if not shown.ids or not known.isdisjoint(shown.ids):
                return

    @property
    def has_unread_rows(self) -> bool:
        """Whether more rows were inserted before those that were read than ``reread_beginning`` read."""
        return self._inserted.has_unread

    def _following(self, last: ShownPage, shared: int) -> Iterator[ShownPage]:
        """The page after the last one; before it the pages that did not join, because rows had moved."""
        size = len(last)
        self._has_followers = True
        offset = last.offset + max(1, size - shared)
        first: ShownPage | None = None
        for pages_back in (0.0, *_PAGES_BACK):
            shown = self._ask(max(0, offset - int(size * pages_back)))
            position = self._goes_on(shown, shared)
            if position is not None:
                if not self._order.is_unstable:
                    self._inserted.note_page(position, shown.offset)
                self._seen.note(shown, position)
                self._last_joined_offset = shown.offset
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
        self._seen.note(first, first.offset)
        yield ShownPage(first.offset, first.page, first.ids, first.starts, [])

    def _ask(self, offset: int, known: dict[str, int] | None = None) -> ShownPage:
        """The page at the offset. Rows whose ids are not in ``known`` are fresh; by default that is what was read."""
        self.asked = offset
        return self._shown(offset, self._pages.one(self._window, offset), known)

    def _shown(self, offset: int, page: Page, known: dict[str, int] | None = None) -> ShownPage:
        """The page as it was shown at the offset; notes what it says of the list."""
        known = self._seen.by_id if known is None else known
        ids = [""] * page.size
        starts: list[datetime | None] = [None] * page.size
        for position, row in zip(page.positions, page.rows, strict=True):
            ids[position], starts[position] = self._system.identity(row), self._system.started_at(row)
        self._order.note(starts)
        if page.total is not None:
            self._is_recounted |= self._total not in (None, page.total)
            self._count_fell |= self._total is not None and page.total < self._total
            self._total = page.total
            if page.total > page.size:
                self._lengths.counts_list(page.total, page.size, lambda: page.total)
        fresh: list[Row] = []
        for position, row in zip(page.positions, page.rows, strict=True):
            if ids[position] not in known:
                known[ids[position]] = -1
                fresh.append(row)
                if known is self._seen.by_id:
                    self._compare(ids[position], starts[position])
        return ShownPage(offset, page, ids, starts, fresh)

    def _compare(self, identity: str, start: datetime | None) -> None:
        """Takes a row that this reading shows for the first time: whether the earlier one showed it."""
        self.starts[identity] = start
        before = self._earlier
        if before is not None and identity not in before.positions:
            self._all_newcomers_are_newer &= (
                start is not None and before.newest is not None and start > before.newest
            )
        if start is not None and (self.newest is None or start > self.newest):
            self.newest = start

    def _goes_on(self, shown: ShownPage, shared: int) -> int | None:
        """The position in the list at which the page begins; None where it does not join what was read."""
        if self._order.is_unstable and any(shown.ids):
            return shown.offset if self._is_near(shown, shared) else None
        return self._seen.position_of_next_page(shown, shared, order=self._order, shift=self._inserted.shift)

    def _is_near(self, shown: ShownPage, shared: int) -> bool:
        """Whether the page shows rows again that were seen near their positions; notes how far they moved."""
        positions = self._seen.positions_of(shown)
        before = self._earlier.positions if self._earlier else {}
        moved = max(
            largest_move(positions, shown.offset),
            largest_move([before.get(identity, -1) for identity in shown.ids], shown.offset),
        )
        self._order.note_change(moved)
        if moved > MAX_MOVED_PART * shared or shared < MIN_SHARED_ROWS:
            self._reason = self._reason or _MOVED_FAR
        return sum(position >= 0 for position in positions) > shared // 2

    def _is_end(self, shown: ShownPage) -> bool:
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
        self._is_ended_by_length = shown.page.more is None and self._total is None and is_shorter
        return self._is_ended_by_length

    def _total_at(self, offset: int) -> int | None:
        """The vendor's count on the page at the offset; None where it counts that page's rows."""
        page = self._pages.one(self._window, offset)
        return None if page.total == page.size else page.total

    def _is_short_of_others(self, first: ShownPage) -> bool:
        """Whether the first page is shorter than one of the list without a window, which is requested once in a run."""
        window = self._window
        if window is None or window.end - window.start > _SHORT_WINDOW or first.page.more is not None:
            return False
        if len(first) >= self._system.listing.page_size or not self._lengths.may_look():
            return False
        self._lengths.note(len(self._pages.one(None).rows))
        return self._lengths.note(len(first))
