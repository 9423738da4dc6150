"""Windows → pieces of rows, oldest first, each read in full and verified.

A piece is a closed window of about ``rows_per_piece`` rows. Where the vendor counts its rows, the first
page of the whole rest serves as the first page of the piece, and the count sizes it. Where it does not
count, pages are read one after the other with an overlap. Where it does not sort, windows are halved.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from .comparing import Comparer, Comparison, Held
from .errors import PaginationLoop, UnexpectedResponse
from .model import MS, Page, Row, Window
from .paging import Pages, Reading, Sender, after, described, is_sorted, is_whole, refused_depth
from .systems.base import System, Values
from .windows import Starts, halves, share

log = logging.getLogger("task_history")

ROWS_PER_PIECE = 10_000
_ROOMY, _TOO_MANY = 1.4, 1.7
"""A rest of this many times a piece's rows is one piece; a piece may hold this many times its rows."""


@dataclass(frozen=True, slots=True)
class Piece:
    """All executions that started in ``window``."""

    window: Window
    rows: list[Row]
    """Oldest first, each id once."""
    total: int | None
    """The vendor's count for the window; None where it gives none."""
    is_verified: bool
    """Whether as many rows came as the vendor counts."""


class Listing:
    """Reads the executions of one system in windows.

    Raises, while pieces are drawn: whatever the client raises, UnexpectedResponse and PaginationLoop;
    what was read before comes as pieces first.
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
        self._rows_per_piece = rows_per_piece
        self._deepest: int | None = None
        """The smallest offset that the vendor refused."""
        self._rows_per_s: float | None = None
        self._overlap = 0
        self._is_comparing = False
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
        self, window: Window, *, head: Page | None = None, is_head_longer: bool = False
    ) -> Iterator[Piece]:
        """The window in verified pieces, oldest first.

        ``head`` is its first page, where it is known; ``is_head_longer`` says that it was read of a window
        that reaches further, so that it counts more.
        """
        at = window.start
        while at < window.end:
            rest = Window(at, window.end)
            page = self._pages.one(rest) if head is None else head
            is_head_longer &= head is not None
            head = None
            if not is_sorted(self._system, page.rows):
                yield from self._halved(rest, page)
                return
            if page.total is None:
                yield from self._uncounted(rest, page)
                return
            total = page.total
            piece, error = self._counted(rest, page, is_head_longer=is_head_longer)
            # Without a piece and without an error the same rest is read once more, in smaller pieces.
            if piece is not None:
                self.rest_rows = max(0, total - len(piece.rows))
                yield piece
                at = piece.window.end
            if error is not None:
                raise error

    def compare(self, window: Window, held: Held) -> Comparison:
        """Where the vendor's rows of the window differ from those held, in few requests."""
        is_outermost, self._is_comparing = not self._is_comparing, True
        try:
            return Comparer(self._pages, self._system, self._all).compare(window, held)
        finally:
            self._is_comparing = not is_outermost

    def _all(self, window: Window, head: Page) -> tuple[list[Row], bool]:
        """All rows of the window, and whether they are verified; a difference is not compared in turn."""
        pieces = list(self.pieces(window, head=head))
        return [row for piece in pieces for row in piece.rows], all(piece.is_verified for piece in pieces)

    def _counted(
        self, rest: Window, head: Page, *, is_head_longer: bool
    ) -> tuple[Piece | None, Exception | None]:
        """The first piece of ``rest``, whose first page is ``head``, and why it is the last, if so."""
        if is_whole(head, self._system.page_size):
            return self._cut(rest, self._distinct({0: head}), total=head.total), None
        shortest = after(self._system, head.rows, rest.end)
        reading = Reading(rest, {0: head})
        while (total := reading.total or 0) > self._size * _ROOMY or is_head_longer:
            is_head_longer = False
            window = reading.window
            if total > self._size * _ROOMY:
                window = share(window, self._part(window, total), not_before=shortest)
            # The first page is of a longer window: only the second tells how many this one holds.
            at = max(0, len(head.rows) - self._overlap)
            page = self._pages.one(window, at)
            reading = Reading(window, {0: Page(head.rows, page.total, head.more), at: page})
            if (page.total or 0) <= self._size * _TOO_MANY or window.end <= shortest:
                break
        self._pages.complete(reading, overlap=self._overlap)
        self._note_density(reading)
        if reading.error is None:
            return self._verified(reading), None
        return self._certain(reading)

    @property
    def _size(self) -> int:
        if self._deepest is None:
            return self._rows_per_piece
        return max(1, min(self._rows_per_piece, int(self._deepest / _TOO_MANY)))

    def _part(self, window: Window, total: int) -> float:
        """Which part of the window probably holds as many rows as a piece."""
        if self._rows_per_s is None:
            return self._size / total
        seconds, self._rows_per_s = self._size / self._rows_per_s, None
        return seconds / (window.end - window.start).total_seconds()

    def _note_density(self, reading: Reading) -> None:
        seconds = (reading.window.end - reading.window.start).total_seconds()
        rows = reading.total or 0
        self._rows_per_s = rows / seconds if rows > self._system.page_size else None

    def _certain(self, reading: Reading) -> tuple[Piece | None, Exception | None]:
        """What is certain of a reading that broke off, and why it did."""
        error = reading.error
        depth = reading.gap() or 0
        if self._is_shallower(error, depth):
            log.info("listing_depth_refused offset=%d window=%s", depth, described(reading.window))
            error = None
        pages = {at: page for at, page in reading.pages.items() if at < depth}
        rows = self._distinct(pages)
        last = after(self._system, rows.values(), reading.window.start) - MS
        if last <= reading.window.start or len(rows) != depth or reading.has_moved:
            return None, error
        return self._cut(Window(reading.window.start, last), rows, total=depth), error

    def _is_shallower(self, error: Exception | None, depth: int) -> bool:
        """Whether the vendor refused that depth, and smaller pieces may help."""
        if not refused_depth(error, depth) or (self._deepest is not None and depth >= self._deepest):
            return False
        self._deepest = depth
        return True

    def _verified(self, reading: Reading) -> Piece:
        rows = self._distinct(reading.pages)
        if len(rows) == reading.total and not reading.has_moved:
            return self._cut(reading.window, rows, total=reading.total)
        if self._is_comparing:
            return self._cut(reading.window, rows, total=reading.total, is_verified=False)
        self._overlap = 1
        starts = {key: at for key, row in rows.items() if (at := self._system.started_at(row))}
        found = self.compare(reading.window, Starts(starts))
        rows |= {self._system.identity(row): row for row in found.fresh}
        log.info(
            "listing_moved window=%s rows=%d total=%s fresh=%d verified=%s",
            described(reading.window),
            len(rows),
            reading.total,
            len(found.fresh),
            found.is_verified,
        )
        return self._cut(reading.window, rows, total=found.total, is_verified=found.is_verified)

    def _uncounted(self, rest: Window, head: Page) -> Iterator[Piece]:
        """The window where the vendor counts nothing: page after page, each repeating the last one's end.

        A piece ends where the rows that may continue on the next page begin; the next one starts there.
        """
        walk = _Walk(rest, head)
        while True:
            fresh = walk.add(self._system)
            if walk.is_over(fresh, self._system.page_size):
                yield self._mended(walk, walk.window)
                return
            error = self._turn(walk, fresh)
            is_shallower = self._is_shallower(error, walk.offset)
            if is_shallower and walk.last > walk.window.start:
                error = None
            elif error is None and not walk.is_broken and len(walk.rows) < self._size:
                continue
            if walk.last > walk.window.start:
                yield self._mended(walk, Window(walk.window.start, walk.last))
            if error is not None:
                raise error
            if walk.last > walk.window.start:
                rest = Window(walk.last, rest.end)
                walk = _Walk(rest, self._pages.one(rest))

    def _mended(self, walk: _Walk, window: Window) -> Piece:
        """What the walk read. Rows of one millisecond that swapped between its pages are read on their own."""
        is_verified = True
        if len(walk.rows) < walk.covered:
            for instant in sorted(walk.torn):
                rows, is_whole = self._pages.millisecond(Window(instant, instant + MS))
                walk.rows |= rows
                is_verified &= is_whole
        return self._cut(window, walk.rows, total=None, is_verified=is_verified)

    def _turn(self, walk: _Walk, fresh: int) -> Exception | None:
        """Draws the next page; gives the error with which the walk ends."""
        try:
            if fresh == 0:
                again = self._pages.one(walk.window, walk.offset)
                if list(map(self._system.identity, again.rows)) == list(
                    map(self._system.identity, walk.page.rows)
                ):
                    return PaginationLoop(
                        f"The listing of {walk.window} gives nothing new at offset {walk.offset} and says that "
                        "more follows, twice. What came before it is kept. If the vendor's API changed its "
                        "paging, the connector has to follow."
                    )
                walk.page = again
                return None
            walk.offset += walk.advance(self._system)
            walk.page = self._pages.one(walk.window, walk.offset)
        except Exception as error:  # noqa: BLE001 - raised again when the rows are safe
            return error
        return None

    def _halved(self, window: Window, page: Page) -> Iterator[Piece]:
        """The window where rows do not come oldest first: halved until one page holds all of a half."""
        if is_whole(page, self._system.page_size):
            yield self._cut(window, self._distinct({0: page}), total=page.total)
            return
        parts = halves(window)
        if parts is None or (page.total is not None and page.total <= self._size):
            reading = Reading(window, {0: page})
            if page.total is None:
                raise UnexpectedResponse(
                    f"More executions started in the millisecond {window} than one page holds, and the vendor "
                    "neither sorts nor counts them: they cannot be read completely."
                )
            self._pages.complete(reading, overlap=self._overlap)
            if reading.error is not None:
                raise reading.error
            yield self._verified(reading)
            return
        for part in parts:
            yield from self._halved(part, self._pages.one(part))

    def _distinct(self, pages: Mapping[int, Page]) -> dict[str, Row]:
        return {self._system.identity(row): row for at in sorted(pages) for row in pages[at].rows}

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


class _Walk:
    """A window read page after page."""

    def __init__(self, window: Window, head: Page) -> None:
        self.window = window
        self.page = head
        self.offset = 0
        self.rows: dict[str, Row] = {}
        self.last: datetime = window.start
        """When the last row of all pages began."""
        self.covered = 0
        """Positions that were read."""
        self.torn: set[datetime] = set()
        """Instants of which rows stand on both sides of a page's end."""
        self.is_broken = False
        """Whether the last page does not join the one before it: rows may be missing between."""

    def add(self, system: System) -> int:
        """Takes the page's rows; gives how many were not known."""
        fresh = {key: row for row in self.page.rows if (key := system.identity(row)) not in self.rows}
        if self.offset and self.page.rows and len(fresh) == len(self.page.rows):
            self.is_broken = True
            return len(fresh)
        self.rows |= fresh
        self.covered = max(self.covered, self.offset + len(self.page.rows))
        self.last = max(self.last, after(system, self.page.rows, self.window.start + MS) - MS)
        return len(fresh)

    def is_over(self, fresh: int, page_size: int) -> bool:
        """Whether the page was the last one."""
        if self.is_broken:
            return False
        if not fresh:
            # Behind the last row there is little more than what a page repeats; a full one has come twice.
            return len(self.page.rows) < page_size
        return is_whole(self.page, page_size)

    def advance(self, system: System) -> int:
        """How far the next page may go so that it repeats the rows that can swap with its own."""
        size = len(self.page.rows)
        ties = sum(system.started_at(row) == self.last for row in self.page.rows)
        if ties > 1:
            self.torn.add(self.last)
        return max(1, size - max(1, min(ties, size // 2)))
