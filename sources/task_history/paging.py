"""One closed window → all its rows, however its pages come.

Pages are asked for side by side by offset. Offsets drift when rows arrive or expire meanwhile, and
rows of one millisecond may swap places between pages; so what was read is only believed when as many
distinct ids came as the vendor counts, by the same count on every page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from .errors import PaginationLoop, Rejected, UnexpectedResponse
from .model import MS, Answer, Page, Request, Row, Window, iso_ms
from .systems.base import System, Values
from .windows import is_ascending, uncovered

_ATTEMPTS = 8


class Sender(Protocol):
    """What reading needs of a client."""

    def send(self, request: Request) -> Answer:
        """The answer, however many attempts it takes."""
        ...

    def map(self, requests: Iterable[Request]) -> Iterator[Answer | Exception]:
        """The answers in order."""
        ...


@dataclass(slots=True)
class Reading:
    """What the pages of one window held so far."""

    window: Window
    pages: dict[int, Page] = field(default_factory=dict)
    error: Exception | None = None
    """Why not all pages were read."""

    def add(self, offset: int, page: Page) -> None:
        self.pages[offset] = page

    @property
    def total(self) -> int | None:
        """The highest count that any page gave."""
        return max((page.total for page in self.pages.values() if page.total is not None), default=None)

    @property
    def has_moved(self) -> bool:
        """Whether the vendor's count changed while the pages were read."""
        return len({page.total for page in self.pages.values()}) > 1

    def gap(self) -> int | None:
        """The first position that no page holds."""
        return uncovered({at: len(page.rows) for at, page in self.pages.items()}, self.total or 0)


class Pages:
    """Asks for pages of listings.

    Raises, from every method: whatever the client raises, and UnexpectedResponse when an answer has
    not the documented form.
    """

    def __init__(
        self,
        client: Sender,
        system: System,
        values: Values,
        *,
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self._system = system
        self._values = values
        self._filters = dict(filters or {})
        self.has_counts = False
        """Whether the vendor has counted what it lists."""

    def one(self, window: Window | None, offset: int = 0, filters: Mapping[str, Any] | None = None) -> Page:
        """The page at that offset."""
        request = self._request(window, offset, filters)
        page = self._system.read_page(self._client.send(request).data)
        self.has_counts |= page.total is not None
        return page

    def many(
        self, window: Window | None, offsets: Iterable[int], filters: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[int, Page | Exception]]:
        """The pages at those offsets, in order; an error ends them."""
        offsets = list(offsets)
        answers = self._client.map(self._request(window, offset, filters) for offset in offsets)
        for offset, answer in zip(offsets, answers, strict=False):
            if isinstance(answer, Exception):
                yield offset, answer
                return
            try:
                page = self._system.read_page(answer.data)
            except UnexpectedResponse as error:
                yield offset, error
                return
            yield offset, page

    def complete(self, reading: Reading, *, overlap: int) -> None:
        """Reads what is missing of a window whose first pages are known.

        ``overlap`` is how many rows of a page the next one repeats. What cannot be read is left in
        ``reading.error``; nothing that was read is lost.

        Raises:
            PaginationLoop: offsets do not lead to other rows.
        """
        at = max(offset + len(page.rows) for offset, page in reading.pages.items())
        offsets = range(max(0, at - overlap), reading.total or 0, self._system.page_size - overlap)
        for offset, page in self.many(reading.window, offsets if at < (reading.total or 0) else ()):
            if isinstance(page, Exception):
                reading.error = page
                return
            reading.add(offset, page)
        try:
            self._replace_repeated(reading)
            self._fill(reading)
        except PaginationLoop:
            raise
        except Exception as error:  # noqa: BLE001 - raised by whoever has saved the rows
            reading.error = error

    def millisecond(self, window: Window) -> tuple[dict[str, Row], bool]:
        """The rows of one millisecond, which may swap between pages: read until all were seen.

        False when they were not, after several times.
        """
        rows: dict[str, Row] = {}
        for _ in range(_ATTEMPTS):
            offset = 0
            while True:
                page = self.one(window, offset)
                rows |= {self._system.identity(row): row for row in page.rows}
                offset += len(page.rows)
                if is_whole(Page(page.rows, None, page.more), self._system.page_size):
                    break
                if page.total is not None and offset >= page.total:
                    break
            if len(rows) >= offset:
                return rows, True
        return rows, False

    def _replace_repeated(self, reading: Reading) -> None:
        """Asks again for pages that hold exactly the rows of another: an offset was not heeded."""
        for offset in _repeated(self._system, reading.pages):
            reading.add(offset, self.one(reading.window, offset))
        if again := _repeated(self._system, reading.pages):
            raise PaginationLoop(
                f"The listing of {reading.window} gives the same rows at offset {again[-1]} as before, twice. "
                "Nothing of it was loaded. If the vendor's API changed its paging, the connector has to follow."
            )

    def _fill(self, reading: Reading) -> None:
        """Asks for positions that short pages left out."""
        empty = 0
        while (at := reading.gap()) is not None:
            page = self.one(reading.window, at)
            if not page.rows:
                empty += 1
                if reading.has_moved or page.total is None or page.total <= at:
                    return  # rows expired meanwhile
                if empty > 1 and at > 0:
                    return  # its count is wrong: what came is compared once more
                if empty > 1:
                    raise UnexpectedResponse(
                        f"The listing of {reading.window} counts {page.total} executions and gives none at "
                        f"offset {at}, twice. What came before it is kept; run the same command again."
                    )
                continue
            reading.add(at, page)

    def _request(self, window: Window | None, offset: int, filters: Mapping[str, Any] | None) -> Request:
        return self._system.list_request(
            self._values, window, offset=offset, filters={**self._filters, **(filters or {})}
        )


def _repeated(system: System, pages: Mapping[int, Page]) -> list[int]:
    """The offsets whose pages hold the same rows; which of them is wrong cannot be seen."""
    offsets: dict[tuple[str, ...], list[int]] = {}
    for offset in sorted(pages):
        ids = tuple(map(system.identity, pages[offset].rows))
        if ids:
            offsets.setdefault(ids, []).append(offset)
    return [offset for same in offsets.values() if len(same) > 1 for offset in same]


def is_whole(page: Page, page_size: int) -> bool:
    """Whether this first page holds all that there is.

    A short page that says that it is the last one is believed, whatever it counts; one that says nothing
    is not.
    """
    if page.total is not None:
        return page.total <= len(page.rows) or (0 < len(page.rows) < page_size and page.more is False)
    return not page.rows or (len(page.rows) < page_size and page.more is False)


def is_sorted(system: System, rows: Iterable[Row]) -> bool:
    """Whether the rows come oldest first."""
    return is_ascending(map(system.started_at, rows))


def refused_depth(error: Exception | None, offset: int) -> bool:
    """Whether the vendor refuses to go as deep as that offset."""
    return isinstance(error, Rejected) and error.status in (400, 413, 414, 416, 422) and offset > 0


def after(system: System, rows: Iterable[Row], otherwise: datetime) -> datetime:
    """The millisecond after the last of the rows."""
    instants = [at for at in map(system.started_at, rows) if at is not None]
    return max(instants) + MS if instants else otherwise


def described(window: Window) -> str:
    """The window as log lines name it."""
    return f"{iso_ms(window.start)}/{iso_ms(window.end)}"
