"""Output of ``task-history plan``: what a backfill would cost, as lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from task_history.systems.protocol import System

from ..console import output, times


def lines(result: Mapping[str, Any]) -> list[str]:
    """The plan as text."""
    kinds, budget = result["requests_by_kind"], result["budget"]
    parts = [
        f"{kinds['list']:,} to list",
        f"{kinds['execution']:,} for steps",
        f"{kinds['payload']:,} for payloads",
    ]
    if kinds["integration"]:
        parts.append(f"{kinds['integration']:,} for integrations")
    how = "the vendor counts them" if result["is_counted"] else "estimated: the vendor does not count them"
    text = []
    if not result["gaps"]:
        text.append(f"  covered     all of it, {result['covered_executions']:,} executions")
    elif result["covered_executions"] or len(result["gaps"]) > 1:
        text.append(
            f"  covered     {result['covered_executions']:,} executions of it need not be listed again"
        )
    text += [
        f"  executions  {result['executions']:,} to list ({how}), {result['failed']:,} of them failed",
        f"  requests    {result['requests']:,}: {', '.join(parts)}",
        f"  details     {result['details_estimate']}",
    ]
    if result["seconds"] is None:
        text.append("  time        as fast as the vendor answers: there is no limit")
    else:
        syncs = (
            f"; scheduled syncs take {budget['share_of_syncs']:.0%} of it"
            if budget["share_of_syncs"] >= 0.005
            else ""
        )
        text.append(
            f"  time        about {times.duration(result['seconds'])} at {budget['limit']:,} requests in "
            f"{times.duration(budget['period_s'])}{syncs}"
        )
    text.append(f"  size        about {output.size(result['bytes'])}")
    if billed := result["billed"]:
        text.append(
            f"  billed      at least {output.size(billed['backfill'])} by BigQuery; a month of hourly syncs "
            f"{output.size(billed['month_idle'])} where nothing is new, "
            f"up to {output.size(billed['month'])} where each finds some"
        )
    if result["at_risk"]:
        text.append(
            f"  at risk     what began before {times.minute(result['at_risk']['before'])} UTC "
            f"({result['at_risk']['share']:.0%} of the time) passes the vendor's retention before the budget reaches it: "
            "take steps = failed or none, or begin at once"
        )
    asked = f"{result['asked']} request{'s' * (result['asked'] != 1)}"
    text += [f"This took {asked}. Nothing was loaded. To do it:", f"  {result['words']}"]
    return text


def why_no_estimate(system: System) -> str:
    """Why nothing can be said of the cost beforehand, and what a backfill takes."""
    return (
        f"{system.title} neither counts nor sorts executions, so that nothing can be said without reading them: a "
        f"backfill takes one request for each list and {system.listing.page_size} executions, and one for the details "
        "of each. Run it with --max-requests to see how far that goes; the same command goes on."
    )
