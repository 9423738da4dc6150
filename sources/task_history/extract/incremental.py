"""What is new since the last sync, in as few requests as possible, also where executions became visible late.

One request asks for the executions since ``lookback`` before the newest stored one, from the last two stored
positions on. If the page begins with two stored executions and everything after them is new, then the vendor has as
many old ones as the warehouse: the lookback is compared and the new ones are read, with one request. Otherwise the
lookback is compared and the new ones are read apart. That is also done where the two stored executions began at the same
instant: nothing tells then whether the list comes oldest first, and a list that comes newest first ends with old ones,
however many new ones there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..core.errors import Rejected, UnexpectedResponse
from ..core.log import log
from ..core.models import MS, Page, Row, Window, iso_ms
from ..systems.protocol import System
from ..warehouse.verified_days import Completeness
from .counted_window import after, complete_prefix, described, is_sorted
from .evidence import CHAIN, COUNT, count_of, of_nothing, unverified
from .listed_rows import Rows
from .listing import AHEAD, ComparedWindow, ListedWindow, NewestExecutions, VendorNow
from .lookback import LastSync, StoredSpan
from .window_comparison import Comparison, StoredExecutions
from .window_piece_size import refused_depth

if TYPE_CHECKING:
    from .sorted_listing import SortedListing

_REPEATED = 2
"""Stored executions that the first page shows again: two show whether the oldest come first."""


def incremental(
    listing: SortedListing, system: System, since: LastSync, stored: NewestExecutions, *, edge: VendorNow
) -> Iterator[ComparedWindow | ListedWindow]:
    """What is new or late since the last sync; where that is due, everything before the lookback is counted."""
    known = StoredSpan.since(since, stored, edge=edge)
    outside = listing.pages.outside
    brought = 0
    for event in recent(listing, system, known, stored, edge=edge):
        size = len(event.comparison.fresh) if isinstance(event, ComparedWindow) else len(event.rows)
        if since.loaded is None and not brought and isinstance(event, ListedWindow) and not size:
            _check_account(listing, system, event)
        brought += size
        if isinstance(event, ComparedWindow):
            event.comparison.fresh += outside.take()
            yield event
        else:
            yield replace(event, outside=[*event.outside, *outside.take()])
    if since.compare_from is not None and brought and listing.pages.has_counts:
        window = Window(since.compare_from, known.start)
        if not window.is_empty:
            yield ComparedWindow(listing.compare(window, stored), window)
    left_over = list(outside.take())
    if left_over:
        yield ComparedWindow(Comparison(fresh=left_over), Window(known.newest, known.newest))


def _check_account(listing: SortedListing, system: System, first: ListedWindow) -> None:
    """Looks at the whole account, where the first window of a first sync shows no execution.

    Raises:
        UnexpectedResponse: the window may have executions, so that these answers must not be loaded.
    """
    evidence = first.completeness
    rows = listing.pages.one(None).rows if evidence.is_verified else []
    starts = [start for start in map(system.started_at, rows) if start is not None]
    if any(start in first.window for start in starts):
        evidence = unverified("the list of all times shows some")
    if not evidence.is_verified:
        raise UnexpectedResponse(
            f"The listing of {first.window} gives no execution, twice, and may have some: {evidence.reason}. "
            "Nothing was loaded; run the same command again."
        )
    if rows:
        log.warning(
            "no_executions_in_window",
            window=described(first.window),
            oldest=iso_ms(min(starts)) if starts else None,
            reason="the account has executions of other times",
            hint="check start_date",
        )


def recent(
    listing: SortedListing, system: System, known: StoredSpan, stored: StoredExecutions, *, edge: VendorNow
) -> Iterator[ComparedWindow | ListedWindow]:
    """What is late, if anything, then what is new up to the edge, oldest first.

    The last piece ends at the edge, or after the last row that lies beyond it.
    """
    ahead = Window(known.start, edge() + AHEAD)
    offset = max(0, known.count - _REPEATED)
    try:
        page: Page | None = listing.pages.one(ahead, offset)
        if page is not None and not page.size:
            # One empty answer is no evidence.
            page = listing.pages.one(ahead, offset)
    except Rejected as error:
        if not refused_depth(error, offset):
            raise
        page = None
    end = edge()
    # Which of the rows without an id are new cannot be seen.
    if page is not None and not page.rejected and not page.outside and is_sorted(system, page.rows):
        fresh = _after_stored(system, page.rows, known, stored)
        if fresh is not None and not (known.may_expire and _has_expired(listing, known, stored, ahead)):
            yield from _new(listing, system, known, page, offset, fresh, end, ahead)
            return
    if known.newest > known.start:
        window = Window(known.start, known.newest)
        yield ComparedWindow(listing.compare(window, stored), window)
    shows_none = page is not None and not page.size and known.count > 0
    if shows_none:
        log.warning("listing_shows_none", window=described(ahead), stored=known.count)
    for piece in _listed(listing, Window(known.newest, end), is_oldest=not known.count):
        if shows_none and not piece.rows:
            reason = f"the vendor shows none of {known.count:,} executions that are stored of the time before"
            piece = replace(piece, completeness=unverified(reason))  # noqa: PLW2901 - the same rows
        yield piece


def _after_stored(
    system: System, rows: Sequence[Row], known: StoredSpan, stored: StoredExecutions
) -> Sequence[Row] | None:
    """The rows after those that are stored, where the page shows just these again; None where old rows differ."""
    repeated = min(known.count, _REPEATED)
    old, fresh = rows[:repeated], rows[repeated:]
    if len(old) < repeated:
        return None
    for row in old:
        at = system.started_at(row)
        if at is None or not known.start <= at < known.newest:
            return None
        if system.identity(row) not in stored.ids(Window(at, at + MS)):
            return None
    starts = [system.started_at(row) for row in fresh]
    return fresh if all(at is not None and at >= known.newest for at in starts) else None


def _has_expired(listing: SortedListing, known: StoredSpan, stored: StoredExecutions, ahead: Window) -> bool:
    """Whether the vendor's oldest executions are not those that are stored: as many may be late as were purged."""
    if known.count <= 1:
        return False
    rows, system = listing.pages.one(ahead).rows, listing.system
    # Rows of the last instant may continue on the next page, in any order.
    last = after(system, rows, known.start + MS) - MS
    shown = {
        system.identity(row)
        for row in rows
        if (at := system.started_at(row)) is None or known.start <= at < last
    }
    return shown != stored.ids(Window(known.start, last))


def _tells_order(system: System, head: Page, rows: Sequence[Row], known: StoredSpan) -> bool:
    """Whether the first page shows that the list comes oldest first, or that all of it is known already.

    It comes oldest first where the first page begins before rows that stand further back.
    """
    starts = [system.started_at(row) for row in head.rows]
    if len(starts) == head.total and all(at is not None and at < known.newest for at in starts):
        return True
    first = system.started_at(rows[0])
    return bool(starts) and starts[0] is not None and first is not None and starts[0] < first


def _new(
    listing: SortedListing,
    system: System,
    known: StoredSpan,
    page: Page,
    offset: int,
    fresh: Sequence[Row],
    end: datetime,
    ahead: Window,
) -> Iterator[ListedWindow]:
    """The new rows, of which the first are at hand."""
    old = len(page.rows) - len(fresh)
    total = count_of(page, offset)
    count = None if total is None else max(0, total - offset - old)
    starts = [at for row in fresh if (at := system.started_at(row)) is not None]
    # Rows that all began at once do not tell whether the oldest come first.
    is_ascending = len(set(map(system.started_at, page.rows))) > 1
    if not is_ascending and offset and page.rows:
        is_ascending = _tells_order(system, listing.pages.one(ahead), page.rows, known)
    tells_end = is_ascending or not offset
    evidence: Completeness | None = None
    if not page.size:
        evidence = of_nothing(page)
    elif tells_end and count == len({system.identity(row) for row in fresh}):
        evidence = COUNT
    elif tells_end and count is None and not fresh and not page.more:
        # The page holds the rows that it was to repeat, and nothing else.
        evidence = CHAIN
    if evidence is not None:
        last = max([end, *(at + MS for at in starts)])
        yield ListedWindow(Window(known.newest, last), Rows.of(system, fresh), count, evidence)
        return
    if not is_ascending or max(starts, default=end) >= end:
        yield from _listed(listing, Window(known.newest, end), is_oldest=not known.count)
        return
    # One answer shows all until its last instant, of which more may follow.
    rows, last = complete_prefix(system, fresh, known.newest)
    if last > known.newest:
        number = None if count is None else len(rows)
        yield ListedWindow(
            Window(known.newest, last), Rows.of(system, rows), number, CHAIN if count is None else COUNT
        )
    read = len(rows)
    for piece in listing.pieces(Window(last, end), is_oldest=not known.count, in_columns=True):
        read += len(piece.rows)
        yield piece
    if count is None or read < count:
        yield from _beyond(listing, end)


def _listed(listing: SortedListing, window: Window, *, is_oldest: bool) -> Iterator[ListedWindow]:
    yield from listing.pieces(window, is_oldest=is_oldest, in_columns=True)
    yield from _beyond(listing, window.end)


def _beyond(listing: SortedListing, end: datetime) -> Iterator[ListedWindow]:
    """Executions that began after now, as the clocks have it; a window ends with its last row."""
    window = Window(end, end + AHEAD)
    head = listing.pages.one(window)
    for piece in listing.pieces(window, head=head, is_oldest=False) if head.size else ():
        if piece.rows:
            last = after(listing.system, piece.rows, end)
            yield replace(piece, window=Window(piece.window.start, last))
