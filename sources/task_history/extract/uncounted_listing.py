"""A sorted listing that the vendor does not count, page after page: each repeats the end of the one before.

Rows a1 b2 c3 c3' d4 (the digit is the millisecond they began in), in pages of three::

    offset 0  a1 b2 c3    c3 is the only row of the last instant: the next page repeats it
    offset 2  c3 c3' d4   begins with c3: it joins; the next page repeats d4
    offset 4  d4          only the repeated row: the end, by ``chain``
    offset 4  (empty)     twice: up to the last instant it is a piece, and the rest is asked for anew
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ..core.errors import PaginationLoop
from ..core.log import log
from ..core.models import MS, Page, Row, Window
from ..systems.protocol import System
from .counted_window import Pages, after, described, is_other, is_sorted
from .evidence import COUNT, by_chain, count_of, is_end, is_only_row, joins, unverified
from .listed_rows import Rows
from .listing import ListedWindow
from .one_instant import read_instant
from .window_piece_size import PieceSize

_MAX_STALE = 3
"""Pages in a row that bring nothing new: as many rows appear before them as they go on. A new window has none before."""
_SHORT_PAGE = 20
"""Pages of at most so many rows may repeat all but one of them, longer pages at most half."""


def instant_piece(pages: Pages, at: datetime) -> ListedWindow:
    """The executions of one millisecond, as a piece. Raises PaginationLoop, and what the client raises."""
    window = Window(at, at + MS)
    rows, evidence = read_instant(pages, window)
    if not evidence.is_verified:
        log.warning("listing_undecidable", window=described(window), rows=len(rows), reason=evidence.reason)
    kept = Rows.of(pages.system, rows.values()).within(pages.system, window)
    return ListedWindow(window, kept, len(kept) if evidence == COUNT else None, evidence)


class UncountedListing:
    """Reads windows of a sorted listing page after page."""

    def __init__(self, pages: Pages, piece_size: PieceSize) -> None:
        self._pages = pages
        self._system = pages.system
        self._piece_size = piece_size
        self._is_swapping = False
        """Whether rows of one instant were seen to swap positions."""
        self.left_over: list[Row] = []
        """Rows that were read and begin after the last piece."""

    def pieces(self, rest: Window, head: Page, *, may_expire: bool) -> Iterator[ListedWindow]:
        """The window, or its beginning, after which it is requested anew; ``head`` is its first page and has rows.

        ``may_expire`` says that its oldest rows may expire meanwhile. Raises after the piece what ended the reading.
        """
        reading = _OverlappingPages(
            self._system, rest, head, overlaps_instant=may_expire or self._is_swapping
        )
        self.left_over = []
        error = self._read(reading)
        if may_expire and reading.asked and error is None:
            # As many rows may have appeared behind the pages as expired: positions do not tell.
            reading.has_moved |= is_other(self._system, self._pages.one(rest), head)
        if reading.reached_end:
            yield self._piece(reading, rest)
            return
        is_raised = error is not None and not self._piece_size.is_refused(error, reading.asked)
        if reading.last > rest.start:
            self.left_over = [row for row in reading.rows.values() if self._begins_at(row, reading.last)]
            yield self._piece(reading, Window(rest.start, min(reading.last, rest.end)))
        elif not is_raised:
            yield instant_piece(self._pages, rest.start)
        if error is not None and is_raised:
            raise error

    def _begins_at(self, row: Row, instant: datetime) -> bool:
        start = self._system.started_at(row)
        return start is not None and start >= instant

    def _piece(self, reading: _OverlappingPages, window: Window) -> ListedWindow:
        """What the reading read of the window. Instants of more rows than two pages share are read on their own."""
        instants = [
            read_instant(self._pages, Window(at, at + MS))
            for at in sorted(reading.incomplete)
            if at in window
        ]
        for rows, _ in instants:
            reading.rows |= rows
        # What lies behind the last instant of a part was counted too.
        evidence = by_chain(reading.totals if reading.reached_end else (), len(reading.rows) + reading.others)
        if reading.has_moved:
            evidence = unverified("rows appeared or expired on pages before while the window was read")
        for _, at_once in instants:
            evidence &= at_once
        kept = Rows.of(self._system, reading.rows.values()).within(self._system, window)
        return ListedWindow(window, kept, None, evidence)

    def _read(self, reading: _OverlappingPages) -> Exception | None:
        """Reads page after page, to the end or as far as they join; gives the error that ended it."""
        try:
            while not reading.reached_end and len(reading.rows) < self._piece_size.rows:
                page = self._next(reading)
                if page is None:
                    return None
                if reading.is_repeated(page):
                    page = self._pages.one(reading.window, reading.asked)
                    if reading.is_repeated(page) and page.size >= self._system.listing.page_size:
                        return _loop_in(reading)
                    if reading.is_repeated(page) or not reading.joins(page):
                        return None
                reading.add(page)
                if reading.stale > _MAX_STALE:
                    return None
        except Exception as error:  # noqa: BLE001 - raised again when the rows are safe
            return error
        self._piece_size.note_complete_piece()
        return None

    def _next(self, reading: _OverlappingPages) -> Page | None:
        """The page after the last one; None where it does not join that one, or shows that there is none."""
        page = first_answer = self._pages.one(reading.window, reading.advance())
        if not page.size:
            page = self._pages.one(reading.window, reading.asked)
        if not page.size:
            reading.reached_end = reading.has_one_page and is_only_row(reading.page, (first_answer, page))
            if not reading.reached_end:
                self._piece_size.note_empty_page(reading.asked)
            return None
        if not reading.joins(page) and reading.has_swapped(page):
            self._is_swapping = reading.overlaps_instant = True
            page = self._pages.one(reading.window, reading.advance())
        return page if reading.joins(page) else None


class _OverlappingPages:
    """A window read page after page.

    With ``overlaps_instant`` each page also repeats a row from before the last instant of the page before it, which
    shows that no row of that instant moved between the two.
    """

    def __init__(self, system: System, window: Window, head: Page, *, overlaps_instant: bool) -> None:
        self._system = system
        self.window = window
        self.overlaps_instant = overlaps_instant
        self.asked = 0
        """The position from which on the last page was asked for."""
        self.rows: dict[str, Row] = {}
        self.others = 0
        """Positions of other rows: without a usable id, or from outside of the window."""
        self.last: datetime = window.start
        """When the last row of all pages began."""
        self.incomplete: set[datetime] = set()
        """Instants of more rows than two pages share."""
        self.totals: list[int | None] = []
        """The vendor's counts on the pages, where they count the window."""
        self.stale = 0
        """How many pages in a row brought nothing new."""
        self.reached_end = False
        """Whether the end of the list was shown."""
        self.has_moved = False
        """Whether rows seem to have appeared or expired on pages that were read before."""
        self._is_counted = count_of(head) is not None or head.total is None
        self._repeated = 0
        """How many rows of the last page the next one repeats."""
        self._has_before = False
        """Whether one of the repeated rows began before the last instant."""
        self._offset = self._end = 0
        """The positions of the last page and behind it."""
        self.page = head
        """The last page."""
        self._ids: list[str] = []
        self.add(head)

    @property
    def has_one_page(self) -> bool:
        """Whether only the first page was read."""
        return self._offset == 0

    def add(self, page: Page) -> None:
        """Takes a page that joins the one before it."""
        offset, ids = self.asked, list(map(self._system.identity, page.rows))
        fresh = {key: row for key, row in zip(ids, page.rows, strict=True) if key not in self.rows}
        self.others += sum(offset + position >= self._end for position in page.other_positions)
        self.has_moved |= self._begins_early(page, ids)
        self.reached_end = offset > 0 and is_end(page, repeated=self._repeated, is_new=bool(fresh))
        self.rows |= fresh
        self.last = max(self.last, after(self._system, page.rows, self.window.start + MS) - MS)
        self.stale = 0 if fresh else self.stale + 1
        self.totals += [page.total] if self._is_counted else []
        self._offset, self._end = offset, max(self._end, offset + page.size)
        self.page, self._ids = page, ids

    def advance(self) -> int:
        """Where the next page has to begin, so that it repeats the rows that can swap positions with its own."""
        page = self.page
        size = page.size
        ties = sum(self._system.started_at(row) == self.last for row in page.rows)
        most = size // 2 if size > _SHORT_PAGE else size - 1
        if ties > max(1, most):
            self.incomplete.add(self.last)
        # The next page has to begin with a row that has an id, so that it can be recognized.
        behind = size - 1 - page.positions[-1] if page.rows else 0
        repeated = max(1, min(ties, most)) + behind
        self._has_before = self.overlaps_instant and ties <= most and repeated + 1 < size
        step = max(1, size - repeated - self._has_before)
        self._repeated = size - step
        self.asked = self._offset + step
        return self.asked

    def joins(self, page: Page) -> bool:
        """Whether the page goes on from the last one: rows of one instant may have swapped positions since."""
        ids = list(map(self._system.identity, page.rows))
        if not ids or not is_sorted(self._system, page.rows):
            return False
        first = self._system.started_at(page.rows[0])
        if self.last in self.incomplete:
            # That instant is read on its own.
            return first is not None and first <= self.last and not self.rows.keys().isdisjoint(ids)
        if first is not None and first < self.last and ids[0] in self.rows:
            # All rows of the last instant are on this page, in any order.
            return True
        return not self._has_before and joins(self._ids, ids) > 0

    def _begins_early(self, page: Page, ids: Sequence[str]) -> bool:
        """Whether the page repeats more rows than it was to: as many appeared on the pages before it."""
        repeated = sum(position >= self.page.size - self._repeated for position in self.page.positions)
        if not repeated or not self._ids or not ids:
            return False
        shared = joins(self._ids, ids)
        first, expected = map(self._system.started_at, (page.rows[0], self.page.rows[-repeated]))
        is_before = first is not None and expected is not None and first < expected
        return shared > repeated if shared else is_before

    def has_swapped(self, page: Page) -> bool:
        """Whether the page shows rows that it was to repeat, but in another sequence."""
        starts = [start for start in map(self._system.started_at, page.rows) if start is not None]
        is_known = any(self._system.identity(row) in self.rows for row in page.rows)
        return not self.overlaps_instant and is_known and bool(starts) and starts[0] <= self.last

    def is_repeated(self, page: Page) -> bool:
        """Whether the page holds exactly what the last one holds: its offset was not heeded."""
        return len(self._ids) > 1 and list(map(self._system.identity, page.rows)) == self._ids


def _loop_in(reading: _OverlappingPages) -> PaginationLoop:
    """The error for pages that do not come to an end."""
    return PaginationLoop(
        f"The listing of {reading.window} gives nothing new at offset {reading.asked}, twice. What came before it is "
        "kept. If the vendor's API changed its paging, the connector needs an update."
    )
