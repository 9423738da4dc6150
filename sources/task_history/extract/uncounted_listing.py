"""A sorted listing that the vendor does not count, page after page: each repeats the end of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from ..core.errors import PaginationLoop
from ..core.log import log
from ..core.models import MS, Page, Row, Window
from ..systems.protocol import System
from .evidence import CHAIN, evidence_for_total, is_all, unverified
from .listed_rows import Rows
from .listing import Piece
from .pages import Depth, Pages, after, described

_MAX_STALE = 20
"""Pages in a row that bring nothing new, in any order."""
_UNDECIDABLE = unverified("more executions began in one millisecond than the vendor lets be seen")


def instant_piece(pages: Pages, system: System, at: datetime) -> Piece:
    """All executions of one millisecond, which may swap between pages."""
    window = Window(at, at + MS)
    rows, is_whole = pages.millisecond(window)
    evidence = evidence_for_total(len(rows))
    if not is_whole:
        log.warning("listing_undecidable", window=described(window), rows=len(rows))
        evidence = _UNDECIDABLE
    kept = Rows.of(system, rows.values()).within(system, window)
    return Piece(window, kept, len(kept), evidence)


class UncountedListing:
    """Reads windows of a sorted listing page after page.

    A piece ends where the rows that may continue on the next page begin; the next one starts there.
    """

    def __init__(self, pages: Pages, system: System, depth: Depth) -> None:
        self._pages = pages
        self._system = system
        self._depth = depth

    def pieces(self, rest: Window, head: Page, *, may_expire: bool) -> Iterator[Piece]:
        """The window, whose first page is ``head``, in pieces, oldest first."""
        reading = _OverlappingPages(rest, head, may_expire=may_expire)
        while True:
            fresh = reading.add(self._system)
            if reading.is_over(fresh, self._system.listing.page_size):
                yield self._mended(reading, reading.window)
                return
            is_cut = reading.is_broken or len(reading.rows) >= self._depth.rows
            error = None if is_cut else self._turn(reading, fresh)
            if error is None and not is_cut:
                continue
            is_raised = error is not None and not self._depth.is_refused(error, reading.offset)
            piece = None
            if reading.last > reading.window.start:
                piece = self._mended(
                    reading, Window(reading.window.start, min(reading.last, reading.window.end))
                )
            elif not is_raised:
                piece = instant_piece(self._pages, self._system, reading.window.start)
            if piece is not None:
                yield piece
            if error is not None and is_raised:
                raise error
            if piece is None or piece.window.end >= rest.end:
                return
            rest = Window(piece.window.end, rest.end)
            reading = _OverlappingPages(
                rest, self._pages.one(rest), may_expire=may_expire and reading.is_broken
            )

    def _mended(self, reading: _OverlappingPages, window: Window) -> Piece:
        """What the reading read. Instants of more rows than two pages share are read on their own."""
        evidence = CHAIN
        for instant in sorted(at for at in reading.incomplete if at in window):
            rows, is_whole = self._pages.millisecond(Window(instant, instant + MS))
            reading.rows |= rows
            evidence = evidence if is_whole else _UNDECIDABLE
        kept = Rows.of(self._system, reading.rows.values()).within(self._system, window)
        return Piece(window, kept, None, evidence)

    def _turn(self, reading: _OverlappingPages, fresh: int) -> Exception | None:
        """Draws the next page; gives the error with which the reading ends."""
        try:
            if (
                fresh == 0
                and reading.page.more is not True
                and reading.page.size < self._system.listing.page_size
            ):
                reading.skip()
                reading.page = self._pages.one(reading.window, reading.offset)
                return None
            if fresh == 0 and reading.is_repeated(self._system):
                again = self._pages.one(reading.window, reading.offset)
                if reading.is_same(self._system, again):
                    return _loop_in(reading)
                reading.page = again
                return None
            if reading.stale > _MAX_STALE:
                return _loop_in(reading)
            reading.advance(self._system)
            reading.page = self._pages.one(reading.window, reading.offset)
        except Exception as error:  # noqa: BLE001 - raised again when the rows are safe
            return error
        return None


class _OverlappingPages:
    """A window read page after page. ``may_expire`` minds that rows may expire meanwhile."""

    def __init__(self, window: Window, head: Page, *, may_expire: bool) -> None:
        self.window = window
        self.page = head
        self.offset = 0
        self.rows: dict[str, Row] = {}
        self.last: datetime = window.start
        """When the last row of all pages began."""
        self.incomplete: set[datetime] = set()
        """Instants of more rows than two pages share."""
        self.is_broken = False
        """Whether the last page does not join the one before it: rows may be missing between."""
        self.stale = 0
        """How many pages in a row brought nothing new."""
        self._may_expire = may_expire
        self._overlap = 0
        self._joins_before = False
        """Whether the page has to begin before the last instant of the one before it."""
        self._previous: list[str] = []

    def add(self, system: System) -> int:
        """Takes the page's rows; gives how many were not known."""
        rows = self.page.rows
        fresh = {key: row for row in rows if (key := system.identity(row)) not in self.rows}
        if self.offset and rows:
            first = next((at for at in map(system.started_at, rows) if at is not None), self.last)
            is_late = first >= self.last if self._joins_before else first > self.last
            self.is_broken = is_late or len(fresh) == len(rows)
        if not self.is_broken:
            self.rows |= fresh
            self.last = max(self.last, after(system, rows, self.window.start + MS) - MS)
        self.stale = 0 if fresh else self.stale + 1
        return len(fresh)

    def is_over(self, fresh: int, page_size: int) -> bool:
        """Whether the page was the last one."""
        if self.is_broken:
            return False
        if not self.page.size:
            return True
        if fresh == 0:
            # Behind the last row there is no more than what a page repeats.
            return self.page.more is not True and self.page.size <= self._overlap
        return is_all(replace(self.page, total=None), page_size)

    def is_repeated(self, system: System) -> bool:
        """Whether the page holds exactly what the one before it held."""
        return list(map(system.identity, self.page.rows)) == self._previous

    def is_same(self, system: System, page: Page) -> bool:
        """Whether that page holds exactly what this one holds."""
        return list(map(system.identity, self.page.rows)) == list(map(system.identity, page.rows))

    def skip(self) -> None:
        """Goes to where the page ends."""
        self.offset += self.page.size
        self._overlap, self._joins_before, self._previous = 0, False, []

    def advance(self, system: System) -> None:
        """Goes as far as the next page may, so that it repeats the rows that can swap with its own."""
        rows = self.page.rows
        size = self.page.size
        ties = sum(system.started_at(row) == self.last for row in rows)
        self._previous = list(map(system.identity, rows))
        self._joins_before = self._may_expire and ties <= size // 2
        if ties > size // 2:
            self.incomplete.add(self.last)
        # The next page has to begin with a row that can be told again.
        behind = size - 1 - self.page.places[-1] if rows else 0
        repeated = max(1, min(ties, size // 2)) + self._joins_before + behind
        step = max(1, size - repeated)
        self._joins_before &= step == size - repeated
        self._overlap = size - step
        self.offset += step


def _loop_in(reading: _OverlappingPages) -> PaginationLoop:
    """What to raise when its pages do not come to an end."""
    return PaginationLoop(
        f"The listing of {reading.window} gives nothing new at offset {reading.offset} and says that more follows, "
        "twice. What came before it is kept. If the vendor's API changed its paging, the connector has to "
        "follow."
    )
