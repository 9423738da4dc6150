"""All executions of one millisecond, which may swap positions between pages: read until each of them was seen."""

from __future__ import annotations

from ..core.errors import PaginationLoop, Rejected
from ..core.models import Row, Window
from ..warehouse.verified_days import Completeness
from .counted_window import Pages, Reading, distinct_rows
from .evidence import CHAIN, by_count, count_of, of_nothing, unverified
from .repeated_readings import RepeatedReadings
from .window_piece_size import refused_depth

_MAX_READINGS = 40
_MAX_ROWS_PER_NEW_ROW = 3
"""Rows that swap positions at random show at least one new row in this many."""
_TOO_DEEP = "more executions began in one millisecond than the vendor lets be seen"
_EMPTY = "a page behind rows came empty, twice"


def read_instant(pages: Pages, window: Window) -> tuple[dict[str, Row], Completeness]:
    """The executions of a window of one millisecond, by id, and the evidence that they are complete.

    Raises:
        PaginationLoop: offsets do not lead to other rows.
    """
    system = pages.system
    rows: dict[str, Row] = {}
    readings = RepeatedReadings()
    for _ in range(_MAX_READINGS):
        reading, reason = _read(pages, window)
        shown = {system.identity(row): row for page in reading.pages.values() for row in page.rows}
        rows |= shown
        first = reading.pages.get(0)
        if first is not None and not first.size:
            return rows, of_nothing(first)
        totals = {page.total for page in reading.pages.values()}
        total = max((total for total in totals if total is not None), default=None)
        is_counted = total is not None and len(totals) == 1 and total >= reading.depth
        if first is not None and not reason and first.size == reading.depth == len(shown) + reading.others:
            # One answer shows them all.
            evidence = by_count(totals, reading.depth) if total is not None and is_counted else CHAIN
            if evidence.is_verified:
                return rows, evidence
        known = readings.add(
            shown.keys(),
            positions=reading.depth - reading.others,
            count=total - reading.others if total is not None and is_counted else None,
            reason=reason,
        )
        if known is not None:
            return rows, known
    return rows, unverified(f"rows of one instant still swapped positions after {_MAX_READINGS} readings")


def _read(pages: Pages, window: Window) -> tuple[Reading, str]:
    """The window, page after page, as deep as the vendor allows; and why it did not come to its end."""
    reading = Reading(window)
    reading.add(0, pages.first(window))
    while reading.depth:
        total = count_of(reading.pages[0])
        if total is not None and reading.depth >= total:
            break
        # The page repeats one row. Where it shows nothing else, that was the last one.
        offset = reading.depth - 1
        try:
            page = pages.one(window, offset)
            page = page if page.size else pages.one(window, offset)
        except Rejected as error:
            if not refused_depth(error, offset):
                raise
            return reading, _TOO_DEEP
        if not page.size:
            return reading, _EMPTY
        if page.size == 1:
            break
        reading.add(offset, page)
        seen = len(distinct_rows(pages.system, reading.pages))
        if reading.depth > _MAX_ROWS_PER_NEW_ROW * seen + pages.system.listing.page_size:
            raise PaginationLoop(
                f"The listing of {window} gives the same rows at every offset. What came before it is kept. "
                "If the vendor's API changed its paging, the connector needs an update."
            )
    return reading, ""
