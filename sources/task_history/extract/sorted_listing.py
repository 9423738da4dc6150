"""Windows → pieces of rows, oldest first, each read in full and verified.

A piece is a closed window of about ``rows_per_piece`` rows. Where the vendor counts its rows, the first
page of the whole rest serves as the first page of the piece, and the count sizes it. Where it does not
count, pages are read one after the other with an overlap. Where it does not sort, windows are halved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from ..core.errors import UnexpectedResponse
from ..core.intervals import Starts, days, halves, share
from ..core.log import log
from ..core.models import MS, Page, Row, Sender, Window
from ..systems.protocol import System, Values
from .bulk import Bulk
from .compare import Comparer, Comparison, CountedHeld, Held, Look
from .incremental import Known, recent
from .pages import (
    Pages,
    Reading,
    after,
    contradicts,
    described,
    is_sorted,
    is_whole,
    refused_depth,
    sure,
    torn,
)
from .reader import Edge, Late, NewestHeld, Piece, Since
from .uncounted_listing import Walk, loop_in

if TYPE_CHECKING:
    from .columnar import Frame

ROWS_PER_PIECE = 10_000
_MOST_ROWS_PER_PIECE = 12_500
_ROWS_IF_WARY = 1_000
"""A piece that ends early is thrown away where its oldest rows may have expired meanwhile."""
_ROOMY, _TOO_MANY = 1.4, 1.7
"""A rest of this many times a piece's rows is one piece; a piece may hold this many times its rows."""
_MOST_STALE = 20
"""Pages in a row that bring nothing new, in any order."""


def piece_of(rows_per_commit: int) -> int:
    """How many rows a piece has where a commit has so many: few large ones wait less for the vendor's next count."""
    return min(_MOST_ROWS_PER_PIECE, max(ROWS_PER_PIECE, rows_per_commit))


class SortedListing:
    """Reads windows of a listing that is filtered by time and sorted by start; counted, where the vendor counts.

    Raises, while pieces are drawn: as ``WindowReader`` does.
    """

    def __init__(
        self,
        client: Sender,
        system: System,
        values: Values,
        *,
        rows_per_piece: int = ROWS_PER_PIECE,
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        self._system = system
        self._pages = Pages(client, system, values, filters=filters)
        self._bulk = Bulk(self._pages, system)
        self._rows_per_piece = rows_per_piece
        self._deepest: int | None = None
        """The smallest offset that the vendor refused."""
        self._rows_per_s: float | None = None
        self._overlap = 0
        self._is_comparing = False
        self._is_ascending = False
        """Whether rows were seen to come oldest first."""
        self._is_restless = False
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
        while they are read. ``in_columns`` says that pieces may have frames.
        """
        at = window.start
        while at < window.end:
            rest = Window(at, window.end)
            ahead = self._bulk.ahead(at, window.end)
            if ahead is None or head is not None or self._is_restless:
                page = self._pages.one(rest) if head is None else head
                head = None
                if not is_sorted(self._system, page.rows):
                    yield from self._halved(rest, page, is_wary=is_oldest)
                    return
                if self._tells_no_order(page):
                    for piece in self._around(rest, page, is_oldest=is_oldest):
                        yield piece
                        at = piece.window.end
                    continue
                if page.total is None or contradicts(page) or self._is_restless:
                    yield from self._uncounted(rest, page, is_wary=is_oldest)
                    return
                self.rest_rows = page.total
                ahead = rest, page
            # Without a piece the same rest is read once more, in smaller pieces.
            for piece in self._counted(rest, *ahead, is_wary=is_oldest, in_columns=in_columns):
                if not piece.window.is_empty:
                    self.rest_rows = max(0, (self.rest_rows or 0) - piece.size)
                    yield piece
                    at = piece.window.end
                    is_oldest = False

    def incremental(self, since: Since, held: NewestHeld, *, edge: Edge) -> Iterator[Piece | Late]:
        """What is new or late since the last sync; where that is due, everything before the lookback is counted."""
        known = Known.since(since, held, edge=edge)
        brought = 0
        for event in recent(self, self._system, known, held, edge=edge):
            size = len(event.comparison.fresh) if isinstance(event, Late) else event.size
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
        look = Look(self._pages, self._system, held)
        found = Comparison()
        if not look.agrees(window, places):
            for day in days(window):
                compared = self.compare(day, held)
                if compared.unverified:
                    compared.unverified = [day]
                found.add(compared)
        found.total = look.total
        found.read += look.read
        return found

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
        if is_last and rows and not is_verified and not self._is_restless:
            self._is_restless = True
            return self._all(window, head, is_last)
        return rows, is_verified

    def _tells_no_order(self, page: Page) -> bool:
        """Whether it is still unknown if the vendor sorts: all rows of the page began at once."""
        starts = [at for at in map(self._system.started_at, page.rows) if at is not None]
        self._is_ascending |= bool(starts) and starts[0] < starts[-1]
        return bool(starts) and not self._is_ascending and not is_whole(page, self._system.listing.page_size)

    def _around(self, rest: Window, page: Page, *, is_oldest: bool) -> Iterator[Piece]:
        """What lies before the one instant of which the page is full, and that instant."""
        at = after(self._system, page.rows, rest.start) - MS
        if at >= rest.end:
            yield from self._halved(rest, page, is_wary=is_oldest)
            return
        if at > rest.start:
            yield from self.pieces(Window(rest.start, at), is_oldest=is_oldest)
        yield self._instant(max(at, rest.start))

    def _instant(self, at: datetime) -> Piece:
        """One millisecond."""
        window = Window(at, at + MS)
        rows, is_whole_now = self._pages.millisecond(window)
        if not is_whole_now:
            log.warning("listing_undecidable", window=described(window), rows=len(rows))
        return self._cut(window, rows, total=len(rows), is_verified=is_whole_now)

    def _counted(
        self, rest: Window, window: Window, page: Page, *, is_wary: bool, in_columns: bool
    ) -> Iterator[Piece]:
        """The first piece of ``rest``; raises what ended it thereafter.

        ``page`` is the first page of ``window``, which is all of it or about a piece.

        What is too much for a piece is asked for again in a shorter window, from the last row of the page
        on: what stands before that row is at hand, and no page is read in vain.
        """
        size = min(self._size, _ROWS_IF_WARY) if is_wary else self._size
        limit = size * (_ROOMY if window == rest else _TOO_MANY)
        begun = self._cut(Window(rest.start, rest.start), {}, total=0)
        while not is_whole(page, self._system.listing.page_size):
            if page.total is None or contradicts(page) or not is_sorted(self._system, page.rows):
                yield begun
                return
            if page.total <= limit or not page.rows:
                later = Window(window.end, rest.end) if in_columns else None
                yield from self._read(window, page, begun, is_wary=is_wary, later=later)
                return
            rows, at = sure(self._system, page.rows, window.start)
            if at > window.start:
                part = self._cut(Window(window.start, min(at, window.end)), rows, total=len(rows))
            else:
                part = self._instant(window.start)
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
            limit = size * _TOO_MANY
            try:
                page = self._pages.one(window)
            except Exception:
                yield begun
                raise
        yield self._joined(begun, self._cut(window, self._distinct({0: page}), total=page.total))

    def _read(
        self, window: Window, head: Page, begun: Piece, *, is_wary: bool, later: Window | None
    ) -> Iterator[Piece]:
        """The whole window, whose first page is ``head``, joined to what was begun before it.

        ``later`` is what comes after it, where it may be read in columns.
        """
        reading = Reading(window, {0: head})
        if later is not None and not self._overlap and not self._is_comparing:
            then, most = self._next_of(window, head.total or 0, later), int(self._size * _TOO_MANY)
            if is_wary:
                self._bulk.ask(then, most=most)
            frame = None if is_wary else self._bulk.read(reading, then=then, most=most)
            if frame is not None:
                self._note_density(reading)
                yield self._framed(window, frame, begun)
                return
        try:
            self._pages.complete(reading, overlap=self._overlap, is_wary=is_wary)
        except Exception:
            yield begun
            raise
        self._note_density(reading)
        if reading.error is None:
            for piece in self._verified(reading, is_wary=is_wary):
                yield self._joined(begun, piece) if piece.window.start == window.start else piece
            return
        certain = self._certain(reading)
        if certain is not None:
            begun = self._joined(begun, certain)
        yield begun
        if not self._is_too_deep(reading.error, reading.refused):
            raise reading.error

    def _next_of(self, window: Window, number: int, later: Window) -> Window | None:
        """About a piece of what comes after the window, by how many rows the window holds."""
        if later.is_empty or not number:
            return None
        part = (window.end - window.start) * self._size / number / (later.end - later.start)
        return share(later, part, not_before=later.start)

    def _framed(self, window: Window, frame: Frame, begun: Piece) -> Piece:
        """A window that came in columns, joined to what was begun before it."""
        frame = frame.within(window)
        again = frame.holds(list(map(self._system.identity, begun.rows)))
        rows = [row for row in begun.rows if self._system.identity(row) not in again]
        number = None if begun.total is None else len(rows) + len(frame)
        return Piece(Window(begun.window.start, window.end), rows, number, begun.is_verified, frame)

    @property
    def _size(self) -> int:
        if self._deepest is None:
            return self._rows_per_piece
        return max(1, min(self._rows_per_piece, int(self._deepest / _TOO_MANY)))

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

    def _is_too_deep(self, error: Exception | None, depth: int) -> bool:
        """Whether the vendor refused that depth, so that smaller pieces help."""
        if not refused_depth(error, depth):
            return False
        log.info("listing_depth_refused", offset=depth)
        self._deepest = depth if self._deepest is None else min(self._deepest, depth)
        return True

    def _certain(self, reading: Reading) -> Piece | None:
        """What is certain of a reading that broke off: up to the first rows that may be incomplete."""
        depth = reading.gap()
        pages = reading.before(reading.depth if depth is None else depth)
        if reading.has_moved or reading.has_drifted:
            pages = {0: reading.pages[0]}
        rows, end = sure(self._system, self._distinct(pages).values(), reading.window.start)
        torn_at = torn(self._system, pages)
        end = min([end, reading.window.end, *(at for at in torn_at if at is not None)])
        if None in torn_at or end <= reading.window.start:
            return None
        return self._cut(Window(reading.window.start, end), rows, total=len(rows))

    def _verified(self, reading: Reading, *, is_wary: bool) -> Iterator[Piece]:
        """A window that was read in full; where it cannot be verified, as where the vendor does not count."""
        piece = self._counts_up(reading)
        rows = self._distinct(reading.pages)
        if piece is None and not rows and not self._is_comparing:
            log.warning(
                "listing_counts_and_gives_none", window=described(reading.window), total=reading.total
            )
        if piece is None and (self._is_comparing or not rows):
            piece = self._cut(reading.window, rows, total=reading.total, is_verified=False)
        piece = piece or self._compared(reading)
        if piece is not None:
            yield piece
            return
        # Counts that make no sense do not once more: pages are read one after the other from here on.
        self._is_restless = True
        yield from self.pieces(reading.window, is_oldest=is_wary)

    def _counts_up(self, reading: Reading) -> Piece | None:
        """The window, if as many rows came as the vendor counts."""
        rows = self._distinct(reading.pages)
        if not reading.is_steady or not (len(rows) == reading.total or self._mends(reading, rows)):
            return None
        return self._cut(reading.window, rows, total=reading.total)

    def _compared(self, reading: Reading) -> Piece | None:
        """The window with what a comparison finds; None where that does not come to an end."""
        rows = self._distinct(reading.pages)
        starts = {key: at for key, row in rows.items() if (at := self._system.started_at(row))}
        found = self.compare(reading.window, Starts(starts))
        rows |= {self._system.identity(row): row for row in found.fresh}
        log.info(
            "listing_moved",
            window=described(reading.window),
            rows=len(rows),
            total=reading.total,
            fresh=len(found.fresh),
            verified=found.is_verified,
        )
        return self._cut(reading.window, rows, total=found.total) if found.is_verified else None

    def _mends(self, reading: Reading, rows: dict[str, Row]) -> bool:
        """Reads the instants of which rows swapped between pages; whether all was seen then."""
        seen: dict[str, Row] = {}
        missing = torn(self._system, reading.pages)
        self._overlap = 1
        for at in sorted(at for at in missing if at is not None and at in reading.window):
            found, is_whole_now = self._pages.millisecond(Window(at, at + MS))
            seen |= found
            if not is_whole_now:
                return False
        rows |= seen
        # Rows outside of the window may swap as they like.
        left = torn(self._system, reading.pages, seen.values())
        return not any(at is None or at in reading.window for at in left)

    def _uncounted(self, rest: Window, head: Page, *, is_wary: bool) -> Iterator[Piece]:
        """The window where the vendor counts nothing: page after page, each repeating the last one's end.

        A piece ends where the rows that may continue on the next page begin; the next one starts there.
        """
        walk = Walk(rest, head, is_wary=is_wary)
        while True:
            fresh = walk.add(self._system)
            if walk.is_over(fresh, self._system.listing.page_size):
                yield self._mended(walk, walk.window)
                return
            is_cut = walk.is_broken or len(walk.rows) >= self._size
            error = None if is_cut else self._turn(walk, fresh)
            if error is None and not is_cut:
                continue
            is_raised = error is not None and not self._is_too_deep(error, walk.offset)
            piece = None
            if walk.last > walk.window.start:
                piece = self._mended(walk, Window(walk.window.start, min(walk.last, walk.window.end)))
            elif not is_raised:
                piece = self._instant(walk.window.start)
            if piece is not None:
                yield piece
            if error is not None and is_raised:
                raise error
            if piece is None or piece.window.end >= rest.end:
                return
            rest = Window(piece.window.end, rest.end)
            walk = Walk(rest, self._pages.one(rest), is_wary=is_wary and walk.is_broken)

    def _mended(self, walk: Walk, window: Window) -> Piece:
        """What the walk read. Instants of more rows than two pages share are read on their own."""
        is_verified = True
        for instant in sorted(at for at in walk.torn if at in window):
            rows, is_whole_now = self._pages.millisecond(Window(instant, instant + MS))
            walk.rows |= rows
            is_verified &= is_whole_now
        return self._cut(window, walk.rows, total=None, is_verified=is_verified)

    def _turn(self, walk: Walk, fresh: int) -> Exception | None:
        """Draws the next page; gives the error with which the walk ends."""
        try:
            if (
                fresh == 0
                and walk.page.more is not True
                and len(walk.page.rows) < self._system.listing.page_size
            ):
                walk.skip()
                walk.page = self._pages.one(walk.window, walk.offset)
                return None
            if fresh == 0 and walk.is_repeated(self._system):
                again = self._pages.one(walk.window, walk.offset)
                if walk.is_same(self._system, again):
                    return loop_in(walk)
                walk.page = again
                return None
            if walk.stale > _MOST_STALE:
                return loop_in(walk)
            walk.advance(self._system)
            walk.page = self._pages.one(walk.window, walk.offset)
        except Exception as error:  # noqa: BLE001 - raised again when the rows are safe
            return error
        return None

    def _halved(self, window: Window, page: Page, *, is_wary: bool) -> Iterator[Piece]:
        """The window where rows do not come oldest first: halved until one page holds all of a half."""
        if self._is_all(window, page):
            yield self._cut(window, self._distinct({0: page}), total=page.total)
            return
        parts = halves(window)
        if parts is None:
            yield self._instant(window.start)
            return
        if page.total is not None and page.total <= self._size:
            reading = Reading(window, {0: page})
            self._pages.complete(reading, overlap=self._overlap, is_wary=is_wary)
            if reading.error is not None and not self._is_too_deep(reading.error, reading.refused):
                raise reading.error
            piece = self._counts_up(reading) if reading.error is None else None
            if piece is not None:
                yield piece
                return
        for part in parts:
            yield from self._halved(
                part, self._pages.one(part), is_wary=is_wary and part.start == window.start
            )

    def _is_all(self, window: Window, page: Page) -> bool:
        """Whether nothing follows the page; asked for where what the vendor says of it does not agree."""
        size = self._system.listing.page_size
        if is_whole(page, size):
            return True
        is_unsaid = page.more is not True and len(page.rows) < size
        return is_unsaid and not self._pages.one(window, len(page.rows)).rows

    def _distinct(self, pages: Mapping[int, Page]) -> dict[str, Row]:
        return {self._system.identity(row): row for at in sorted(pages) for row in pages[at].rows}

    def _joined(self, one: Piece, two: Piece) -> Piece:
        """Two pieces that touch as one."""
        rows = {self._system.identity(row): row for row in (*one.rows, *two.rows)}
        return Piece(
            Window(one.window.start, two.window.end),
            list(rows.values()),
            None if one.total is None or two.total is None else len(rows),
            one.is_verified and two.is_verified,
        )

    def _cut(
        self, window: Window, rows: Mapping[str, Row], *, total: int | None, is_verified: bool = True
    ) -> Piece:
        """The rows that began in the window; those of which it is not known stay too."""
        kept = []
        for row in rows.values():
            at = self._system.started_at(row)
            if at is None or at in window:
                kept.append((at or window.start, row))
        kept.sort(key=itemgetter(0))
        return Piece(window, [row for _, row in kept], None if total is None else len(kept), is_verified)
