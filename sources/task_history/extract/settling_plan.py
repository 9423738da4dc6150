"""The cheapest requests that refresh open executions. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.models import MS, Window
from ..warehouse.backlog import OpenExecution

Places = tuple[int, int]
"""The first and the last position of those that began in one instant."""


@dataclass(frozen=True, slots=True)
class SettlingPlan:
    """What is asked, in this order."""

    statuses: tuple[str, ...] = ()
    """Lists by these statuses; what they do not show is read singly."""
    spans: tuple[Window, ...] = ()
    """Listings of everything that began in these."""
    singles: tuple[str, ...] = ()
    """Ids that are read singly."""
    requests: int = 0
    """What it probably costs, without single reads of what the lists do not show."""


def plan(
    opens: Sequence[OpenExecution],
    ranks: Mapping[str, Places],
    *,
    open_statuses: Sequence[str],
    page_size: int,
    by_status: bool = True,
) -> SettlingPlan:
    """The cheapest way to refresh ``opens``, which stand oldest first.

    ``ranks`` are the positions among all executions, in the order of their starts, that their instants take.
    ``by_status`` says whether the vendor lists what it calls open.
    """
    if not opens:
        return SettlingPlan()
    local = _by_place(opens, ranks, page_size)
    if not by_status:
        return local
    counts = Counter(execution.status for execution in opens)
    statuses = tuple(dict.fromkeys((*open_statuses, *sorted(filter(None, counts)))))
    lists = sum(max(1, math.ceil(counts[status] / page_size)) for status in statuses)
    if local.requests <= lists:
        return local
    return SettlingPlan(statuses=statuses, requests=lists)


def _by_place(opens: Sequence[OpenExecution], ranks: Mapping[str, Places], page_size: int) -> SettlingPlan:
    """A page for those that stand close together, a single read for each of the others."""
    known = [execution for execution in opens if execution.id in ranks and execution.started_at is not None]
    placed = sorted(((ranks[execution.id], execution) for execution in known), key=lambda pair: pair[0])
    singles = [
        execution.id for execution in opens if execution.id not in ranks or execution.started_at is None
    ]
    spans: list[Window] = []
    at = 0
    while at < len(placed):
        first, _ = placed[at][0]
        end = at
        # A listing of the span shows all that began in the instants of its first and its last.
        while end + 1 < len(placed) and placed[end + 1][0][1] < first + page_size:
            end += 1
        start, last = placed[at][1].started_at, placed[end][1].started_at
        if end > at and start is not None and last is not None:
            spans.append(Window(start, last + MS))
        else:
            singles.append(placed[at][1].id)
        at = end + 1
    return SettlingPlan(spans=tuple(spans), singles=tuple(singles), requests=len(spans) + len(singles))


def span_of(opens: Sequence[OpenExecution]) -> Window | None:
    """From the first start of these executions to the last; None where none has a start."""
    starts = [execution.started_at for execution in opens if execution.started_at is not None]
    return Window(min(starts), max(starts) + MS) if starts else None
