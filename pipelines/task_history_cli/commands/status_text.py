"""Output of ``task-history status``: lines about each dataset, and a calendar of the loaded days."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from task_history.warehouse.former_tables import lacking_text

from ..console import output, times
from ..console.arguments import instance_option
from ..console.output import counted
from . import status_integrations

_MAX_CHANGES = 5
_DAYS = 120
"""Days in the calendar."""


def lines(result: Mapping[str, Any]) -> list[str]:
    """The status as text."""
    name = result["system"] + (f" ({result['instance']})" if result["instance"] else "")
    if not result["loaded"]:
        command = f"task-history sync {result['system']}{instance_option(result['instance'])}"
        return [f"{name}: not synced yet into {result['place']}. Start with: {command}"]
    rows = ", ".join(f"{count:,} {table}" for table, count in result["rows"].items())
    return [
        f"{name}: {rows}",
        *_left_lines(result),
        *_unverified_lines(result),
        *_changes_lines(result["schema_changes"]),
        *status_integrations.lines(result),
        *_lost_lines(result),
        *_range_lines(result),
        *_budget_lines(result["budget"]),
        *_missing_lines(result["missing"]),
        *_refused_lines(result["refused"]),
        *_calendar_lines(result["coverage"]),
        *_runs_lines(result["runs"]),
    ]


def _left_lines(result: Mapping[str, Any]) -> list[str]:
    """What is covered, and what is left to load."""
    text = [
        f"  covered   {_covered(result)}",
        f"  open      {counted(result['open_executions'], 'execution')}",
        f"  left      {counted(result['details_left'], 'execution')} without steps, "
        f"{counted(result['payloads_left'], 'payload')}",
    ]
    unreadable = result["unreadable"]
    if unreadable["details"] or unreadable["payloads"]:
        text.append(
            f"  unreadable {counted(unreadable['details'], 'execution')}, "
            f"{counted(unreadable['payloads'], 'payload')}; tried again after "
            f"{times.minute(unreadable['next_try_at'])} UTC"
        )
    if unreadable["never"]:
        text.append(
            f"  unreadable {unreadable['never']:,} executions and payloads for good (unreadable_reason)"
        )
    return text


def _unverified_lines(result: Mapping[str, Any]) -> list[str]:
    """Lists that are read whole, and days whose completeness is not verified."""
    text = [
        f"  whole     {entry} is read to its end each time: it was not seen to come newest first"
        for entry in result["read_whole"]
    ]
    for entry in result["unverified"]:
        when = entry["from"]
        if entry["days"] > 1:
            when = f"{entry['days']} days, {when} to {entry['until']}"
        text += textwrap.wrap(
            f"unverified {when} ({entry['table']}): {entry['reason']}",
            80,
            initial_indent="  ",
            subsequent_indent=" " * 12,
        )
    return text


def _lost_lines(result: Mapping[str, Any]) -> list[str]:
    """What the vendor no longer has, or counts otherwise."""
    text = []
    if result["unresolved"]:
        text.append(
            f"  unresolved {result['unresolved']:,} executions were open as the vendor's retention passed over them"
        )
    if difference := result["statistics_difference"]:
        text.append(
            f"  differs   the vendor's statistics count {difference['vendor']:,} executions in periods that are over, "
            f"{difference['stored']:,} are stored"
        )
    text += [
        f"  lost      {times.minute(entry['lost_from'])} to {times.minute(entry['lost_until'])}, "
        "purged before a sync read it"
        for entry in result["lost"]
    ]
    return text


def _range_lines(result: Mapping[str, Any]) -> list[str]:
    """Unfinished backfills, and what was loaded with filters."""
    unfinished = [
        f"  unfinished backfill of {times.minute(entry['window_start'])} to {times.minute(entry['window_end'])}"
        + (f" ({entry['filters']})" if entry["filters"] else "")
        + f", {entry['outcome']}: the same command goes on"
        for entry in result["unfinished"]
    ]
    filtered = [
        f"  only {entry['filters']}: {times.minute(entry['from'])} to {times.minute(entry['until'])}"
        for entry in result["filtered_coverage"]
    ]
    return unfinished + filtered


def _budget_lines(budget: Mapping[str, Any] | None) -> list[str]:
    if not budget:
        return []
    if not budget["limit"]:
        return ["  budget    no limit"]
    return [
        f"  budget    {budget['used']:,} of {counted(budget['limit'], 'request')} used in the last "
        f"{times.duration(budget['period_s'])}"
    ]


def _missing_lines(missing: Sequence[str]) -> list[str]:
    if not missing:
        return []
    return [
        f"  missing   {lacking_text(missing)}: dropped, or of an earlier version; a sync adds or names them"
    ]


def _calendar_lines(coverage: list[dict[str, Any]]) -> list[str]:
    weeks = calendar(coverage, datetime.now(UTC).date())
    return [f"  {'days' if line is weeks[0] else '':<10}{line}" for line in weeks]


def _runs_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    heads = [
        "started",
        "command",
        "outcome",
        "executions",
        "settled",
        "steps",
        "payloads",
        "requests",
        "took",
    ]
    runs = [
        [
            times.minute(row["started_at"]),
            row["command"] or "",
            row["outcome"] or "",
            f"{row['executions'] or 0:,}",
            f"{row['settled'] or 0:,}",
            f"{row['steps'] or 0:,}",
            f"{row['payloads'] or 0:,}",
            f"{row['requests'] or 0:,}",
            times.duration((row["duration_ms"] or 0) / 1000),
        ]
        for row in rows
    ]
    table = output.table(runs, heads=heads, right={3, 4, 5, 6, 7, 8}, spare={4, 6}, indent=4)
    return ["  last runs (UTC)", *table]


def _covered(result: Mapping[str, Any]) -> str:
    """The span that syncs have loaded, or that only backfills have loaded something."""
    start = times.minute(result["covered_from"])
    if result["lag_s"] is not None:
        ago = times.duration(max(0, result["lag_s"]))
        return f"{start} to {times.minute(result['covered_until'])} ({ago} ago)"
    return "nothing by a sync yet" + (f", by backfills from {start} on" if result["covered_from"] else "")


def _changes_lines(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the vendor sent for the first time, the newest first."""
    text = [
        f"  new       {entry['kind'].replace('_', ' ')} {entry['table_name']}.{entry['column_name']}: "
        f"{entry['status'] or entry['type']}, since {times.minute(entry['seen_at'])}"
        for entry in changes[:_MAX_CHANGES]
    ]
    return text + ([f"  {'':<10}and more, see schema_changes"] if len(changes) > _MAX_CHANGES else [])


def _refused_lines(refused: Sequence[Mapping[str, Any]]) -> list[str]:
    """The refused load packages; of several with the same table, column and reason only the newest."""
    newest = {(entry["table"], entry["column"], entry["reason"]): entry for entry in refused}
    return [
        line
        for entry in newest.values()
        for line in textwrap.wrap(
            f"refused   {'.'.join(filter(None, (entry['table'], entry['column'])))}, "
            f"{times.minute(entry['refused_at'])}: {entry['reason']}. The load package is kept in {entry['path']}",
            120,
            initial_indent="  ",
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def calendar(days: list[dict[str, Any]], today: date) -> list[str]:
    """A calendar of the last days: one mark per day, a line per week from Monday."""
    if not days:
        return ["none covered"]
    by_day = {day["day"]: day for day in days}
    last = date.fromisoformat(days[-1]["day"])
    first = max(date.fromisoformat(days[0]["day"]), last - timedelta(days=_DAYS))
    monday = first - timedelta(days=first.weekday())
    weeks = []
    while monday <= last:
        week = [monday + timedelta(days=weekday) for weekday in range(7)]
        marks = "".join(_mark(by_day.get(day.isoformat())) for day in week if day <= max(today, last))
        weeks.append(f"{monday.isoformat()}  {marks}")
        monday += timedelta(days=7)
    return [*weeks, "■ covered and verified  ▣ covered  ◧ partly  · not covered"]


def _mark(day: dict[str, Any] | None) -> str:
    if day is None:
        return "·"
    if not day["is_whole"]:
        return "◧"
    return "■" if day["is_verified"] else "▣"
