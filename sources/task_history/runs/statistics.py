"""Loads the vendor's own statistics: open buckets again in every sync, and closed ones once a day.

What became visible late is counted in buckets that are closed: where they count other executions than are stored, they
are read again at once. Where a write is billed, what counts the same as before is written once a day.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ..core.batch import FLUSH, Chunk
from ..core.errors import Rejected, UnexpectedResponse
from ..core.log import log
from ..core.models import Window
from ..extract.last_reads import LastReads
from ..systems.checked_ids import check_id
from ..systems.protocol import Statistics
from ..systems.table_parts import PROVENANCE
from ..warehouse.coverage import midnight
from ..warehouse.queries import Warehouse
from ..warehouse.statistics_buckets import Buckets
from .context import Context

_MAX_SPAN = timedelta(days=365)
"""Longest window in one request for statistics."""
_MAX_REREAD = timedelta(days=90)
"""Age after which a bucket is not read again."""
_REREAD_INTERVAL = timedelta(hours=24)
"""How often closed buckets are read again."""
_NOT_COUNTED = {"window_start", "window_end", *(column.name for column in PROVENANCE)}
"""Columns that say when something was read or asked for, and not what was counted."""


class VendorStatistics:
    """The vendor's statistics in one sync; of a system without any, nothing."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stored: Buckets | None = None
        """The stored buckets, until this run wrote others."""

    def ask(self, warehouse: Warehouse) -> None:
        """Asks of the warehouse what the comparison asks, where nothing is new."""
        if (statistics := self._context.system.statistics) is not None:
            self._buckets(statistics).difference(self._covered, warehouse.kept_counts)

    def load(self) -> Generator[Chunk, None, bool]:
        """Chunks of the statistics since the last sync; gives whether those are all that are read again.

        Raises what the client raises.
        """
        context = self._context
        statistics = context.system.statistics
        if statistics is None:
            return True
        context.phase("statistics")
        stored = self._buckets(statistics)
        read_at = stored.closed_read_at(since=context.edge() - _MAX_REREAD)
        is_due = read_at is None or read_at <= context.now() - _REREAD_INTERVAL
        yield from self._read(statistics, None if is_due else stored.read_until)
        return is_due

    def compare(self, *, is_read: bool) -> Iterator[Chunk]:
        """Notes where the vendor counts other executions than are stored, in buckets that are closed.

        ``is_read`` says that this run read all of those. Yields chunks with them where it did not and they differ.
        Raises what the client raises.
        """
        context = self._context
        statistics = context.system.statistics
        if statistics is None:
            return
        difference = self._buckets(statistics).difference(self._covered, context.warehouse.kept_counts)
        if difference is not None:
            # Another run may have written what is missing since it was asked.
            difference = self._difference(statistics)
        if difference is not None and not is_read:
            yield from self._read(statistics, None)
            yield FLUSH
            difference = self._difference(statistics)
        context.tally.statistics_difference = difference
        if difference is not None:
            log.warning("statistics_differ", vendor_counts=difference[0], stored=difference[1])

    @property
    def _covered(self) -> list[Window]:
        return self._context.partition("").coverage.covered

    def _buckets(self, statistics: Statistics) -> Buckets:
        if self._stored is None:
            granularity, _ = statistics.buckets(self._context.settings.values)
            self._stored = self._context.warehouse.buckets(granularity)
        return self._stored

    def _difference(self, statistics: Statistics) -> tuple[int, int] | None:
        self._stored = None
        return self._buckets(statistics).difference(self._covered, self._context.warehouse.counts)

    def _read(self, statistics: Statistics, since: datetime | None) -> Iterator[Chunk]:
        """Chunks of all buckets from the instant on, of no older ones than are read again; None for all of those."""
        context = self._context
        _, width = statistics.buckets(context.settings.values)
        edge, stored = context.edge(), self._buckets(statistics)
        first = context.settings.start(context.started_at)
        if stored.read_until is not None:
            first = max(first if since is None else since, edge - _MAX_REREAD)
        start = bucket_start(first, width)
        reads = LastReads(context.last_reads_file(statistics.tables[0]), context.now)
        while start < edge:
            end = min(start + _MAX_SPAN, bucket_start(edge, width) + width)
            window = Window(start, end)
            chunk = read_buckets(context, statistics, window, settled_before=edge - context.settings.lookback)
            if chunk is None:
                # Later buckets would make the missing ones look loaded.
                return
            if since is None or not counts_the_same(statistics, window, chunk, stored, reads):
                # A comparison queries what was read again: it is committed first.
                yield replace(chunk, leaves_backlog_unchanged=since is not None)
                self._stored = None
            start = end
        reads.save()


def counts_the_same(
    statistics: Statistics, window: Window, chunk: Chunk, stored: Buckets, reads: LastReads
) -> bool:
    """Whether what was read counts the same as the stored buckets, where a write is billed; notes what was read.

    Buckets without executions after the last stored one are no change: those are written together with the next, a day
    later at most.
    """
    buckets, *others = statistics.tables
    total, rows = statistics.total_column, chunk.rows[buckets.name]
    parts = [
        [row for row in rows if row.get(total)],
        *([row for row in chunk.rows[table.name] if row.get(total, True)] for table in others),
    ]
    stored_at, counted = stored.written_at(window.start), stored.counted_since(window.start)
    if not any(parts):
        return not any(counted.values()) and reads.is_recent(stored_at)
    sent = [[{key: row[key] for key in row.keys() - _NOT_COUNTED} for row in part] for part in parts]
    key = f"{rows[0]['granularity']} {window.start.isoformat()}"
    is_stored = all(counted.get(row["bucket_start"]) == row[total] for row in parts[0])
    if is_stored and reads.is_unchanged(key, sent, stored_at=stored_at):
        return True
    reads.note(key, sent, written_at=rows[0]["fetched_at"])
    return False


def read_buckets(
    context: Context, statistics: Statistics, window: Window, *, settled_before: datetime
) -> Chunk | None:
    """A chunk with the statistics of whole buckets; None where the vendor does not give them, or gives others."""
    values = context.settings.values
    tables = {table.name: table for table in statistics.tables}
    try:
        request = statistics.request(values, window).with_fault_deadline(context.fault_deadline.first_s)
        answer = context.sender.send(request)
    except Rejected as error:
        log.warning("statistics_unavailable", status=error.status, reason=str(error))
        return None
    try:
        check_id("granularity", statistics.granularity_ids, answer.data, statistics.buckets(values)[0])
    except UnexpectedResponse as error:
        log.warning("statistics_skipped", reason=str(error))
        return None
    stamp = context.stamp()
    rows_by_table = statistics.read(values, window, answer.data, settled_before=settled_before)
    return Chunk(
        {
            name: [stamp.on(stamp.undocumented.kept(tables[name], row)) for row in rows]
            for name, rows in rows_by_table.items()
        },
        leaves_backlog_unchanged=True,
    )


def bucket_start(instant: datetime, width: timedelta) -> datetime:
    """The start of the bucket that the instant lies in."""
    day = midnight(instant)
    return day + (instant - day) // width * width
