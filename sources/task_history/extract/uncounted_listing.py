"""One window of a vendor that does not count: page after page, each repeating the end of the one before."""

from __future__ import annotations

from datetime import datetime

from ..core.errors import PaginationLoop
from ..core.models import MS, Page, Row, Window
from ..systems.protocol import System
from .pages import after, is_whole


class Walk:
    """A window read page after page. ``is_wary`` minds that rows may expire meanwhile."""

    def __init__(self, window: Window, head: Page, *, is_wary: bool) -> None:
        self.window = window
        self.page = head
        self.offset = 0
        self.rows: dict[str, Row] = {}
        self.last: datetime = window.start
        """When the last row of all pages began."""
        self.torn: set[datetime] = set()
        """Instants of more rows than two pages share."""
        self.is_broken = False
        """Whether the last page does not join the one before it: rows may be missing between."""
        self.stale = 0
        """How many pages in a row brought nothing new."""
        self._is_wary = is_wary
        self._overlap = 0
        self._joins_before = False
        """Whether the page has to begin before the last instant of the one before it."""
        self._previous: list[str] = []

    def add(self, system: System) -> int:
        """Takes the page's rows; gives how many were not known."""
        rows = self.page.rows
        fresh = {key: row for row in rows if (key := system.identity(row)) not in self.rows}
        if self.offset and rows:
            first = next((at for at in map(system.started_at, rows) if at is not None), self.last)
            is_late = first >= self.last if self._joins_before else first > self.last
            self.is_broken = is_late or len(fresh) == len(rows)
        if not self.is_broken:
            self.rows |= fresh
            self.last = max(self.last, after(system, rows, self.window.start + MS) - MS)
        self.stale = 0 if fresh else self.stale + 1
        return len(fresh)

    def is_over(self, fresh: int, page_size: int) -> bool:
        """Whether the page was the last one."""
        if self.is_broken:
            return False
        if not self.page.rows:
            return True
        if fresh == 0:
            # Behind the last row there is no more than what a page repeats.
            return self.page.more is not True and len(self.page.rows) <= self._overlap
        return is_whole(Page(self.page.rows, None, self.page.more), page_size)

    def is_repeated(self, system: System) -> bool:
        """Whether the page holds exactly what the one before it held."""
        return list(map(system.identity, self.page.rows)) == self._previous

    def is_same(self, system: System, page: Page) -> bool:
        """Whether that page holds exactly what this one holds."""
        return list(map(system.identity, self.page.rows)) == list(map(system.identity, page.rows))

    def skip(self) -> None:
        """Goes to where the page ends."""
        self.offset += len(self.page.rows)
        self._overlap, self._joins_before, self._previous = 0, False, []

    def advance(self, system: System) -> None:
        """Goes as far as the next page may, so that it repeats the rows that can swap with its own."""
        rows = self.page.rows
        size = len(rows)
        ties = sum(system.started_at(row) == self.last for row in rows)
        self._previous = list(map(system.identity, rows))
        self._joins_before = self._is_wary and ties <= size // 2
        if ties > size // 2:
            self.torn.add(self.last)
        repeated = max(1, min(ties, size // 2)) + self._joins_before
        step = max(1, size - repeated)
        self._joins_before &= step == size - repeated
        self._overlap = size - step
        self.offset += step


def loop_in(walk: Walk) -> PaginationLoop:
    """What to raise when its pages do not come to an end."""
    return PaginationLoop(
        f"The listing of {walk.window} gives nothing new at offset {walk.offset} and says that more follows, "
        "twice. What came before it is kept. If the vendor's API changed its paging, the connector has to "
        "follow."
    )
