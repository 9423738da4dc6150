"""The work of a sync: listing → statistics → settling → workflows → details.

The warehouse is asked between the phases; so what a phase brought is committed before the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ..core.batch import FLUSH, Chunk
from ..core.errors import TaskHistoryError, UnexpectedResponse
from ..core.log import log
from ..core.models import Selection, Window
from ..extract.listing import AHEAD, HeldAndRejected, Late, NewestHeld, Piece, Since
from ..extract.pages import described
from . import phases
from .context import RETENTION_MARGIN, Context, Partition
from .partitions import Event, Partitions
from .statistics import load_statistics

_COMPARED_EVERY = timedelta(hours=24)
_MAX_UNVERIFIED_DAYS = 3
"""Days that one sync compares because an earlier one could not verify them."""


class Sync:
    """Lists everything new, partition by partition, then settles open executions, then loads details.

    ``cursor`` is where the last sync got, as dlt's state has it; ``rounds`` is how often the backlog of details is
    asked for, see ``phases.details``.
    """

    def __init__(
        self, context: Context, *, cursor: datetime | None = None, rounds: int | None = None
    ) -> None:
        self._context = context
        self._rounds = rounds
        self._cursor = cursor
        self._accounts = [Partitions(listing) for listing in context.all]
        self._failed: list[TaskHistoryError] = []
        """What is raised once everything else is done."""
        context.tally.cursor = cursor

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises what ends the run."""
        context = self._context
        for listing, partitions in zip(context.all, self._accounts, strict=True):
            yield from partitions.workflows()
            yield from self._new(listing, partitions)
        yield self._at_cursor(Chunk())
        try:
            yield from load_statistics(context)
        except UnexpectedResponse as error:
            # Statistics stand beside the executions: these come all the same.
            log.warning("statistics_unreadable", reason=str(error))
            self._failed.append(error)
        yield FLUSH
        for listing, partitions in zip(context.all, self._accounts, strict=True):
            yield from phases.settled(listing, partitions.readable, partitions.vanished)
        yield from phases.workflows(context)
        yield from phases.details(context.all, self.selection, self._rounds)
        for partitions in self._accounts:
            self._failed += partitions.failed.values()
        for failure in self._failed:
            raise failure

    @property
    def selection(self) -> Selection:
        """The executions whose details the sync loads: those it lists, not those of backfills."""
        coverages = [partition.coverage for partitions in self._accounts for partition in partitions]
        starts = [span.start for coverage in coverages if (span := coverage.span)]
        return Selection(Window(min(starts), self._context.edge() + AHEAD)) if starts else Selection()

    def _new(self, context: Context, partitions: Partitions) -> Iterator[Chunk]:
        """What is new in each partition."""
        since = {partition.name: self._since(context, partition) for partition in partitions}
        again = [
            Window(each.start, each.loaded.end)
            for name, each in since.items()
            if each.loaded is not None and not context.system.listing.is_countable
        ]
        lookback = Window(min(again).start, max(each.end for each in again)) if again else None
        for chunk in partitions.chunks(
            lambda partition: self._events(context, partition, since[partition.name]), lookback=lookback
        ):
            yield self._at_cursor(chunk) if self._has_one_cursor and not chunk.is_end else chunk

    def _since(self, context: Context, partition: Partition) -> Since:
        """What earlier syncs loaded of the partition."""
        first, horizon, loaded = context.first_start, context.horizon, partition.coverage.unbroken
        if self._has_one_cursor and loaded is not None:
            loaded = None if self._cursor is None else Window(loaded.start, min(loaded.end, self._cursor))
        if loaded is None:
            return Since(first, None, (), context.settings.lookback, horizon, None)
        compare_from = max(loaded.start, horizon + RETENTION_MARGIN) if horizon else loaded.start
        is_due = compare_from < loaded.end and (
            partition.coverage.checked_at(compare_from) <= context.now() - _COMPARED_EVERY
        )
        return Since(
            first,
            loaded,
            partition.coverage.gaps(Window(first, loaded.start)) if first < loaded.start else (),
            context.settings.lookback,
            horizon,
            compare_from if is_due else None,
        )

    def _events(self, context: Context, partition: Partition, since: Since) -> Iterator[Event]:
        """What is new and late in one partition, then the days that an earlier sync could not verify."""
        coverage, listing = partition.coverage, context.system.listing
        unverified = {day.start.date() for day in self._unverified(context, partition, since)}
        if since.loaded is not None and not listing.is_countable:
            self._note_lost(Window(since.loaded.end, since.start))
        held = context.warehouse.within(Selection(None, partition.filters))
        # The vendor counts rejected rows too.
        counted = partition.counted_rejected
        known: NewestHeld = HeldAndRejected(held, counted) if counted else held
        for event in partition.reader.incremental(since, known, edge=context.edge):
            if isinstance(event, Late):
                yield replace(event, counts_rejected=bool(counted))
            else:
                yield self._without_lost(context, event, since)
        short = partition.reader.pages.take_short()
        if not unverified and not short:
            return
        # What was just read is stored by then.
        yield FLUSH
        for window in short:
            start = max(window.start, context.horizon + RETENTION_MARGIN) if context.horizon else window.start
            if start < window.end:
                kept = Window(start, window.end)
                yield Late(partition.reader.compare(kept, held), kept)
        days = [day for day in coverage.doubtful_windows(since.start) if day.start.date() in unverified]
        for window in phases.readings(listing, days)[:_MAX_UNVERIFIED_DAYS]:
            yield Late(partition.reader.compare(window, held), window)

    def _unverified(self, context: Context, partition: Partition, since: Since) -> list[Window]:
        """The days to compare again: those that can still be, and where that takes reading all of them, once a day.

        Of days that lack nothing but rejected rows, which are kept, only the lookback is.
        """
        coverage, is_countable = partition.coverage, context.system.listing.is_countable
        due = context.now() - _COMPARED_EVERY
        return [
            day
            for day in coverage.doubtful_windows(since.start)
            if context.is_kept(day) and (is_countable or coverage.checked_at(day.start) <= due)
        ]

    def _without_lost(self, context: Context, piece: Piece, since: Since) -> Piece:
        """The piece without the time of which the vendor purged everything before it could be read.

        Only a first piece that reaches back beyond the retention has such a time; there the vendor shows
        nothing, or only what it keeps for longer than it says.
        """
        horizon, loaded = context.horizon, since.loaded
        if loaded is None or horizon is None or piece.window.start >= horizon:
            return piece
        span = piece.rows.span
        end = min([*(span or ()), horizon, piece.window.end])
        lost = Window(max(piece.window.start, loaded.end), end)
        self._note_lost(lost)
        return piece if lost.is_empty else replace(piece, window=Window(end, piece.window.end))

    def _note_lost(self, window: Window) -> None:
        if window.is_empty:
            return
        tally = self._context.tally
        if tally.lost is None:
            log.warning(
                "lost_for_good", window=described(window), reason="the vendor purged it before this sync"
            )
        lost = tally.lost or window
        tally.lost = Window(min(lost.start, window.start), max(lost.end, window.end))

    @property
    def _has_one_cursor(self) -> bool:
        """Whether the account has one partition, whose pieces come oldest first: then each of them moves the cursor."""
        listing = self._context.system.listing
        return not self._context.companions and not listing.partitioned_by and listing.is_oldest_first

    def _at_cursor(self, chunk: Chunk) -> Chunk:
        """The chunk, with the instant up to which all partitions are loaded that could be read."""
        ends = [
            loaded.end
            for partitions in self._accounts
            for partition in partitions
            if partition.name not in partitions.refused and (loaded := partition.coverage.unbroken)
        ]
        self._context.tally.cursor = min(ends, default=self._context.tally.cursor)
        return replace(chunk, cursor=self._context.tally.cursor)
