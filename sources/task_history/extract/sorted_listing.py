"""Windows → pieces of rows, oldest first, each read in full and verified.

A piece is a closed window of about ``rows_per_piece`` rows. Where the vendor counts its rows, the first
page of the whole rest serves as the first page of the piece, and the count sizes it. Where it does not
count, pages are read one after the other with an overlap. Where it does not sort, windows are halved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..core.errors import UnexpectedResponse
from ..core.intervals import Starts, days, halves, share
from ..core.log import log
from ..core.models import MS, Page, Row, Sender, Window
from ..systems.protocol import System
from ..systems.shared_settings import SystemSettings
from .compare import Comparer, Comparison, CountedHeld, Held, SpotCheck
from .evidence import Evidence, contradicts, evidence_for_total, is_all, unverified
from .incremental import Known, recent
from .listed_rows import Rows
from .listing import Edge, Late, NewestHeld, Piece, Since
from .pages import (
    MAX_ROWS_FACTOR,
    Depth,
    Pages,
    Reading,
    after,
    described,
    distinct_rows,
    incomplete_instants,
    is_sorted,
    sure,
)
from .read_ahead import ReadAhead
from .uncounted_listing import UncountedListing, instant_piece

ROWS_PER_PIECE = 10_000
_MAX_ROWS_PER_PIECE = 12_500
_ROWS_IF_EXPIRING = 1_000
"""A piece that ends early is thrown away where its oldest rows may have expired meanwhile."""
_MAX_REST_FACTOR = 1.4
"""A rest of this many times a piece's rows is one piece."""


def piece_of(rows_per_commit: int) -> int:
    """How many rows a piece has where a commit has so many: few large ones wait less for the vendor's next count."""
    return min(_MAX_ROWS_PER_PIECE, max(ROWS_PER_PIECE, rows_per_commit))


class SortedListing:
    """Reads windows of a listing that is filtered by time and sorted by start; counted, where the vendor counts.

    Raises, while pieces are drawn: as ``WindowReader`` does.
    """

    def __init__(
        self,
        client: Sender,
        system: System,
        values: SystemSettings,
        *,
        rows_per_piece: int = ROWS_PER_PIECE,
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        self._system = system
        self._pages = Pages(client, system, values, filters=filters)
        self._read_ahead = ReadAhead(self._pages, system)
        self._depth = Depth(rows_per_piece)
        self._uncounted = UncountedListing(self._pages, system, self._depth)
        self._rows_per_s: float | None = None
        self._overlap = 0
        self._is_comparing = False
        self._is_ascending = False
        """Whether rows were seen to come oldest first."""
        self._counts_unreliable = False
        """Whether the vendor's counts make no sense."""
        self.rest_rows: int | None = None
        """How many rows of what is being read are still to come, where the vendor counts them."""

    @property
    def system(self) -> System:
        """Whose executions these are."""
        return self._system

    @property
    def pages(self) -> Pages:
        """Single pages of the same listing."""
        return self._pages

    def pieces(
        self,
        window: Window,
        *,
        head: Page | None = None,
        is_oldest: bool = True,
        in_columns: bool = False,
        held: Held | None = None,  # noqa: ARG002 - the vendor filters by time
    ) -> Iterator[Piece]:
        """The window in verified pieces, oldest first; ``head`` is its first page, where it is known.

        ``is_oldest`` says that it may begin with the oldest executions that the vendor has: they may expire
        while they are read. ``in_columns`` says that pages may be asked for ahead and read in columns.
        """
        at = window.start
        while at < window.end:
            rest = Window(at, window.end)
            ahead = self._read_ahead.ahead(at, window.end)
            if ahead is None or head is not None or self._counts_unreliable:
                page = self._pages.one(rest) if head is None else head
                head = None
                if not is_sorted(self._system, page.rows):
                    yield from self._halved(rest, page, may_expire=is_oldest)
                    return
                if self._tells_no_order(page):
                    for piece in self._around(rest, page, is_oldest=is_oldest):
                        yield piece
                        at = piece.window.end
                    continue
                if page.total is None or contradicts(page) or self._counts_unreliable:
                    yield from self._uncounted.pieces(rest, page, may_expire=is_oldest)
                    return
                self.rest_rows = page.total
                ahead = rest, page
            # Without a piece the same rest is read once more, in smaller pieces.
            for piece in self._counted(rest, *ahead, may_expire=is_oldest, in_columns=in_columns):
                if not piece.window.is_empty:
                    self.rest_rows = max(0, (self.rest_rows or 0) - len(piece.rows))
                    yield piece
                    at = piece.window.end
                    is_oldest = False

    def incremental(self, since: Since, held: NewestHeld, *, edge: Edge) -> Iterator[Piece | Late]:
        """What is new or late since the last sync; where that is due, everything before the lookback is counted."""
        known = Known.since(since, held, edge=edge)
        brought = 0
        for event in recent(self, self._system, known, held, edge=edge):
            size = len(event.comparison.fresh) if isinstance(event, Late) else len(event.rows)
            is_first = since.loaded is None and not brought
            if is_first and isinstance(event, Piece) and not size and not event.is_verified:
                raise UnexpectedResponse(
                    f"The listing of {event.window} counts executions and gives none, twice. Nothing was loaded; "
                    "run the same command again."
                )
            brought += size
            yield event
        if since.compare_from is not None and brought and self._pages.has_counts:
            window = Window(since.compare_from, known.start)
            if not window.is_empty:
                yield Late(self.compare(window, held), window)

    def audit(self, window: Window, held: CountedHeld, *, places: Sequence[float] = ()) -> Comparison:
        """Where the vendor's rows differ from those held: by a look at the window, day by day where that differs."""
        spot_check = SpotCheck(self._pages, self._system, held)
        comparison = Comparison()
        if not spot_check.agrees(window, places):
            for day in days(window):
                compared = self.compare(day, held)
                if compared.unverified:
                    compared.unverified = [day]
                comparison.add(compared)
        comparison.total = spot_check.total
        comparison.read += spot_check.read
        return comparison

    def over(self, piece: Piece, edge: datetime) -> Window:  # noqa: ARG002 - windows end by then
        """The piece's window: what is asked for ends now."""
        return piece.window

    def compare(self, window: Window, held: Held) -> Comparison:
        """Where the vendor's rows of the window differ from those held, in few requests."""
        is_outermost, self._is_comparing = not self._is_comparing, True
        try:
            return Comparer(self._pages, self._system, self._all).compare(window, held)
        finally:
            self._is_comparing = not is_outermost

    def _all(self, window: Window, head: Page, is_last: bool) -> tuple[list[Row], bool]:
        """All rows of the window, and whether they are verified; a difference is not compared in turn.

        ``is_last`` says that halves do not tell it better: where counts do not, pages do that overlap.
        """
        pieces = list(self.pieces(window, head=head))
        is_verified = all(piece.is_verified for piece in pieces)
        rows = [row for piece in pieces for row in piece.rows]
        if is_last and rows and not is_verified and not self._counts_unreliable:
            self._counts_unreliable = True
            return self._all(window, head, is_last)
        return rows, is_verified

    def _tells_no_order(self, page: Page) -> bool:
        """Whether it is still unknown if the vendor sorts: all rows of the page began at once."""
        starts = [at for at in map(self._system.started_at, page.rows) if at is not None]
        self._is_ascending |= bool(starts) and starts[0] < starts[-1]
        return bool(starts) and not self._is_ascending and not is_all(page, self._system.listing.page_size)

    def _around(self, rest: Window, page: Page, *, is_oldest: bool) -> Iterator[Piece]:
        """What lies before the one instant of which the page is full, and that instant."""
        at = after(self._system, page.rows, rest.start) - MS
        if at >= rest.end:
            yield from self._halved(rest, page, may_expire=is_oldest)
            return
        if at > rest.start:
            yield from self.pieces(Window(rest.start, at), is_oldest=is_oldest)
        yield instant_piece(self._pages, self._system, max(at, rest.start))

    def _counted(
        self, rest: Window, window: Window, page: Page, *, may_expire: bool, in_columns: bool
    ) -> Iterator[Piece]:
        """The first piece of ``rest``; raises what ended it thereafter.

        ``page`` is the first page of ``window``, which is all of it or about a piece.

        What is too much for a piece is asked for again in a shorter window, from the last row of the page
        on: what stands before that row is at hand, and no page is read in vain.
        """
        size = min(self._depth.rows, _ROWS_IF_EXPIRING) if may_expire else self._depth.rows
        limit = size * (_MAX_REST_FACTOR if window == rest else MAX_ROWS_FACTOR)
        begun = self._cut(Window(rest.start, rest.start), (), total=0)
        while not is_all(page, self._system.listing.page_size):
            if page.total is None or contradicts(page) or not is_sorted(self._system, page.rows):
                yield begun
                return
            if page.total <= limit or not page.rows:
                later = Window(window.end, rest.end) if in_columns else None
                yield from self._read(window, page, begun, may_expire=may_expire, later=later)
                return
            rows, at = sure(self._system, page.rows, window.start)
            if at > window.start:
                part = self._cut(Window(window.start, min(at, window.end)), rows, total=len(rows))
            else:
                part = instant_piece(self._pages, self._system, window.start)
            if not part.is_verified:
                yield begun
                yield part
                return
            begun = self._joined(begun, part)
            if part.window.end >= rest.end or len(begun.rows) >= size:
                yield begun
                return
            left = Window(part.window.end, window.end) if part.window.end < window.end else rest
            left = Window(part.window.end, left.end)
            number = max(1, page.total - len(part.rows))
            window = share(left, self._part(left, number, size - len(begun.rows)), not_before=left.start)
            limit = size * MAX_ROWS_FACTOR
            try:
                page = self._pages.one(window)
            except Exception:
                yield begun
                raise
        yield self._joined(begun, self._cut(window, page.rows, total=page.total))

    def _read(
        self, window: Window, head: Page, begun: Piece, *, may_expire: bool, later: Window | None
    ) -> Iterator[Piece]:
        """The whole window, whose first page is ``head``, joined to what was begun before it.

        ``later`` is what comes after it, where it may be read in columns.
        """
        reading = Reading(window, {0: head})
        if later is not None and not self._overlap and not self._is_comparing:
            then, most = (
                self._next_of(window, head.total or 0, later),
                int(self._depth.rows * MAX_ROWS_FACTOR),
            )
            if may_expire:
                self._read_ahead.ask(then, most=most)
            else:
                self._read_ahead.read(reading, then=then, most=most)
        try:
            self._pages.complete(reading, overlap=self._overlap, may_expire=may_expire)
        except Exception:
            yield begun
            raise
        self._note_density(reading)
        if reading.error is None:
            for piece in self._verified(reading, may_expire=may_expire):
                yield self._joined(begun, piece) if piece.window.start == window.start else piece
            return
        certain = self._certain(reading)
        if certain is not None:
            begun = self._joined(begun, certain)
        yield begun
        if not self._depth.is_refused(reading.error, reading.refused):
            raise reading.error

    def _next_of(self, window: Window, number: int, later: Window) -> Window | None:
        """About a piece of what comes after the window, by how many rows the window holds."""
        if later.is_empty or not number:
            return None
        part = (window.end - window.start) * self._depth.rows / number / (later.end - later.start)
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
        self._rows_per_s = rows / seconds if rows > self._system.listing.page_size else None

    def _certain(self, reading: Reading) -> Piece | None:
        """What is certain of a reading that broke off: up to the first rows that may be incomplete."""
        depth = reading.gap()
        pages = reading.before(reading.depth if depth is None else depth)
        if reading.has_moved or reading.has_drifted:
            pages = {0: reading.pages[0]}
        rows, end = sure(self._system, distinct_rows(self._system, pages), reading.window.start)
        incomplete = incomplete_instants(self._system, pages)
        end = min([end, reading.window.end, *(at for at in incomplete if at is not None)])
        if None in incomplete or end <= reading.window.start:
            return None
        return self._cut(Window(reading.window.start, end), rows, total=len(rows))

    def _verified(self, reading: Reading, *, may_expire: bool) -> Iterator[Piece]:
        """A window that was read in full; where it cannot be verified, as where the vendor does not count."""
        piece = self._counts_up(reading)
        if piece is not None:
            yield piece
            return
        rows = reading.rows(self._system)
        if not rows and not self._is_comparing:
            log.warning(
                "listing_counts_and_gives_none", window=described(reading.window), total=reading.total
            )
        if self._is_comparing or not rows:
            reason = f"the vendor counts {reading.total} and gives {len(rows)}"
            piece = self._cut(reading.window, rows, total=reading.total, evidence=unverified(reason))
        piece = piece or self._compared(reading)
        if piece is not None:
            yield piece
            return
        # Counts that make no sense do not once more: pages are read one after the other from here on.
        self._counts_unreliable = True
        yield from self.pieces(reading.window, is_oldest=may_expire)

    def _counts_up(self, reading: Reading) -> Piece | None:
        """The window, if as many rows came as the vendor counts."""
        if not reading.is_steady:
            return None
        rows = reading.rows(self._system)
        if len(rows) + reading.rejected != reading.total:
            swapped = self._swapped(reading)
            if swapped is None:
                return None
            rows = Rows.joined(self._system, (rows, swapped))
        return self._cut(reading.window, rows, total=reading.total)

    def _compared(self, reading: Reading) -> Piece | None:
        """The window with what a comparison finds; None where that does not come to an end."""
        rows = reading.rows(self._system)
        starts = {self._system.identity(row): at for row in rows if (at := self._system.started_at(row))}
        comparison = self.compare(reading.window, Starts(starts))
        rows = Rows.joined(self._system, (rows, comparison.fresh)).distinct(self._system)
        log.info(
            "listing_moved",
            window=described(reading.window),
            rows=len(rows),
            total=reading.total,
            fresh=len(comparison.fresh),
            verified=comparison.is_verified,
        )
        return self._cut(reading.window, rows, total=comparison.total) if comparison.is_verified else None

    def _swapped(self, reading: Reading) -> list[Row] | None:
        """The rows of instants of which some swapped between pages; None when not all were seen then."""
        seen: dict[str, Row] = {}
        missing = incomplete_instants(self._system, reading.pages)
        self._overlap = 1
        for at in sorted(at for at in missing if at is not None and at in reading.window):
            at_once, is_whole_now = self._pages.millisecond(Window(at, at + MS))
            seen |= at_once
            if not is_whole_now:
                return None
        # Rows outside of the window may swap as they like.
        left = incomplete_instants(self._system, reading.pages, seen.values())
        if any(at is None or at in reading.window for at in left):
            return None
        return list(seen.values())

    def _halved(self, window: Window, page: Page, *, may_expire: bool) -> Iterator[Piece]:
        """The window where rows do not come oldest first: halved until one page holds all of a half."""
        if self._is_all(window, page):
            yield self._cut(window, page.rows, total=page.total)
            return
        parts = halves(window)
        if parts is None:
            yield instant_piece(self._pages, self._system, window.start)
            return
        if page.total is not None and page.total <= self._depth.rows:
            reading = Reading(window, {0: page})
            self._pages.complete(reading, overlap=self._overlap, may_expire=may_expire)
            if reading.error is not None and not self._depth.is_refused(reading.error, reading.refused):
                raise reading.error
            piece = self._counts_up(reading) if reading.error is None else None
            if piece is not None:
                yield piece
                return
        for part in parts:
            yield from self._halved(
                part, self._pages.one(part), may_expire=may_expire and part.start == window.start
            )

    def _is_all(self, window: Window, page: Page) -> bool:
        """Whether nothing follows the page; asked for where what the vendor says of it does not agree."""
        size = self._system.listing.page_size
        if is_all(page, size):
            return True
        is_unsaid = page.more is not True and page.size < size
        return is_unsaid and not self._pages.one(window, page.size).size

    def _joined(self, one: Piece, two: Piece) -> Piece:
        """Two pieces that touch as one."""
        rows = Rows.joined(self._system, (one.rows, two.rows)).distinct(self._system)
        return Piece(
            Window(one.window.start, two.window.end),
            rows,
            None if one.total is None or two.total is None else len(rows),
            one.evidence & two.evidence,
        )

    def _cut(
        self, window: Window, rows: Iterable[Row], *, total: int | None, evidence: Evidence | None = None
    ) -> Piece:
        """The rows that began in the window; those of which it is not known stay too."""
        kept = Rows.of(self._system, rows).distinct(self._system).within(self._system, window)
        return Piece(
            window, kept, None if total is None else len(kept), evidence or evidence_for_total(total)
        )
