"""What ``task-history replay`` says: what it would do, and what came of it."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from task_history.client import connect as connecting
from task_history.core.errors import ConfigurationError, TaskHistoryError, WarehouseUnavailable
from task_history.core.exit_codes import ExitCode
from task_history.core.models import iso_ms
from task_history.runs.runner import Run
from task_history.settings import Settings
from task_history.systems.protocol import System

from ..console import output
from ..runtime.target import Target

if TYPE_CHECKING:
    from task_history.runs.replay import Replay
    from task_history.runs.replay_candidates import Candidate

    from .replay import Choice

MOST = 100
"""More than so many are only replayed when somebody says how many."""
_MAX_SKIPPED_SHOWN = 20
"""How many of those that are skipped a person is shown."""
NOT_KNOWN = "not in the warehouse"


def shown(args: argparse.Namespace, settings: Settings, target: Target, choice: Choice) -> dict[str, Any]:
    """What would be sent."""
    number = len(choice.candidates)
    return {
        "command": "replay",
        "system": settings.system.name,
        "instance": settings.instance,
        "sent": False,
        "exit_code": 0,
        "executions": [],
        "would_replay": [_candidate(one) for one in choice.candidates],
        "skipped": [{"id": one.id, "reason": reason} for one, reason in choice.skipped],
        "without_outputs": choice.unheard,
        "requests": number,
        "budget": _budget(settings, number),
        "caveat": _caveat(settings.system),
        "go_on": None if args.yes or not number else go_on(args, choice),
        "place": target.place,
        "file": None if target.file is None else str(target.file),
        "dataset": settings.dataset_name,
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    remarks = [] if one.is_known else [NOT_KNOWN]
    return {
        "id": one.id,
        "workflow_id": one.workflow_id,
        "integration": one.integration,
        "status": one.status,
        "started_at": one.started_at,
        "error": one.error or None,
        "remark": "; ".join([*remarks, *([str(one.earlier)] if one.earlier else [])]) or None,
    }


def _budget(settings: Settings, number: int) -> dict[str, Any] | None:
    """What is left of it on this machine, and how long the requests would wait; None while the key is not set."""
    if not settings.has_key:
        return None
    try:
        usage = connecting.usage(settings)
    except ConfigurationError:
        return None
    period_s, short = (
        settings.values.rate_limit_period_s,
        number - (number if usage.left is None else usage.left),
    )
    return {
        "limit": usage.limit,
        "period_s": period_s,
        "left": usage.left,
        "waits": short > 0 or usage.hold_s > 0,
    }


def go_on(args: argparse.Namespace, choice: Choice) -> str:
    """The command that replays exactly what was shown."""
    words = ["task-history", "replay", args.system]
    for name in ("instance", "destination"):
        if getattr(args, name):
            words += [f"--{name}", getattr(args, name)]
    if choice.asked is None:
        words += args.ids
    else:
        words.append("--failed")
        if choice.asked.is_cut:
            # What begins from now on was not shown.
            words += ["--from", iso_ms(choice.asked.window.start), "--to", iso_ms(choice.asked.window.end)]
        else:
            ends = (("month", args.month), ("from", args.start), ("to", args.end))
            words += [word for name, value in ends if value for word in (f"--{name}", value)]
            words += [] if args.timezone == "UTC" else ["--timezone", args.timezone]
        for name, value in sorted(choice.selection.filters.items()):
            words += [f"--{name}", value]
        words += [] if args.error is None else ["--error", args.error]
    words += ["--again"] if args.again else []
    words += ["--max", str(args.max)] if len(choice.candidates) > MOST else []
    return shlex.join([*words, "--yes"])


def lines_shown(told: Mapping[str, Any]) -> list[str]:
    """The same for a person."""
    chosen = told["would_replay"]
    found = []
    if chosen:
        rows = [
            [
                one["id"],
                one["workflow_id"] or "",
                one["integration"] or "",
                one["status"] or "",
                _at(one["started_at"]),
                "; ".join(filter(None, (one["remark"], one["error"]))),
            ]
            for one in chosen
        ]
        heads = ["id", "workflow", "integration", "status", "started (UTC)", "error"]
        found += [*output.table(rows, heads=heads), ""]
    found += _skipped(told["skipped"])
    if told["without_outputs"]:
        found.append(
            f"--error cannot see {told['without_outputs']:,} failed executions of this range: no output of a failed "
            "step of theirs is loaded (setting payloads, or not synced yet)."
        )
    if not chosen:
        return [*found, "Nothing to replay; nothing was sent."]
    budget = told["budget"]
    left = ""
    if budget is not None and budget["left"] is not None:
        left = (
            f"; {budget['left']:,} of {budget['limit']:,} in {output.duration(budget['period_s'])} are left"
        )
        left += ", the rest has to wait" if budget["waits"] else ""
    return [
        *found,
        f"{told['system']} would be asked to run {_executions(len(chosen))} again: {_requests(len(chosen))}{left}.",
        told["caveat"],
        "Nothing was sent. To do it:",
        f"  {told['go_on']}",
    ]


def done(
    current: Run, work: Replay, choice: Choice, error: TaskHistoryError | None, seconds: float
) -> dict[str, Any]:
    """What came of it."""
    from task_history.runs.replay import counted

    loop, context = current.loop, current.loop.context
    counts = counted(work.results)
    code = ExitCode.UNAVAILABLE if counts["refused"] or counts["unknown"] else ExitCode.DONE
    usage = current.budget.usage()
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
                "id": one.id,
                "outcome": one.outcome,
                "new_execution_id": one.new_execution_id,
                "status_code": one.status_code,
                "answer": one.answer,
                "answered_at": one.answered_at,
            }
            for one in work.results
        ],
        "skipped": [
            *({"id": one.id, "reason": reason} for one, reason in choice.skipped),
            *({"id": identity, "reason": str(earlier)} for identity, earlier in work.skipped.items()),
        ],
        "left": work.left,
        "requests": sum(current.client.stats.sent.values()),
        "budget": {"limit": usage.limit, "period_s": current.budget.period_s, "left": usage.left},
        "caveat": _caveat(context.system),
        "duration_s": round(seconds, 1),
        "dataset": context.settings.dataset_name,
    }


def lines_done(told: Mapping[str, Any]) -> list[str]:
    """The same for a person."""
    rows = [
        [one["id"], one["outcome"], one["new_execution_id"] or "", _because(one)]
        for one in told["executions"]
    ]
    found = []
    if rows:
        heads = ["id", "outcome", "new id", "because"]
        found += [*output.table(rows, heads=heads), ""]
    found += _skipped(told["skipped"])
    found.append(
        f"{told['replayed']:,} replayed, {told['refused']:,} refused, {told['unknown']:,} unknown, "
        f"with {_requests(told['requests'])} in {output.duration(told['duration_s'])}."
    )
    if told["unknown"]:
        found.append(
            "Unknown means that the answer was lost: it may or may not run again. Look at the vendor's side; later "
            "runs skip it unless you say --again."
        )
    if told["left"]:
        because = told["stopped"] or told["error"] or ""
        found.append(
            f"Not sent: {_executions(len(told['left']))}, because of: {because.rstrip('.')}. The same command goes on "
            "there."
        )
    elif told["error"]:
        found.append(told["error"])
    if not told["is_recorded"]:
        found.append(
            "What is listed here could not all be written down: in the table replays some may stay as intended, and "
            "later runs skip them."
        )
    if told["replayed"]:
        found.append(f"The next task-history sync {told['system']} brings what they do. {told['caveat']}")
    return found


def _because(one: Mapping[str, Any]) -> str:
    """The answer without what is the same for all of them."""
    if one["outcome"] == "replayed":
        return ""
    short = one["answer"].partition(" It may or may not")[0].rstrip(".")
    _, at, status = short.partition(" with HTTP ")
    return f"HTTP {status}" if at else short.partition(": ")[2] or short


def _skipped(skipped: list[dict[str, str]]) -> list[str]:
    if not skipped:
        return []
    kinds = Counter(_kind(one["reason"]) for one in skipped)
    found = [f"Skipped: {', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())}."]
    found += [f"  {one['id']}  {one['reason']}" for one in skipped[:_MAX_SKIPPED_SHOWN]]
    if len(skipped) > _MAX_SKIPPED_SHOWN:
        found.append(f"  and {len(skipped) - _MAX_SKIPPED_SHOWN:,} more, which --json lists.")
    return [*found, ""]


def _kind(reason: str) -> str:
    return reason.partition(" at ")[0] if "replayed" in reason else reason


def _executions(number: int) -> str:
    return "1 execution" if number == 1 else f"{number:,} executions"


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{number:,} requests"


def _at(value: datetime | None) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if value else ""


def _caveat(system: System) -> str:
    """What a person has to know before executions are run again."""
    return system.replay.caveat if system.replay else ""
