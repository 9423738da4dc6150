"""The work of a backfill: the gaps of a range → listing → settling → workflows → details of that range.

It reads what is not covered, oldest first: the oldest is the next that the vendor purges. The live cursor
is not touched; what is covered is known from the warehouse, so that any machine can go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from ..core.batch import END, Chunk
from ..core.errors import TaskHistoryError
from ..core.intervals import overlap
from ..core.models import Row, Selection, Window
from ..extract.sorted_listing import Piece
from . import phases as work
from .context import Context
from .partitions import Parts
from .syncing_parts import settled

_MARGIN = timedelta(days=1)
"""What passes the vendor's retention while it is counted must not look like a difference."""


def backfill_of(context: Context) -> Backfill | PartsBackfill:
    """The work of a backfill as the system's lists want it."""
    return Backfill(context) if context.system.listing.kind == "sorted" else PartsBackfill(context)


class Backfill:
    """Everything that the context's selection names, each part of it once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known = {key for key, row in context.warehouse.workflows().items() if row}
        window = context.selection.window
        self._doubted = [
            day
            for day in context.book.doubted
            if window and not overlap(day, window).is_empty and context.is_kept(day)
        ]
        self.gaps: Sequence[Window] = context.book.gaps(window) if window else ()
        """What was not covered when it began."""

    @property
    def selection(self) -> Selection:
        """Whose details it loads."""
        return self._context.selection

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises whatever ends the run."""
        context = self._context
        warehouse = context.warehouse.within(self.selection)
        yield from self._listed()
        yield END
        yield from work.settled(context, warehouse.open_executions(not_read_by=context.run_id))
        yield from work.workflows(context)
        yield from work.backlog(context, warehouse)

    def _listed(self) -> Iterator[Chunk]:
        context = self._context
        context.phase("listing")
        for at, gap in enumerate(self.gaps):
            pieces = 0
            for piece in context.listing.pieces(gap, in_columns=True):
                self._look_ahead(piece, gap, self.gaps[at + 1 :])
                chunk = work.listed(context, piece)
                rows = dict(chunk.rows)
                if context.system.integrations is not None:
                    rows[context.system.integrations.table.name] = self._told_by_filter(piece)
                yield replace(chunk, rows=rows)
                pieces += 1
            if pieces > 1 and context.listing.pages.has_counts:
                yield END
                yield from self._counted_once_more(gap)
        # What an earlier run could not verify.
        for day in self._doubted:
            yield END
            yield from self._counted_once_more(day)

    def _counted_once_more(self, gap: Window) -> Iterator[Chunk]:
        """What became visible in windows that were read already, while the later ones were."""
        context = self._context
        horizon = context.horizon
        window = gap if horizon is None else Window(max(gap.start, horizon + _MARGIN), gap.end)
        if window.is_empty:
            return
        held = context.warehouse.within(Selection(None, context.selection.filters))
        comparison = context.listing.compare(window, held)
        # Some that were read may be purged by now: that is for a sync or an audit to note.
        yield work.late(context, comparison.fresh, window, is_verified=comparison.is_verified)

    def _look_ahead(self, piece: Piece, gap: Window, later: Sequence[Window]) -> None:
        """How many executions the later gaps probably hold: as many a second as this one has held so far."""
        tally = self._context.tally
        ahead = sum((window.end - window.start for window in later), timedelta())
        rows = tally.listed + piece.size
        seen = sum(
            (window.end - window.start for window in self.gaps if window.end <= gap.start), timedelta()
        )
        seen += piece.window.end - gap.start
        tally.rows_ahead = round(rows * (ahead / seen)) if seen else 0

    def _told_by_filter(self, piece: Piece) -> list[Row]:
        """What a listing by integration tells of its workflows without asking for them."""
        context = self._context
        system, stamp = context.system, context.stamp()
        told_by_workflow = next((one.name for one in system.listing.filters if one.column is None), "")
        integration = context.selection.filters.get(told_by_workflow)
        if integration is None:
            return []
        key = next(
            column.source for column in system.executions.columns if column.name == system.workflow_column
        )
        found = []
        workflow_ids = dict.fromkeys(row.get(key or "") for row in piece.rows)
        if piece.frame is not None:
            workflow_ids |= dict.fromkeys(sorted(piece.frame.values(key or ""), key=str))
        for workflow_id in workflow_ids:
            if workflow_id and str(workflow_id) not in self._known:
                self._known.add(str(workflow_id))
                told = {"workflow_id": str(workflow_id), "integration": integration, "workflow_name": None}
                found.append(stamp.on({**told, "origin": "listed", "asked": json.dumps([integration])}))
        return found


class PartsBackfill:
    """The same of lists that are not sorted, or of several: each gap of each of them once."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def selection(self) -> Selection:
        """Whose details it loads."""
        return self._context.selection

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises whatever ends the run."""
        context = self._context
        window = self.selection.window
        failed: list[TaskHistoryError] = []
        for one in context.all:
            parts = Parts(one)
            yield from parts.definitions()
            yield from parts.chunks(lambda part: part.book.gaps(window) if window else [])
            yield END
            yield from settled(one, parts, selection=self.selection)
            failed += parts.failed.values()
        for one in context.all:
            yield from work.backlog(one, one.warehouse.within(self.selection))
        for error in failed:
            raise error
