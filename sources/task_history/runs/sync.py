"""The work of a sync: new executions → statistics → open executions → workflows → details.

All rows up to the statistics are committed before the rest, which queries the warehouse for open executions and for
workflows and details that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ..core.batch import FLUSH, Chunk
from ..core.errors import TaskHistoryError, UnexpectedResponse
from ..core.log import log
from ..core.models import Selection, Window
from ..extract.counted_window import described
from ..extract.listing import (
    AHEAD,
    ComparedWindow,
    ListedWindow,
    NewestExecutions,
    StoredAndRejected,
)
from ..extract.lookback import LastSync, earliest_start
from ..warehouse.coverage import midnight
from ..warehouse.keep_days import KeptSince
from ..warehouse.queries import Warehouse
from . import common_phases
from .context import RETENTION_MARGIN, Context, Partition
from .listing_partitions import Event, Partitions
from .statistics import VendorStatistics

_COMPARISON_INTERVAL = timedelta(hours=24)
"""Time after which a day is compared again where that takes reading it whole."""
_CLOCK_DIFFERENCE = timedelta(days=30)
_MAX_LOOKBACK_ROWS = 50_000
"""Maximum executions that are read to answer questions about them without a query for each."""
_MAX_UNVERIFIED_DAYS = 3
"""Days that one sync compares because an earlier one could not verify them."""


class Sync:
    """Lists the new executions of each partition, loads statistics, settles open executions, then loads details.

    ``cursor`` is the cursor in dlt's state, None before the first sync; ``rounds`` is how often the backlog of details
    is queried, see ``common_phases.load_details``. ``delete_old_rows`` deletes what began before the instants that it is
    given, and returns the number of rows by table; with None nothing is deleted.
    """

    def __init__(
        self,
        context: Context,
        *,
        cursor: datetime | None = None,
        rounds: int | None = None,
        delete_old_rows: Callable[[KeptSince], dict[str, int]] | None = None,
    ) -> None:
        self._context = context
        self._delete_old_rows = delete_old_rows
        self._rounds = rounds
        self._cursor = cursor
        self._accounts = [Partitions(listing) for listing in context.all]
        self._statistics = VendorStatistics(context)
        self._failed: list[TaskHistoryError] = []
        """Errors that are raised after all other work is done."""
        context.tally.cursor = cursor

    def chunks(self) -> Iterator[Chunk]:
        """The chunks to write, in order. Raises the error or stop that ends the run."""
        context = self._context
        for number, (listing, partitions) in enumerate(zip(context.all, self._accounts, strict=True)):
            yield from partitions.workflows()
            if not number:
                self._look_back()
            yield from self._new_executions(listing, partitions)
        yield self._with_cursor(Chunk())
        try:
            is_read = yield from self._statistics.load()
            yield FLUSH
            yield from self._statistics.compare(is_read=is_read)
        except UnexpectedResponse as error:
            # Executions are loaded without the statistics.
            log.warning("statistics_unreadable", reason=str(error))
            self._failed.append(error)
            yield FLUSH
        self._delete_what_is_old()
        self._ask_together()
        for listing, partitions in zip(context.all, self._accounts, strict=True):
            yield from common_phases.settle_open_executions(listing, partitions.readable, partitions.vanished)
        yield from common_phases.learn_integrations(context)
        yield from common_phases.load_details(context.all, self.selection, self._rounds)
        for partitions in self._accounts:
            self._failed += partitions.failed.values()
        for failure in self._failed:
            raise failure

    def _look_back(self) -> None:
        """Has the executions of the lookback, and what is left to do, asked by one query where each is billed."""
        context = self._context
        if self._cursor is None or not context.warehouse.is_billed:
            return
        lookback = earliest_start(self._cursor, context.settings.lookback)
        for listing in context.all:
            since = (
                lookback if listing.system.listing.is_filtered_by_time else listing.first_page_since(lookback)
            )
            # Where these are many, what is asked about them is answered by the warehouse.
            if sum(day.executions for day in context.covered_days if day.day >= since) <= _MAX_LOOKBACK_ROWS:
                listing.warehouse.recent_since = since
        self._ask_together()

    def _ask_together(self) -> None:
        """Asks by one query what the rest of the run asks of the warehouse, where each query is billed."""
        selection = self.selection
        for context in self._context.all:

            def questions(warehouse: Warehouse, context: Context = context) -> None:
                warehouse.recent()
                if context is self._context:
                    self._statistics.ask(warehouse)
                if context.system.listing.is_filtered_by_time and not context.system.listing.is_countable:
                    warehouse.newest_by_partition()
                warehouse.open_executions(not_read_by=context.run_id)
                warehouse.all_ranks()
                warehouse.workflows()
                common_phases.backlog_questions(
                    warehouse.within(selection),
                    scope=context.scope,
                    limit=context.commits.details,
                    now=context.edge(),
                )

            context.warehouse.ask_together(questions)

    def _delete_what_is_old(self) -> None:
        """Deletes the rows that are no longer kept, at most once a day, since whole days are deleted."""
        context, kept = self._context, self._context.warehouse.kept
        since, deleted = context.kept_since(), kept.deleted or KeptSince()
        if self._delete_old_rows is None or not since.goes_beyond(deleted):
            return
        context.tally.deleted = self._delete_old_rows(since)
        context.tally.kept_since = since
        kept.deleted = deleted | since
        context.reload_coverage()

    @property
    def selection(self) -> Selection:
        """The executions whose details the sync loads: those it lists, not those of backfills."""
        coverages = [partition.coverage for partitions in self._accounts for partition in partitions]
        starts = [span.start for coverage in coverages if (span := coverage.span)]
        # The same end while the vendor's clock is not known yet and afterwards: the same question is asked once.
        context = self._context
        end = max(midnight(context.started_at), context.edge() - _CLOCK_DIFFERENCE) + AHEAD
        return Selection(Window(min(starts), end)) if starts else Selection()

    def _new_executions(self, context: Context, partitions: Partitions) -> Iterator[Chunk]:
        """Chunks with the new executions of all partitions."""
        since = {partition.name: self._last_sync(context, partition) for partition in partitions}
        listing = context.system.listing
        if (
            listing.is_filtered_by_time
            and not listing.is_countable
            and any(each.loaded for each in since.values())
        ):
            newest = context.warehouse.newest_by_partition()
            since = {
                name: replace(each, newest=start)
                if (start := newest.get(name)) and context.is_at_vendor(Window(start, start))
                else each
                for name, each in since.items()
            }
        windows_to_reread = [
            Window(each.start, each.loaded.end)
            for name, each in since.items()
            if each.loaded is not None and not listing.is_countable
        ]
        lookback = (
            Window(min(windows_to_reread).start, max(each.end for each in windows_to_reread))
            if windows_to_reread
            else None
        )
        for chunk in partitions.chunks(
            lambda partition: self._events(context, partition, since[partition.name]), lookback=lookback
        ):
            yield self._with_cursor(chunk) if self._has_one_cursor and not chunk.is_end else chunk

    def _last_sync(self, context: Context, partition: Partition) -> LastSync:
        """The state of the partition after the last sync."""
        first, horizon, loaded = context.first_start, context.horizon, partition.coverage.unbroken
        if self._has_one_cursor and loaded is not None:
            loaded = None if self._cursor is None else Window(loaded.start, min(loaded.end, self._cursor))
        if loaded is None:
            return LastSync(first, None, (), context.settings.lookback, horizon, None)
        compare_from = max(loaded.start, horizon + RETENTION_MARGIN) if horizon else loaded.start
        is_due = compare_from < loaded.end and (
            partition.coverage.checked_at(compare_from) <= context.now() - _COMPARISON_INTERVAL
        )
        return LastSync(
            first,
            loaded,
            partition.coverage.gaps(Window(first, loaded.start)) if first < loaded.start else (),
            context.settings.lookback,
            horizon,
            compare_from if is_due else None,
        )

    def _events(self, context: Context, partition: Partition, since: LastSync) -> Iterator[Event]:
        """Events of one partition: new and late executions, then the days that an earlier sync could not verify."""
        coverage, listing = partition.coverage, context.system.listing
        unverified = {day.start.date() for day in self._unverified(context, partition, since)}
        if since.loaded is not None and not listing.is_countable:
            self._note_lost(Window(since.loaded.end, since.start))
        warehouse = context.warehouse.within(Selection(None, partition.filters))
        # The vendor counts rejected rows too.
        counted = partition.counted_rejected
        known: NewestExecutions = StoredAndRejected(warehouse, counted) if counted else warehouse
        for event in partition.reader.incremental(since, known, edge=context.edge):
            if isinstance(event, ComparedWindow):
                yield replace(event, counts_rejected=bool(counted))
            else:
                yield self._without_lost(context, event, since)
        short = partition.reader.pages.take_short()
        if not unverified and not short:
            return
        # The comparison needs the rows that were just read.
        yield FLUSH
        for window in short:
            start = max(window.start, context.horizon + RETENTION_MARGIN) if context.horizon else window.start
            if start < window.end:
                kept = Window(start, window.end)
                yield ComparedWindow(partition.reader.compare(kept, warehouse), kept)
        days = [day for day in coverage.windows_to_verify(since.start) if day.start.date() in unverified]
        for window in listing.windows_to_read(days)[:_MAX_UNVERIFIED_DAYS]:
            yield ComparedWindow(partition.reader.compare(window, warehouse), window)

    def _unverified(self, context: Context, partition: Partition, since: LastSync) -> list[Window]:
        """Unverified days that the vendor still has; where comparing means reading them, those not read for a day.

        Of days that are verified but for rejected rows, which are stored, only the lookback is compared.
        """
        coverage, is_countable = partition.coverage, context.system.listing.is_countable
        due = context.now() - _COMPARISON_INTERVAL
        return [
            day
            for day in coverage.windows_to_verify(since.start)
            if context.is_at_vendor(day) and (is_countable or coverage.checked_at(day.start) <= due)
        ]

    def _without_lost(self, context: Context, piece: ListedWindow, since: LastSync) -> ListedWindow:
        """The piece without the time of which the vendor purged the executions before this sync.

        Only a first piece that reaches back beyond the retention has such a time; there the vendor shows nothing, or
        only executions that it keeps for longer than documented.
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
        """Whether each piece moves the cursor: the account has one partition, and its pieces come oldest first."""
        listing = self._context.system.listing
        return not self._context.companions and not listing.partitioned_by and listing.is_oldest_first

    def _with_cursor(self, chunk: Chunk) -> Chunk:
        """The chunk with the cursor: the instant up to which all readable partitions are loaded."""
        ends = [
            loaded.end
            for partitions in self._accounts
            for partition in partitions
            if partition.name not in partitions.refused and (loaded := partition.coverage.unbroken)
        ]
        self._context.tally.cursor = min(ends, default=self._context.tally.cursor)
        return replace(chunk, cursor=self._context.tally.cursor)
