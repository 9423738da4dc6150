"""The requests of a backfill or a sync before it runs: by counts of the vendor and averages over the warehouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core.errors import Rejected
from ..core.models import Page, Scope, Selection, Window
from ..extract.counted_window import Pages, after
from ..systems.common_settings import SystemSettings
from ..systems.protocol import System
from ..warehouse.averages import Averages
from .estimate_formulas import ExecutionCounts, RequestCounts, details, list_requests

MAX_REQUESTS = 5
"""Maximum requests that an estimate may take."""
_STEPS = 500
"""Number of points of the range at which the risk of purging is computed."""


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """What the warehouse holds of the range."""

    gaps: Sequence[Window]
    """Windows of the range that are not covered."""
    executions: int
    """Number of executions in the covered windows."""
    details_left: int
    """Number of stored executions whose steps are not loaded."""
    failed_left: int
    """Failed executions among ``details_left``."""
    payloads_left: int
    """Number of stored steps whose payload is not loaded."""
    averages: Averages
    known_workflows: frozenset[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """Estimated requests, by kind."""

    amount: ExecutionCounts
    """Executions in the gaps."""
    requests: RequestCounts
    is_counted: bool
    """Whether ``amount.executions`` is the vendor's count."""
    requests_sent: int
    """Requests that the estimate took."""


class Planner:
    """Estimates the requests of a backfill, or of a sync, with at most ``MAX_REQUESTS`` requests for counts.

    With ``edge``, the present by the vendor's clock, windows may reach beyond it: nothing is there.

    Raises, from ``plan``: the errors of the client, and UnexpectedResponse.
    """

    def __init__(
        self,
        pages: Pages,
        system: System,
        values: SystemSettings,
        *,
        edge: Callable[[], datetime] | None = None,
    ) -> None:
        self._pages = pages
        self._edge = edge
        self._system = system
        self._values = values
        self._asked = 0
        self._head: Page | None = None

    def plan(self, selection: Selection, scope: Scope, stored: StoredFacts) -> Plan:
        """Estimates the requests of the part of the selection that is not covered."""
        rows, is_counted = self._rows(selection, stored)
        amount = self._amount(selection, scope, stored, rows)
        executions, payloads = details(amount, scope, stored.averages)
        _, more = details(ExecutionCounts(stored.details_left, stored.failed_left), scope, stored.averages)
        pages = sum(
            list_requests(round(part), self._system.listing.page_size)
            for part in self._spread(stored.gaps, rows)
        )
        requests = RequestCounts(
            list=pages,
            execution=executions + stored.details_left,
            payload=payloads + stored.payloads_left + more,
            integration=self._integrations(stored.known_workflows),
        )
        return Plan(amount, requests, is_counted, self._asked)

    def _rows(self, selection: Selection, stored: StoredFacts) -> tuple[int, bool]:
        if not stored.gaps:
            return 0, True
        # One count per gap where enough requests remain for the other counts, otherwise one for the whole range.
        if len(stored.gaps) <= MAX_REQUESTS - 3:
            counts = [self._count(gap) for gap in stored.gaps]
        else:
            whole = self._count(selection.window or stored.gaps[0])
            counts = [None if whole is None else max(0, whole - stored.executions)]
        known = [count for count in counts if count is not None]
        if len(known) == len(counts):
            return sum(known), True
        return self._by_density(stored.gaps), False

    def _amount(self, selection: Selection, scope: Scope, stored: StoredFacts, rows: int) -> ExecutionCounts:
        """Numbers of failed and open executions among ``rows``, counted by the vendor where the scope depends on it."""
        asked_status = selection.filters.get("status")
        if asked_status is not None:
            is_failed = asked_status in self._system.failed_statuses
            is_open = asked_status in self._system.open_statuses
            return ExecutionCounts(rows, rows * is_failed, rows * is_open)
        failed = round(rows * stored.averages.failed_share)
        opened = 0
        if rows and stored.gaps and scope.steps != "none":
            whole = Window(stored.gaps[0].start, stored.gaps[-1].end)
            part = 1.0 if len(stored.gaps) == 1 else self._part(stored.gaps, whole)
            if "failed" in (scope.steps, scope.payloads) or scope.payloads == "all":
                failed = self._counted(whole, self._system.failed_statuses, part, failed)
            if scope.steps == "all":
                opened = self._counted(whole, self._system.open_statuses, part, 0)
        return ExecutionCounts(rows, min(failed, rows), min(opened, rows))

    def _counted(self, window: Window, statuses: Sequence[str], part: float, otherwise: int) -> int:
        counts = [self._count(window, {"status": status}) for status in statuses]
        known = [count for count in counts if count is not None]
        return round(sum(known) * part) if len(known) == len(counts) else otherwise

    def _count(self, window: Window, filters: Mapping[str, str] | None = None) -> int | None:
        if self._asked >= MAX_REQUESTS:
            return None
        self._asked += 1
        try:
            page = self._pages.one(window, 0, filters)
        except Rejected:
            if filters is None:
                raise
            return None  # the vendor refuses this filter
        if filters is None and self._head is None:
            self._head = page
        elif filters is not None and any(
            row.get("status") not in (*filters.values(), None) for row in page.rows
        ):
            return None  # the vendor ignored the filter
        if page.total is not None:
            return page.total
        return len(page.rows) if page.more is False else None

    def _by_density(self, gaps: Sequence[Window]) -> int:
        """Number of executions in the gaps, at the density of the first page."""
        rows = self._head.rows if self._head else []
        if not rows:
            return 0
        span = after(self._system, rows, gaps[0].end) - gaps[0].start
        edge = self._edge() if self._edge else gaps[-1].end
        whole = sum((max(gap.start, min(gap.end, edge)) - gap.start for gap in gaps), timedelta())
        return round(len(rows) * (whole / span)) if span else len(rows)

    def _spread(self, gaps: Sequence[Window], rows: int) -> list[float]:
        """The number of rows per gap, in proportion to its length."""
        whole = sum((gap.end - gap.start for gap in gaps), timedelta())
        return [rows * ((gap.end - gap.start) / whole) for gap in gaps]

    def _part(self, gaps: Sequence[Window], whole: Window) -> float:
        return sum((gap.end - gap.start for gap in gaps), timedelta()) / (whole.end - whole.start)

    def _integrations(self, known: frozenset[str]) -> int:
        """Estimated requests for the integrations of the new workflows on the first page."""
        integrations = self._system.integrations
        names = integrations.names(self._values) if integrations else ()
        column = self._system.workflow_column
        source = next(one.source for one in self._system.executions.columns if one.name == column) or ""
        fresh = {
            str(row[source]) for row in (self._head.rows if self._head else []) if row.get(source)
        } - known
        return round(len(fresh) * (len(names) + 1) / 2) if names else 0


@dataclass(frozen=True, slots=True)
class Risk:
    """The part of the range that the vendor purges before the budget allows reading it."""

    before: datetime
    """Executions that began before this instant are at risk."""
    share: float
    """Share of the range's time."""


def at_risk(
    window: Window, *, now: datetime, retention: timedelta | None, listing_s: float, details_s: float
) -> Risk | None:
    """The part that is purged before it is read (listings first, then details, oldest first); None without any."""
    if retention is None:
        return None
    length = window.end - window.start
    lost = None
    for step in range(_STEPS + 1):
        part = step / _STEPS
        reached = now + timedelta(seconds=listing_s + part * details_s)
        if details_s == 0:
            reached = now + timedelta(seconds=part * listing_s)
        instant = window.start + part * length
        if instant + retention < reached:
            lost = Risk(instant, part)
    return lost
