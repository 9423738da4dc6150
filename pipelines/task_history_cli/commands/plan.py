"""``task-history plan SYSTEM --month 2026-09``: what a backfill would cost; at most 5 requests.

The sentences that say so stand in ``plan_text``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from task_history.client.rate_limit_usage import usage
from task_history.core.errors import UsageError
from task_history.core.models import Scope, Selection
from task_history.extract.counted_window import Pages
from task_history.runs.estimate_formulas import seconds, stored_bytes, sureness
from task_history.runs.plan import MAX_REQUESTS, Plan, Planner, StoredFacts, at_risk
from task_history.settings_reader import Settings, load
from task_history.warehouse.averages import Averages
from task_history.warehouse.bigquery_billed_bytes import least_billed
from task_history.warehouse.common_tables import SYNC_RUNS
from task_history.warehouse.coverage import BACKFILL, Coverage, filters_text
from task_history.warehouse.sql_text import BIGQUERY

from ..console import arguments, date_range, output
from ..runtime.interactive_client import probing
from ..runtime.reader import queried, warehouse_of
from ..runtime.target import Target, find_target
from .plan_text import lines, why_no_estimate

_DAYS_OF_SYNCS = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    date_range.add_range(parser)
    date_range.add_filters(parser)
    arguments.add_details(parser)
    arguments.add_warehouse(parser)


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance)
    target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
    now = datetime.now(UTC)
    asked = date_range.window(args, settings, now)
    chosen = date_range.filters(args, settings)
    result = plan(settings, target, asked, filters=chosen, scope=arguments.scope(args, settings), now=now)
    output.show(result, date_range.lines(asked) + lines(result), is_json=args.json)
    return 0


def plan(
    settings: Settings,
    target: Target,
    asked: date_range.Range,
    *,
    filters: Mapping[str, str],
    scope: Scope,
    now: datetime,
) -> dict[str, Any]:
    """Counts the executions to read and estimates requests and time.

    Raises:
        TaskHistoryError: the API or the warehouse cannot be used.
    """
    if not settings.system.listing.is_countable:
        raise UsageError(why_no_estimate(settings.system))
    output.keep_secret(settings.secrets)
    selection = date_range.selection(asked, filters)
    stored, syncs = _held(settings, target, selection, scope, now)
    with probing(settings, most=MAX_REQUESTS) as (client, budget):
        pages = Pages(client, settings.system, settings.values, filters=filters)
        estimate = Planner(pages, settings.system, settings.values).plan(selection, scope, stored)
        limit, period_s = budget.limit, budget.period_s
        present = client.vendor_clock.present(now)
    share = min(0.9, syncs * period_s / limit) if limit else 0.0
    free = usage(settings).left
    own = max(1, round(limit * (1 - share))) if limit else 0
    whole_s = seconds(estimate.requests.total, limit=own, period_s=period_s, free=free)
    listing_s = seconds(estimate.requests.list, limit=own, period_s=period_s, free=free)
    risk = at_risk(
        asked.window,
        now=present,
        retention=settings.retention,
        listing_s=listing_s or 0.0,
        details_s=(whole_s or 0.0) - (listing_s or 0.0),
    )
    return {
        "command": "plan",
        "system": settings.system.name,
        "instance": settings.instance,
        "range": {
            "name": asked.name,
            **asked.window.as_json(),
            "timezone": asked.zone,
            "purged_before": asked.purged_before,
        },
        "filters": dict(filters),
        "steps": scope.steps,
        "payloads": scope.payloads,
        "covered_executions": stored.executions,
        "gaps": [gap.as_json() for gap in stored.gaps],
        "executions": estimate.amount.executions,
        "is_counted": estimate.is_counted,
        "failed": estimate.amount.failed,
        "requests": estimate.requests.total,
        "requests_by_kind": {
            "list": estimate.requests.list,
            "execution": estimate.requests.execution,
            "payload": estimate.requests.payload,
            "integration": estimate.requests.integration,
        },
        "details_estimate": sureness(scope, stored.averages),
        "seconds": None if whole_s is None else round(whole_s),
        "budget": {"limit": limit, "period_s": period_s, "left": free, "share_of_syncs": round(share, 3)},
        "bytes": stored_bytes(estimate.amount.executions, estimate.requests, scope, stored.averages),
        "billed": _billed(target, estimate),
        "at_risk": None if risk is None else {"before": risk.before, "share": round(risk.share, 3)},
        "asked": estimate.requests_sent,
        "words": _words(settings, asked, filters, scope),
    }


def _billed(target: Target, estimate: Plan) -> dict[str, Any] | None:
    """The bytes that BigQuery bills at least for the backfill, and for a month of hourly syncs; None elsewhere."""
    if target.name != BIGQUERY:
        return None
    from task_history.load.destinations.bigquery import BigQueryBackend

    limits = BigQueryBackend.commits
    billed = least_billed(
        estimate.amount.executions,
        estimate.requests.execution + estimate.requests.payload,
        rows=limits.least_rows,
        details_per_commit=limits.details,
    )
    return {"backfill": billed.backfill, "month_idle": billed.month_idle, "month": billed.month}


def _held(
    settings: Settings,
    target: Target,
    selection: Selection,
    scope: Scope,
    now: datetime,
) -> tuple[StoredFacts, float]:
    """The covered part of the range, and the recent request rate of syncs per second."""
    window = selection.window
    assert window is not None  # noqa: S101 - a range has one
    with queried(target, settings) as reader:
        warehouse = None if reader is None else warehouse_of(reader, settings)
        if reader is None or warehouse is None:
            return StoredFacts((window,), 0, 0, 0, 0, Averages(), frozenset()), 0.0
        coverage = Coverage(
            warehouse.coverage(), lane=BACKFILL, filters=filters_text(warehouse.recorded(selection.filters))
        )
        own = warehouse.within(selection)
        gaps = coverage.gaps(window)
        executions = own.count(window) - sum(own.count(gap) for gap in gaps)
        backlog = own.left(scope)
        stored = StoredFacts(
            gaps,
            executions,
            backlog.details,
            backlog.failed,
            backlog.payloads,
            warehouse.averages(),
            frozenset(key for key, row in warehouse.workflows().items() if row),
        )
        since = now - timedelta(days=_DAYS_OF_SYNCS)
        _, rows = reader.query(
            f"SELECT sum(requests), min(started_at) FROM {reader.names(SYNC_RUNS.name)} AS r "
            "WHERE command = 'sync' AND started_at >= %s",
            since,
        )
    requests, first = rows[0]
    if not requests or first is None:
        return stored, 0.0
    return stored, float(requests) / max(86_400.0, (now - first).total_seconds())


def _words(settings: Settings, asked: date_range.Range, filters: Mapping[str, str], scope: Scope) -> str:
    """The command line of the planned backfill."""
    command = ["task-history", "backfill", settings.system.name]
    if settings.instance:
        command += ["--instance", settings.instance]
    command += asked.words
    for name, value in filters.items():
        command += [f"--{name}", value]
    command += ["--steps", scope.steps, "--payloads", scope.payloads]
    return " ".join(command)
