"""The work of a sync: listing → settling → workflows → details.

The warehouse is asked between the phases; so whatever a phase found is committed before the next.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ..core.batch import END, Chunk
from ..core.errors import UnexpectedResponse
from ..core.models import MS, Selection, Window, floor_ms
from ..extract.compare import Comparison
from ..extract.incremental import AHEAD, Known, Late, recent
from ..extract.pages import described
from ..extract.sorted_listing import Piece
from . import phases as work
from .context import Context
from .syncing_parts import PartsSync

log = logging.getLogger("task_history")

_DEEP_EVERY = timedelta(hours=24)
_MARGIN = timedelta(days=1)
"""What passes the vendor's retention while it is counted must not look like a difference."""
_MOST_VANISHED = 200
_MOST_DOUBTED = 3
"""Days that one sync compares because an earlier one could not verify them."""


def sync_of(context: Context, *, cursor: datetime | None, rounds: int | None = None) -> Sync | PartsSync:
    """The work of a sync as the system's lists want it; ``cursor`` is where the last one got."""
    if context.system.listing.kind == "sorted":
        return Sync(context, cursor=cursor, rounds=rounds)
    return PartsSync(context, rounds=rounds)


class Sync:
    """Everything since the last sync, then what is open, then details. ``cursor`` is where the last one got."""

    def __init__(self, context: Context, *, cursor: datetime | None, rounds: int | None = None) -> None:
        self._context = context
        self._rounds = rounds
        span = context.book.span
        if cursor is not None and span is not None and span.end < cursor:
            cursor = span.end
        self._cursor = cursor if span is not None else None
        context.tally.cursor = cursor
        self._doubted = {day.start.date() for day in context.book.doubted}

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises whatever ends the run."""
        context = self._context
        yield from self._new_executions()
        yield END
        yield from work.settled(context, context.warehouse.open_executions(not_read_by=context.run_id))
        yield from work.workflows(context)
        yield from work.backlog(context, context.warehouse.within(self.selection), self._rounds)

    @property
    def selection(self) -> Selection:
        """Whose details it loads: what a backfill brought from before is the backfill's."""
        span = self._context.book.span
        return Selection(Window(span.start, self._context.edge() + AHEAD)) if span else Selection()

    def _new_executions(self) -> Iterator[Chunk]:
        context = self._context
        context.phase("listing")
        is_first = self._cursor is None
        known = self._known()
        for found in recent(context.listing, context.system, known, context.warehouse, edge=context.edge):
            if is_first and not context.tally.listed and _counts_and_gives_none(found):
                raise UnexpectedResponse(
                    f"The listing of {found.window} counts executions and gives none, twice. Nothing was loaded; "
                    "run the same command again."
                )
            if isinstance(found, Late):
                yield from self._came_late(found.comparison, found.window)
            else:
                yield self._listed(found)
        window = self._deep(known)
        if window is not None:
            yield from self._came_late(context.listing.compare(window, context.warehouse), window)
        yield from self._doubted_again()

    def _doubted_again(self) -> Iterator[Chunk]:
        """The days that an earlier sync could not verify, compared once more; a few of them."""
        context = self._context
        if not self._doubted:
            return
        # What was just read is held by then.
        yield END
        days = [
            day for day in context.book.doubted if day.start.date() in self._doubted and context.is_kept(day)
        ]
        for day in days[:_MOST_DOUBTED]:
            yield from self._came_late(context.listing.compare(day, context.warehouse), day)

    def _known(self) -> Known:
        context = self._context
        first = floor_ms(context.settings.start(context.started_at))
        if self._cursor is None:
            return Known(first, first, 0)
        newest = context.warehouse.newest_start()
        newest = min(self._cursor, floor_ms(newest) + MS) if newest is not None else self._cursor
        span = context.book.span
        start = max(newest - context.settings.lookback, self._unbroken_start(first) if span else first)
        # What the vendor has purged by now cannot be compared.
        start = min(start if context.horizon is None else max(start, context.horizon), newest)
        count = context.warehouse.count(Window(start, context.edge() + timedelta(days=3650)))
        return Known(start, newest, count)

    def _unbroken_start(self, otherwise: datetime) -> datetime:
        """From when on everything up to the cursor was loaded by syncs."""
        unbroken = self._context.book.unbroken
        return unbroken.start if unbroken else otherwise

    def _deep(self, known: Known) -> Window | None:
        """What is counted besides: once a day, with a sync that brought something, everything before the lookback."""
        context = self._context
        if (
            context.book.unbroken is None
            or not context.tally.executions
            or not context.listing.pages.has_counts
        ):
            return None
        start, horizon = self._unbroken_start(known.start), context.horizon
        window = Window(start if horizon is None else max(start, horizon + _MARGIN), known.start)
        if window.is_empty or context.book.checked_at(window.start) > context.now() - _DEEP_EVERY:
            return None
        return window

    def _listed(self, piece: Piece) -> Chunk:
        piece = self._without_lost(piece)
        self._cursor = self._context.tally.cursor = piece.window.end
        return work.listed(self._context, piece)

    def _without_lost(self, piece: Piece) -> Piece:
        """The piece without the time of which the vendor purged everything before it could be read.

        Only a first piece that reaches back beyond the retention has such a time; there the vendor shows
        nothing, or only what it keeps for longer than it says.
        """
        context = self._context
        horizon = context.horizon
        if self._cursor is None or horizon is None or piece.window.start >= horizon:
            return piece
        span = piece.span(context.system)
        end = min([*(span or ()), horizon, piece.window.end])
        lost = Window(max(piece.window.start, self._cursor), end)
        if lost.is_empty:
            return piece
        context.tally.lost = lost if context.tally.lost is None else Window(context.tally.lost.start, end)
        log.warning(
            "lost_for_good window=%s because=%r",
            described(context.tally.lost),
            "the vendor purged it before this sync",
        )
        return replace(piece, window=Window(end, piece.window.end))

    def _came_late(self, comparison: Comparison, window: Window) -> Iterator[Chunk]:
        """Executions behind the cursor: those that became visible late, and those that are listed no more."""
        vanished = comparison.vanished[:_MOST_VANISHED]
        is_verified = comparison.is_verified and len(vanished) == len(comparison.vanished)
        yield work.late(self._context, comparison.fresh, window, is_verified=is_verified)
        yield from self._context.settling.read(vanished)


def _counts_and_gives_none(found: Piece | Late) -> bool:
    return isinstance(found, Piece) and not found.size and not found.is_verified
