"""Loads the vendor's own statistics: open buckets again in every sync, and closed ones once a day.

What became visible late is counted in buckets that are closed: where they count other executions than are stored, they
are read again at once.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ..core.batch import FLUSH, Chunk
from ..core.errors import Rejected, UnexpectedResponse
from ..core.log import log
from ..core.models import Window
from ..systems.ids import check_id
from ..systems.protocol import Statistics
from ..warehouse.coverage import midnight
from .context import Context

_MAX_SPAN = timedelta(days=365)
"""Longest window in one request for statistics."""
_MAX_REREAD = timedelta(days=90)
"""Age after which a bucket is not read again."""
_REREAD_INTERVAL = timedelta(hours=24)
"""How often closed buckets are read again."""


def load_statistics(context: Context) -> Generator[Chunk, None, bool]:
    """Chunks of the vendor's statistics since the last sync; gives whether those are all that are read again.

    Raises what the client raises.
    """
    statistics = context.system.statistics
    if statistics is None:
        return True
    context.phase("statistics")
    granularity, _ = statistics.buckets(context.settings.values)
    warehouse = context.warehouse
    read_at = warehouse.stats_fetched_at(granularity, since=context.edge() - _MAX_REREAD)
    is_due = read_at is None or read_at <= context.now() - _REREAD_INTERVAL
    yield from _read(context, statistics, None if is_due else warehouse.stats_read_until(granularity))
    return is_due


def compare_statistics(context: Context, *, is_read: bool) -> Iterator[Chunk]:
    """Notes where the vendor's statistics count other executions than are stored, in buckets that are closed.

    ``is_read`` says that this run read all of those. Yields chunks with them where it did not and they differ. Raises
    what the client raises.
    """
    statistics = context.system.statistics
    if statistics is None:
        return
    difference = _difference(context, statistics)
    if difference is not None and not is_read:
        yield from _read(context, statistics, None)
        yield FLUSH
        difference = _difference(context, statistics)
    context.tally.statistics_difference = difference
    if difference is not None:
        log.warning("statistics_differ", vendor_counts=difference[0], stored=difference[1])


def _difference(context: Context, statistics: Statistics) -> tuple[int, int] | None:
    granularity, _ = statistics.buckets(context.settings.values)
    return context.warehouse.statistics_difference(granularity, context.partition("").coverage.covered)


def _read(context: Context, statistics: Statistics, since: datetime | None) -> Iterator[Chunk]:
    """Chunks of all buckets from the instant on, of no older ones than are read again; None for all of those."""
    granularity, width = statistics.buckets(context.settings.values)
    edge, is_first = context.edge(), context.warehouse.stats_read_until(granularity) is None
    first = context.settings.start(context.started_at)
    if not is_first:
        first = max(first if since is None else since, edge - _MAX_REREAD)
    start = bucket_start(first, width)
    while start < edge:
        end = min(start + _MAX_SPAN, bucket_start(edge, width) + width)
        chunk = read_buckets(
            context, statistics, Window(start, end), settled_before=edge - context.settings.lookback
        )
        if chunk is None:
            # Later buckets would make the missing ones look loaded.
            return
        # A comparison queries what was read again: it is committed first.
        yield replace(chunk, leaves_backlog_unchanged=since is not None)
        start = end


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
