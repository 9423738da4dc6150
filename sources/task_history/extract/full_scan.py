"""A list that cannot be narrowed to a window: read from its beginning, cut here, and left as early as is safe.

Newest first is what such lists mostly are, and no vendor documents it. It is seen in the answers or not believed:
only while every page so far came newest first, each joined to the one before, does a row that began before the
window say that all that follow did too. Otherwise the list is read to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ..core.models import MS, Row, Sender, Window, floor_ms
from ..systems.protocol import System
from ..systems.shared_settings import SystemSettings
from .compare import Comparison, CountedHeld, Held
from .evidence import CHAIN, PageLengths
from .listing import AHEAD, Edge, Late, NewestHeld, Piece, Since
from .pages import Pages
from .unsorted_listing import Chain, compared, cut, over

_ROWS_PER_PIECE = 2_000
_FAR = datetime(9999, 1, 1, tzinfo=UTC)


class FullScan:
    """Reads windows of a listing that the vendor does not filter by time."""

    rest_rows: int | None = None

    def __init__(
        self,
        client: Sender,
        system: System,
        values: SystemSettings,
        *,
        lengths: PageLengths,
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        self._system = system
        self._pages = Pages(client, system, values, filters=filters)
        self._lengths = lengths
        self._order = ""
        """newest_first, or none where rows came otherwise; empty while too few were seen to tell."""

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
        held: Held | None = None,
    ) -> Iterator[Piece]:
        """The window in pieces, newest first.

        ``held`` tells how many newer ones are known: where that many stand before the window, they are left out.
        """
        self._order = ""
        chain = Chain(self._pages, self._system, self._lengths, None, offset=self._place(window, held))
        waiting: dict[str, Row] = {}
        end, last = window.end, _FAR
        pages = iter(chain)
        while True:
            try:
                rows = next(pages, None)
            except Exception:
                # What came newest first and joined is all there is down to its last instant, also after an error.
                piece = self._sure(chain, Window(window.start, end), last, waiting)
                if piece is not None:
                    yield piece
                raise
            if rows is None:
                break
            waiting |= {self._system.identity(row): row for row in rows if self._is_in(row, window)}
            last = self._look(rows, last)
            if self._order == "newest_first" and last < window.start and chain.is_joined:
                break
            piece = None
            if len(waiting) >= _ROWS_PER_PIECE:
                piece = self._sure(chain, Window(window.start, end), last, waiting)
            if piece is not None:
                given = {self._system.identity(row) for row in piece.rows}
                waiting = {key: row for key, row in waiting.items() if key not in given}
                end = piece.window.start
                yield piece
        rest = Window(window.start, end)
        piece = cut(self._system, rest, waiting.values(), chain.evidence)
        outside = [row for row in waiting.values() if not self._is_in(row, rest)]
        yield replace(piece, order=self._order or None, outside=outside)

    def _sure(self, chain: Chain, left: Window, last: datetime, waiting: Mapping[str, Row]) -> Piece | None:
        """What is certainly whole of what is left: from after the last instant that was seen to its end."""
        edge = floor_ms(last) + MS if last < left.end else left.end
        if self._order != "newest_first" or not chain.is_joined or not left.start < edge < left.end:
            return None
        piece = cut(self._system, Window(edge, left.end), waiting.values(), CHAIN)
        return replace(piece, order=self._order)

    def incremental(self, since: Since, held: NewestHeld, *, edge: Edge) -> Iterator[Piece | Late]:
        """What is new since the last sync, its lookback once more, and what earlier syncs left out before.

        They leave something out where one ended before it came to the beginning: pieces come newest first.
        """
        # The listing shows what there is; the vendor's clock, which no answer has shown yet, may be ahead.
        windows = [Window(since.start, edge() + AHEAD), *since.gaps]
        for window in windows:
            yield from self.pieces(window, held=held)

    def compare(self, window: Window, held: Held) -> Comparison:
        """Where the vendor's rows of the window differ from those held; all of them are read for it."""
        return compared(self, window, held)

    def audit(self, window: Window, held: CountedHeld, *, places: Sequence[float] = ()) -> Comparison:  # noqa: ARG002
        """The same: nothing tells that the copy is equal but reading all."""
        return compared(self, window, held)

    def over(self, piece: Piece, edge: datetime) -> Window:
        """The piece's window, no further than now or its last row."""
        return over(piece, edge)

    def _is_in(self, row: Row, window: Window) -> bool:
        at = self._system.started_at(row)
        return at is None or at in window

    def _look(self, rows: list[Row], last: datetime) -> datetime:
        """Notes in which order the rows come; gives when the last of them began."""
        starts = [last, *(at for at in map(self._system.started_at, rows) if at is not None)]
        if any(one < two for one, two in pairwise(starts)):
            self._order = "none"
        elif not self._order and starts[-1] < starts[min(1, len(starts) - 1)]:
            self._order = "newest_first"
        return min(starts)

    def _place(self, window: Window, held: Held | None) -> int:
        """A place of which it is known that everything before it is newer than the window.

        The list is believed to come newest first if it does so at its beginning and at that place.
        """
        count = held.count(Window(window.end, _FAR)) if held is not None else 0
        size = self._system.listing.page_size
        place = max(0, count - size // 2)
        if place < size or not self._is_falling(head := self._pages.one(None).rows, window.end):
            return 0
        while place >= size:
            rows = self._pages.one(None, place).rows
            if self._is_falling([head[-1], *rows], window.end):
                return place
            place //= 2
        return 0

    def _is_falling(self, rows: Sequence[Row], end: datetime) -> bool:
        """Whether the rows come newest first, and do so from after that instant on."""
        starts = [at for at in map(self._system.started_at, rows) if at is not None]
        is_sorted = all(one >= two for one, two in pairwise(starts))
        return len(starts) == len(rows) > 1 and is_sorted and starts[0] > starts[-1] and starts[1] >= end
