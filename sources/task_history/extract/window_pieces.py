"""Rows that were read → a piece of a window: cut to it, with the evidence that they are complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.log import log
from ..core.models import Page, Row, Window
from ..systems.protocol import System
from ..warehouse.verified_days import Completeness
from .counted_window import (
    Pages,
    Reading,
    complete_prefix,
    described,
    distinct_rows,
    holds_all,
    incomplete_instants,
)
from .evidence import CHAIN, COUNT, by_chain, count_of, is_end, is_only_row, joins, of_nothing
from .listed_rows import Rows
from .listing import ListedWindow


def cut_piece(
    system: System,
    window: Window,
    rows: Iterable[Row],
    *,
    total: int | None,
    evidence: Completeness | None = None,
) -> ListedWindow:
    """The rows that began in the window; those of which it is not known stay too.

    ``total`` says whether the vendor counts them; ``evidence`` is that of a count or of a chain where it is left out.
    """
    kept = Rows.of(system, rows).distinct(system).within(system, window)
    number = None if total is None else len(kept)
    return ListedWindow(window, kept, number, evidence or (CHAIN if total is None else COUNT))


def cut_page(system: System, window: Window, page: Page, evidence: Completeness) -> ListedWindow:
    """The window, of which one page holds all rows."""
    total = page.total if evidence == COUNT else None
    return cut_piece(system, window, page.rows, total=total, evidence=evidence)


def joined_piece(system: System, one: ListedWindow, two: ListedWindow) -> ListedWindow:
    """Two pieces that touch, as one."""
    rows = Rows.joined(system, (one.rows, two.rows)).distinct(system)
    total = None if one.total is None or two.total is None else len(rows)
    return ListedWindow(
        Window(one.window.start, two.window.end), rows, total, one.completeness & two.completeness
    )


def empty_piece(
    system: System, window: Window, page: Page, expected: int = 0, rows: Sequence[Row] = ()
) -> ListedWindow:
    """The window whose first page came empty twice; ``expected`` is how many rows were announced there before.

    ``rows`` are those that were seen there before.
    """
    evidence = of_nothing(page, expected=expected)
    if not evidence.is_verified:
        log.warning("listing_gives_none", window=described(window), reason=evidence.reason)
    total = 0 if evidence == COUNT else None
    return cut_piece(system, window, rows, total=total, evidence=evidence)


def complete_beginning(system: System, reading: Reading) -> ListedWindow | None:
    """What is certain of a reading that broke off: up to the first rows that may be incomplete."""
    depth = reading.gap()
    pages = reading.before(reading.depth if depth is None else depth)
    if reading.has_moved or reading.has_drifted:
        pages = {0: reading.pages[0]}
    rows, end = complete_prefix(system, distinct_rows(system, pages), reading.window.start)
    incomplete = incomplete_instants(system, pages)
    end = min([end, reading.window.end, *(at for at in incomplete if at is not None)])
    if None in incomplete or end <= reading.window.start:
        return None
    return cut_piece(system, Window(reading.window.start, end), rows, total=len(rows))


def whole_page(pages: Pages, window: Window, page: Page) -> Completeness | None:
    """The evidence that a first page holds all rows of the window, in any order; None where more may follow."""
    system, count = pages.system, count_of(page)
    if not page.size:
        return of_nothing(page)
    if holds_all(system, page):
        return COUNT
    if page.size >= (system.listing.page_size if count is None else pages.longest):
        return None
    if page.size == 1:
        is_only = is_only_row(page, (pages.one(window, 1) for _ in range(2)))
        return by_chain([count], 1) if is_only else None
    # Nothing but its last row is to follow.
    after_it = pages.one(window, page.size - 1)
    ids = [list(map(system.identity, rows)) for rows in (page.rows, after_it.rows)]
    return by_chain([count], page.size) if is_end(after_it, repeated=1, is_new=not joins(*ids)) else None
