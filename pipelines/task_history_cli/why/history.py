"""Status timeline of an execution, and the run or listing that brought it. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from task_history.core.models import Row
from task_history.extract import warehouse_rows
from task_history.systems.protocol import System
from task_history.warehouse.status_history import StoredStatus

from .coverage import KnownExecution, fits, read_filters

REQUESTS = {
    warehouse_rows.LIST: "a listing",
    warehouse_rows.LATE: "a comparison of what was loaded before",
    warehouse_rows.STATUS: "a list of what is open",
    warehouse_rows.EXECUTION: "a single read",
    warehouse_rows.REPAIR: "a repair after an audit",
}
_NOTED_WITHIN = timedelta(minutes=1)
"""A window is noted as read a moment after its rows are stamped."""


@dataclass(frozen=True, slots=True)
class RowOrigin:
    """The request that brought the row into the warehouse."""

    read_by: str | None
    """The kind of request; None when it is no longer known."""
    read: Row | None
    """The window that was read (window_reads); None when it came in no listing of a window."""
    run_id: str | None
    missed: Row | None = None
    """An earlier read of a window that holds its start and did not bring it."""


def timeline(row: Row, earlier: Sequence[Row]) -> list[StoredStatus]:
    """The states of an execution as it was seen in them, oldest first; ``earlier`` are those of the other table."""
    by_start = {
        state["seen_at"]: StoredStatus(
            str(state.get("status") or ""),
            state["seen_at"],
            state.get("last_seen_at"),
            state.get("read_by"),
            state.get("run_id"),
        )
        for state in earlier
    }
    now = StoredStatus.in_row(row)
    if now is not None and now.since is not None:
        is_purged = row.get("purged_at_source") is not None
        if not is_purged:
            by_start[now.since] = now
        elif now.since not in by_start:
            # What it says of the last read is of the one that found nothing.
            by_start[now.since] = StoredStatus(now.status, now.since, None, None, None)
    return [by_start[since] for since in sorted(by_start)]


def brought(
    seen: Sequence[StoredStatus],
    reads: Sequence[Row],
    known: KnownExecution,
    system: System,
    *,
    run_then: str | None,
) -> RowOrigin:
    """The request that brought an execution in this state.

    ``reads`` are those of windows that hold its start, ``run_then`` is the run that was active when it was
    first seen.
    """
    earliest = seen[0] if seen else None
    since = earliest.since if earliest else None
    if earliest is None or since is None:
        return RowOrigin(None, None, None)
    statuses = {state.status for state in seen}
    fitting = sorted((read for read in reads if _showed(read, known, statuses, system)), key=_read_at)
    missed = next((read for read in fitting if _read_at(read) < since), None)
    near = [read for read in fitting if since <= _read_at(read) <= since + _NOTED_WITHIN]
    if near and earliest.read_by != warehouse_rows.LATE:
        read = near[0]
        kind = warehouse_rows.REPAIR if earliest.read_by == warehouse_rows.REPAIR else warehouse_rows.LIST
        return RowOrigin(kind, read, read.get("run_id"))
    # A state is kept with the run that last saw it so.
    is_first = earliest.at == since
    if earliest.read_by in (warehouse_rows.LATE, warehouse_rows.REPAIR, warehouse_rows.EXECUTION) or is_first:
        run_id = earliest.run_id if is_first else run_then or earliest.run_id
        return RowOrigin(earliest.read_by, None, run_id, missed)
    return RowOrigin(None, None, run_then, missed)


def _read_at(read: Row) -> datetime:
    read_at: datetime = read["read_at"]
    return read_at


def _showed(read: Row, known: KnownExecution, statuses: set[str], system: System) -> bool:
    """Whether a listing under the filters of the read may have shown it."""
    filters = read_filters(str(read.get("filters") or ""))
    if filters.pop("status", None) not in (None, *statuses):
        return False
    return fits(filters, known, system, read_at=_read_at(read)) is not False
