"""Which days are loaded, and whether it is known that everything came: the coverage of all lanes and parts by day.

The view ``loaded_days`` (``views/loaded_days.sql``) says the same to analysts, in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import and_

from ..core.intervals import merged, overlap
from ..core.models import Window
from .coverage import AUDIT, Day
from .verified_days import Completeness


@dataclass(frozen=True, slots=True)
class LoadedDay:
    """The coverage of one day by all lanes, in every part of the list."""

    day: datetime
    windows: tuple[Window, ...]
    """What is loaded of the day, disjoint and in order."""
    executions: int
    api_total: int | None
    is_verified: bool
    checked_at: datetime
    completeness: Completeness

    @property
    def covered(self) -> timedelta:
        """Total covered time of the day."""
        return sum((window.end - window.start for window in self.windows), timedelta())


def of_whole_list(coverage: Iterable[Day], partitioned_by: str) -> list[Day]:
    """What was loaded without filters: of the list, or of its parts where the filter ``partitioned_by`` names them."""
    if not partitioned_by:
        return [day for day in coverage if not day.filters]
    return [
        day for day in coverage if day.filters.startswith(f"{partitioned_by}=") and "&" not in day.filters
    ]


def by_day(days: Iterable[Day]) -> list[LoadedDay]:
    """The days of one list of which anything is loaded, the earliest first.

    A list that comes in parts is loaded as far as each of them. A part of which nothing is noted on a day was not there.
    """
    parts: dict[datetime, dict[str, list[Day]]] = {}
    for day in days:
        parts.setdefault(day.day, {}).setdefault(day.filters, []).append(day)
    loaded = [
        reduce(_of_both, judged)
        for _, of_day in sorted(parts.items())
        if (judged := [part for lanes in of_day.values() if (part := _of_part(lanes)) is not None])
    ]
    return [day for day in loaded if day.windows]


def _of_part(lanes: Sequence[Day]) -> LoadedDay | None:
    """One part of the list: the last audit's verdict is the newest where it looked at all that is loaded.

    None where only an audit looked at it.
    """
    loaded = [lane for lane in lanes if lane.lane != AUDIT]
    if not loaded:
        return None
    windows = tuple(merged(window for lane in loaded for window in lane.windows))
    covered = sum((window.end - window.start for window in windows), timedelta())
    checked_at = max(lane.checked_at for lane in loaded)
    audits = [lane for lane in lanes if lane.lane == AUDIT and lane.checked_at > checked_at]
    said = [lane for lane in audits if lane.covered >= covered] or loaded
    totals = [lane.api_total for lane in said]
    return LoadedDay(
        lanes[0].day,
        windows,
        sum(lane.executions for lane in said),
        sum(total for total in totals if total is not None) if None not in totals else None,
        all(lane.is_verified for lane in said),
        max(lane.checked_at for lane in said),
        reduce(and_, (lane.completeness for lane in said)),
    )


def _of_both(one: LoadedDay, other: LoadedDay) -> LoadedDay:
    """The same day in two parts of the list."""
    overlaps = (overlap(first, second) for first in one.windows for second in other.windows)
    totals = one.api_total, other.api_total
    return LoadedDay(
        one.day,
        tuple(merged(window for window in overlaps if not window.is_empty)),
        one.executions + other.executions,
        None if totals[0] is None or totals[1] is None else totals[0] + totals[1],
        one.is_verified and other.is_verified,
        min(one.checked_at, other.checked_at),
        one.completeness & other.completeness,
    )
