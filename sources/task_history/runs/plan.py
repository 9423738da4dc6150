"""The cost of a backfill: estimated from a few counts of the vendor's and averages over the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core.errors import Rejected
from ..core.models import Page, Scope, Selection, Window
from ..extract.pages import Pages, after
from ..systems.protocol import System
from ..systems.shared_settings import SystemSettings
from ..warehouse.rates import Rates
from .estimate import Amount, Costs, details, list_requests

MOST_REQUESTS = 5
_STEPS = 500


@dataclass(frozen=True, slots=True)
class Held:
    """Facts of the warehouse about the range."""

    gaps: Sequence[Window]
    """What is not covered."""
    executions: int
    """Executions in the part that is covered."""
    details_left: int
    failed_left: int
    """Those of them that failed."""
    payloads_left: int
    """Details that executions lack which are held already."""
    rates: Rates
    known_workflows: frozenset[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill would cost."""

    amount: Amount
    """What is to be listed."""
    costs: Costs
    is_counted: bool
    """Whether the vendor counted what is to be listed."""
    asked: int
    """Requests that were spent to know it."""


class Planner:
    """Asks the vendor for counts, ``MOST_REQUESTS`` at most.

    Raises, from ``plan``: what the client raises, and UnexpectedResponse.
    """

    def __init__(self, pages: Pages, system: System, values: SystemSettings) -> None:
        self._pages = pages
        self._system = system
        self._values = values
        self._asked = 0
        self._head: Page | None = None

    def plan(self, selection: Selection, scope: Scope, held: Held) -> Plan:
        """The cost of what of the selection is not covered."""
        rows, is_counted = self._rows(selection, held)
        amount = self._amount(selection, scope, held, rows)
        executions, payloads = details(amount, scope, held.rates)
        _, more = details(Amount(held.details_left, held.failed_left), scope, held.rates)
        pages = sum(
            list_requests(round(part), self._system.listing.page_size)
            for part in self._spread(held.gaps, rows)
        )
        costs = Costs(
            list=pages,
            execution=executions + held.details_left,
            payload=payloads + held.payloads_left + more,
            integration=self._integrations(held.known_workflows),
        )
        return Plan(amount, costs, is_counted, self._asked)

    def _rows(self, selection: Selection, held: Held) -> tuple[int, bool]:
        if not held.gaps:
            return 0, True
        # A count each where that leaves room for the others, otherwise one for all.
        if len(held.gaps) <= MOST_REQUESTS - 3:
            counts = [self._count(gap) for gap in held.gaps]
        else:
            whole = self._count(selection.window or held.gaps[0])
            counts = [None if whole is None else max(0, whole - held.executions)]
        known = [count for count in counts if count is not None]
        if len(known) == len(counts):
            return sum(known), True
        return self._by_density(held.gaps), False

    def _amount(self, selection: Selection, scope: Scope, held: Held, rows: int) -> Amount:
        """How many of them failed and how many are open, counted where that matters and can be."""
        asked_status = selection.filters.get("status")
        if asked_status is not None:
            is_failed = asked_status in self._system.failed_statuses
            is_open = asked_status in self._system.open_statuses
            return Amount(rows, rows * is_failed, rows * is_open)
        failed = round(rows * held.rates.failed_share)
        opened = 0
        if rows and held.gaps and scope.steps != "none":
            whole = Window(held.gaps[0].start, held.gaps[-1].end)
            part = 1.0 if len(held.gaps) == 1 else self._part(held.gaps, whole)
            if "failed" in (scope.steps, scope.payloads) or scope.payloads == "all":
                failed = self._counted(whole, self._system.failed_statuses, part, failed)
            if scope.steps == "all":
                opened = self._counted(whole, self._system.open_statuses, part, 0)
        return Amount(rows, min(failed, rows), min(opened, rows))

    def _counted(self, window: Window, statuses: Sequence[str], part: float, otherwise: int) -> int:
        counts = [self._count(window, {"status": status}) for status in statuses]
        known = [count for count in counts if count is not None]
        return round(sum(known) * part) if len(known) == len(counts) else otherwise

    def _count(self, window: Window, filters: Mapping[str, str] | None = None) -> int | None:
        if self._asked >= MOST_REQUESTS:
            return None
        self._asked += 1
        try:
            page = self._pages.one(window, 0, filters)
        except Rejected:
            if filters is None:
                raise
            return None  # it cannot be asked so
        if filters is None and self._head is None:
            self._head = page
        elif filters is not None and any(
            row.get("status") not in (*filters.values(), None) for row in page.rows
        ):
            return None  # it did not heed the filter
        if page.total is not None:
            return page.total
        return len(page.rows) if page.more is False else None

    def _by_density(self, gaps: Sequence[Window]) -> int:
        """As many a second as the first page holds, where the vendor does not count."""
        rows = self._head.rows if self._head else []
        if not rows:
            return 0
        span = after(self._system, rows, gaps[0].end) - gaps[0].start
        whole = sum((gap.end - gap.start for gap in gaps), timedelta())
        return round(len(rows) * (whole / span)) if span else len(rows)

    def _spread(self, gaps: Sequence[Window], rows: int) -> list[float]:
        """The rows over the gaps, by their length."""
        whole = sum((gap.end - gap.start for gap in gaps), timedelta())
        return [rows * ((gap.end - gap.start) / whole) for gap in gaps]

    def _part(self, gaps: Sequence[Window], whole: Window) -> float:
        return sum((gap.end - gap.start for gap in gaps), timedelta()) / (whole.end - whole.start)

    def _integrations(self, known: frozenset[str]) -> int:
        """Questions for the integrations of workflows that are new, as far as the first page shows them."""
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
    """What passes the vendor's retention before the budget reaches it."""

    before: datetime
    """Executions that began before."""
    share: float
    """Of the range's time."""


def at_risk(
    window: Window, *, now: datetime, retention: timedelta | None, listing_s: float, details_s: float
) -> Risk | None:
    """Which part of the range is purged before its turn comes: listings first, then details, oldest first."""
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
