"""The work of a backfill: for each listing its gaps in a range, then its open executions; then workflows and details.

It lists the gaps oldest first, because the vendor purges the oldest executions next. The live cursor stays as it is;
the coverage is read from the warehouse, so that any machine can continue. Several backfills of one account may be active
at once, each on the days whose leases it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from ..core.batch import END_OF_WINDOW, FLUSH, Chunk
from ..core.errors import TaskHistoryError
from ..core.intervals import overlap
from ..core.models import Selection, Window
from ..extract.listing import ComparedWindow, ListedWindow
from . import common_phases
from .context import RETENTION_MARGIN, Context, Partition
from .listing_partitions import Event, Partitions
from .shared_days import DayLeases


class Backfill:
    """Loads the executions of the context's selection that are not covered yet."""

    def __init__(self, context: Context, leases: DayLeases | None = None) -> None:
        self._context = context
        self._leases = leases
        self._part = context.selection
        """The part of the range that is being loaded."""
        if leases is not None and self._part.window is not None:
            leases.begin(self._part.window)

    @property
    def selection(self) -> Selection:
        """The executions whose details the backfill loads."""
        return self._context.selection

    def chunks(self) -> Iterator[Chunk]:
        """The chunks to write, in order. Raises the error or stop that ends the run."""
        context, window = self._context, self._context.selection.window
        failed: list[TaskHistoryError] = []
        listings = [(listing, Partitions(listing)) for listing in context.all]
        for _, partitions in listings:
            yield from partitions.workflows()
        if self._leases is None or window is None:
            yield from self._load(listings, failed)
        else:
            for part in self._leases.windows():
                self._part = replace(context.selection, window=part)
                if part != window:
                    # Another run may have loaded some of it before the lease was taken.
                    context.reload_coverage()
                yield from self._load(listings, failed)
                yield END_OF_WINDOW
                context.phase("waiting")
            if self._part.window != window:
                context.reload_coverage()
        for error in failed:
            raise error

    def _load(
        self, listings: Sequence[tuple[Context, Partitions]], failed: list[TaskHistoryError]
    ) -> Iterator[Chunk]:
        """Chunks of the present part of the range; adds the errors of partitions that cannot be read to ``failed``."""
        context = self._context
        for listing, partitions in listings:
            yield from partitions.chunks(lambda partition, listing=listing: self._events(listing, partition))  # type: ignore[misc]
            yield FLUSH
            yield from common_phases.settle_open_executions(
                listing, partitions.readable, partitions.vanished, selection=self._part
            )
            failed += partitions.failed.values()
            partitions.reset()
        yield from common_phases.learn_integrations(context)
        yield from common_phases.load_details(context.all, self._part)

    def _events(self, context: Context, partition: Partition) -> Iterator[Event]:
        """Events of one partition: its gaps, then the days that an earlier run could not verify."""
        window, reader, coverage = self._part.window, partition.reader, partition.coverage
        is_countable = context.system.listing.is_countable
        if window is None:
            return
        warehouse = context.warehouse.within(Selection(None, partition.filters))
        unverified = {
            day.start.date()
            for day in coverage.unverified_windows
            if not overlap(day, window).is_empty and context.is_at_vendor(day)
        }
        missing = coverage.gaps(window)
        for index, gap in enumerate(missing):
            pieces = 0
            for piece in reader.pieces(gap, in_columns=True, stored=warehouse):
                if is_countable:
                    self._estimate_rows_ahead(piece, gap, missing[:index], missing[index + 1 :])
                yield piece
                pieces += 1
            is_short = bool(reader.pages.take_short())
            if is_short or (pieces > 1 and is_countable and reader.pages.has_counts):
                yield from self._comparison_events(context, partition, gap)
        # As long as they are now: a gap that was read may have gone on with one of these days.
        days = [day for day in coverage.unverified_windows if day.start.date() in unverified]
        for window_to_reread in context.system.listing.windows_to_read(days):
            yield from self._comparison_events(context, partition, window_to_reread)

    def _comparison_events(self, context: Context, partition: Partition, window: Window) -> Iterator[Event]:
        """Events with executions that became visible in the window while later windows were read."""
        yield FLUSH
        horizon = context.horizon
        if horizon is not None:
            window = Window(max(window.start, horizon + RETENTION_MARGIN), window.end)
        if window.is_empty:
            return
        warehouse = context.warehouse.within(Selection(None, partition.filters))
        comparison = partition.reader.compare(window, warehouse)
        # Executions may have been purged meanwhile, which a sync or an audit notes.
        comparison.vanished = []
        yield ComparedWindow(comparison, window)

    def _estimate_rows_ahead(
        self, piece: ListedWindow, gap: Window, earlier: Sequence[Window], later: Sequence[Window]
    ) -> None:
        """Estimates the executions in the later gaps, at the density of what was listed so far."""
        tally = self._context.tally
        ahead = sum((window.end - window.start for window in later), timedelta())
        seen = sum((window.end - window.start for window in earlier), piece.window.end - gap.start)
        tally.rows_ahead = round((tally.listed + len(piece.rows)) * (ahead / seen)) if seen else 0
