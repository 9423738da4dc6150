"""Windows → pieces of rows, oldest first, each with the evidence that its rows are all, or the reason why not.

A piece is a closed window of about ``rows_per_piece`` rows. Where the vendor counts its rows, the first
page of the whole rest serves as the first page of the piece, and the count sizes it. Where it does not
count, pages are read one after the other with an overlap. Where it does not sort, windows are halved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce
from operator import and_

from ..core.intervals import Starts, days, halves, share
from ..core.log import log
from ..core.models import MS, Page, Row, Window
from ..warehouse.verified_days import Completeness
from .counted_window import (
    Pages,
    Reading,
    after,
    complete_prefix,
    described,
    holds_all,
    incomplete_instants,
    is_sorted,
    rows_beside,
)
from .evidence import COUNT, count_of, unverified
from .incremental import incremental
from .listed_rows import Rows
from .listing import ROWS_PER_PIECE, ComparedWindow, ListedWindow, NewestExecutions, VendorNow
from .lookback import LastSync
from .one_instant import read_instant
from .read_ahead import ReadAhead
from .uncounted_listing import UncountedListing, instant_piece
from .window_comparison import Comparer, Comparison, CountedExecutions, SpotCheck, StoredExecutions
from .window_piece_size import MAX_ROWS_FACTOR, PieceSize
from .window_pieces import complete_beginning, cut_page, cut_piece, empty_piece, joined_piece, whole_page

_ROWS_IF_EXPIRING = 1_000
"""A piece that ends early is thrown away where its oldest rows may have expired meanwhile."""
_MAX_REST_FACTOR = 1.4
"""A rest of this many times a piece's rows is one piece."""


class SortedListing:
    """Reads windows of a listing that is filtered by time and sorted by start; counted, where the vendor counts.

    Raises, while pieces are drawn: as ``WindowReader`` does.
    """

    def __init__(
        self,
        pages: Pages,
        *,
        rows_per_piece: int = ROWS_PER_PIECE,
    ) -> None:
        self.system = pages.system
        self.pages = pages
        self._read_ahead = ReadAhead(pages)
        self._piece_size = PieceSize(rows_per_piece)
        self._uncounted = UncountedListing(pages, self._piece_size)
        self._rows_per_s: float | None = None
        self._overlap = 0
        self._is_comparing = False
        self._is_ascending = False
        """Whether rows were seen to come oldest first."""
        self._counts_unreliable = False
        """Whether the vendor's counts make no sense."""
        self.rest_rows: int | None = None
        """How many rows of what is being read are still to come, where the vendor counts them."""

    def pieces(
        self,
        window: Window,
        *,
        head: Page | None = None,
        is_oldest: bool = True,
        in_columns: bool = False,
        stored: StoredExecutions | None = None,  # noqa: ARG002 - the vendor filters by time
    ) -> Iterator[ListedWindow]:
        """The window in pieces, oldest first, each with the evidence that it is complete.

        ``head`` is its first page, where it is known. ``is_oldest`` says that it may begin with the oldest executions
        that the vendor has: they may expire while they are read. ``in_columns`` says that pages may be asked for ahead
        and read in columns.
        """
        if window.is_empty:
            return
        head = head or self.pages.first(window)
        left = (count_of(head) or 0) - rows_beside(self.system, head, window)
        is_verified, others = True, self.pages.others
        for piece in self._pieces(window, head=head, is_oldest=is_oldest, in_columns=in_columns):
            left -= self._places(piece)
            is_verified &= piece.is_verified
            outside = self.pages.outside.take()
            yield replace(piece, outside=outside) if outside else piece
        if left > 0 and is_verified and others == self.pages.others:
            self.pages.short.append(window)  # the parts are less than the vendor counted

    def _places(self, piece: ListedWindow) -> int:
        """How many rows the vendor counts for the piece: its own, and those without a usable id."""
        return len(piece.rows) + self.pages.rejections.number(piece.window)

    def _pieces(
        self, window: Window, *, head: Page | None = None, is_oldest: bool = True, in_columns: bool = False
    ) -> Iterator[ListedWindow]:
        """The window in pieces; ``head`` is its first page, where it is known."""
        at, expected = window.start, 0
        while at < window.end:
            rest = Window(at, window.end)
            ahead = self._read_ahead.ahead(at, window.end)
            if ahead is None or head is not None or self._counts_unreliable:
                page = self.pages.first(rest) if head is None else head
                head = None
                otherwise = self._otherwise(rest, page, expected, is_oldest=is_oldest)
                if otherwise is not None:
                    for piece in otherwise:
                        yield piece
                        at, is_oldest = piece.window.end, False
                    expected = len(self._uncounted.left_over)
                    continue
                self.rest_rows = page.total
                ahead = rest, page
            # Without a piece the same rest is read once more, in smaller pieces.
            for piece in self._counted(rest, *ahead, may_expire=is_oldest, in_columns=in_columns):
                if not piece.window.is_empty:
                    self.rest_rows = expected = max(0, (self.rest_rows or 0) - self._places(piece))
                    yield piece
                    at, is_oldest = piece.window.end, False

    def _otherwise(
        self, rest: Window, page: Page, expected: int, *, is_oldest: bool
    ) -> Iterator[ListedWindow] | None:
        """The pieces of a window whose first page is not that of a counted, sorted list; None where it is."""
        left_over, self._uncounted.left_over = self._uncounted.left_over, []
        if not page.size:
            return iter([empty_piece(self.system, rest, page, expected, left_over)])
        if not is_sorted(self.system, page.rows):
            return self._halved(rest, page, may_expire=is_oldest)
        if self._tells_no_order(page):
            evidence = whole_page(self.pages, rest, page)
            if evidence is None:
                return self._around(rest, page, is_oldest=is_oldest)
            return iter([cut_page(self.system, rest, page, evidence)])
        if count_of(page) is None or self._counts_unreliable:
            return self._uncounted.pieces(rest, page, may_expire=is_oldest)
        return None

    def incremental(
        self, since: LastSync, stored: NewestExecutions, *, edge: VendorNow
    ) -> Iterator[ListedWindow | ComparedWindow]:
        """What is new or late since the last sync; where that is due, everything before the lookback is counted."""
        return incremental(self, self.system, since, stored, edge=edge)

    def audit(
        self, window: Window, stored: CountedExecutions, *, positions: Sequence[float] = ()
    ) -> Comparison:
        """Where the vendor's rows differ from those stored: by a look at the window, day by day where that differs."""
        spot_check = SpotCheck(self.pages, self.system, stored)
        comparison = Comparison()
        if not spot_check.agrees(window, positions):
            for day in days(window):
                compared = self.compare(day, stored)
                if compared.unverified:
                    compared.unverified = [day]
                comparison.add(compared)
        for row in self.pages.outside.take():
            comparison.add_outside(self.system, row, stored)
        comparison.total = spot_check.total
        comparison.read += spot_check.read
        return comparison

    def elapsed_part(self, piece: ListedWindow, edge: datetime) -> Window:  # noqa: ARG002 - windows end by then
        """The piece's window: what is asked for ends now."""
        return piece.window

    def compare(self, window: Window, stored: StoredExecutions) -> Comparison:
        """Where the vendor's rows of the window differ from those stored, in few requests."""
        comparison = self._compare(window, stored)
        for row in self.pages.outside.take():
            comparison.add_outside(self.system, row, stored)
        return comparison

    def _compare(self, window: Window, stored: StoredExecutions) -> Comparison:
        """The same, without the rows that stood in the answers and began elsewhere."""
        is_outermost, self._is_comparing = not self._is_comparing, True
        try:
            return Comparer(self.pages, self.system, self._all).compare(window, stored)
        finally:
            self._is_comparing = not is_outermost

    def _all(self, window: Window, head: Page, is_last: bool) -> tuple[list[Row], Completeness]:
        """All rows of the window, and their evidence: ``Comparer.read``. A difference is not compared in turn."""
        others = self.pages.others
        pieces = list(self._pieces(window, head=head))
        rows = [row for piece in pieces for row in piece.rows]
        evidence = reduce(and_, (piece.completeness for piece in pieces), COUNT)
        left = (count_of(head) or 0) - rows_beside(self.system, head, window) - sum(map(self._places, pieces))
        if (
            left > 0
            and evidence.is_verified
            and others == self.pages.others
            and left > self.pages.one(Window(window.end, window.end + MS)).size
        ):
            # Rows at the window's end do not explain the difference.
            evidence = unverified(f"its parts hold {left:,} rows less than the vendor counts")
        if is_last and rows and not evidence.is_verified and not self._counts_unreliable:
            self._counts_unreliable = True
            return self._all(window, head, is_last)
        return rows, evidence

    def _tells_no_order(self, page: Page) -> bool:
        """Whether it is still unknown if the vendor sorts: all rows of the page began at once."""
        starts = [at for at in map(self.system.started_at, page.rows) if at is not None]
        self._is_ascending |= bool(starts) and starts[0] < starts[-1]
        return bool(starts) and not self._is_ascending and not holds_all(self.system, page)

    def _around(self, rest: Window, page: Page, *, is_oldest: bool) -> Iterator[ListedWindow]:
        """What lies before the one instant of which the page is full, and that instant."""
        at = after(self.system, page.rows, rest.start) - MS
        if at >= rest.end:
            yield from self._halved(rest, page, may_expire=is_oldest)
            return
        if at > rest.start:
            yield from self._pieces(Window(rest.start, at), is_oldest=is_oldest)
        yield instant_piece(self.pages, max(at, rest.start))

    def _counted(
        self, rest: Window, window: Window, page: Page, *, may_expire: bool, in_columns: bool
    ) -> Iterator[ListedWindow]:
        """The first piece of ``rest``; raises what ended it thereafter.

        ``page`` is the first page of ``window``, which is all of it or about a piece.

        What is too much for a piece is asked for again in a shorter window, from the last row of the page
        on: what stands before that row is at hand, and no page is read in vain.
        """
        size = min(self._piece_size.rows, _ROWS_IF_EXPIRING) if may_expire else self._piece_size.rows
        limit = size * (_MAX_REST_FACTOR if window == rest else MAX_ROWS_FACTOR)
        begun = cut_piece(self.system, Window(rest.start, rest.start), (), total=0)
        while page.size and not holds_all(self.system, page):
            count = count_of(page)
            if count is None or not is_sorted(self.system, page.rows):
                yield begun
                return
            if count <= limit:
                later = Window(window.end, rest.end) if in_columns else None
                yield from self._read(window, page, begun, may_expire=may_expire, later=later)
                return
            rows, at = complete_prefix(self.system, page.rows, window.start)
            if at > window.start:
                part = cut_piece(
                    self.system, Window(window.start, min(at, window.end)), rows, total=len(rows)
                )
            else:
                part = instant_piece(self.pages, window.start)
            if not part.is_verified:
                yield begun
                yield part
                return
            begun = joined_piece(self.system, begun, part)
            if part.window.end >= rest.end or len(begun.rows) >= size:
                yield begun
                return
            left = Window(part.window.end, window.end) if part.window.end < window.end else rest
            left = Window(part.window.end, left.end)
            number = max(1, count - len(part.rows))
            window = share(left, self._part(left, number, size - len(begun.rows)), not_before=left.start)
            limit = size * MAX_ROWS_FACTOR
            try:
                page = self.pages.first(window)
            except Exception:
                yield begun
                raise
        if page.size:
            yield joined_piece(
                self.system, begun, cut_piece(self.system, window, page.rows, total=page.total)
            )
        else:
            yield joined_piece(self.system, begun, empty_piece(self.system, window, page))

    def _read(
        self, window: Window, head: Page, begun: ListedWindow, *, may_expire: bool, later: Window | None
    ) -> Iterator[ListedWindow]:
        """The whole window, whose first page is ``head``, joined to what was begun before it.

        ``later`` is what comes after it, where it may be read in columns.
        """
        reading = Reading(window, {0: head})
        if later is not None and not self._overlap and not self._is_comparing:
            then = self._next_of(window, head.total or 0, later)
            most = int(self._piece_size.rows * MAX_ROWS_FACTOR)
            if may_expire:
                self._read_ahead.ask(then, most=most)
            else:
                self._read_ahead.read(reading, then=then, most=most)
        try:
            self.pages.complete(reading, overlap=self._overlap, may_expire=may_expire)
        except Exception:
            yield begun
            raise
        self._note_density(reading)
        if reading.empty_from and reading.error is None:
            certain = complete_beginning(self.system, reading)
            if certain is not None:
                yield joined_piece(self.system, begun, certain)
                self._piece_size.note_empty_page(reading.empty_from)
                return
        if reading.error is None:
            self._piece_size.note_complete_piece()
            for piece in self._verified(reading, may_expire=may_expire):
                yield (
                    joined_piece(self.system, begun, piece) if piece.window.start == window.start else piece
                )
            return
        certain = complete_beginning(self.system, reading)
        if certain is not None:
            begun = joined_piece(self.system, begun, certain)
        yield begun
        if not self._piece_size.is_refused(reading.error, reading.failed_at):
            raise reading.error

    def _next_of(self, window: Window, number: int, later: Window) -> Window | None:
        """About a piece of what comes after the window, by how many rows the window holds."""
        if later.is_empty or not number:
            return None
        part = (window.end - window.start) * self._piece_size.rows / number / (later.end - later.start)
        return share(later, part, not_before=later.start)

    def _part(self, window: Window, number: int, wanted: int) -> float:
        """Which part of the window, that holds about ``number`` rows, holds as many as are wanted."""
        seconds = (window.end - window.start).total_seconds()
        density = number / seconds if self._rows_per_s is None else self._rows_per_s
        self._rows_per_s = None
        return max(1, wanted) / density / seconds

    def _note_density(self, reading: Reading) -> None:
        seconds = (reading.window.end - reading.window.start).total_seconds()
        rows = reading.total or 0
        self._rows_per_s = rows / seconds if rows > self.system.listing.page_size else None

    def _verified(self, reading: Reading, *, may_expire: bool) -> Iterator[ListedWindow]:
        """A window that was read in full; where it cannot be verified, as where the vendor does not count."""
        rows = reading.rows(self.system)
        evidence, piece = self._counts_up(reading, rows)
        if piece is None and not self._is_comparing:
            piece = self._compared(reading, rows)
        if piece is None and self._is_comparing:
            piece = cut_piece(self.system, reading.window, rows, total=None, evidence=evidence)
        if piece is not None:
            yield piece
            return
        # Its counts proved wrong: from here on pages are read one after the other, with an overlap.
        self._counts_unreliable = True
        yield from self._pieces(reading.window, is_oldest=may_expire)

    def _counts_up(self, reading: Reading, rows: Rows) -> tuple[Completeness, ListedWindow | None]:
        """The evidence that the rows of the reading are complete, and the window, if the vendor counts as many."""
        evidence = reading.evidence(len(rows))
        if not evidence.is_verified and reading.evidence((reading.total or 0) - reading.others).is_verified:
            swapped = self._swapped(reading)
            if swapped is not None:
                rows = Rows.joined(self.system, (rows, swapped)).distinct(self.system)
                evidence = COUNT
        if not evidence.is_verified:
            return evidence, None
        return evidence, cut_piece(self.system, reading.window, rows, total=reading.total)

    def _compared(self, reading: Reading, rows: Rows) -> ListedWindow | None:
        """The window with what a comparison finds; None where that does not come to an end."""
        starts = {self.system.identity(row): at for row in rows if (at := self.system.started_at(row))}
        comparison = self._compare(reading.window, Starts(starts))
        rows = Rows.joined(self.system, (rows, comparison.fresh)).distinct(self.system)
        log.info(
            "listing_moved",
            window=described(reading.window),
            rows=len(rows),
            total=reading.total,
            fresh=len(comparison.fresh),
            verified=comparison.is_verified,
        )
        return (
            cut_piece(self.system, reading.window, rows, total=comparison.total)
            if comparison.is_verified
            else None
        )

    def _swapped(self, reading: Reading) -> list[Row] | None:
        """The rows of instants of which some swapped between pages; None when not all were seen then."""
        seen: dict[str, Row] = {}
        missing = incomplete_instants(self.system, reading.pages)
        self._overlap = 1
        for at in sorted(at for at in missing if at is not None and at in reading.window):
            at_once, evidence = read_instant(self.pages, Window(at, at + MS))
            seen |= at_once
            if not evidence.is_verified:
                return None
        # Rows outside of the window may swap as they like.
        left = incomplete_instants(self.system, reading.pages, seen.values())
        if any(at is None or at in reading.window for at in left):
            return None
        return list(seen.values())

    def _halved(self, window: Window, page: Page, *, may_expire: bool) -> Iterator[ListedWindow]:
        """The window where rows do not come oldest first: halved until one page holds all of a half."""
        evidence = whole_page(self.pages, window, page)
        if evidence is not None:
            yield cut_page(self.system, window, page, evidence)
            return
        parts = halves(window)
        if parts is None:
            yield instant_piece(self.pages, window.start)
            return
        count = count_of(page)
        if count is not None and count <= self._piece_size.rows:
            reading = Reading(window, {0: page})
            self.pages.complete(reading, overlap=self._overlap, may_expire=may_expire)
            if reading.error is not None and not self._piece_size.is_refused(
                reading.error, reading.failed_at
            ):
                raise reading.error
            rows = reading.rows(self.system)
            piece = self._counts_up(reading, rows)[1] if reading.error is None else None
            if piece is not None:
                yield piece
                return
        for part in parts:
            first = self.pages.first(part)
            yield from self._halved(part, first, may_expire=may_expire and part.start == window.start)
