"""Rows that stand in the answer for a window and began more than a millisecond outside of it: they are kept and logged.

The vendor's bounds may be inclusive, so a row that began within a millisecond of the window is none of these.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ..core.errors import UnexpectedResponse
from ..core.log import log
from ..core.models import MS, OutsideRow, Page, Row, Window, iso_ms
from ..systems.protocol import System

_MAX_ROWS = 10_000
"""At most so many are kept until they are taken; more raise UnexpectedResponse."""


def around(window: Window) -> Window:
    """The window, and the milliseconds beside it that a vendor's inclusive bounds add."""
    return Window(window.start - MS, window.end + MS)


def split_outside(system: System, page: Page, window: Window | None) -> Page:
    """The page of that window, with the rows that began outside of it apart."""
    if window is None:
        return page
    bounds = around(window)
    starts = [system.started_at(row) for row in page.rows]
    if all(start is None or start in bounds for start in starts):
        return page
    rows: list[Row] = []
    outside: list[OutsideRow] = []
    for position, start, row in zip(page.positions, starts, page.rows, strict=True):
        if start is None or start in bounds:
            rows.append(row)
        else:
            outside.append(OutsideRow(position, row))
    return replace(page, rows=rows, outside=tuple(outside))


def log_outside(system: System, window: Window | None, rows: Collection[Row]) -> None:
    """Logs that these rows stood in the answer for a window in which they did not begin."""
    starts = [start for start in map(system.started_at, rows) if start is not None]
    log.warning("rows_outside_of_window", window=str(window), rows=len(rows), first_start=iso_ms(min(starts)))


class OutsideRows:
    """The rows of one listing that began outside of the windows in whose answers they stood, until they are taken."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._noted: dict[str, Row] = {}
        self._taken: set[str] = set()

    def note(self, page: Page, window: Window | None) -> None:
        """Notes those of a page of that window.

        Raises:
            UnexpectedResponse: they are so many that the vendor seems not to filter by time.
        """
        if not page.outside:
            return
        rows = {self._system.identity(outside.row): outside.row for outside in page.outside}
        fresh = {key: row for key, row in rows.items() if key not in self._noted and key not in self._taken}
        self._noted |= fresh
        if fresh:
            log_outside(self._system, window, fresh.values())
        if len(self._noted) > _MAX_ROWS or len(page.outside) == page.size >= self._system.listing.page_size:
            raise UnexpectedResponse(
                f"The list for {window} gives executions that began outside of it, {len(self._noted):,} so far. If the "
                "vendor's API does not filter by time any more, the connector needs an update."
            )

    def take(self) -> Sequence[Row]:
        """Those that were noted since the last call."""
        taken, self._noted = self._noted, {}
        self._taken |= taken.keys()
        return list(taken.values())
