"""Statistics that the vendor keeps itself: each bucket once it is closed, those that are open again."""

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

_LONGEST = timedelta(days=365)
"""No vendor is asked for more at once."""
_OPEN_FOR = timedelta(days=90)
"""What is still not closed by then stays as it is."""


def fed(context: Context) -> Iterator[Chunk]:
    """The vendor's statistics since the last sync. Raises what the client raises."""
    statistics, values = context.system.statistics, context.settings.values
    if statistics is None:
        return
    context.phase("statistics")
    granularity, width = statistics.buckets(values)
    edge = context.edge()
    read_until = context.warehouse.stats_read_until(granularity)
    start = context.settings.start(context.started_at) if read_until is None else read_until
    start = bucket(start if read_until is None else max(start, edge - _OPEN_FOR), width)
    while start < edge:
        end = min(start + _LONGEST, bucket(edge, width) + width)
        chunk = read(context, statistics, Window(start, end), settled_before=edge - context.settings.lookback)
        if chunk is None:
            # What came after it would be taken for all until there.
            return
        yield chunk
        start = end


def read(
    context: Context, statistics: Statistics, window: Window, *, settled_before: datetime
) -> Chunk | None:
    """The statistics of whole buckets, as rows; None where the vendor refuses them or gives others."""
    values = context.settings.values
    tables = {table.name: table for table in statistics.tables}
    try:
        answer = context.sender.send(statistics.request(values, window))
    except Rejected as error:
        log.warning("statistics_refused", status=error.status, reason=str(error))
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
        is_quiet=True,
    )


def bucket(instant: datetime, width: timedelta) -> datetime:
    """The start of the bucket that the instant lies in."""
    day = midnight(instant)
    return day + (instant - day) // width * width
