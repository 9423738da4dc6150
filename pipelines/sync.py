"""``task-history sync SYSTEM``: everything since the last sync, then what is open, then details."""

from __future__ import annotations

import argparse
import logging
import time
from typing import Any

from sources.task_history import settings as configuration

from . import arguments, destination, output
from .progress import Progress
from .running import Run, commits
from .running import run as started

log = logging.getLogger("task_history")

_BUSY = 1.0
"""A backlog that would take longer than this many days is worth a word."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.of_system(parser)
    arguments.of_warehouse(parser)
    arguments.of_limits(parser)


def run(args: argparse.Namespace) -> int:
    settings = configuration.load(args.system, instance=args.instance)
    target = destination.find(args.destination, settings.pipeline_name)
    result = sync(settings, target, max_requests=args.max_requests, max_minutes=args.max_minutes)
    if args.json:
        output.emit(result)
    else:
        for line in lines(result):
            output.tell(line)
    return 0


def sync(
    settings: configuration.Settings,
    target: destination.Target,
    *,
    max_requests: int | None = None,
    max_minutes: float | None = None,
) -> dict[str, Any]:
    """Runs one sync and says what it did.

    Raises:
        TaskHistoryError: what stopped it, after everything fetched was written.
    """
    began = time.monotonic()
    from sources.task_history.syncing import Sync

    with started(
        settings,
        target,
        lambda context, loader: Sync(context, cursor=loader.cursor()),
        command="sync",
        max_requests=max_requests,
        max_minutes=max_minutes,
    ) as current:
        with Progress(current) as progress:
            commits(current, progress.committed)
        return _result(current, target, time.monotonic() - began)


def _result(current: Run, target: destination.Target, seconds: float) -> dict[str, Any]:
    session, context = current.session, current.session.context
    tally, stats = context.tally, current.client.stats
    usage = current.budget.usage()
    return {
        "command": "sync",
        "system": context.settings.system.name,
        "instance": context.settings.instance,
        "run_id": context.run_id,
        "complete": session.is_complete,
        "stopped": session.stopped.reason if session.stopped else None,
        "covered_until": tally.cursor,
        "executions": tally.executions,
        "late": tally.late,
        "settled": tally.settled,
        "steps": tally.steps,
        "payloads": tally.payloads,
        "redactions": tally.redactions,
        "unverified_windows": tally.unverified,
        "unresolved": tally.unresolved,
        "lost": {"from": tally.lost.start, "until": tally.lost.end} if tally.lost else None,
        "left": {
            "open_executions": session.left.open_executions,
            "details": session.left.details,
            "payloads": session.left.payloads,
            "seconds": _seconds_left(current),
        },
        "requests": sum(stats.sent.values()),
        "requests_by_kind": dict(stats.sent),
        "retries": stats.retries,
        "waited_s": {cause: round(waited, 1) for cause, waited in stats.waited_s.items()},
        "budget": {"limit": usage.limit, "period_s": current.budget.period_s, "left": usage.left},
        "duration_s": round(seconds, 1),
        "destination": target.name,
        "file": str(target.file),
        "dataset": context.settings.dataset_name,
    }


def _seconds_left(current: Run) -> float | None:
    """How long the backlog takes at the budget; None without a limit."""
    left = current.session.left
    if current.budget.limit == 0:
        return None
    return round((left.details + left.payloads) * current.budget.period_s / current.budget.limit)


def lines(result: dict[str, Any]) -> list[str]:
    """The result for a person."""
    found = [
        f"{result['executions']:,} executions read ({result['settled']:,} settled, {result['late']:,} late), "
        f"{result['steps']:,} steps, {result['payloads']:,} payloads ({result['redactions']:,} values redacted) "
        f"with {result['requests']:,} requests in {output.spelled(result['duration_s'])}."
    ]
    left = result["left"]
    if left["details"] or left["payloads"]:
        takes = f", about {output.spelled(left['seconds'])} at the budget" if left["seconds"] else ""
        found.append(
            f"Left: {left['details']:,} executions without steps, {left['payloads']:,} payloads{takes}. "
            "The next sync goes on there."
        )
        if left["seconds"] and left["seconds"] > _BUSY * 86_400:
            found.append(
                'If the backlog keeps growing, set steps = "failed" or payloads = "none", or ask the vendor for a '
                "higher limit and set rate_limit_requests."
            )
    if left["open_executions"]:
        found.append(
            f"Open at the vendor: {left['open_executions']:,} executions; each sync looks at them again."
        )
    if result["stopped"]:
        found.append(f"Stopped: {result['stopped']}.")
    if result["unverified_windows"]:
        found.append(
            f"Not verified: {result['unverified_windows']} windows whose rows kept changing while they were read; "
            "the next sync compares them again."
        )
    return found
