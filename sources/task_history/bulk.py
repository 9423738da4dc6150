"""Whole windows in columns, and the first page of what comes after them, fetched side by side with them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from .deciphering import parse
from .errors import Rejected, UnexpectedResponse
from .model import Answer, Page, Window
from .paging import Pages, Reading, contradicts, is_sorted
from .systems.base import System

if TYPE_CHECKING:
    from .frames import Frame, Framer

log = logging.getLogger("task_history")


class Bulk:
    """Reads windows of one listing, where its system has a ``page_form``."""

    def __init__(self, pages: Pages, system: System) -> None:
        self._pages = pages
        self._system = system
        self._framer: Framer | None = None
        self._coming: tuple[Window, Iterator[Answer | Exception]] | None = None

    def read(self, reading: Reading, *, then: Window | None) -> Frame | None:
        """All of a window whose first page is known; the first page of ``then`` is asked for besides.

        None where anything about it is odd: what came is in the reading then, to go on with row by row.
        """
        head, size, form = reading.pages[0], self._system.page_size, self._system.page_form
        total = head.total or 0
        has_free = any(column.is_free for column in self._system.executions.columns)
        if form is None or has_free or not head.body or len(head.rows) != size or total <= size:
            return None
        from .frames import Framer, Framing

        if self._framer is None:
            self._framer = Framer(form, self._system.executions, started=self._system.started_column)
        framing = Framing(self._framer, total=total, size=size)
        framing.add(head.body)
        offsets = range(size, total, size)
        asked: list[tuple[Window, int]] = [(reading.window, offset) for offset in offsets]
        answers = self._pages.raw(asked if then is None else [*asked, (then, 0)])
        for offset, answer in zip(offsets, answers, strict=False):
            if isinstance(answer, Exception):
                reading.error, reading.refused = answer, offset
                break
            framing.add(answer.body)
        frame = framing.frame() if reading.error is None else None
        if reading.error is None and then is not None:
            self._coming = then, answers
        if frame is None:
            for offset, body in zip(offsets, framing.bodies[1:], strict=False):
                page = self._page(body)
                if page is not None:
                    reading.add(offset, page)
        return frame

    def ahead(self, at: datetime, end: datetime) -> tuple[Window, Page] | None:
        """The window that begins there and of which the first page was asked for; it is given once.

        Raises:
            Exception: what came instead of the page, as the client raises it.
        """
        coming, self._coming = self._coming, None
        if coming is None or coming[0].start != at or coming[0].end > end:
            return None
        answer = next(coming[1], None)
        if isinstance(answer, Exception) and not isinstance(answer, Rejected):
            raise answer
        page = self._page(answer.body) if isinstance(answer, Answer) else None
        if page is None or page.total is None or contradicts(page) or not is_sorted(self._system, page.rows):
            return None
        return coming[0], page

    def _page(self, body: bytes) -> Page | None:
        """The page; None where it cannot be read: it is asked for once more, as such a page always is."""
        try:
            return self._system.read_page(parse(body)).of(body)
        except (ValueError, RecursionError, UnexpectedResponse):
            return None
