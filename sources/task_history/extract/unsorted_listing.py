"""Listings in an undocumented order, without a count: pages that are seen to join.

Each page repeats the last row of the one before. If that row is not on it, rows moved in between: the page is
asked for again from further back. A short page is the end only where longer ones were seen, since a vendor may
cap its pages below what it documents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..core.intervals import halves, is_ascending
from ..core.log import log
from ..core.models import MS, Page, Row, Sender, Window, floor_ms
from ..systems.protocol import System
from ..systems.shared_settings import SystemSettings
from .compare import Comparison, CountedHeld, Held, Leaf
from .evidence import CHAIN, Evidence, PageLengths, unverified
from .listed_rows import Rows
from .listing import Edge, Late, NewestHeld, Piece, Since, WindowReader
from .pages import Pages, described

ROWS_PER_PIECE = 10_000
_MOST_IN_A_PIECE = 6
"""Times what a piece should hold."""
_STEPS_BACK = (25, 100, 1_000)


class Chain:
    """One list, page after page, from the row at ``offset`` on."""

    def __init__(
        self, pages: Pages, system: System, lengths: PageLengths, window: Window | None, *, offset: int = 0
    ) -> None:
        self._pages = pages
        self._system = system
        self._lengths = lengths
        self._window = window
        self._offset = offset
        self.seen: set[str] = set()
        self.is_joined = True
        """Whether every page joined the one before it."""
        self.is_heeded = True
        """Whether offsets led to other rows."""

    @property
    def evidence(self) -> Evidence:
        """What makes the rows of all its pages believed to be all, once they came to an end."""
        if not self.is_joined:
            return unverified("a page does not join the one before it: rows moved while they were read")
        return CHAIN if self.is_heeded else unverified("offsets lead to the same rows")

    def __iter__(self) -> Iterator[list[Row]]:
        """The rows of each page that were not on those before. Raises what the client raises."""
        offset = self._offset
        tail: str | None = None
        before: list[str] = []
        while True:
            page, offset = self._joining(offset, tail)
            ids = [self._system.identity(row) for row in page.rows]
            fresh = [row for row, key in zip(page.rows, ids, strict=True) if key not in self.seen]
            if len(ids) > 1 and ids == before:
                # A page that is longer than any is the whole list, at any offset.
                self.is_heeded = len(ids) > self._system.listing.page_size
                return
            self.seen.update(ids)
            if fresh:
                yield fresh
            elif before:
                self._lengths.ended_with(len(before))
                return
            if self._lengths.is_end(page):
                return
            last = page.places[-1] if ids else page.size
            offset, tail, before = offset + max(1, last), ids[-1] if ids else tail, ids

    def _joining(self, offset: int, tail: str | None) -> tuple[Page, int]:
        """The page at the offset, or from further back where rows moved, and where it begins."""
        page = self._pages.one(self._window, offset)
        if tail is None:
            return page, offset
        for back in (*_STEPS_BACK, 0):
            if self._joins(page, tail):
                return page, offset
            if not back or not offset:
                break
            offset = max(0, offset - back)
            page = self._pages.one(self._window, offset)
        self.is_joined = False
        return page, offset

    def _joins(self, page: Page, tail: str) -> bool:
        """Whether the page goes on from the last row: before that one it shows only rows that are known."""
        for row in page.rows:
            identity = self._system.identity(row)
            if identity == tail:
                return True
            if identity not in self.seen:
                return False
        return False


class UnsortedListing:
    """Reads windows of a listing that is filtered by time and comes in any order, without a count."""

    rest_rows: int | None = None

    def __init__(
        self,
        client: Sender,
        system: System,
        values: SystemSettings,
        *,
        lengths: PageLengths,
        filters: Mapping[str, Any] | None = None,
        rows_per_piece: int = ROWS_PER_PIECE,
    ) -> None:
        self._system = system
        self._rows_per_piece = rows_per_piece
        self._pages = Pages(client, system, values, filters=filters)
        self._lengths = lengths

    @property
    def system(self) -> System:
        """Whose executions these are."""
        return self._system

    @property
    def pages(self) -> Pages:
        """Single pages of the same list."""
        return self._pages

    def pieces(
        self,
        window: Window,
        *,
        in_columns: bool = False,  # noqa: ARG002 - its rows are compared one by one
        held: Held | None = None,  # noqa: ARG002 - the vendor filters by time
    ) -> Iterator[Piece]:
        """The window in pieces, oldest first."""
        left = [window]
        while left:
            outcome = self._read(left.pop())
            if isinstance(outcome, Piece):
                yield outcome
            else:
                left += reversed(outcome)

    def incremental(self, since: Since, held: NewestHeld, *, edge: Edge) -> Iterator[Piece | Late]:  # noqa: ARG002
        """What is new since the last sync, and its lookback once more."""
        window = Window(since.start, edge())
        if not window.is_empty:
            yield from self.pieces(window)

    def compare(self, window: Window, held: Held) -> Comparison:
        """Where the vendor's rows of the window differ from those held; all of them are read for it."""
        return compared(self, window, held)

    def audit(self, window: Window, held: CountedHeld, *, places: Sequence[float] = ()) -> Comparison:  # noqa: ARG002
        """The same: nothing tells that the copy is equal but reading all."""
        return compared(self, window, held)

    def over(self, piece: Piece, edge: datetime) -> Window:
        """The piece's window, no further than now or its last row."""
        return over(piece, edge)

    def _read(self, window: Window) -> Piece | list[Window]:
        """The whole window, or the smaller ones that are to be read instead."""
        for attempt in (1, 2):
            chain = Chain(self._pages, self._system, self._lengths, window)
            rows: dict[str, Row] = {}
            for page in chain:
                rows |= {self._system.identity(row): row for row in page}
                if len(rows) == len(page) and (parts := self._parts(window, page)):
                    return parts
                if len(rows) > _MOST_IN_A_PIECE * self._rows_per_piece and (two := halves(window)):
                    return list(two)
            if chain.evidence.is_verified:
                return cut(self._system, window, rows.values(), CHAIN)
            log.info("listing_moved", window=described(window), rows=len(rows), attempt=attempt)
        two = halves(window)
        return list(two) if two else cut(self._system, window, rows.values(), chain.evidence)

    def _parts(self, window: Window, rows: list[Row]) -> list[Window]:
        """The window in parts of about a piece, where its first page shows that it holds far more."""
        starts = [at for at in map(self._system.started_at, rows) if at is not None]
        if len(rows) < self._system.listing.page_size or len(starts) < 2:
            return []
        if not (is_ascending(starts) or is_ascending(reversed(starts))):
            return []
        span = abs(starts[-1] - starts[0])
        number = len(rows) * ((window.end - window.start) / span) if span else 0
        count = min(1_000, math.ceil(number / self._rows_per_piece))
        if count < 2 or (window.end - window.start) / count < MS:
            return []
        edges = [floor_ms(window.start + (window.end - window.start) * at / count) for at in range(count)]
        return [Window(one, two) for one, two in zip(edges, [*edges[1:], window.end], strict=True)]


def cut(system: System, window: Window, rows: Iterable[Row], evidence: Evidence) -> Piece:
    """The rows that began in the window, as a piece."""
    return Piece(window, Rows.of(system, rows).within(system, window), None, evidence)


def compared(reader: WindowReader, window: Window, held: Held) -> Comparison:
    """What a list that is not counted has in the window, against what is held."""
    comparison = Comparison()
    for piece in reader.pieces(window):
        inside = {reader.system.identity(row): row for row in piece.rows}
        known = held.ids(piece.window)
        missing = sorted(inside.keys() - known)
        surplus = sorted(known - inside.keys()) if piece.is_verified else []
        comparison.read += piece.rows
        comparison.fresh += [inside[key] for key in missing]
        comparison.vanished += surplus
        if not piece.is_verified:
            comparison.unverified.append(piece.window)
        if missing or surplus:
            comparison.leaves.append(Leaf(piece.window, tuple(missing), tuple(surplus)))
    return comparison


def over(piece: Piece, edge: datetime) -> Window:
    """The piece's window, ended at the edge, or after the last row that the vendor's clock lets lie beyond."""
    window, span = piece.window, piece.rows.span
    last = floor_ms(span[1]) + MS if span else window.start
    return Window(window.start, min(window.end, max(last, edge, window.start)))
