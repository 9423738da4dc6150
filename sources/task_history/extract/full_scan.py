"""Windows of a list that the vendor does not filter by time: read from its beginning, and left as early as is safe.

Such lists mostly come newest first, but no vendor documents it: the answers have to show it. While every page so far
came newest first and joined the one before, a row that began before the window shows that all rows after it did too.
Otherwise the list is read to its end, and read again where its order changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from ..core.intervals import overlap
from ..core.log import log
from ..core.models import MS, Page, Row, Window, floor_ms
from ..systems.protocol import System
from ..warehouse.verified_days import Completeness
from .counted_window import Pages
from .evidence import CHAIN, PageLengths, unverified
from .listing import AHEAD, ComparedWindow, ListedWindow, NewestExecutions, VendorNow
from .lookback import LastSync
from .overlapping_pages import UNFOUND_ROWS, Chain
from .seen_order import MIN_ORDERED_ROWS, SeenOrder
from .unsorted_listing import MAX_READINGS, UnsortedListing, cut
from .window_comparison import StoredExecutions

_ROWS_PER_PIECE = 2_000
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


class FullScan(UnsortedListing):
    """Reads windows of a listing that the vendor does not filter by time."""

    _shown_until: datetime | None = None
    """When the first page of the newest window was read: what began later may not be on it."""

    def pieces(
        self,
        window: Window,
        *,
        in_columns: bool = False,  # noqa: ARG002 - its rows are compared one by one
        stored: StoredExecutions | None = None,
    ) -> Iterator[ListedWindow]:
        """The window in pieces, newest first.

        ``stored`` tells how many newer ones are known: where that many stand before the window, they are left out.
        """
        self._shown_until = None
        scan = _Scan(self.pages, self._lengths, self._order, [window])
        yield from scan.pieces(self._safe_start(window, stored))

    def incremental(
        self, since: LastSync, stored: NewestExecutions, *, edge: VendorNow
    ) -> Iterator[ListedWindow | ComparedWindow]:
        """What is new since the last sync, its lookback once more, and what earlier syncs left out before.

        Pieces come newest first, so that a sync which ended early left out older executions. Where the list is read to
        its end, one reading gives all of that, and other executions that are not stored, or stored as open.
        """
        # The listing shows what there is; the vendor's clock, which no answer has shown yet, may be ahead.
        newest = Window(since.start, edge() + AHEAD)
        older = [part for window in since.gaps if not (part := _before(window, newest)).is_empty]
        scan = _Scan(
            self.pages,
            self._lengths,
            self._order,
            [newest, *older],
            others=_Others(self.system, since.loaded, stored),
            edge=edge,
        )
        for piece in scan.pieces():
            self._shown_until = scan.shown_until
            yield piece
        for window in older if not scan.is_whole else ():
            yield from self.pieces(window, stored=stored)

    def elapsed_part(self, piece: ListedWindow, edge: datetime) -> Window:
        """The piece's window, no further than its last row or when the list's beginning was read."""
        return super().elapsed_part(piece, min(edge, self._shown_until or edge))

    def _safe_start(self, window: Window, stored: StoredExecutions | None) -> _EntryPage | None:
        """A page before which all rows are newer than the window; None where the list has to be read from its first page.

        The list counts as newest first if both that page and the first page are. The first page is requested second: it
        shows a row that was moved to the front until then, and later moves shift the positions of further pages.
        """
        count = stored.count(Window(window.end, _END_OF_TIME)) if stored is not None else 0
        size = self.system.listing.page_size
        position = max(0, count - size // 2)
        while position >= size:
            page, head = self.pages.one(None, position), self.pages.one(None).rows
            if not self._is_falling(head, window.end):
                return None
            if self._is_falling([head[-1], *page.rows], window.end):
                return _EntryPage(position, page, list(map(self.system.identity, head)))
            position //= 2
        return None

    def _is_falling(self, rows: Sequence[Row], end: datetime) -> bool:
        """Whether the rows come newest first, and the second of them did not begin before ``end``."""
        starts = [at for at in map(self.system.started_at, rows) if at is not None]
        falls = [one > two for one, two in pairwise(starts) if one != two]
        is_sorted = len(starts) == len(rows) > 1 and all(falls) and len(falls) >= MIN_ORDERED_ROWS // 2
        return is_sorted and starts[1] >= end


@dataclass(frozen=True, slots=True)
class _EntryPage:
    """A page inside the list at which a reading may begin."""

    offset: int
    page: Page
    first_ids: Sequence[str]
    """The ids of the list's first page, which was requested after this one."""


class _Others:
    """Rows of a list that began outside of the windows it is read for: those that are not stored, or stored as open."""

    def __init__(self, system: System, loaded: Window | None, stored: NewestExecutions) -> None:
        self._system = system
        self._loaded = loaded
        self._stored = stored
        self._unasked: dict[str, Row] = {}
        self._kept: dict[str, Row] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Takes those that began in what is loaded."""
        loaded = self._loaded
        if loaded is None:
            return
        for row in rows:
            start = self._system.started_at(row)
            if start is not None and start in loaded:
                self._unasked[self._system.identity(row)] = row
        if len(self._unasked) >= _ROWS_PER_PIECE:
            self._ask()

    def rows(self) -> list[Row]:
        """Those that are to be stored."""
        self._ask()
        return list(self._kept.values())

    def _ask(self) -> None:
        if self._unasked:
            starts = {key: self._system.started_at(row) for key, row in self._unasked.items()}
            self._kept |= {key: self._unasked[key] for key in self._stored.unsettled(starts)}
        self._unasked = {}


class _Scan:
    """Reads the list for some windows, the newest first, as often as it takes to verify them.

    ``others`` gets the rows that began in none of the windows.
    """

    def __init__(
        self,
        pages: Pages,
        lengths: PageLengths,
        order: SeenOrder,
        windows: Sequence[Window],
        *,
        others: _Others | None = None,
        edge: VendorNow | None = None,
    ) -> None:
        self._pages = pages
        self._system = pages.system
        self._lengths = lengths
        self._shared_order = order
        self._windows = windows
        self._others = others
        self._edge = edge
        self.shown_until: datetime | None = None
        """When the list's beginning was read."""
        self.is_whole = False
        """Whether the list was read to its end, so that all windows have a piece."""
        self._order = ""
        """newest_first, or none where rows came otherwise; empty while too few were seen to tell."""
        self._last = _END_OF_TIME
        """When the last of the rows that were read so far began, where they come newest first."""
        self._end = windows[0].end
        """The end of the part of the newest window that is in no piece yet."""
        self._waiting: dict[str, Row] = {}
        """Rows of the windows that are in no piece yet."""

    def pieces(self, entry: _EntryPage | None = None) -> Iterator[ListedWindow]:
        """The windows in pieces; only the newest where the list is left before its end.

        ``entry`` is where the first reading begins, None for the list's first page.
        """
        newest = self._windows[0]
        chain: Chain | None = None
        for reading in range(1, MAX_READINGS + 1):
            chain = Chain(
                self._pages,
                lengths=self._lengths,
                order=self._shared_order,
                window=None,
                offset=entry.offset if entry else 0,
                first=entry.page if entry else None,
                first_ids=entry.first_ids if entry else (),
                earlier=chain,
            )
            entry = None
            self._order, self._last = "", _END_OF_TIME
            yield from self._read(chain)
            yield from self._read_before(chain)
            if self._is_passed(chain):
                evidence = _evidence_of_newest(chain)
                if not evidence.is_verified and reading < MAX_READINGS:
                    continue
                yield self._piece(Window(newest.start, self._end), evidence)
                return
            evidence = chain.evidence
            if evidence.is_verified:
                break
            log.info("listing_moved", rows=len(chain.positions), reading=reading, reason=evidence.reason)
        self.is_whole = True
        yield self._piece(Window(newest.start, self._end), evidence)
        # Rows of which it is not known when they began are in the newest.
        rows = [row for row in self._waiting.values() if self._system.started_at(row) is not None]
        for window in self._windows[1:]:
            piece = cut(self._system, window, rows, evidence)
            yield replace(piece, order=self._order or None)

    def _read(self, chain: Chain) -> Iterator[ListedWindow]:
        """Reads the list as far as is needed, and gives what is certain of the newest window meanwhile."""
        newest, pages = self._windows[0], iter(chain)
        while True:
            try:
                rows = next(pages, None)
            except Exception:
                # Pages that came newest first and joined show all rows after their last instant.
                piece = self._complete_prefix(chain, Window(newest.start, self._end))
                if piece is not None:
                    yield piece
                raise
            if self.shown_until is None and self._edge is not None:
                self.shown_until = self._edge()
            if rows is None:
                return
            self._take(rows)
            if self._is_passed(chain):
                return
            if len(self._waiting) >= _ROWS_PER_PIECE and self._is_newest_first and chain.is_joined:
                yield from self._read_before(chain)
                piece = self._complete_prefix(chain, Window(newest.start, self._end))
                if piece is not None:
                    self._waiting = {
                        key: row for key, row in self._waiting.items() if not self._is_in(row, piece.window)
                    }
                    self._end = piece.window.start
                    yield piece

    def _read_before(self, chain: Chain) -> Iterator[ListedWindow]:
        """Reads what came before the rows that were read; gives what these are certain of where that fails."""
        try:
            for rows in chain.reread_beginning():
                self._keep(rows)
        except Exception:
            piece = self._complete_prefix(chain, Window(self._windows[0].start, self._end))
            if piece is not None:
                yield piece
            raise

    def _take(self, rows: list[Row]) -> None:
        """Keeps the rows of the windows, and notes in which order they come."""
        self._keep(rows)
        starts = [self._last, *(at for at in map(self._system.started_at, rows) if at is not None)]
        if any(one < two for one, two in pairwise(starts)):
            self._order = "none"
        elif not self._order and starts[-1] < starts[min(1, len(starts) - 1)]:
            self._order = "newest_first"
        self._last = min(starts)

    def _keep(self, rows: list[Row]) -> None:
        """Keeps the rows of the windows."""
        ours = [row for row in rows if any(self._is_in(row, window) for window in self._windows)]
        self._waiting |= {self._system.identity(row): row for row in ours}
        if self._others is not None and len(ours) < len(rows):
            taken = {self._system.identity(row) for row in ours}
            self._others.add(row for row in rows if self._system.identity(row) not in taken)

    @property
    def _is_newest_first(self) -> bool:
        return self._order == "newest_first" and self._shared_order.is_sorted

    def _is_passed(self, chain: Chain) -> bool:
        """Whether all that is still to come began before the newest window."""
        return self._is_newest_first and chain.is_joined and self._last < self._windows[0].start

    def _piece(self, window: Window, evidence: Completeness) -> ListedWindow:
        """What is left of the newest window, and what else the list showed."""
        piece = cut(self._system, window, self._waiting.values(), evidence)
        outside = [
            row
            for row in self._waiting.values()
            if self._is_in(row, self._windows[0]) and not self._is_in(row, window)
        ]
        outside += self._others.rows() if self._others is not None else []
        return replace(piece, order=self._order or None, outside=outside)

    def _complete_prefix(self, chain: Chain, left: Window) -> ListedWindow | None:
        """The part of ``left`` that is certainly complete: all after the instant of the last row that was read."""
        edge = floor_ms(self._last) + MS if self._last < left.end else left.end
        if not self._is_newest_first or not chain.is_joined or not left.start < edge < left.end:
            return None
        piece = cut(self._system, Window(edge, left.end), self._waiting.values(), _evidence_of_newest(chain))
        return replace(piece, order=self._order)

    def _is_in(self, row: Row, window: Window) -> bool:
        at = self._system.started_at(row)
        return at is None or at in window


def _evidence_of_newest(chain: Chain) -> Completeness:
    """The evidence of the newest rows of a list that comes newest first and is not read to its end."""
    return unverified(UNFOUND_ROWS) if chain.has_unread_rows else CHAIN


def _before(window: Window, other: Window) -> Window:
    """The part of the window before the other."""
    return overlap(window, Window(window.start, max(window.start, other.start)))
