"""Listings that are filtered by time and come in an undocumented order: windows whose pages are seen to join.

Where the order changes from request to request, a window is read in parts that fit on one page each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ..core.errors import Rejected
from ..core.intervals import halves, is_ascending
from ..core.log import log
from ..core.models import MS, Row, Window, floor_ms
from ..systems.protocol import System
from ..warehouse.verified_days import Completeness
from .counted_window import Pages, described
from .evidence import COUNT, PageLengths
from .listed_rows import Rows
from .listing import (
    ROWS_PER_PIECE,
    ComparedWindow,
    ListedWindow,
    NewestExecutions,
    VendorNow,
    compared_whole,
)
from .lookback import LastSync
from .overlapping_pages import COUNT_FELL, FEW_SHARED, Chain
from .rows_outside import around, log_outside
from .seen_order import SeenOrder
from .window_comparison import Comparison, CountedExecutions, StoredExecutions
from .window_piece_size import refused_depth

_MAX_PIECE_FACTOR = 6
"""Times what a piece should hold."""
_FILTER_OVERLAP = timedelta(seconds=1)
"""How far beyond a window a vendor's filter may reach."""
_READINGS, MAX_READINGS = 2, 4
"""How often a window is read before it is cut in two, and at most."""


class UnsortedListing:
    """Reads windows of a listing that is filtered by time and comes in any order."""

    rest_rows: int | None = None

    def __init__(
        self,
        pages: Pages,
        *,
        lengths: PageLengths,
        order: SeenOrder,
        rows_per_piece: int = ROWS_PER_PIECE,
    ) -> None:
        self.system = pages.system
        self._rows_per_piece = rows_per_piece
        self.pages = pages
        self._lengths = lengths
        self._order = order
        self._starts_seen: set[datetime] = set()
        """When rows began that were read in a window which was cut into smaller ones then."""

    def pieces(
        self,
        window: Window,
        *,
        in_columns: bool = False,  # noqa: ARG002 - its rows are compared one by one
        stored: StoredExecutions | None = None,  # noqa: ARG002 - the vendor filters by time
    ) -> Iterator[ListedWindow]:
        """The window in pieces, oldest first."""
        left = [window]
        while left:
            yield from self._piece_or_parts(left, left.pop())

    def incremental(
        self,
        since: LastSync,
        stored: NewestExecutions,  # noqa: ARG002 - the vendor filters by time
        *,
        edge: VendorNow,
    ) -> Iterator[ListedWindow | ComparedWindow]:
        """What is new since the last sync, and its lookback once more.

        The list is asked for from the newest execution on that is stored: as long as it shows that one, it is no list
        that came empty by mistake.
        """
        window = Window(since.start, edge())
        if window.is_empty:
            return
        left: list[Window] = []
        yield from self._piece_or_parts(left, window, asked_from=since.newest)
        while left:
            yield from self._piece_or_parts(left, left.pop())

    def _piece_or_parts(
        self, left: list[Window], window: Window, *, asked_from: datetime | None = None
    ) -> Iterator[ListedWindow]:
        """Reads the window as one piece, or appends the smaller windows to read instead to ``left``."""
        outcome = self._read(
            window, window if asked_from is None else Window(min(asked_from, window.start), window.end)
        )
        if isinstance(outcome, ListedWindow):
            yield outcome
        else:
            left += reversed(outcome)

    def compare(self, window: Window, stored: StoredExecutions) -> Comparison:
        """Where the vendor's rows of the window differ from those stored; all of them are read for it."""
        return compared_whole(self, window, stored)

    def audit(
        self,
        window: Window,
        stored: CountedExecutions,
        *,
        positions: Sequence[float] = (),  # noqa: ARG002 - nothing tells that the copy is equal but reading all
    ) -> Comparison:
        """Where the vendor's rows of the window differ from those stored, as a sorted listing compares them."""
        return self.compare(window, stored)

    def elapsed_part(self, piece: ListedWindow, edge: datetime) -> Window:
        """The piece's window, ended at the edge, or after the last row that the vendor's clock lets lie beyond."""
        window, span = piece.window, piece.rows.span
        last = floor_ms(span[1]) + MS if span else window.start
        return Window(window.start, min(window.end, max(last, edge, window.start)))

    def _read(self, window: Window, asked: Window) -> ListedWindow | list[Window]:
        """The whole window, or the smaller ones that are to be read instead; ``asked`` is asked for, which holds it."""
        rows: dict[str, Row] = {}
        chain: Chain | None = None
        smaller: Sequence[Window] = ()
        for reading in range(1, MAX_READINGS + 1):
            chain = Chain(
                self.pages,
                lengths=self._lengths,
                order=self._order,
                window=asked,
                earlier=chain,
                expected=sum(start in asked for start in self._starts_seen),
            )
            try:
                for page in itertools.chain(chain, chain.reread_beginning()):
                    rows |= {self.system.identity(row): row for row in page}
                    if smaller := self._smaller(window, asked, chain, page):
                        return self._cut_into(smaller, rows)
            except Rejected as error:
                smaller = self._halves(window, asked, rows.values())
                if not smaller or not refused_depth(error, chain.asked):
                    raise
                return self._cut_into(smaller, rows)
            evidence = chain.evidence
            if evidence.is_verified:
                break
            log.info(
                "listing_moved",
                window=described(window),
                rows=len(rows),
                reading=reading,
                reason=evidence.reason,
            )
            # Where one page shows all rows, halves show no others: a count that differs does so in them, too. Nor does
            # halving help where the count fell. There, and where too few rows came twice, a third reading may tell more.
            is_one_page = chain.reached_end and len(rows) <= chain.first_size
            is_halving_useless = is_one_page or evidence.reason == COUNT_FELL
            if reading < _READINGS:
                continue
            smaller = () if is_halving_useless else self._halves(window, asked, rows.values())
            if smaller or (is_halving_useless and evidence.reason not in (FEW_SHARED, COUNT_FELL)):
                break
        if smaller:
            return self._cut_into(smaller, rows)
        self._starts_seen = {start for start in self._starts_seen if start not in window}
        piece = cut(self.system, window, rows.values(), evidence)
        outside = self._outside(window, asked, rows.values())
        return replace(piece, total=len(piece.rows) if evidence == COUNT else None, outside=outside)

    def _cut_into(self, smaller: Sequence[Window], rows: Mapping[str, Row]) -> list[Window]:
        """The smaller windows; notes when rows began that were read: a window that had some may not come empty."""
        starts = (self.system.started_at(row) for row in rows.values())
        self._starts_seen |= {start for start in starts if start is not None}
        return list(smaller)

    def _outside(self, window: Window, asked: Window, rows: Collection[Row]) -> list[Row]:
        """What became visible late before the window, and rows that do not belong into its answer."""
        late: list[Row] = []
        odd: list[Row] = []
        for row in rows:
            start = self.system.started_at(row)
            if start is None or start in around(window):
                continue
            if asked.start + MS <= start < window.start:
                late.append(row)
            elif start not in around(asked):
                odd.append(row)
        # Where the vendor does not filter by time, most rows lie outside.
        if not odd or len(odd) > len(rows) // 2:
            return late
        log_outside(self.system, window, odd)
        return [*late, *odd]

    def _smaller(self, window: Window, asked: Window, chain: Chain, page: list[Row]) -> Sequence[Window]:
        """The smaller windows to read instead, judged after a page; empty where reading goes on, or has ended."""
        if chain.reached_end:
            return ()
        if len(chain.positions) == len(page) and (parts := self._parts(window, page)):
            return parts
        is_large = len(chain.positions) > _MAX_PIECE_FACTOR * self._rows_per_piece
        # In an order that changes, only what one page holds is known to be all. One that is shorter than others may be.
        is_short = len(chain.positions) <= chain.first_size and self._lengths.note(chain.first_size)
        is_torn = not chain.reached_end and self._order.is_unstable and not is_short
        return self._halves(window, asked, page) if is_large or is_torn else ()

    def _halves(self, window: Window, asked: Window, rows: Iterable[Row]) -> Sequence[Window]:
        """The window cut in two; none where that shows no fewer rows, since the vendor does not filter by time."""
        filtered = Window(asked.start - _FILTER_OVERLAP, asked.end + _FILTER_OVERLAP)
        is_filtered = all(
            start in filtered for row in rows if (start := self.system.started_at(row)) is not None
        )
        return (halves(window) or ()) if is_filtered else ()

    def _parts(self, window: Window, rows: list[Row]) -> list[Window]:
        """The window in parts of about a piece, where its first page shows that it holds far more."""
        starts = [at for at in map(self.system.started_at, rows) if at is not None]
        if len(rows) < self.system.listing.page_size or len(starts) < 2:
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


def cut(system: System, window: Window, rows: Iterable[Row], evidence: Completeness) -> ListedWindow:
    """The rows that began in the window, as a piece."""
    return ListedWindow(window, Rows.of(system, rows).within(system, window), None, evidence)
