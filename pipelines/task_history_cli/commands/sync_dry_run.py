"""``task-history sync SYSTEM --dry-run``: what the next sync would request and write; at most 5 requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from task_history.client.rate_limit_usage import usage
from task_history.core.models import Scope, Selection, Window, floor_ms
from task_history.extract.counted_window import Pages
from task_history.extract.listing import AHEAD
from task_history.extract.settling_plan import plan as settling_plan
from task_history.runs.estimate_formulas import seconds, stored_bytes
from task_history.runs.plan import MAX_REQUESTS, Planner, StoredFacts
from task_history.settings_reader import Settings
from task_history.warehouse.averages import Averages
from task_history.warehouse.coverage import Coverage, is_part, unfiltered
from task_history.warehouse.queries import Warehouse

from ..console import output, times
from ..runtime.interactive_client import probing
from ..runtime.reader import probed, queried, warehouse_of
from ..runtime.target import Target


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the warehouse says of the next sync."""

    loaded_until: datetime | None = None
    lists: int | None = None
    """Number of the account's lists, as far as earlier syncs saw them."""
    open_executions: int = 0
    open_requests: int = 0
    """Requests that look at the open executions again."""
    details: int = 0
    """Ended executions whose steps are wanted and not loaded."""
    failed: int = 0
    """Those of them that failed."""
    payloads: int = 0
    """Steps whose inputs and outputs are wanted and not loaded."""
    averages: Averages = field(default_factory=Averages)
    workflows: frozenset[str] = frozenset()


def dry_run(settings: Settings, target: Target) -> dict[str, Any]:
    """What the next sync would request and write, if nothing limited its requests or time.

    Raises:
        TaskHistoryError: the API or the warehouse cannot be used.
    """
    now = datetime.now(UTC)
    system, values = settings.system, settings.values
    output.keep_secret(settings.secrets)
    scope = Scope(values.steps, values.payloads)
    place = probed(target, settings)
    with queried(target, settings) as reader:
        warehouse = None if reader is None else warehouse_of(reader, settings)
        stored = (
            _Stored()
            if warehouse is None
            else _stored(warehouse.reaching(settings.retention), settings, scope)
        )
    start = floor_ms(stored.loaded_until or settings.start(now))
    result = {
        "command": "sync",
        "dry_run": True,
        "system": system.name,
        "instance": settings.instance,
        "destination": target.name,
        "place": target.place,
        "dataset": settings.dataset_name,
        "is_first": stored.loaded_until is None,
        **Window(start, now).as_json(),
        "lists": stored.lists,
        "executions": None,
        "is_counted": False,
        "open_executions": stored.open_executions,
        "details_left": stored.details,
        "payloads_left": stored.payloads,
        "requests": None,
        "requests_by_kind": None,
        "seconds": None,
        "bytes": None,
        "budget": {"limit": values.rate_limit_requests, "period_s": values.rate_limit_period_s},
        "asked": 0,
        "warehouse": place,
    }
    return result | _estimate(settings, stored, start, scope, now) if system.listing.is_countable else result


def _stored(warehouse: Warehouse, settings: Settings, scope: Scope) -> _Stored:
    system = settings.system
    coverage = warehouse.coverage()
    days = unfiltered(coverage, system.listing.partitioned_by)
    span = Coverage([day for day in days if day.windows]).span
    datasets = [warehouse, *map(warehouse.of, system.companions)]
    own = Selection(span) if span else Selection()
    backlogs = [dataset.within(own).left(scope) for dataset in datasets]
    opens = warehouse.open_executions(not_read_by="")
    settled = settling_plan(
        opens,
        warehouse.ranks(opens),
        open_statuses=system.open_statuses,
        page_size=system.listing.page_size,
        by_status=system.listing.filters_by_status,
    )
    parts = {day.filters for day in coverage if is_part(day.filters, system.listing.partitioned_by)}
    return _Stored(
        span.end if span else None,
        len(parts) if system.listing.partitioned_by else 1 + len(system.companions),
        sum(dataset.left(Scope("none", "none")).open_executions for dataset in datasets),
        settled.requests,
        sum(backlog.details for backlog in backlogs),
        sum(backlog.failed for backlog in backlogs),
        sum(backlog.payloads for backlog in backlogs),
        warehouse.averages(),
        frozenset(key for key, row in warehouse.workflows().items() if row),
    )


def _estimate(
    settings: Settings, stored: _Stored, start: datetime, scope: Scope, now: datetime
) -> dict[str, Any]:
    """The new executions, counted by the vendor up to its present, and what they and the backlog cost."""
    # The vendor's clock, which no answer has shown yet, may be ahead.
    window = Window(start, now + AHEAD)
    facts = StoredFacts(
        (window,), 0, stored.details, stored.failed, stored.payloads, stored.averages, stored.workflows
    )
    with probing(settings, most=MAX_REQUESTS) as (client, budget):
        pages = Pages(client, settings.system, settings.values)

        def edge() -> datetime:
            return client.vendor_clock.present(now)

        planner = Planner(pages, settings.system, settings.values, edge=edge)
        planned = planner.plan(Selection(window), scope, facts)
        limit, period_s = budget.limit, budget.period_s
    counts, free = planned.requests, usage(settings).left
    requests = counts.total + stored.open_requests
    duration_s = seconds(requests, limit=limit, period_s=period_s, free=free)
    return {
        **Window(start, edge()).as_json(),
        "executions": planned.amount.executions,
        "is_counted": planned.is_counted,
        "requests": requests,
        "requests_by_kind": {
            "list": counts.list,
            "open": stored.open_requests,
            "execution": counts.execution,
            "payload": counts.payload,
            "integration": counts.integration,
        },
        "seconds": None if duration_s is None else round(duration_s),
        "bytes": stored_bytes(planned.amount.executions, counts, scope, stored.averages),
        "budget": {"limit": limit, "period_s": period_s, "left": free},
        "asked": planned.requests_sent,
    }


def lines(result: Mapping[str, Any]) -> list[str]:
    """The dry run as text."""
    since = times.minute(result["from"])
    text = [
        f"  warehouse   {result['place']}, dataset {result['dataset']}",
        f"  time span   from {since} UTC, "
        + ("the start of the first sync" if result["is_first"] else "where the last sync ended"),
    ]
    if result["executions"] is None:
        number = result["lists"]
        what = "all lists" if number is None else "its list" if number == 1 else f"its {number:,} lists"
        text.append(
            f"  executions  unknown: {result['system']} does not count them. A sync reads {what}, from the newest "
            "execution back to what is loaded"
        )
    else:
        how = (
            "the vendor counts them" if result["is_counted"] else "estimated: the vendor does not count them"
        )
        text.append(f"  executions  {result['executions']:,} new ({how})")
    text.append(
        f"  open        {result['open_executions']:,} still open when last read, which are looked at again"
    )
    text.append(
        f"  left        {result['details_left']:,} stored executions without steps, "
        f"{result['payloads_left']:,} payloads"
    )
    if kinds := result["requests_by_kind"]:
        names = {"list": "to list", "open": "for open executions", "execution": "for steps"}
        names |= {"payload": "for payloads", "integration": "for integrations"}
        parts = [f"{kinds[kind]:,} {name}" for kind, name in names.items() if kinds[kind]]
        text.append(f"  requests    about {result['requests']:,}: {', '.join(parts)}")
        budget = result["budget"]
        text.append(
            "  time        as fast as the vendor answers: there is no limit"
            if result["seconds"] is None
            else f"  time        about {times.duration(result['seconds'])} at {budget['limit']:,} requests in "
            f"{times.duration(budget['period_s'])}"
        )
        text.append(f"  size        about {output.size(result['bytes'])}")
    number = result["asked"]
    return [*text, f"This took {number} request{'s' * (number != 1)}. Nothing was written."]
