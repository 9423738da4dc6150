"""Whole windows page by page, and the first page of what comes after them, fetched side by side with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from ..core.concurrency import OrderedMap
from ..core.errors import Rejected, UnexpectedResponse
from ..core.json_reading import parse
from ..core.models import Answer, Page, Window
from ..systems.protocol import System
from .evidence import count_of
from .outside import around, split_outside
from .pages import Pages, Reading, is_sorted

if TYPE_CHECKING:
    from .columnar import ColumnReader


_AHEAD, _AHEAD_BYTES = 128, 4 << 20
"""Pages that are asked for while others are read: reading many takes as long as fetching a few dozen."""

_NEAR_S = 0.2


@dataclass(slots=True)
class _Coming:
    """A window of which pages were asked for."""

    window: Window
    most: int
    """All of them are wanted if they hold at most so many rows."""
    first: Iterator[Answer | Exception]
    is_here: bool = False
    answer: Answer | Exception | None = None
    """Its first page, as it came."""
    page: Page | None = None
    """The same, where it is of use."""
    rest: Iterator[Answer | Exception] | None = None
    """The other pages, where all of them were asked for."""


class ReadAhead:
    """Reads windows of one listing, where its system has a ``page_form``."""

    def __init__(self, pages: Pages, system: System) -> None:
        self._pages = pages
        self._system = system
        self._columns: ColumnReader | None = None
        self._coming: _Coming | None = None
        self._begun: _Coming | None = None
        self._largest = 1
        """Bytes of the largest page so far."""

    def read(self, reading: Reading, *, then: Window | None, most: int) -> None:
        """All pages of a window whose first one is known; before they are made up, pages of ``then`` are asked for.

        These are its first one, and all if they hold at most so many rows. What cannot be read is left out.
        """
        head, size, form = reading.pages[0], self._system.listing.page_size, self._system.listing.page_form
        begun, self._begun = self._begun, None
        total = head.total or 0
        has_free = any(column.is_free for column in self._system.executions.columns)
        if form is None or has_free or not head.body or head.size != size or total <= size:
            return
        from .columnar import ColumnReader, PageReader

        if self._columns is None:
            self._columns = ColumnReader(form, self._system.executions, started=self._system.started_column)
        reader = PageReader(
            self._columns,
            partial(self._page, window=reading.window),
            size=size,
            bounds=around(reading.window),
        )
        reader.add(head.body)
        offsets = range(size, total, size)
        answers = begun.rest if begun is not None and begun.window == reading.window else None
        if answers is None:
            answers = self._pages.raw(reading.window, offsets, ahead=self._ahead(head))
        self.ask(then, most=most)
        for offset, answer in zip(offsets, answers, strict=False):
            if isinstance(answer, Exception):
                reading.error, reading.failed_at = answer, offset
                break
            self._largest = max(self._largest, len(answer.body))
            reader.add(answer.body)
        coming = self._coming
        # The pages of this window do not wait longer than that for the next one.
        if reading.error is None and coming is not None and _is_near(coming.first):
            self._take(coming)
        reader.finish()
        for offset, page in zip((0, *offsets), reader.pages, strict=False):
            if page is not None:
                self._pages.note(page, reading.window, offset)
                reading.add(offset, page)

    def ask(self, window: Window | None, *, most: int) -> None:
        """Asks for the first page of the window, which ``ahead`` gives, and for all if it holds at most so many rows."""
        self._coming = None
        if window is not None:
            self._coming = _Coming(window, most, self._pages.raw(window, (0,), ahead=1))

    def ahead(self, at: datetime, end: datetime) -> tuple[Window, Page] | None:
        """The window that begins there and of which the first page was asked for; it is given once.

        Raises:
            Exception: what came instead of the page, as the client raises it.
        """
        coming, self._coming = self._coming, None
        if coming is None or coming.window.start != at or coming.window.end > end:
            return None
        self._take(coming)
        if isinstance(coming.answer, Exception) and not isinstance(coming.answer, Rejected):
            raise coming.answer
        if coming.page is None:
            return None
        self._pages.note(coming.page, coming.window, 0)
        self._begun = coming
        return coming.window, coming.page

    def _take(self, coming: _Coming) -> None:
        """Waits for its first page, and asks for the others if they are wanted."""
        if coming.is_here:
            return
        coming.is_here, coming.answer = True, next(coming.first, None)
        page = self._page(coming.answer.body, coming.window) if isinstance(coming.answer, Answer) else None
        if page is None or not page.size or not is_sorted(self._system, page.rows):
            return
        count = count_of(page)
        if count is None:
            return
        coming.page, size = page, self._system.listing.page_size
        if page.size == size < count <= coming.most:
            coming.rest = self._pages.raw(coming.window, range(size, count, size), ahead=self._ahead(page))

    def _page(self, body: bytes, window: Window) -> Page | None:
        """The page; None where it cannot be read: it is asked for once more, as such a page always is."""
        try:
            page = self._system.listing.read(parse(body))
            return split_outside(self._system, page, window).of(body)
        except (ValueError, RecursionError, UnexpectedResponse):
            return None

    def _ahead(self, page: Page) -> int:
        """How many pages like those so far are asked for at once."""
        self._largest = max(self._largest, len(page.body))
        return max(1, min(_AHEAD, _AHEAD_BYTES // self._largest))


def _is_near(answers: Iterator[Answer | Exception]) -> bool:
    return isinstance(answers, OrderedMap) and answers.is_next_ready(_NEAR_S)
