"""What is new since the last sync, in as few requests as possible, also where executions became visible late.

Asked is for the executions since ``lookback`` before the newest one that is held, beginning at the
last position that is held. If the page begins with an execution that is held and everything after it
is new, then the vendor has as many old ones as the warehouse: the lookback is compared and the new ones
are read, with one request. Only otherwise are they compared and read apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..core.errors import Rejected
from ..core.models import MS, Page, Row, Window, floor_ms
from ..systems.protocol import System
from .compare import Held
from .evidence import evidence_for_total, is_all
from .listed_rows import Rows
from .listing import AHEAD, Edge, Late, NewestHeld, Piece, Since
from .pages import after, is_sorted, refused_depth, sure

if TYPE_CHECKING:
    from .sorted_listing import SortedListing

_FAR = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Known:
    """What the warehouse holds of the time that is looked at again."""

    start: datetime
    """Where the first sync began, or the lookback reaches."""
    newest: datetime
    """After the newest execution that is held, or the cursor, whichever is earlier."""
    count: int
    """Executions that are held since ``start``."""

    @classmethod
    def since(cls, since: Since, held: NewestHeld, *, edge: Edge) -> Known:
        """What is held of the time since the last sync, and of its lookback."""
        if since.loaded is None:
            return cls(since.first, since.first, 0)
        end = held.newest_start()
        newest = since.loaded.end if end is None else min(since.loaded.end, floor_ms(end) + MS)
        start = max(newest - since.lookback, since.loaded.start)
        # What the vendor has purged by now cannot be compared.
        start = min(start if since.horizon is None else max(start, since.horizon), newest)
        return cls(start, newest, held.count(Window(start, edge() + _FAR)))


def recent(
    listing: SortedListing, system: System, known: Known, held: Held, *, edge: Edge
) -> Iterator[Late | Piece]:
    """What is late, if anything, then what is new up to the edge, oldest first.

    The last piece ends at the edge, or after the last row that lies beyond it.
    """
    ahead = Window(known.start, edge() + AHEAD)
    offset = max(0, known.count - 1)
    try:
        page: Page | None = listing.pages.one(ahead, offset)
    except Rejected as error:
        if not refused_depth(error, offset):
            raise
        page = None
    end = edge()
    # Which of the rows without an id are new cannot be seen.
    if page is not None and not page.rejected and is_sorted(system, page.rows):
        fresh = _after_held(system, page.rows, known, held)
        if fresh is not None:
            yield from _new(listing, system, known, page, offset, fresh, end)
            return
    if known.newest > known.start:
        window = Window(known.start, known.newest)
        yield Late(listing.compare(window, held), window)
    yield from _listed(listing, Window(known.newest, end), is_oldest=not known.count)


def _after_held(system: System, rows: Sequence[Row], known: Known, held: Held) -> Sequence[Row] | None:
    """The rows after the one that is held, where that is exactly one; None where old rows differ."""
    old = rows[:1] if known.count else []
    fresh = rows[len(old) :]
    if known.count and not old:
        return None
    for row in old:
        at = system.started_at(row)
        if at is None or not known.start <= at < known.newest:
            return None
        if system.identity(row) not in held.ids(Window(at, at + MS)):
            return None
    starts = [system.started_at(row) for row in fresh]
    return fresh if all(at is not None and at >= known.newest for at in starts) else None


def _new(
    listing: SortedListing,
    system: System,
    known: Known,
    page: Page,
    offset: int,
    fresh: Sequence[Row],
    end: datetime,
) -> Iterator[Piece]:
    """The new rows, of which the first are at hand."""
    old = len(page.rows) - len(fresh)
    # A count that ends with a page that says that more follows is none.
    is_counted = page.total is not None and not (page.more and page.total <= offset + len(page.rows))
    count = max(0, (page.total or 0) - offset - old) if is_counted else None
    starts = [at for row in fresh if (at := system.started_at(row)) is not None]
    is_end = not fresh and count is None and not page.more
    if is_end or is_all(
        Page(page.rows, None if count is None else count + old, page.more), system.listing.page_size
    ):
        last = max([end, *(at + MS for at in starts)])
        yield Piece(Window(known.newest, last), Rows.of(system, fresh), count, evidence_for_total(count))
        return
    # Rows that all began at once do not tell whether the oldest come first.
    is_ascending = len(set(map(system.started_at, page.rows))) > 1
    if not is_ascending or max(starts, default=end) >= end:
        yield from _listed(listing, Window(known.newest, end), is_oldest=not known.count)
        return
    # One answer shows all until its last instant, of which more may follow.
    rows, last = sure(system, fresh, known.newest)
    if last > known.newest:
        number = None if count is None else len(rows)
        yield Piece(Window(known.newest, last), Rows.of(system, rows), number, evidence_for_total(number))
    read = len(rows)
    for piece in listing.pieces(Window(last, end), is_oldest=not known.count, in_columns=True):
        read += len(piece.rows)
        yield piece
    if count is None or read < count:
        yield from _beyond(listing, end)


def _listed(listing: SortedListing, window: Window, *, is_oldest: bool) -> Iterator[Piece]:
    yield from listing.pieces(window, is_oldest=is_oldest, in_columns=True)
    yield from _beyond(listing, window.end)


def _beyond(listing: SortedListing, end: datetime) -> Iterator[Piece]:
    """Executions that began after now, as the clocks have it; a window ends with its last row."""
    for piece in listing.pieces(Window(end, end + AHEAD), is_oldest=False):
        if piece.rows:
            last = after(listing.system, piece.rows, end)
            yield Piece(Window(piece.window.start, last), piece.rows, piece.total, piece.evidence)
