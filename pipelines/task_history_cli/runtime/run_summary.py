"""The result of a run as ``--json`` prints it, and as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from task_history.runs import run_result
from task_history.runs.runner import ActiveRun

from ..console import output, times
from ..console.output import counted
from .interruption import STOPPED_BY
from .target import Target

_LONG_BACKLOG_DAYS = 1.0
"""Days of requests from which on a backlog is reported with advice on how to shrink it."""


def result(current: ActiveRun, target: Target, seconds: float) -> dict[str, Any]:
    """The result of a run as the object that ``--json`` prints."""
    return run_result.result_of(current, seconds).as_json() | {
        "destination": target.name,
        "place": target.place,
        "file": None if target.file is None else str(target.file),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """The result as text."""
    text = [
        f"{counted(result['executions'], 'execution')} read ({result['settled']:,} settled, {result['late']:,} late), "
        f"{counted(result['steps'], 'step')}, {counted(result['payloads'], 'payload')} "
        f"({counted(result['redactions'], 'value')} redacted) "
        f"with {counted(result['requests'], 'request')} in {times.duration(result['duration_s'])}."
    ]
    if result["lost"]:
        span = f"{times.minute(result['lost']['from'])} to {times.minute(result['lost']['until'])}"
        text.append(
            f"Lost for good: executions that began from {span} were purged by the vendor before this sync."
        )
    if result["deleted_rows"]:
        text.append(f"Deleted: {result['deleted_rows']:,} rows that were older than keep_days_… allows.")
    if result["unresolved"]:
        text.append(
            f"Unresolved: {result['unresolved']:,} executions were still open as the vendor's retention passed over "
            "them (resolution = 'unresolved_at_retention')."
        )
    left = result["left"]
    if left["details"] or left["payloads"]:
        takes = f", about {times.duration(left['seconds'])} at the budget" if left["seconds"] else ""
        text.append(
            f"Left: {counted(left['details'], 'execution')} without steps, {counted(left['payloads'], 'payload')}{takes}"
            f". {_next_run(result)} goes on there."
        )
        if left["seconds"] and left["seconds"] > _LONG_BACKLOG_DAYS * 86_400:
            text.append(
                'If the backlog keeps growing, set steps = "failed" or payloads = "none", or ask the vendor for a '
                "higher limit and set rate_limit_requests."
            )
    if left["unreadable"]:
        text.append(
            f"Could not be read: {left['unreadable']:,} executions or payloads, of which the log names each with the "
            f"reason; a run after {times.minute(left['next_try_at'])} UTC tries again."
        )
    if left["open_executions"]:
        text.append(
            f"Open at the vendor: {counted(left['open_executions'], 'execution')}; each sync looks again."
        )
    if result["bytes"]:
        billed, processed, limit = (result["bytes"][name] for name in ("billed", "processed", "limit"))
        text.append(
            f"{result['destination']} billed {output.size(billed)}"
            + (f" of {output.size(limit)} allowed" if limit is not None else "")
            + f"; it processed {output.size(processed)}."
        )
    if result["stopped"]:
        text.append(_stopped(result))
    return [*text, *_changes(result), *_doubts(result)]


def _stopped(result: dict[str, Any]) -> str:
    """What stopped the run, and how it goes on."""
    name = STOPPED_BY.get(result["stopped"])
    if name is None:
        return f"Stopped: {result['stopped']}."
    left = result["left"]["details"]
    what = f"; {counted(left, 'execution')} left" if left else ""
    return f"Stopped by {name}{what}, the same command goes on."


def _changes(result: dict[str, Any]) -> Iterator[str]:
    """What the vendor sent for the first time."""
    if result["schema_changes"]:
        yield (
            f"New at the vendor: {result['schema_changes']:,} fields, types or statuses that it had not sent before; "
            "status names them, and they are in schema_changes."
        )


def _doubts(result: dict[str, Any]) -> Iterator[str]:
    """What is not known to be complete."""
    if result["rejected"]:
        yield (
            f"Without a usable id: {result['rejected']:,} rows of the vendor's, kept as they are in rejected_rows; their "
            "windows are not verified."
        )
    if result["statistics_difference"]:
        vendor, stored = result["statistics_difference"]["vendor"], result["statistics_difference"]["stored"]
        yield (
            f"The vendor's own statistics count {vendor:,} executions in periods that are over, and {stored:,} are "
            "stored: audit compares them one by one."
        )
    if result["unverified_windows"]:
        yield (
            f"Not verified: {result['unverified_windows']} windows of which the vendor did not let all rows be seen, "
            f"or reports a different count; they are marked in coverage. {_next_run(result)} compares them again."
        )


def _next_run(result: dict[str, Any]) -> str:
    return "The next sync" if result["command"] == "sync" else "The same command"
