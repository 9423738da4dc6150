"""Rows of listings without a usable id: they are stored in ``rejected_rows``, and their days are not verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core.batch import Chunk
from ..core.log import log
from ..core.models import Page, Row, Table, Window
from ..extract import warehouse_rows
from ..extract.rows_without_id import Rejection
from ..warehouse.common_tables import REJECTED_ROWS
from ..warehouse.coverage import midnight
from .context import Context, Partition


@dataclass(frozen=True, slots=True)
class RejectedRows:
    """The rejected rows of a window that was read or compared."""

    rows: list[Row]
    """Rows of the table ``rejected_rows``."""
    new_by_day: Counter[datetime]
    """Number of these rows per day, by midnight UTC."""
    all_by_day: Counter[datetime]
    """Number per day with the stored rejected rows of the partition included, by midnight UTC."""

    @property
    def number(self) -> int:
        """Number of rejected rows."""
        return len(self.rows)


def take_rejected_in(
    context: Context, partition: Partition, window: Window, *, is_read_whole: bool = True
) -> RejectedRows:
    """Takes the rejected rows of the window that were read since the last call.

    ``is_read_whole`` says that all rows of the window were read: stored rejected rows that were not among them are
    forgotten.
    """
    rejections = partition.reader.pages.rejections.take(lambda one: one.is_in(window))
    known = partition.rejected
    if not rejections and not known:
        return RejectedRows([], Counter(), Counter())
    rows = _rows(context, partition, rejections)
    if is_read_whole:
        read = {row["rejected_id"] for row in rows}
        for key in [key for key, near in known.items() if near in window and key not in read]:
            del known[key]
    new_by_day = Counter(midnight(one.near or window.start) for one in rejections)
    all_by_day = Counter(map(midnight, known.values()))
    all_by_day.update(midnight(window.start) for one in rejections if one.near is None)
    return RejectedRows(rows, new_by_day, all_by_day)


def unassigned_rejected_rows(context: Context, partition: Partition) -> Chunk | None:
    """Returns the chunk of rejected rows that belong to no written window; None without any."""
    rejections = partition.reader.pages.rejections.take()
    if not rejections:
        return None
    rows = _rows(context, partition, rejections)
    partition.coverage.mark_rejected(Counter(map(midnight, partition.rejected.values())))
    return Chunk(notes={REJECTED_ROWS.name: rows})


def rejected_on_page(context: Context, table: Table, page: Page, offset: int) -> list[Row]:
    """Rows of ``rejected_rows`` for a page of a list other than the executions, such as workflows."""
    rejections = [Rejection(row, None, offset + row.position, None) for row in page.rejected]
    if not rejections:
        return []
    stamp, filters = context.stamp(), context.list_filters("")
    rows = [warehouse_rows.rejected(table, filters, rejection, stamp) for rejection in rejections]
    stored = context.warehouse.rejected_ids(table.name, filters)
    new = [row for row in rows if row["rejected_id"] not in stored]
    if new:
        context.tally.rejected += len(new)
        log.warning("rows_rejected", table=table.name, rows=len(new), reason=new[0]["reason"])
    return rows


def _rows(context: Context, partition: Partition, rejections: Sequence[Rejection]) -> list[Row]:
    table, filters, stamp = context.system.executions, context.list_filters(partition.name), context.stamp()
    rows = [warehouse_rows.rejected(table, filters, rejection, stamp) for rejection in rejections]
    context.tally.rejected += sum(row["rejected_id"] not in partition.rejected for row in rows)
    partition.rejected.update(
        (row["rejected_id"], near)
        for row, rejection in zip(rows, rejections, strict=True)
        if (near := rejection.near) is not None
    )
    return rows
