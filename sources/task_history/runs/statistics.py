"""Loads the vendor's own statistics: each closed bucket once, open buckets again in every sync."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..core.batch import Chunk
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
"""Age after which an open bucket is not read again."""


def load_statistics(context: Context) -> Iterator[Chunk]:
    """Chunks of the vendor's statistics since the last sync. Raises what the client raises."""
    statistics, values = context.system.statistics, context.settings.values
    if statistics is None:
        return
    context.phase("statistics")
    granularity, width = statistics.buckets(values)
    edge = context.edge()
    read_until = context.warehouse.stats_read_until(granularity)
    start = context.settings.start(context.started_at) if read_until is None else read_until
    start = bucket_start(start if read_until is None else max(start, edge - _MAX_REREAD), width)
    while start < edge:
        end = min(start + _MAX_SPAN, bucket_start(edge, width) + width)
        chunk = read_buckets(
            context, statistics, Window(start, end), settled_before=edge - context.settings.lookback
        )
        if chunk is None:
            # Later buckets would make the missing ones look loaded.
            return
        yield chunk
        start = end


def compare_statistics(context: Context) -> None:
    """Notes where the vendor's statistics count other executions than are stored, in buckets that are closed."""
    statistics = context.system.statistics
    if statistics is None:
        return
    granularity, _ = statistics.buckets(context.settings.values)
    difference = context.warehouse.statistics_difference(granularity, context.partition("").coverage.covered)
    context.tally.statistics_difference = difference
    if difference is not None:
        log.warning("statistics_differ", vendor_counts=difference[0], stored=difference[1])


def read_buckets(
    context: Context, statistics: Statistics, window: Window, *, settled_before: datetime
) -> Chunk | None:
    """A chunk with the statistics of whole buckets; None where the vendor does not give them, or gives others."""
    values = context.settings.values
    tables = {table.name: table for table in statistics.tables}
    try:
        request = statistics.request(values, window).with_patience(context.patience.first_s)
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
            name: [stamp.on(stamp.undeclared.kept(tables[name], row)) for row in rows]
            for name, rows in rows_by_table.items()
        },
        leaves_backlog_unchanged=True,
    )


def bucket_start(instant: datetime, width: timedelta) -> datetime:
    """The start of the bucket that the instant lies in."""
    day = midnight(instant)
    return day + (instant - day) // width * width
