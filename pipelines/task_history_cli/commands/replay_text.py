"""Output of ``task-history replay``: the planned requests, and their results."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from task_history.client.rate_limit_usage import known_usage
from task_history.core.errors import (
    TaskHistoryError,
    WarehouseUnavailable,
)
from task_history.core.exit_codes import ExitCode
from task_history.core.models import iso_ms
from task_history.runs.runner import ActiveRun
from task_history.settings_reader import Settings
from task_history.systems.protocol import System

from ..console import output, times
from ..runtime.target import Target

if TYPE_CHECKING:
    from task_history.runs.replay import Replay
    from task_history.runs.replay_candidates import Candidate

    from .replay import Choice

MOST = 100
"""Maximum number of executions that are replayed unless the user gives a number."""
_MAX_SKIPPED_SHOWN = 20
"""Maximum number of skipped executions that are listed."""
NOT_KNOWN = "not in the warehouse"


def shown(args: argparse.Namespace, settings: Settings, target: Target, choice: Choice) -> dict[str, Any]:
    """The planned replay requests."""
    number = len(choice.candidates)
    return {
        "command": "replay",
        "system": settings.system.name,
        "instance": settings.instance,
        "sent": False,
        "exit_code": 0,
        "executions": [],
        "would_replay": [_candidate(candidate) for candidate in choice.candidates],
        "skipped": [{"id": candidate.id, "reason": reason} for candidate, reason in choice.skipped],
        "without_outputs": choice.without_output,
        "requests": number,
        "budget": _budget(settings, number),
        "caveat": _caveat(settings.system),
        "go_on": None if args.yes or not number else go_on(args, choice),
        "place": target.place,
        "file": None if target.file is None else str(target.file),
        "dataset": settings.dataset_name,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    remarks = [] if candidate.is_known else [NOT_KNOWN]
    return {
        "id": candidate.id,
        "workflow_id": candidate.workflow_id,
        "integration": candidate.integration,
        "status": candidate.status,
        "started_at": candidate.started_at,
        "error": candidate.error or None,
        "remark": "; ".join([*remarks, *([str(candidate.earlier)] if candidate.earlier else [])]) or None,
    }


def _budget(settings: Settings, number: int) -> dict[str, Any] | None:
    """The budget left on this machine, and the expected wait; None while the key is not set."""
    usage = known_usage(settings)
    if usage is None:
        return None
    short = number - (number if usage.left is None else usage.left)
    return {
        "limit": usage.limit,
        "period_s": settings.values.rate_limit_period_s,
        "left": usage.left,
        "waits": short > 0 or usage.hold_s > 0,
    }


def go_on(args: argparse.Namespace, choice: Choice) -> str:
    """The command that replays exactly the listed executions."""
    command = ["task-history", "replay", args.system]
    for name in ("instance", "destination"):
        if getattr(args, name):
            command += [f"--{name}", getattr(args, name)]
    if choice.asked is None:
        command += args.ids
    else:
        command.append("--failed")
        if choice.asked.is_cut:
            # What begins from now on was not shown.
            command += ["--from", iso_ms(choice.asked.window.start), "--to", iso_ms(choice.asked.window.end)]
        else:
            ends = (("month", args.month), ("from", args.start), ("to", args.end))
            command += [argument for name, value in ends if value for argument in (f"--{name}", value)]
            command += [] if args.timezone == "UTC" else ["--timezone", args.timezone]
        for name, value in sorted(choice.selection.filters.items()):
            command += [f"--{name}", value]
        command += [] if args.error is None else ["--error", args.error]
    command += ["--again"] if args.again else []
    command += ["--max", str(args.max)] if len(choice.candidates) > MOST else []
    return shlex.join([*command, "--yes"])


def lines_shown(result: Mapping[str, Any]) -> list[str]:
    """The same as text."""
    chosen = result["would_replay"]
    text = []
    if chosen:
        rows = [
            [
                execution["id"],
                execution["workflow_id"] or "",
                execution["integration"] or "",
                execution["status"] or "",
                times.second(execution["started_at"]),
                "; ".join(filter(None, (execution["remark"], execution["error"]))),
            ]
            for execution in chosen
        ]
        heads = ["id", "workflow", "integration", "status", "started (UTC)", "error"]
        text += [*output.table(rows, heads=heads), ""]
    text += _skipped(result["skipped"])
    if result["without_outputs"]:
        text.append(
            f"--error cannot see {result['without_outputs']:,} failed executions of this range: no output of a failed "
            "step of theirs is loaded (setting payloads, or not synced yet)."
        )
    if not chosen:
        return [*text, "Nothing to replay; nothing was sent."]
    budget = result["budget"]
    budget_left = ""
    if budget is not None and budget["left"] is not None:
        budget_left = (
            f"; {budget['left']:,} of {budget['limit']:,} in {times.duration(budget['period_s'])} are left"
        )
        budget_left += ", the rest has to wait" if budget["waits"] else ""
    return [
        *text,
        f"{result['system']} would be asked to run {_executions(len(chosen))} again: {_requests(len(chosen))}"
        f"{budget_left}.",
        result["caveat"],
        "Nothing was sent. To do it:",
        f"  {result['go_on']}",
    ]


def done(
    current: ActiveRun, work: Replay, choice: Choice, error: TaskHistoryError | None, seconds: float
) -> dict[str, Any]:
    """The results of the replay requests."""
    from task_history.runs.replay import counted

    loop, context = current.loop, current.loop.context
    counts = counted(work.results)
    code = ExitCode.UNAVAILABLE if counts["refused"] or counts["unknown"] else ExitCode.DONE
    usage, limit = current.usage(), current.budget.limit
    return {
        "command": "replay",
        "system": context.settings.system.name,
        "instance": context.settings.instance,
        "run_id": context.run_id,
        "sent": True,
        "exit_code": error.exit_code if error is not None else code,
        "complete": error is None and not work.left,
        "stopped": loop.stopped.reason if loop.stopped else None,
        "error": str(error) if error is not None else None,
        "is_recorded": not isinstance(error, WarehouseUnavailable),
        **counts,
        "executions": [
            {
                "id": outcome.id,
                "outcome": outcome.outcome,
                "new_execution_id": outcome.new_execution_id,
                "status_code": outcome.status_code,
                "answer": outcome.answer,
                "answered_at": outcome.answered_at,
            }
            for outcome in work.results
        ],
        "skipped": [
            *({"id": outcome.id, "reason": reason} for outcome, reason in choice.skipped),
            *({"id": identity, "reason": str(earlier)} for identity, earlier in work.skipped.items()),
        ],
        "left": work.left,
        "requests": sum(current.client.stats.sent.values()),
        "budget": {
            "limit": limit,
            "period_s": current.budget.period_s,
            "left": usage.left if usage else None,
        },
        "caveat": _caveat(context.system),
        "duration_s": round(seconds, 1),
        "dataset": context.settings.dataset_name,
    }


def lines_done(result: Mapping[str, Any]) -> list[str]:
    """The same as text."""
    rows = [
        [execution["id"], execution["outcome"], execution["new_execution_id"] or "", _because(execution)]
        for execution in result["executions"]
    ]
    text = []
    if rows:
        heads = ["id", "outcome", "new id", "because"]
        text += [*output.table(rows, heads=heads), ""]
    text += _skipped(result["skipped"])
    text.append(
        f"{result['replayed']:,} replayed, {result['refused']:,} refused, {result['unknown']:,} unknown, "
        f"with {_requests(result['requests'])} in {times.duration(result['duration_s'])}."
    )
    if result["unknown"]:
        text.append(
            "Unknown means that the answer was lost: it may or may not run again. Look at the vendor's side; later "
            "runs skip it unless you say --again."
        )
    if result["left"]:
        because = result["stopped"] or result["error"] or ""
        text.append(
            f"Not sent: {_executions(len(result['left']))}, because of: {because.rstrip('.')}. The same command goes on "
            "there."
        )
    elif result["error"]:
        text.append(result["error"])
    if not result["is_recorded"]:
        text.append(
            "What is listed here could not all be written down: in the table replays some may stay as intended, and "
            "later runs skip them."
        )
    if result["replayed"]:
        text.append(f"The next task-history sync {result['system']} brings what they do. {result['caveat']}")
    return text


def _because(execution: Mapping[str, Any]) -> str:
    """The vendor's answer without the part that all answers share."""
    if execution["outcome"] == "replayed":
        return ""
    short = execution["answer"].partition(" It may or may not")[0].rstrip(".")
    _, at, status = short.partition(" with HTTP ")
    return f"HTTP {status}" if at else short.partition(": ")[2] or short


def _skipped(skipped: list[dict[str, str]]) -> list[str]:
    if not skipped:
        return []
    kinds = Counter(_kind(execution["reason"]) for execution in skipped)
    text = [f"Skipped: {', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())}."]
    text += [f"  {execution['id']}  {execution['reason']}" for execution in skipped[:_MAX_SKIPPED_SHOWN]]
    if len(skipped) > _MAX_SKIPPED_SHOWN:
        text.append(f"  and {len(skipped) - _MAX_SKIPPED_SHOWN:,} more, which --json lists.")
    return [*text, ""]


def _kind(reason: str) -> str:
    return reason.partition(" at ")[0] if "replayed" in reason else reason


def _executions(number: int) -> str:
    return "1 execution" if number == 1 else f"{number:,} executions"


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{number:,} requests"


def _caveat(system: System) -> str:
    """The warnings that are shown before executions are replayed."""
    return system.replay.caveat if system.replay else ""
