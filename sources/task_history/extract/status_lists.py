"""Lists of the executions that have one status, for vendors that filter by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..core.errors import Rejected
from ..core.log import log
from ..core.models import Page, Row, Window
from ..systems.protocol import GONE_STATUSES, System
from ..warehouse.backlog import OpenExecution
from .listing import WindowReader


class StatusLists:
    """Reads lists by status. Raises, from every method: what the client raises."""

    def __init__(self, system: System) -> None:
        self._system = system

    def heads(self, reader: WindowReader, statuses: Sequence[str], window: Window) -> dict[str, Page] | None:
        """The first page of each status; None when the vendor does not filter by it."""
        heads = {}
        for status in statuses:
            try:
                page = reader.pages.one(window, 0, {"status": status})
            except Rejected as error:
                if error.status in GONE_STATUSES:
                    raise
                log.info("status_filter_refused", status=status)
                return None
            if any(row.get("status") not in (status, None) for row in page.rows):
                log.info("status_filter_ignored", status=status)
                return None
            heads[status] = page
        return heads

    def is_unchanged(
        self, reader: WindowReader, heads: Mapping[str, Page], opens: Sequence[OpenExecution]
    ) -> bool:
        """Whether each status has as many as are stored: what is open can only become fewer.

        Those on a first page that are left out count as stored.
        """
        table, left_out = self._system.executions.name, reader.pages.left_out
        kept = {
            status: [row for row in page.rows if left_out is None or not left_out.has(table, row)]
            for status, page in heads.items()
        }
        stored = Counter(execution.status for execution in opens)
        known = {execution.id: execution.status for execution in opens}
        return stored.total() == sum(stored[status] for status in heads) and all(
            page.total is not None
            and page.total - (len(page.rows) - len(kept[status])) == stored[status]
            and all(known.get(self._system.identity(row)) == status for row in kept[status])
            for status, page in heads.items()
        )

    def rest(self, reader: WindowReader, status: str, window: Window, head: Page) -> list[Row]:
        """All rows of that status. What moves while pages are read is missed here and read singly."""
        filters = {"status": status}
        size = self._system.listing.page_size
        rows = list(head.rows)
        if head.total is not None:
            offsets = range(head.size, head.total, size) if rows else range(0)
            for _, page_or_error in reader.pages.many(window, offsets, filters):
                if isinstance(page_or_error, Exception):
                    raise page_or_error
                rows += page_or_error.rows
            return rows
        page, offset = head, 0
        while page.rows and (page.more or page.size >= size):
            offset += page.size
            page = reader.pages.one(window, offset, filters)
            known = set(map(self._system.identity, rows))
            if all(self._system.identity(row) in known for row in page.rows):
                break
            rows += page.rows
        return rows
