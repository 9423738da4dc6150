"""``task-history check SYSTEM``: is the key right, and what does the API hold; 3 requests where no list is refused.

With ``--destination`` the warehouse is looked at first: is it there, and could a sync write to it.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from task_history.client.fallback import FallbackSender
from task_history.client.urls import without_login
from task_history.core.errors import AuthenticationError, Rejected, TaskHistoryError
from task_history.core.models import Page, Row, Window, floor_ms
from task_history.extract.integrations import read_map
from task_history.extract.pages import Pages
from task_history.settings import Settings, load

from ..console import arguments, output
from ..runtime.probe import probing
from ..runtime.reader import probed
from ..runtime.target import find_target

_MOST = 3
"""Requests where none is refused."""
_MAX_REFUSED = 10
"""Lists that may be refused before no other is asked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    arguments.add_warehouse(parser)


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance)
    if settings.system.integrations is not None:
        read_map(settings.system.integrations.map_file(settings.values))
    captured = []
    if args.destination:
        output.keep_secret(settings.secrets)
        target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
        captured = probed(target, settings)
    result = {**check(settings), "warehouse": captured}
    if args.json:
        output.emit(result)
    else:
        for line in [*captured, *lines(result)]:
            output.say(line)
    return 0


def check(settings: Settings) -> dict[str, Any]:
    """Requests a count of the retained executions and the newest ones.

    Raises:
        TaskHistoryError: the API cannot be used as it is configured.
    """
    system = settings.system
    output.keep_secret(settings.secrets)
    if not system.listing.is_countable:
        return _of_lists(settings)
    with probing(settings, most=_MOST) as (client, _):
        pages = Pages(client, system, settings.values)
        now = datetime.now(UTC)
        ahead = now + timedelta(days=400)
        back = settings.retention or timedelta(days=365)
        everything = pages.one(Window(floor_ms(now - back), ahead))
        newest: Page | None = None
        if everything.total is not None and everything.total > len(everything.rows):
            newest = pages.one(Window(floor_ms(now - back), ahead), everything.total - 1)
        rows = [*everything.rows, *(newest.rows if newest else ())]
        starts = sorted(start for row in rows if (start := system.started_at(row)) is not None)
        return {
            "command": "check",
            "system": system.name,
            "base_url": without_login(settings.base_url),
            "executions": everything.total if everything.total is not None else None,
            "oldest_started_at": starts[0] if starts else None,
            "newest_started_at": starts[-1] if starts and (newest or everything.total is not None) else None,
            "retention_days": settings.values.retention_days or None,
            "looked_back_days": back / timedelta(days=1),
            "clock_offset_s": client.vendor_clock_offset_s,
            "requests": sum(client.stats.sent.values()),
            "rate_limit": {
                "requests": settings.values.rate_limit_requests,
                "period_s": settings.values.rate_limit_period_s,
            },
        }


def _of_lists(settings: Settings) -> dict[str, Any]:
    """Asks for the workflows and for the first page of the lists, as far as three requests go, those refused not counted.

    Raises:
        AuthenticationError: every list that was asked for was refused.
    """
    system, values = settings.system, settings.values
    with probing(settings, most=_MOST + _MAX_REFUSED) as (client, _):
        asking = FallbackSender(client)
        names = system.listing.partitions(values, ())
        workflows = None
        # Lists that settings name are looked at first, as many as there are requests for.
        if system.workflows is not None and len(names) <= 1:
            request = system.workflows.request(values, names[0] if names else "", 0)
            try:
                workflows = system.workflows.read(asking.send(request).data).rows
            except Rejected as error:
                raise _refused(settings, names[0] if names else "", error, what="workflows") from None
            names = system.listing.partitions(values, workflows)
        rows: list[Row] = []
        shown: Page | None = None
        refused: dict[str, Rejected] = {}
        for listing in (system, *system.companions):
            for name in names:
                if sum(client.stats.sent.values()) - len(refused) >= _MOST or len(refused) >= _MAX_REFUSED:
                    break
                filters = {system.listing.partitioned_by: name} if system.listing.partitioned_by else {}
                try:
                    page = Pages(asking, listing, values, filters=filters).one(None)
                except Rejected as error:
                    refused[name or listing.executions.name] = error
                    continue
                shown = shown or page
                rows += page.rows if listing is system else []
        if refused and shown is None:
            name, refusal = next(iter(refused.items()))
            raise _refused(settings, name if system.listing.partitioned_by else "", refusal)
        starts = sorted(start for row in rows if (start := system.started_at(row)) is not None)
        return {
            "command": "check",
            "system": system.name,
            "base_url": without_login(settings.base_url),
            "executions": shown.total if shown and len(names) == 1 else None,
            "workflows": None if workflows is None else len(workflows),
            "lists": len(names),
            "refused": [{"list": name, "status": error.status} for name, error in refused.items()],
            "oldest_started_at": None,
            "newest_started_at": starts[-1] if starts else None,
            "retention_days": settings.values.retention_days or None,
            "clock_offset_s": client.vendor_clock_offset_s,
            "requests": sum(client.stats.sent.values()),
            "rate_limit": {
                "requests": settings.values.rate_limit_requests,
                "period_s": settings.values.rate_limit_period_s,
            },
            "warnings": list(system.access.warnings(values)),
        }


def _refused(settings: Settings, name: str, error: Rejected, *, what: str = "executions") -> TaskHistoryError:
    """The result when the credentials are valid and one of the listings is refused."""
    of = f" of {settings.system.listing.partitioned_by} {name}" if name else ""
    return AuthenticationError(
        f"The credentials are accepted by {without_login(settings.base_url)}, and the list of {what}{of} is not "
        f"given: {error} {settings.system.access.hint(error.status)}",
        status=error.status,
    )


def lines(result: dict[str, Any]) -> list[str]:
    """The result as text."""
    count = "an unknown number of" if result["executions"] is None else f"{result['executions']:,}"
    found = [f"The key is accepted by {result['base_url']}."]
    if "lists" in result:
        return [*found, *_lists_lines(result)]
    if result["executions"] == 0:
        days = result["looked_back_days"]
        found.append(f"The API holds no executions of the last {days:g} days for this project.")
    else:
        found.append(f"The API holds {count} executions.")
    for name, label in (("oldest_started_at", "Oldest"), ("newest_started_at", "Newest")):
        if result[name]:
            found.append(f"{label}: {result[name].isoformat(timespec='milliseconds').replace('+00:00', 'Z')}")
    if result["executions"]:
        limit = result["rate_limit"]
        pages = -(-result["executions"] // 100)
        pace = ""
        if limit["requests"]:
            pace = f", about {output.duration(max(1, pages * limit['period_s'] / limit['requests']))} at the budget"
        found.append(f"Listing all of them takes {pages:,} requests{pace}.")
    offset = result["clock_offset_s"]
    if offset is not None and abs(offset) > 300:
        found.append(
            f"Note: the vendor's clock differs from this machine's by {output.duration(abs(offset))}."
        )
    return found


def _lists_lines(result: dict[str, Any]) -> list[str]:
    """What the lists show, for a person."""
    found = []
    if result["workflows"] is not None:
        found.append(f"The API shows {result['workflows']:,} workflows.")
    if result["newest_started_at"]:
        shown = result["newest_started_at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found.append(f"The newest of the executions on the first page began at {shown}.")
    if result["refused"]:
        names = ", ".join(f"{entry['list']} (HTTP {entry['status']})" for entry in result["refused"])
        found.append(
            f"{len(result['refused'])} of {result['lists']} lists are refused: {names}. A sync loads the others."
        )
    return found + [f"Note: {text}" for text in result["warnings"]]
