"""``task-history check SYSTEM``: is the key right, and what does the API hold; at most 3 requests.

With ``--destination`` the warehouse is looked at first: is it there, and could a sync write to it.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from sources.task_history import settings as configuration
from sources.task_history.model import Page, Window, floor_ms
from sources.task_history.paging import Pages

from . import arguments, destination, output, reading
from .probing import probing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.of_system(parser)
    arguments.of_warehouse(parser)


def run(args: argparse.Namespace) -> int:
    settings = configuration.load(args.system, instance=args.instance)
    said = []
    if args.destination:
        output.keep_secret(settings.secrets)
        said = reading.probed(destination.find(args.destination, settings.pipeline_name), settings)
    result = {**check(settings), "warehouse": said}
    if args.json:
        output.emit(result)
    else:
        for line in [*said, *lines(result)]:
            output.say(line)
    return 0


def check(settings: configuration.Settings) -> dict[str, Any]:
    """Asks for what the retention holds and for the newest executions.

    Raises:
        TaskHistoryError: the API cannot be used as it is configured.
    """
    system = settings.system
    output.keep_secret(settings.secrets)
    with probing(settings, most=3) as (client, _):
        pages = Pages(client, system, settings.values)
        now = datetime.now(UTC)
        ahead = now + timedelta(days=400)
        back = settings.retention or timedelta(days=365)
        everything = pages.one(Window(floor_ms(now - back), ahead))
        newest: Page | None = None
        if everything.total is not None and everything.total > len(everything.rows):
            newest = pages.one(Window(floor_ms(now - back), ahead), everything.total - 1)
        rows = everything.rows + (newest.rows if newest else [])
        starts = sorted(at for row in rows if (at := system.started_at(row)) is not None)
        return {
            "command": "check",
            "system": system.name,
            "base_url": settings.base_url,
            "executions": everything.total if everything.total is not None else None,
            "oldest_started_at": starts[0] if starts else None,
            "newest_started_at": starts[-1] if starts and (newest or everything.total is not None) else None,
            "retention_days": settings.retention_days or None,
            "looked_back_days": back / timedelta(days=1),
            "clock_offset_s": client.vendor_clock_offset_s,
            "requests": sum(client.stats.sent.values()),
            "rate_limit": {
                "requests": settings.rate_limit_requests,
                "period_s": settings.rate_limit_period_s,
            },
        }


def lines(result: dict[str, Any]) -> list[str]:
    """The result for a person."""
    count = "an unknown number of" if result["executions"] is None else f"{result['executions']:,}"
    found = [f"The key is accepted by {result['base_url']}."]
    if result["executions"] == 0:
        days = result["looked_back_days"]
        found.append(f"The API holds no executions of the last {days:g} days for this project.")
    else:
        found.append(f"The API holds {count} executions.")
    for name, word in (("oldest_started_at", "Oldest"), ("newest_started_at", "Newest")):
        if result[name]:
            found.append(f"{word}: {result[name].isoformat(timespec='milliseconds').replace('+00:00', 'Z')}")
    if result["executions"]:
        limit = result["rate_limit"]
        pages = -(-result["executions"] // 100)
        pace = ""
        if limit["requests"]:
            pace = f", about {output.spelled(max(1, pages * limit['period_s'] / limit['requests']))} at the budget"
        found.append(f"Listing all of them takes {pages:,} requests{pace}.")
    offset = result["clock_offset_s"]
    if offset is not None and abs(offset) > 300:
        found.append(
            f"Note: the vendor's clock differs from this machine's by {output.spelled(abs(offset))}."
        )
    return found
