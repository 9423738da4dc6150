"""Estimates of requests, seconds and bytes, as pure functions of counts and of averages over stored rows."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from ..core.models import Scope
from ..extract.listing import ROWS_PER_PIECE
from ..warehouse.averages import Averages

_BYTES_PER_ROW = {"execution": 60, "step": 90, "details_log": 40}
"""Bytes of a row on disk, compressed, in DuckDB and BigQuery; measured over 100,000 executions."""
_MIN_FOR_GOOD_ESTIMATE = 200
"""Executions with known steps from which on an estimate from their averages is called good."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Requests by kind."""

    list: int = 0
    execution: int = 0
    payload: int = 0
    integration: int = 0

    @property
    def total(self) -> int:
        """Requests of all kinds."""
        return self.list + self.execution + self.payload + self.integration


@dataclass(frozen=True, slots=True)
class ExecutionCounts:
    """Numbers of executions: all of them, the failed and the open ones."""

    executions: int
    failed: int
    open: int = 0


def list_requests(rows: int, page_size: int) -> int:
    """Number of requests to list a window of ``rows`` executions: its pages, and a partly filled one per piece."""
    return max(1, math.ceil(rows / page_size)) + max(0, round(rows / ROWS_PER_PIECE) - 1)


def details(amount: ExecutionCounts, scope: Scope, averages: Averages) -> tuple[int, int]:
    """Estimated requests for single executions, and for payloads, of ``amount`` executions."""
    settled = max(0, amount.executions - amount.open)
    executions = {"all": settled, "failed": amount.failed, "none": 0}[scope.steps]
    if executions == 0:
        return 0, 0
    others = executions - min(amount.failed, executions)
    failed = executions - others
    payloads = {
        "all": others * averages.steps_each + failed * averages.steps_of_failed_each,
        "failed": failed * averages.failed_steps_each,
        "none": 0,
    }[scope.payloads]
    return executions, round(payloads)


def stored_bytes(executions: int, costs: Costs, scope: Scope, averages: Averages) -> int:
    """Estimated bytes of executions and their details in the warehouse."""
    each = averages.steps_each if scope.steps == "all" else averages.steps_of_failed_each
    return round(
        executions * _BYTES_PER_ROW["execution"]
        + costs.execution * (_BYTES_PER_ROW["details_log"] + each * _BYTES_PER_ROW["step"])
        + costs.payload * averages.bytes_each
    )


def seconds(requests: float, *, limit: int, period_s: float, free: int | None) -> float | None:
    """Seconds that the requests take at the budget; None without a limit.

    ``free`` is the number that the budget allows at once; None counts as none.
    """
    if limit == 0:
        return None
    return max(0.0, requests - (free or 0)) * period_s / limit


class Pace:
    """The recent rate of requests, to estimate how long the rest of a run takes."""

    _MIN_LOOKBACK_S = 10.0

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])

    def seconds_left(
        self, now_s: float, sent: int, requests_remaining: float, *, by_budget: float | None, period_s: float
    ) -> float | None:
        """Seconds until ``requests_remaining`` more are answered; None while nothing can be said.

        ``now_s`` are seconds since the start. The pace is that of the last period, or ten seconds, at least;
        a shorter look would take the burst at the start of each period for the pace. ``by_budget`` is what the
        budget allows at best.
        """
        look_s = max(self._MIN_LOOKBACK_S, 2 * period_s)
        self._marks.append((now_s, sent))
        while len(self._marks) > 2 and self._marks[1][0] <= now_s - look_s:
            self._marks.popleft()
        since, before = self._marks[0]
        is_enough = now_s - since >= max(1.0, period_s)
        by_pace = (
            requests_remaining * (now_s - since) / (sent - before) if is_enough and sent > before else None
        )
        if by_budget is None or by_pace is None:
            return by_pace if by_budget is None else by_budget
        return max(by_budget, by_pace)


def sureness(scope: Scope, averages: Averages) -> str:
    """How reliable the estimate of details is, in words."""
    if scope.steps == "none" or scope.payloads == "none":
        return "exact: the vendor counts them"
    known = averages.detailed_failed if scope.payloads == "failed" else averages.detailed
    if known == 0:
        what = (
            "one failed step per failed execution"
            if scope.payloads == "failed"
            else "five steps per execution"
        )
        return f"a guess: no steps are stored yet, so {what} was assumed"
    if known < _MIN_FOR_GOOD_ESTIMATE:
        return f"rough: from the steps of {known:,} executions that are stored"
    return f"good: from the steps of {known:,} executions that are stored"
