"""Reads all pages of a window in columns, while pages of the next window are requested already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from ..core.errors import Rejected, UnexpectedResponse
from ..core.json_reading import parse
from ..core.models import Answer, Page, Window
from ..core.thread_pools import OrderedMap
from .counted_window import Pages, Reading, is_sorted
from .evidence import count_of
from .rows_outside import around, split_outside

if TYPE_CHECKING:
    from .columnar import ColumnReader


_AHEAD, _AHEAD_BYTES = 128, 4 << 20
"""Maximum number of pages, and of their bytes, that are requested while others are read."""
_FIRST_PAGE_WAIT_S = 0.2
"""How many seconds a window that was read waits for the first page of the next one."""


@dataclass(slots=True)
class _Coming:
    """A window whose pages were requested before the window in front of it was read."""

    window: Window
    most: int
    """All its pages are requested if it has at most this many rows, otherwise only the first."""
    first: Iterator[Answer | Exception]
    """The answer with the first page."""
    is_here: bool = False
    """Whether that answer came, so that ``answer`` holds it."""
    answer: Answer | Exception | None = None
    page: Page | None = None
    """The first page; None where it is empty, not sorted or not counted, so that it is requested once more."""
    rest: Iterator[Answer | Exception] | None = None
    """The answers with the other pages, where these were requested."""


class ReadAhead:
    """Reads windows of one listing, where its system has a ``page_form``."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._system = pages.system
        self._columns: ColumnReader | None = None
        self._coming: _Coming | None = None
        self._begun: _Coming | None = None
        self._largest = 1
        """Bytes of the largest page so far."""

    def read(self, reading: Reading, *, then: Window | None, most: int) -> None:
        """Reads all pages of a window whose first page is known; a page that cannot be read is left out.

        Requests the first page of ``then`` meanwhile, and its others where it has at most ``most`` rows.
        """
        head, size, form = reading.pages[0], self._system.listing.page_size, self._system.listing.page_form
        begun, self._begun = self._begun, None
        total = head.total or 0
        has_free = any(column.is_customer_data for column in self._system.executions.columns)
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
        # The rows of this window wait only for a moment for the next one.
        if reading.error is None and coming is not None and _is_near(coming.first):
            self._take(coming)
        reader.finish()
        for offset, page in zip((0, *offsets), reader.pages, strict=False):
            if page is not None:
                self._pages.note(page, reading.window, offset)
                reading.add(offset, page)

    def ask(self, window: Window | None, *, most: int) -> None:
        """Requests the first page of the window, for ``ahead``, and its others where it has at most ``most`` rows."""
        self._coming = None
        if window is not None:
            self._coming = _Coming(window, most, self._pages.raw(window, (0,), ahead=1))

    def ahead(self, at: datetime, end: datetime) -> tuple[Window, Page] | None:
        """Returns once the requested window that begins at ``at``, with its first page; None where there is none.

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
        """Waits for the first page, and requests the others if the window has few enough rows."""
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
        """How many pages to request at once, by the largest page so far."""
        self._largest = max(self._largest, len(page.body))
        return max(1, min(_AHEAD, _AHEAD_BYTES // self._largest))


def _is_near(answers: Iterator[Answer | Exception]) -> bool:
    return isinstance(answers, OrderedMap) and answers.is_next_ready(_FIRST_PAGE_WAIT_S)
