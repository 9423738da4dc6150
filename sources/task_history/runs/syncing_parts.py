"""The work of a sync of lists that are not sorted, not counted, or several: listing → settling → details."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from ..core.batch import END, Chunk
from ..core.errors import TaskHistoryError, UnexpectedResponse
from ..core.models import Selection, Window, floor_ms
from ..extract.full_scan import Scan
from ..extract.incremental import AHEAD
from ..extract.pages import described
from ..extract.unsorted_listing import Lists
from . import phases as work
from .context import Context, Part
from .partitions import Parts
from .statistics import fed

log = logging.getLogger("task_history")


class PartsSync:
    """Everything since the last sync, list by list, then what is open, then details."""

    def __init__(self, context: Context, *, rounds: int | None = None) -> None:
        self._context = context
        self._rounds = rounds
        self._parts = [Parts(one) for one in context.all]
        self._starts: list[datetime] = []
        self._failed: list[TaskHistoryError] = []
        """What is raised once everything else is done."""

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises whatever ends the run."""
        context = self._context
        for one, parts in zip(context.all, self._parts, strict=True):
            yield from parts.definitions()
            yield from parts.chunks(lambda part, one=one: self._wanted(one, part))  # type: ignore[misc]
            self._starts += [span.start for name in parts.names if (span := one.part(name).book.span)]
        yield self._cursor()
        try:
            yield from fed(context)
        except UnexpectedResponse as error:
            # Statistics stand beside the executions: these come all the same.
            log.warning("statistics_unreadable because=%r", str(error))
            self._failed.append(error)
        yield END
        for one, parts in zip(context.all, self._parts, strict=True):
            yield from settled(one, parts)
        for one in context.all:
            yield from work.backlog(one, one.warehouse.within(self.selection), self._rounds)
        for parts in self._parts:
            self._failed += parts.failed.values()
        for failure in self._failed:
            raise failure

    @property
    def selection(self) -> Selection:
        """Whose details it loads: what a backfill brought from before is the backfill's."""
        if not self._starts:
            return Selection()
        return Selection(Window(min(self._starts), self._context.edge() + AHEAD))

    def _wanted(self, context: Context, part: Part) -> list[Window]:
        """The list's time since its cursor, and before it as far as rows may have become visible late."""
        edge, horizon = context.edge(), context.horizon
        if context.system.listing.kind == "full_scan":
            # The list shows what there is; the vendor's clock, which no answer has told yet, may be ahead.
            edge += AHEAD
        first = floor_ms(context.settings.start(context.started_at))
        known = part.book.unbroken
        if known is None:
            return [Window(first, edge)] if first < edge else []
        start = max(known.end - context.settings.lookback, known.start)
        if horizon is not None and start < horizon:
            start = horizon
            if known.end < horizon:
                self._lost(context, Window(known.end, horizon))
        wanted = [Window(floor_ms(start), edge)] if start < edge else []
        if isinstance(part.lists, Scan) and first < known.start:
            # It is read newest first: an earlier run ended before it came to its beginning.
            wanted += part.book.gaps(Window(first, known.start))
        return wanted

    def _lost(self, context: Context, window: Window) -> None:
        if context.tally.lost is None:
            log.warning(
                "lost_for_good window=%s because=%r",
                described(window),
                "the vendor purged it before this sync",
            )
        lost = context.tally.lost or window
        context.tally.lost = Window(min(lost.start, window.start), max(lost.end, window.end))

    def _cursor(self) -> Chunk:
        """Up to when all lists are loaded that could be read."""
        ends = [
            known.end
            for one, parts in zip(self._context.all, self._parts, strict=True)
            for name in parts.names
            if name not in parts.refused and (known := one.part(name).book.unbroken)
        ]
        self._context.tally.cursor = min(ends, default=None)
        return Chunk(cursor=self._context.tally.cursor)


def settled(context: Context, parts: Parts, *, selection: Selection | None = None) -> Iterator[Chunk]:
    """What was open, as the vendor has it now, and what its lists showed no more."""
    warehouse = context.warehouse if selection is None else context.warehouse.within(selection)
    opens = warehouse.open_executions(not_read_by=context.run_id)
    tally, settling = context.tally, context.settling
    context.phase("settling", len(opens))

    def lists(name: str) -> Lists | None:
        is_list = (
            name in parts.names and name not in parts.refused and context.system.listing.kind == "unsorted"
        )
        return context.part(name).lists if is_list else None

    before = tally.settled, tally.unresolved
    for chunk in settling.by_lists(opens, lists, at_once=context.settings.concurrency):
        tally.done += len(chunk.rows.get(context.system.executions.name, ()))
        tally.settled, tally.unresolved = before[0] + settling.settled, before[1] + settling.unresolved
        yield work.counted(context, chunk)
    gone = set(parts.vanished) - {one.id for one in opens}
    yield from settling.read(gone, forbidden=[])
