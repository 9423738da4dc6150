"""Compares a window with the vendor: finds the rows that are missing in the warehouse, and those only stored there.

One request counts a window. Where the counts differ it is halved, until a page holds all of a half and
tells which rows they are: a few requests for each difference, however long the window.

A count may also hold the rows of the millisecond before the window and of the one at its end. So it is
at least the number of rows in it: when it equals what is stored, nothing is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from ..core.escapes import without_nul
from ..core.intervals import halves, overlap
from ..core.json_reading import parse_text
from ..core.json_writing import exact_json
from ..core.models import MS, VARIANT, Column, Json, Page, Row, Table, Window, floor_ms
from ..core.row_keys import JsonText
from ..systems.parsing import instant
from ..systems.protocol import System
from ..warehouse.column_rules import NO_RULES, TableRules
from ..warehouse.verified_days import Completeness
from .counted_window import Pages, holds_all, is_sorted, rows_beside
from .evidence import COUNT, count_of
from .one_instant import read_instant
from .warehouse_rows import EXECUTION

_MAX_REQUESTS_PER_WINDOW = 100
"""For the halves of one window; what is left beyond is read whole."""
_MOSTLY_MISSING = 0.5
_NUMBERS = ("bigint", "double")


class StoredExecutions(Protocol):
    """What is stored of a system's executions."""

    def count(self, window: Window) -> int:
        """How many began in the window."""
        ...

    def ids(self, window: Window) -> set[str]:
        """Which began in the window."""
        ...


class CountedExecutions(StoredExecutions, Protocol):
    """What is stored, counted for several windows at once."""

    def counts(self, windows: Sequence[Window]) -> list[int]:
        """How many began in each of the windows."""
        ...


@dataclass(frozen=True, slots=True)
class DifferingWindow:
    """A window of which all rows were read, and that differs."""

    window: Window
    missing: tuple[str, ...]
    """Ids that the vendor has and that are not stored."""
    surplus: tuple[str, ...]
    """Ids that are stored and that the vendor does not list."""


@dataclass(slots=True)
class Comparison:
    """What a comparison found."""

    fresh: list[Row] = field(default_factory=list)
    """Rows that the vendor has and that are not stored."""
    vanished: list[str] = field(default_factory=list)
    """Ids that are stored and that the vendor does not list."""
    total: int | None = None
    """The vendor's count for the whole window."""
    unverified: list[Window] = field(default_factory=list)
    """Windows in which a difference in the counts was not accounted for."""
    differing_windows: list[DifferingWindow] = field(default_factory=list)
    """The windows that differ, with their ids."""
    read: list[Row] = field(default_factory=list)
    """Rows that were read on the way; some may lie outside of the window, some may be there twice."""
    evidence: Completeness = COUNT
    """The weakest evidence of the windows that were read whole and verified."""

    @property
    def is_verified(self) -> bool:
        """Whether every difference in the counts was accounted for."""
        return not self.unverified

    def add(self, other: Comparison) -> None:
        """Takes what the comparison of another window found; not its count."""
        self.fresh += other.fresh
        self.vanished += other.vanished
        self.unverified += other.unverified
        self.differing_windows += other.differing_windows
        self.read += other.read
        self.evidence &= other.evidence

    def add_whole(
        self,
        system: System,
        window: Window,
        rows: Sequence[Row],
        stored: StoredExecutions,
        completeness: Completeness,
    ) -> None:
        """Takes all rows that the vendor showed of a window: which of them are not stored, and which are only stored."""
        stored_ids = stored.ids(window)
        inside: dict[str, Row] = {}
        for row in rows:
            at = system.started_at(row)
            if at is None or at in window:
                inside[system.identity(row)] = row
        missing, surplus = sorted(inside.keys() - stored_ids), []
        if completeness.is_verified:
            surplus = sorted(stored_ids - inside.keys())
            self.evidence &= completeness
        self.read += rows
        self.fresh += [inside[identity] for identity in missing]
        self.vanished += surplus
        if missing or surplus:
            self.differing_windows.append(DifferingWindow(window, tuple(missing), tuple(surplus)))

    def add_outside(self, system: System, row: Row, stored: StoredExecutions) -> None:
        """Takes a row that stood in an answer and began outside of the window, unless it is stored."""
        start, identity = system.started_at(row), system.identity(row)
        if start is None:
            return
        window = Window(floor_ms(start), floor_ms(start) + MS)
        if identity not in stored.ids(window):
            self.fresh.append(row)
            self.differing_windows.append(DifferingWindow(window, (identity,), ()))


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares windows.

    ``read`` gives all rows of a window, and their evidence. Its third argument, ``is_last``, says that the window is not
    halved next: where its counts do not say what it holds, its pages are read with an overlap, however many those are.
    """

    pages: Pages
    system: System
    read: Callable[[Window, Page, bool], tuple[list[Row], Completeness]]

    def compare(self, window: Window, stored: StoredExecutions) -> Comparison:
        """What the vendor's window has that is not stored, and the other way round."""
        work = _Work(self, stored)
        head = self.pages.first(window)
        work.compare_window(window, head)
        work.result.total = head.total
        work.result.fresh = list({self.system.identity(row): row for row in work.result.fresh}.values())
        return work.result


class _Work:
    def __init__(self, comparer: Comparer, stored: StoredExecutions) -> None:
        self._pages = comparer.pages
        self._system = comparer.system
        self._read = comparer.read
        self._stored = stored
        self._left = _MAX_REQUESTS_PER_WINDOW
        self._is_moving = False
        """Whether a window was read whole and not verified: rows change, or counts are wrong."""
        self.result = Comparison()

    def compare_window(self, window: Window, head: Page) -> None:
        """Compares the window, of which the first page is known."""
        self.result.read += head.rows
        if holds_all(self._system, head):
            self._add_difference(window, head.rows, evidence=COUNT)
            return
        count = count_of(head)
        if count is None:
            self._read_all(window, head, is_noted=True)
            return
        if not head.size or self._left <= 0 or self._is_short(window, head):
            # Halves of a window that shows less than it counts tell no more; those of others would take too many
            # requests.
            self._read_all(window, head, is_last=True, is_noted=True)
            return
        total = count - rows_beside(self._system, head, window)
        stored = self._stored.count(window)
        if total == stored and self._agrees_with_stored(window, head.rows):
            return
        if total - stored > total * _MOSTLY_MISSING and not self._is_moving:
            known = len(self.result.differing_windows)
            if self._read_all(window, head):
                return
            # The halves tell it again, and better.
            self._is_moving = True
            del self.result.differing_windows[known:]
        self._compare_halves(window, count)

    def _is_short(self, window: Window, head: Page) -> bool:
        """Whether nothing follows a first page that is shorter than others were, although it counts more rows."""
        if head.size >= self._pages.longest:
            return False
        self._left -= 1
        return self._pages.one(window, head.size - 1).size <= 1

    def _compare_halves(self, window: Window, count: int) -> None:
        parts = halves(window)
        if parts is None:
            rows, evidence = read_instant(self._pages, window)
            self._add_difference(window, list(rows.values()), evidence=evidence)
            if not evidence.is_verified:
                self.result.unverified.append(window)
            return
        # Neither half's count says anything of the other: rows may stand at their common edge, or have come
        # since the window was counted.
        counts: list[int | None] = []
        for part in parts:
            self._left -= 1
            head = self._pages.first(part)
            counts.append(count_of(head))
            self.compare_window(part, head)
        counted = [number for number in counts if number is not None]
        if len(counted) == len(parts) and sum(counted) < count and self._counts_more(window, sum(counted)):
            self.result.unverified.append(window)

    def _counts_more(self, window: Window, count: int) -> bool:
        """Whether the vendor still counts more rows than that."""
        again = self._pages.one(window)
        return again.total is None or again.total > count

    def _read_all(self, window: Window, head: Page, *, is_last: bool = False, is_noted: bool = False) -> bool:
        """Reads the whole window; False when its rows are not verified.

        ``is_last`` is that of ``Comparer.read``; ``is_noted`` says that what is not verified stays so.
        """
        rows, evidence = self._read(window, head, is_last)
        self._add_difference(window, rows, evidence=evidence)
        if is_noted and not evidence.is_verified:
            self.result.unverified.append(window)
        return evidence.is_verified

    def _add_difference(self, window: Window, rows: Sequence[Row], *, evidence: Completeness) -> None:
        self.result.add_whole(self._system, window, rows, self._stored, evidence)

    def _agrees_with_stored(self, window: Window, rows: Sequence[Row]) -> bool:
        """Whether what is stored agrees with the first page, as far as that can tell."""
        inside = {
            self._system.identity(row): at
            for row in rows
            if (at := self._system.started_at(row)) is not None and at in window
        }
        if not inside:
            return True
        first, last = min(inside.values()), max(inside.values())
        stored = self._stored.ids(Window(first, last + MS))
        if not inside.keys() <= stored:
            return False
        if not is_sorted(self._system, rows):
            return True
        if first == last:
            # Which rows of one instant a page shows is chance: as many may be missing as expired.
            at_once, evidence = read_instant(self._pages, Window(first, last + MS))
            at_first = {key for key, row in at_once.items() if self._system.started_at(row) == first}
            is_same = at_first == stored and not self._stored.count(Window(window.start, first))
            return evidence.is_verified and is_same
        # Rows of the last instant may continue on the next page, in any order.
        return {key for key, at in inside.items() if at < last} == self._stored.ids(
            Window(window.start, last)
        )


class SpotCheck:
    """A spot check of a counted, sorted window: does what is stored agree with it, as far as a few pages tell?

    The count and the first page are compared, and pages in its midst, whose positions tell whether differences cancel
    each other in the count.
    """

    def __init__(self, pages: Pages, system: System, stored: CountedExecutions) -> None:
        self._pages = pages
        self._system = system
        self._stored = stored
        self.read: list[Row] = []
        """Rows of the pages that were looked at."""
        self.total: int | None = None
        """The vendor's count for the window."""

    def agrees(self, window: Window, positions: Sequence[float]) -> bool:
        """Whether nothing differs; ``positions`` are those of further pages, from 0 to 1."""
        head = self._page(window, 0)
        self.total = head.total
        if head.total is None or not is_sorted(self._system, head.rows):
            return False
        outside = rows_beside(self._system, head, window)
        if head.total - outside != self._stored.count(window) or not self._is_aligned(window, head, 0):
            return False
        size = self._system.listing.page_size
        if head.total <= size:
            return True
        offsets = sorted(size + int(position * (head.total - size)) for position in positions)
        return all(self._is_aligned(window, self._page(window, offset), offset) for offset in offsets)

    def _page(self, window: Window, offset: int) -> Page:
        page = self._pages.one(window, offset)
        self.read += page.rows
        return page

    def _is_aligned(self, window: Window, page: Page, offset: int) -> bool:
        """Whether the page's rows stand where they stand among those that are stored."""
        system = self._system
        instants = [at for row in page.rows if (at := system.started_at(row)) is not None]
        if len(instants) < len(page.rows) or not instants or not is_sorted(system, page.rows):
            return not page.rows
        first, last = instants[0], instants[-1]
        before, with_first = self._stored.counts(
            [Window(window.start, first), Window(window.start, first + MS)]
        )
        # Bounds that are inclusive show rows of the milliseconds around the window, which are not stored for it.
        outside = sum(1 for at in instants if at < window.start)
        if not before <= offset + outside <= with_first or first >= window.end:
            return outside == len(instants)
        # Rows of the first and the last instant may stand on the pages around, in any order.
        between = Window(first + MS, last)
        seen = {
            system.identity(row)
            for row, at in zip(page.rows, instants, strict=True)
            if at in between and at in window
        }
        return between.is_empty or seen == self._stored.ids(overlap(between, window))


def differing(
    system: System, row: Mapping[str, Json], stored: Mapping[str, Any], *, rules: TableRules = NO_RULES
) -> tuple[str, ...]:
    """The documented columns of an execution whose stored value is not what the row says.

    What only a listing gives is not compared where the stored version came by a single read.
    """
    skipped = system.details.list_only_columns if stored.get("read_by") == EXECUTION else ()
    return differing_columns(system.executions, row, stored, skipped=skipped, rules=rules)


def differing_columns(
    table: Table,
    row: Mapping[str, Json],
    stored: Mapping[str, Any],
    *,
    skipped: Sequence[str] = (),
    rules: TableRules = NO_RULES,
) -> tuple[str, ...]:
    """The documented columns whose stored value is not what the row says, which has the vendor's keys.

    Columns that ``rules`` exclude are not compared, of those that they hash the hashes are.
    """
    if rules:
        row, stored = rules.applied(row), rules.applied(stored)
    return tuple(
        column.name
        for column in table.columns
        if column.source is not None
        and column.name not in skipped
        and column.name in stored
        and not _is_stored(column, row.get(column.source), stored)
    )


def _is_stored(column: Column, value: Json, stored: Mapping[str, Any]) -> bool:
    """Whether the stored row holds the value, in the column or as text beside it."""
    held, misfit = stored[column.name], stored.get(column.name + VARIANT)
    if held is None and misfit is not None:
        return bool(_comparable("text", value) == misfit)
    if (column.is_json or column.is_customer_data) and isinstance(held, str) and value is not None:
        text = value if isinstance(value, JsonText) or not column.is_json else exact_json(value)
        text = without_nul(str(text))
        return text == held or _in_earlier_form(column, text, held)
    return bool(_comparable(column.type, value) == _comparable(column.type, held))


def _in_earlier_form(column: Column, text: str, held: str) -> bool:
    """Whether an earlier version would have written it so: JSON without the quotes of a text, prose as JSON."""
    if column.is_json:
        return text[:1] == '"' and bool(parse_text(text) == held)
    return exact_json(text) == held or (held == "" == text)


def _comparable(kind: str, value: Json) -> Any:
    """Both sides in one form; None, an absent key and an empty text are alike."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, list | dict):
        return exact_json(value)
    if kind == "timestamp":
        return instant(value) or str(value)
    if kind in _NUMBERS and isinstance(value, int | float | Decimal | str):
        try:
            return Decimal(str(value))
        except (InvalidOperation, ValueError):
            return str(value)
    if kind == "bool":
        return bool(value)
    return without_nul(str(value))
