"""Formulas for requests, seconds and bytes: pure functions of counts and of averages over stored rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.models import Scope
from ..extract.listing import ROWS_PER_PIECE
from ..warehouse.averages import Averages

_BYTES_PER_ROW = {"execution": 60, "step": 90, "details_log": 40}
"""Bytes of a row on disk, compressed, in DuckDB and BigQuery; measured over 100,000 executions."""
_MIN_FOR_GOOD_ESTIMATE = 200
"""Executions with known steps from which on an estimate from their averages is called good."""


@dataclass(frozen=True, slots=True)
class RequestCounts:
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


def stored_bytes(executions: int, requests: RequestCounts, scope: Scope, averages: Averages) -> int:
    """Estimated bytes of executions and their details in the warehouse."""
    each = averages.steps_each if scope.steps == "all" else averages.steps_of_failed_each
    return round(
        executions * _BYTES_PER_ROW["execution"]
        + requests.execution * (_BYTES_PER_ROW["details_log"] + each * _BYTES_PER_ROW["step"])
        + requests.payload * averages.bytes_each
    )


def seconds(requests: float, *, limit: int, period_s: float, free: int | None) -> float | None:
    """Seconds that the requests take at the budget; None without a limit.

    ``free`` is the number that the budget allows at once; None counts as none.
    """
    if limit == 0:
        return None
    return max(0.0, requests - (free or 0)) * period_s / limit


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
