"""What a run did, as JSON and for a person."""

from __future__ import annotations

from typing import Any

from task_history.runs import result as run_result
from task_history.runs.run import Run

from ..console import output
from .target import Target

_BUSY = 1.0
"""A backlog that would take longer than this many days is worth a word."""


def result(current: Run, target: Target, seconds: float) -> dict[str, Any]:
    """What a run did and where, as ``--json`` prints it."""
    return run_result.result(current, seconds).as_json() | {
        "destination": target.name,
        "place": target.place,
        "file": None if target.file is None else str(target.file),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """The result for a person."""
    found = [
        f"{result['executions']:,} executions read ({result['settled']:,} settled, {result['late']:,} late), "
        f"{result['steps']:,} steps, {result['payloads']:,} payloads ({result['redactions']:,} values redacted) "
        f"with {result['requests']:,} requests in {output.spelled(result['duration_s'])}."
    ]
    if result["lost"]:
        span = f"{output.at(result['lost']['from'])} to {output.at(result['lost']['until'])}"
        found.append(
            f"Lost for good: executions that began from {span} were purged by the vendor before this sync."
        )
    if result["unresolved"]:
        found.append(
            f"Unresolved: {result['unresolved']:,} executions were still open as the vendor's retention passed over "
            "them (resolution = 'unresolved_at_retention')."
        )
    left = result["left"]
    if left["details"] or left["payloads"]:
        takes = f", about {output.spelled(left['seconds'])} at the budget" if left["seconds"] else ""
        found.append(
            f"Left: {left['details']:,} executions without steps, {left['payloads']:,} payloads{takes}. "
            f"{_next(result)} goes on there."
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
    if result["bytes"]:
        limit = result["bytes"]["limit"]
        found.append(
            f"{result['destination']} processed {output.sized(result['bytes']['processed'])}"
            + (f" of {output.sized(limit)} allowed" if limit is not None else "")
            + f"; its merges were estimated at {output.sized(result['bytes']['estimated'])} before they ran."
        )
    if result["stopped"]:
        found.append(f"Stopped: {result['stopped']}.")
    if result["unverified_windows"]:
        found.append(
            f"Not verified: {result['unverified_windows']} windows of which the vendor did not let all rows be seen, "
            f"or counts others; they are marked in coverage. {_next(result)} compares them again."
        )
    return found


def _next(result: dict[str, Any]) -> str:
    return "The next sync" if result["command"] == "sync" else "The same command"
