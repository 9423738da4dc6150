"""Rows of listings that cannot be stored under an id: where they stood, and to which time they belong.

A listing notes them while its pages are read; what writes its windows takes those that belong to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..core.errors import UnexpectedResponse
from ..core.models import MS, Page, RejectedRow, Window
from ..systems.protocol import System

_MAX_PAGE = 10
"""So many rows without an id on a page that has no others are no slips: then the vendor changed its answers."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected row of a listing."""

    row: RejectedRow
    window: Window | None
    """The window that was requested; None for any time."""
    offset: int
    """The position of the row in the listing of that window, from 0."""
    near: datetime | None
    """When it began; where it does not say, when the row beside it on its page did. None where none says."""
    alike: int = 0
    """How many equal ones of that time stand before it on its page."""

    def is_in(self, window: Window) -> bool:
        """Whether it belongs to the window, as far as is known."""
        return self.near is None or self.near in window


class Rejections:
    """The rejected rows of one listing that were read and not taken yet."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.has_rows = False
        """Whether the listing has shown rows with ids."""
        self._noted: dict[tuple[datetime | None, str, int], Rejection] = {}
        self._gaps: dict[tuple[datetime, str, int], datetime | None] = {}
        """Of rows that do not say when they began: their times, by when the row behind them began."""

    def note(self, page: Page, window: Window | None, offset: int) -> None:
        """Notes the rejected rows of a page that was read.

        Raises:
            UnexpectedResponse: the page has no other rows, and more than a few of these, or the listing is not known
                to show any other.
        """
        self.has_rows |= bool(page.rows)
        if not page.rejected:
            return
        if not page.rows and (page.size >= _MAX_PAGE or not self.has_rows):
            raise UnexpectedResponse(
                f"list of executions: none of {page.size} rows can be stored: {page.rejected[0].reason}. The vendor's "
                "API may have changed; nothing was loaded from this answer."
            )
        alike: Counter[tuple[datetime | None, str]] = Counter()
        for row in page.rejected:
            own, before, behind = self._starts(page, row)
            near, text = own or _within(window, before or behind), repr(row.value)
            number = alike[near, text]
            alike[near, text] += 1
            if own is None and behind is not None:
                # It may have been at the edge of another page: the time that was noted first stays its own.
                near = self._gaps.setdefault((behind, text, number), near)
            self._noted[near, text, number] = Rejection(row, window, offset + row.position, near, number)

    def number(self, window: Window) -> int:
        """How many of those that were not taken yet belong to the window."""
        return sum(one.is_in(window) for one in self._noted.values())

    def take(self, is_wanted: Callable[[Rejection], bool] = lambda _: True) -> list[Rejection]:
        """Those that are wanted, each once; the others stay noted."""
        taken = {key: one for key, one in self._noted.items() if is_wanted(one)}
        self._noted = {key: one for key, one in self._noted.items() if key not in taken}
        return list(taken.values())

    def _starts(
        self, page: Page, row: RejectedRow
    ) -> tuple[datetime | None, datetime | None, datetime | None]:
        """When the row began, and the nearest rows before and behind it on its page; None where none says."""
        own = self._system.started_at(row.value) if isinstance(row.value, dict) else None
        number = sum(position < row.position for position in page.positions)
        before = map(self._system.started_at, reversed(page.rows[:number]))
        behind = map(self._system.started_at, page.rows[number:])
        return own, next(filter(None, before), None), next(filter(None, behind), None)


def _within(window: Window | None, start: datetime | None) -> datetime | None:
    """The instant, or the nearest one of the window that was requested."""
    if window is None:
        return start
    return window.start if start is None else min(max(start, window.start), window.end - MS)
