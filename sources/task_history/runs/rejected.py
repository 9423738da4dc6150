"""Rows of listings that have no usable id: they are kept apart, and their days are not verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core.batch import Chunk
from ..core.log import log
from ..core.models import Page, Row, Table, Window
from ..extract import rows as records
from ..extract.rejected import Rejection
from ..warehouse.coverage import midnight
from ..warehouse.tables import REJECTED_ROWS
from .context import Context, Partition


@dataclass(frozen=True, slots=True)
class Rejected:
    """The rejected rows of a window that was read or compared."""

    rows: list[Row]
    """As ``rejected_rows`` holds them."""
    by_day: Counter[datetime]
    """How many of them each day has, by midnight."""
    in_days: Counter[datetime]
    """The same, with those that are known of other parts of these days."""

    @property
    def number(self) -> int:
        """How many rows they are."""
        return len(self.rows)


def rejected_in(
    context: Context, partition: Partition, window: Window, *, is_read_whole: bool = True
) -> Rejected:
    """The rejected rows that were read of the window since the last call.

    ``is_read_whole`` says that all rows of the window were read: then those that were not among them are no more.
    """
    rejections = partition.reader.pages.rejections.take(lambda one: one.is_in(window))
    known = partition.rejected
    if not rejections and not known:
        return Rejected([], Counter(), Counter())
    rows = _rows(context, partition, rejections)
    if is_read_whole:
        read = {row["rejected_id"] for row in rows}
        for key in [key for key, near in known.items() if near in window and key not in read]:
            del known[key]
    by_day = Counter(midnight(one.near or window.start) for one in rejections)
    in_days = Counter(map(midnight, known.values()))
    in_days.update(midnight(window.start) for one in rejections if one.near is None)
    return Rejected(rows, by_day, in_days)


def left_over(context: Context, partition: Partition) -> Chunk | None:
    """The rejected rows that were read and belong to no window that was written; None where there are none."""
    rejections = partition.reader.pages.rejections.take()
    if not rejections:
        return None
    rows = _rows(context, partition, rejections)
    partition.coverage.mark_rejected(Counter(map(midnight, partition.rejected.values())))
    return Chunk(notes={REJECTED_ROWS.name: rows})


def rejected_on_page(context: Context, table: Table, page: Page, offset: int) -> list[Row]:
    """The rows of ``rejected_rows`` for a page of another list than that of executions."""
    rejections = [Rejection(row, None, offset + row.position, None) for row in page.rejected]
    if rejections:
        _warn(context, table, rejections)
    stamp, filters = context.stamp(), context.list_filters("")
    return [records.rejected(table, filters, rejection, stamp) for rejection in rejections]


def _rows(context: Context, partition: Partition, rejections: Sequence[Rejection]) -> list[Row]:
    table, filters, stamp = context.system.executions, context.list_filters(partition.name), context.stamp()
    rows = [records.rejected(table, filters, rejection, stamp) for rejection in rejections]
    context.tally.rejected += sum(row["rejected_id"] not in partition.rejected for row in rows)
    partition.rejected.update(
        (row["rejected_id"], near)
        for row, rejection in zip(rows, rejections, strict=True)
        if (near := rejection.near) is not None
    )
    return rows


def _warn(context: Context, table: Table, rejections: Sequence[Rejection]) -> None:
    context.tally.rejected += len(rejections)
    log.warning("rows_rejected", table=table.name, rows=len(rejections), reason=rejections[0].row.reason)
