"""One closed window → all its rows, however its pages come.

Pages are asked for side by side by offset. Offsets drift when rows arrive or expire meanwhile, and
rows of one millisecond may swap positions between pages; so a window is only verified when as many
distinct ids came as the vendor counts, by the same count on every page. Rows that arrive while as many
others expire leave the count as it was; but what expires is the oldest, so that the first page shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ..core.errors import PaginationLoop, Rejected, UnexpectedResponse
from ..core.intervals import is_ascending, uncovered
from ..core.log import log
from ..core.models import MS, Answer, Page, Request, Row, Sender, Window, iso_ms
from ..systems.checked_ids import check_id
from ..systems.common_settings import SystemSettings
from ..systems.protocol import System
from ..warehouse.forgotten_people import LeftOut
from ..warehouse.verified_days import Completeness
from .evidence import by_count, is_all, unverified
from .listed_rows import Rows
from .rows_outside import OutsideRows, split_outside
from .rows_without_id import Rejections

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Reading:
    """What the pages of one window showed so far."""

    window: Window
    pages: dict[int, Page] = field(default_factory=dict)
    error: Exception | None = None
    """Why not all pages were read."""
    failed_at: int = 0
    """The position that could not be read."""
    empty_from: int | None = None
    """The position from which on pages came empty, twice, although the vendor counts more rows."""
    has_drifted: bool = False
    """Whether the page of the oldest rows showed others once the last one was read, or may do so."""

    _rows: Rows | None = field(default=None, init=False, repr=False)
    """The rows of these pages, once they were asked for."""

    def add(self, offset: int, page: Page) -> None:
        self.pages[offset] = page
        self._rows = None

    @property
    def total(self) -> int | None:
        """The highest count that any page gave."""
        return max((page.total for page in self.pages.values() if page.total is not None), default=None)

    @property
    def has_moved(self) -> bool:
        """Whether the vendor's count changed while the pages were read."""
        return len({page.total for page in self.pages.values()}) > 1

    def evidence(self, rows: int) -> Completeness:
        """The evidence that so many distinct rows of its pages are complete."""
        if self.has_drifted:
            return unverified("the oldest rows changed while the window was read")
        totals = [page.total for page in self.pages.values()]
        return by_count(totals, rows + self.others, gap=self.gap())

    def gap(self) -> int | None:
        """The first position that no page holds."""
        return uncovered({at: page.size for at, page in self.pages.items()}, self.total or 0)

    @property
    def depth(self) -> int:
        """The position after the last one that was read."""
        return max((at + page.size for at, page in self.pages.items()), default=0)

    def rows(self, system: System) -> Rows:
        """The rows of all pages, each id once."""
        if self._rows is None:
            self._rows = distinct_rows(system, self.pages)
        return self._rows

    @property
    def others(self) -> int:
        """How many positions hold a row without a usable id, or one that began outside of the window."""
        return len({at + position for at, page in self.pages.items() for position in page.other_positions})

    def before(self, depth: int) -> dict[int, Page]:
        """The pages that begin before that position."""
        return {at: page for at, page in self.pages.items() if at < depth}


class Pages:
    """Asks for pages of listings.

    Raises, from every method: what the client raises, and UnexpectedResponse when an answer has
    not the documented form.
    """

    def __init__(
        self,
        client: Sender,
        system: System,
        values: SystemSettings,
        *,
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self.system = system
        self._values = values
        self._filters = dict(filters or {})
        self._partition = system.partition_column
        self.rejections = Rejections(system)
        """Rows without a usable id, until they are taken."""
        self.outside = OutsideRows(system)
        """Rows that began outside of the window they were listed for, until they are taken."""
        self.has_counts = False
        """Whether the vendor has counted what it lists."""
        self.left_out: LeftOut | None = None
        """The executions of forgotten people, of which those on pages are noted; None where no person was forgotten."""
        self.longest = 0
        """Rows of the longest page so far."""
        self.others = 0
        """How many rows without a usable id, or from outside of a window, pages have shown so far."""
        self.short: list[Window] = []
        """Windows whose parts were verified and together hold fewer rows than the vendor counted before."""

    def first(self, window: Window) -> Page:
        """The first page of the window; asked for twice where it is empty, or lacks the count that others have."""
        page = self.one(window)
        if page.size and (page.total is not None or not self.has_counts):
            return page
        again = self.one(window)
        if again.size > page.size:
            log.warning("page_came_empty", window=described(window), rows=again.size)
        return again if again.size >= page.size else page

    def take_short(self) -> list[Window]:
        """The windows that were found short since the last call: they are to be compared once they are stored."""
        short, self.short = self.short, []
        return short

    def one(self, window: Window | None, offset: int = 0, filters: Mapping[str, Any] | None = None) -> Page:
        """The page at that offset."""
        answer = self._client.send(self._request(window, offset, filters))
        page = self._read(answer, window, offset)
        self.has_counts |= page.total is not None
        return page.of(answer.body)

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
                page = self._read(answer, window, offset)
            except UnexpectedResponse as error:
                yield offset, error
                return
            yield offset, page

    def _read(self, answer: Answer, window: Window | None, offset: int) -> Page:
        """The page in the answer. Raises UnexpectedResponse, also where a row names another partition."""
        page = self.system.listing.read(answer.data)
        count = answer.headers.get(self.system.listing.total_header, "")
        if page.total is None and count.isascii() and count.isdigit():
            page = replace(page, total=int(count))
        self._set_partition(page.rows)
        # Where the order is not known, what lies outside tells as well which row follows which.
        if self.system.listing.is_countable:
            page = split_outside(self.system, page, window)
        self.note(page, window, offset)
        return page

    def _set_partition(self, rows: Sequence[Row]) -> None:
        """Sets the partition that was asked for in rows that name none. Raises UnexpectedResponse for another one."""
        name, column = self.system.listing.partitioned_by, self._partition
        if column is None or name not in self._filters:
            return
        expected = str(self._filters[name])
        if column.source:
            check_id(name, (column.source,), rows, expected)
        for row in rows:
            if row.get(column.key) in (None, ""):
                row[column.key] = expected

    def note(self, page: Page, window: Window | None, offset: int) -> None:
        """Notes what a page that was read shows besides the window's rows. Raises UnexpectedResponse."""
        self.longest = max(self.longest, page.size)
        self.others += page.size - len(page.rows)
        self.rejections.note(page, window, offset)
        self.outside.note(page, window)
        if self.left_out is not None:
            table, rows = self.system.executions.name, page.rows
            # Rows in columns are taken apart only where one of them is left out.
            if not isinstance(rows, Rows) or self.left_out.has_any(table, rows.values):
                self.left_out.add_listed(table, [*rows, *(outside.row for outside in page.outside)])

    def raw(self, window: Window, offsets: Iterable[int], *, ahead: int) -> Iterator[Answer | Exception]:
        """The pages at those offsets as they came, in order, so many asked for at once.

        An error other than a refusal ends them.
        """
        return self._client.map(
            (self._request(window, offset, None) for offset in offsets), is_raw=True, ahead=ahead
        )

    def complete(self, reading: Reading, *, overlap: int, may_expire: bool) -> None:
        """Reads what is missing of a window whose first page is known.

        ``overlap`` is how many rows of a page the next one repeats: two that swap are seen by one of them.
        ``may_expire`` asks for the page of the oldest rows once more at the end: some may have expired. What
        cannot be read is left in ``reading.error``; nothing that was read is lost.

        Raises:
            PaginationLoop: offsets do not lead to other rows.
        """
        head = reading.pages[0]
        begun, step = head.size, self.system.listing.page_size - overlap
        offsets = range(max(0, begun - overlap), reading.total or 0, step)
        is_more = 0 < begun < (reading.total or 0) and reading.error is None
        missing = [offset for offset in offsets if offset not in reading.pages]
        for offset, page in self.many(reading.window, missing if is_more else ()):
            if isinstance(page, Exception):
                reading.error, reading.failed_at = page, offset
                break
            reading.add(offset, page)
        try:
            if reading.error is None:
                self._replace_repeated(reading)
                self._fill(reading)
            elif not isinstance(reading.error, Rejected):
                reading.has_drifted |= may_expire
                return
        except PaginationLoop:
            raise
        except Exception as error:  # noqa: BLE001 - raised again once the rows are saved
            reading.error, reading.failed_at = error, reading.gap() or 0
        if may_expire and len(reading.pages) > 1:
            self._look_back(reading)

    def _look_back(self, reading: Reading) -> None:
        """Asks for the page of the oldest rows again: whether it shows what it showed."""
        offset = min(reading.pages, key=lambda at: _span(self.system, reading.pages[at].rows)[0])
        page = reading.pages[offset]
        reading.has_drifted = True
        try:
            again = self.one(reading.window, offset)
        except Exception as error:  # noqa: BLE001 - raised again once the rows are saved
            reading.error = reading.error or error
        else:
            reading.has_drifted = again.total != page.total or is_other(self.system, again, page)

    def _replace_repeated(self, reading: Reading) -> None:
        """Asks again for pages that hold exactly the rows of another: an offset was not heeded.

        Two that stay alike may be the same rows, moved on by as many new ones as came meanwhile: that is
        compared. More of one kind come only where offsets lead nowhere.
        """
        if len(reading.rows(self.system)) == sum(len(page.rows) for page in reading.pages.values()):
            return  # no row stands on two pages
        for offset in sorted(offset for same in _repeated(self.system, reading.pages) for offset in same):
            reading.add(offset, self.one(reading.window, offset))
        alike = _repeated(self.system, reading.pages)
        longest = max(alike, key=len, default=[])
        filled = sum(1 for page in reading.pages.values() if page.size)
        if len(longest) > 2 or (longest and len(longest) == filled):
            raise PaginationLoop(
                f"The listing of {reading.window} gives the same rows at offset {longest[-1]} as before, twice. "
                "Nothing of it was loaded. If the vendor's API changed its paging, the connector needs an update."
            )
        reading.has_drifted |= bool(alike)

    def _fill(self, reading: Reading) -> None:
        """Asks for positions that short pages left out."""
        empty = 0
        while (at := reading.gap()) is not None:
            page = self.one(reading.window, at)
            if not page.size:
                empty += 1
                if page.total == 0:
                    reading.add(at, page)
                if reading.has_moved or page.total is None or page.total <= at:
                    return  # rows expired meanwhile
                if empty > 1:
                    reading.empty_from = at
                    return
                continue
            reading.add(at, page)

    def _request(self, window: Window | None, offset: int, filters: Mapping[str, Any] | None) -> Request:
        return self.system.listing.request(
            self._values, window, offset=offset, filters={**self._filters, **(filters or {})}
        )


def distinct_rows(system: System, pages: Mapping[int, Page]) -> Rows:
    """The rows of the pages, each id once."""
    return Rows.joined(system, (pages[at].rows for at in sorted(pages))).distinct(system)


def incomplete_instants(
    system: System, pages: Mapping[int, Page], seen_since: Iterable[Row] = ()
) -> set[datetime | None]:
    """The instants of which fewer executions were seen than positions: they swapped between pages.

    ``seen_since`` are rows that were read again.
    """
    positions: Counter[datetime | None] = Counter()
    seen: set[str] = set()
    covered = 0
    for offset in sorted(pages):
        page = pages[offset]
        for position, row in zip(page.positions, page.rows, strict=True):
            instant, identity = system.started_at(row), system.identity(row)
            positions[instant] += (offset + position >= covered) - (identity not in seen)
            seen.add(identity)
        covered = max(covered, offset + page.size)
    for row in seen_since:
        if (identity := system.identity(row)) not in seen:
            positions[system.started_at(row)] -= 1
            seen.add(identity)
    return {instant for instant, missing in positions.items() if missing > 0}


def complete_prefix(system: System, rows: Iterable[Row], otherwise: datetime) -> tuple[list[Row], datetime]:
    """The rows of a sorted page that certainly are all until some instant, and that instant.

    Rows of a page's last instant may continue on the next one, in any order. ``otherwise`` where the page
    tells nothing later.
    """
    rows = list(rows)
    last = after(system, rows, otherwise + MS) - MS
    certain = (row for row in rows if (at := system.started_at(row)) is None or at < last)
    return list({system.identity(row): row for row in certain}.values()), max(last, otherwise)


def is_other(system: System, again: Page, page: Page) -> bool:
    """Whether a page of the oldest rows holds others than it did."""
    # Rows of its newest instant may swap with those of the next page.
    last = _span(system, page.rows)[1]
    one, two = (
        {system.identity(row) for row in rows if (at := system.started_at(row)) is None or at < last}
        for rows in (page.rows, again.rows)
    )
    # Where all began at once, their order may be any: only whether they are the same can be asked.
    return (
        one != two if one else set(map(system.identity, page.rows)) != set(map(system.identity, again.rows))
    )


def _span(system: System, rows: Iterable[Row]) -> tuple[datetime, datetime]:
    """When the first and the last of the rows began; the end of time where that is not known."""
    instants = [at for at in map(system.started_at, rows) if at is not None]
    return (min(instants), max(instants)) if instants else (_NEVER, _NEVER)


def _repeated(system: System, pages: Mapping[int, Page]) -> list[list[int]]:
    """The offsets whose pages hold the same rows, together; which of them is wrong cannot be seen."""
    offsets: dict[tuple[str, ...], list[int]] = {}
    for offset in sorted(pages):
        ids = tuple(Rows.of(system, pages[offset].rows).ids)
        if ids:
            offsets.setdefault(ids, []).append(offset)
    return [same for same in offsets.values() if len(same) > 1]


def holds_all(system: System, page: Page) -> bool:
    """Whether this first page holds all rows that the vendor counts, each once."""
    others = page.size - len(page.rows)
    return is_all(page, len({system.identity(row) for row in page.rows}) + others)


def rows_beside(system: System, page: Page, window: Window) -> int:
    """How many rows of a first page do not belong to the window that it was asked for."""
    starts = map(system.started_at, page.rows)
    return sum(1 for start in starts if start is not None and start not in window)


def is_sorted(system: System, rows: Iterable[Row]) -> bool:
    """Whether the rows come oldest first."""
    return is_ascending(map(system.started_at, rows))


def after(system: System, rows: Iterable[Row], otherwise: datetime) -> datetime:
    """The millisecond after the last of the rows."""
    instants = [at for at in map(system.started_at, rows) if at is not None]
    return max(instants) + MS if instants else otherwise


def described(window: Window) -> str:
    """The window as log lines name it."""
    return f"{iso_ms(window.start)}/{iso_ms(window.end)}"
