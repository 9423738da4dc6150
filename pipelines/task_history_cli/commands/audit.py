"""``task-history audit SYSTEM --month 2026-09``: does the warehouse hold what the API shows? Exit 10 if not."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from task_history.core.exit_codes import ExitCode
from task_history.core.models import Window, iso_ms
from task_history.runs.lanes import AUDIT
from task_history.settings_reader import Settings, load

from ..console import arguments, date_range, output, times
from ..runtime.command_run import carry_out, start_command
from ..runtime.target import Target, find_target

if TYPE_CHECKING:
    from task_history.runs.audit import Audit
    from task_history.runs.audit_findings import Difference

_MAX_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    date_range.add_range(parser)
    date_range.add_filters(parser)
    parser.add_argument(
        "--sample",
        type=arguments.whole_number,
        default=0,
        metavar="N",
        help="also compare about N executions at random positions field by field, and the steps of N of them: one "
        "request for 100 executions, and one for each whose steps are loaded",
    )
    parser.add_argument(
        "--thorough",
        action="store_true",
        help="compare all executions by id and field: as many requests as listing them takes",
    )
    parser.add_argument("--repair", action="store_true", help="write what the API shows where it differs")
    arguments.add_warehouse(parser)
    arguments.add_limits(parser)


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance)
    target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
    asked = date_range.window(args, settings, datetime.now(UTC))
    result = audit(
        settings,
        target,
        asked,
        filters=date_range.filters(args, settings),
        is_repairing=args.repair,
        sample=args.sample,
        is_thorough=args.thorough,
        max_requests=args.max_requests,
        max_minutes=args.max_minutes,
    )
    output.show(result, date_range.lines(asked) + lines(result), is_json=args.json)
    return ExitCode.DIFFERENCES if result["clean"] is False else ExitCode.DONE


def audit(
    settings: Settings,
    target: Target,
    asked: date_range.Range,
    *,
    filters: dict[str, str],
    is_repairing: bool = False,
    sample: int = 0,
    is_thorough: bool = False,
    max_requests: int | None = None,
    max_minutes: float | None = None,
) -> dict[str, Any]:
    """Compares the covered part of the range and returns the differences.

    Raises:
        TaskHistoryError: what stopped it.
    """
    from task_history.runs.audit import Audit

    began = time.monotonic()
    with start_command(
        settings,
        target,
        lambda context, _: Audit(context, is_repairing=is_repairing, sample=sample, is_thorough=is_thorough),
        command="audit",
        lane=AUDIT,
        selection=date_range.selection(asked, filters),
        max_requests=max_requests,
        max_minutes=max_minutes,
    ) as current:
        carry_out(current)
        work = current.loop.work
        assert isinstance(work, Audit)  # noqa: S101 - made above
        stats = current.client.stats
        stopped = current.loop.stopped
        return {
            "command": "audit",
            "system": settings.system.name,
            "instance": settings.instance,
            "run_id": current.loop.context.run_id,
            "range": {"name": asked.name, **asked.window.as_json()},
            "filters": filters,
            "complete": stopped is None,
            "stopped": stopped.reason if stopped else None,
            "requests": sum(stats.sent.values()),
            "requests_by_kind": dict(stats.sent),
            "duration_s": round(time.monotonic() - began, 1),
            "repair": is_repairing,
            **_found(work),
        }


def _found(work: Audit) -> dict[str, Any]:
    findings = work.findings
    return {
        "clean": findings.is_clean,
        "compared": _spans(findings.compared),
        "executions": findings.executions,
        "left_out": findings.left_out,
        "api_total": findings.api_total,
        "rows_compared": findings.rows_compared,
        "missing": sum(len(difference.missing) for difference in findings.differences),
        "surplus": sum(len(difference.surplus) for difference in findings.differences),
        "different": sum(len(difference.different) for difference in findings.differences),
        "steps": sum(len(difference.steps) for difference in findings.differences),
        "purged": findings.purged,
        "repaired": findings.repaired,
        "not_looked_at": findings.not_looked_at,
        "steps_compared": findings.steps_compared,
        "rejected": findings.rejected,
        "unverified": _spans(findings.unverified),
        "not_covered": _spans(findings.not_covered),
        "not_compared": _spans(findings.not_compared),
        "differences": [
            _difference(difference)
            for difference in sorted(findings.differences, key=lambda difference: difference.window)
        ],
    }


def _spans(windows: Iterable[Window]) -> list[dict[str, datetime]]:
    return [window.as_json() for window in windows]


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        **difference.window.as_json(),
        "missing": list(difference.missing),
        "surplus": list(difference.surplus),
        "different": {identity: list(columns) for identity, columns in difference.different},
        "steps": {identity: list(texts) for identity, texts in difference.steps},
    }


def lines(result: Mapping[str, Any]) -> list[str]:
    """The findings as text."""
    total = (
        "the vendor gives no count"
        if result["api_total"] is None
        else f"the vendor counts {result['api_total']:,}"
    )
    text = []
    if result["compared"]:
        text.append(
            f"{result['executions']:,} executions are stored of what is covered, {total}; "
            f"{result['rows_compared']:,} were compared field by field, with {result['requests']:,} requests."
        )
    text += [
        f"Not covered, so not compared: {times.minute(gap['from'])} to {times.minute(gap['until'])} UTC "
        "(task-history backfill loads it)."
        for gap in result["not_covered"][:_MAX_SHOWN]
    ]
    text += [
        f"Loaded, but not compared: {times.minute(span['from'])} to {times.minute(span['until'])} UTC."
        for span in result["not_compared"][:_MAX_SHOWN]
    ]
    if result["left_out"]:
        text.append(
            f"{result['left_out']:,} executions of forgotten people are left out; they are no differences."
        )
    if result["purged"]:
        did = "marked in purged_at_source" if result["repair"] else "--repair marks them in purged_at_source"
        text.append(f"{result['purged']:,} rows were purged by the vendor since they were loaded; {did}.")
    for difference in result["differences"][:_MAX_SHOWN]:
        text.append(f"  {iso_ms(difference['from'])} to {iso_ms(difference['until'])}")
        text += [
            f"    {kind} {identity}"
            for kind in ("missing", "surplus")
            for identity in difference[kind][:_MAX_SHOWN]
        ]
        text += [
            f"    different {key}: {', '.join(columns)}"
            for key, columns in list(difference["different"].items())[:_MAX_SHOWN]
        ]
        text += [
            f"    steps of {key}: {'; '.join(texts[:_MAX_SHOWN])}"
            for key, texts in list(difference["steps"].items())[:_MAX_SHOWN]
        ]
    if len(result["differences"]) > _MAX_SHOWN:
        text.append(f"  … and {len(result['differences']) - _MAX_SHOWN} more windows; --json gives all.")
    for window in result["unverified"][:_MAX_SHOWN]:
        text.append(
            f"  kept changing while it was compared: {times.minute(window['from'])} to {times.minute(window['until'])}"
        )
    if result["rejected"]:
        text.append(
            f"{result['rejected']:,} rows of the vendor's have no usable id; rejected_rows has them as they are."
        )
    if result["stopped"]:
        text.append(f"Stopped: {result['stopped']}. What is listed here is what was found so far.")
    return [*text, _verdict(result)]


def _verdict(result: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{result[kind]:,} {kind}" for kind in ("missing", "surplus", "different"))
    counts += f", {result['steps']:,} with other steps" if result["steps"] else ""
    left = sum(result[kind] for kind in ("missing", "surplus", "different", "steps")) - result["repaired"]
    if left > 0:
        return f"Differences: {counts}. {_remedy(result)}"
    done = f"Repaired: {counts}. What was surplus is marked or was read again; nothing was deleted." * bool(
        result["repaired"]
    )
    if result["clean"] is None:
        return (
            f"{done} Counts agree. Of {output.counted(result['not_looked_at'], 'execution')} only the number was "
            "compared: what cancels in it, such as one that is missing and one that is surplus, shows with --thorough."
        ).strip()
    if result["clean"]:
        return done or "No differences."
    if not result["compared"]:
        return "Nothing of this range is loaded, so nothing was compared."
    return f"{done} No differences in what could be compared.".strip()


def _remedy(result: Mapping[str, Any]) -> str:
    if not result["repair"]:
        return "task-history audit with --repair repairs exactly these."
    return (
        "Steps that the vendor does not list are kept. Delete them from the warehouse if they are not needed."
    )
