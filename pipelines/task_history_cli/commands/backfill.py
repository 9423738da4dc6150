"""``task-history backfill SYSTEM --month 2026-09``: a range of the past, once; resumes if killed."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from task_history.core.errors import UsageError
from task_history.core.exit_codes import ExitCode
from task_history.core.log import log
from task_history.core.models import Scope, Window
from task_history.runs.lanes import BACKFILL, SHARDS
from task_history.runs.runner import ActiveRun
from task_history.settings_reader import Settings, load
from task_history.warehouse.coverage import filters_text

from ..console import arguments, date_range, output, times
from ..console.failures import described, worst
from ..runtime import run_summary
from ..runtime.command_run import carry_out, start_command
from ..runtime.notices import Notices
from ..runtime.target import Target, find_target, working_folder

if TYPE_CHECKING:
    from task_history.load.pipeline import Loader
    from task_history.runs.context import Context


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    date_range.add_range(parser)
    date_range.add_filters(parser)
    arguments.add_details(parser)
    arguments.add_warehouse(parser)
    arguments.add_limits(parser)
    parser.add_argument(
        "--shards",
        type=_shards,
        metavar="N",
        help="load the range in N processes, which share its days, also with those of other machines",
    )


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance)
    target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
    requested = date_range.window(args, settings, datetime.now(UTC))
    if args.shards and args.shards > 1 and target.file is not None:
        raise UsageError(
            "--shards: DuckDB lets one process write at a time, so shards would wait for each other. Leave --shards "
            "out: one process can use the whole budget. Shards need a warehouse such as BigQuery or Postgres."
        )
    if args.shards and not settings.system.listing.is_filtered_by_time:
        raise UsageError(
            f"--shards: {settings.system.name} does not filter its lists by time: each of {args.shards} processes "
            "would read all of them. Leave --shards out."
        )
    if args.shards and args.shards > 1:
        return _run_shards(args, settings, requested)
    result = _backfill(args, settings, target, requested)
    if args.json:
        output.emit(result)
    else:
        for line in run_summary.lines(result):
            output.tell(line)
    return 0


def _backfill(
    args: argparse.Namespace, settings: Settings, target: Target, requested: date_range.Range
) -> dict[str, Any]:
    return backfill(
        settings,
        target,
        requested,
        filters=date_range.filters(args, settings),
        scope=arguments.scope(args, settings),
        shards=args.shards,
        max_requests=args.max_requests,
        max_minutes=args.max_minutes,
    )


def _shards(text: str) -> int:
    number = arguments.whole_number(text)
    if not 1 <= number <= SHARDS.most:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1 to {SHARDS.most}")
    return number


@dataclass(frozen=True, slots=True)
class _Shard:
    """What a worker process needs for its share of a backfill."""

    number: int
    args: argparse.Namespace
    requested: date_range.Range


def _run_shards(args: argparse.Namespace, settings: Settings, requested: date_range.Range) -> int:
    """Runs the shards side by side, and reports each as it ends and the totals at the end."""
    from ..fleet.worker_processes import WorkerProcesses

    began = time.monotonic()
    number = args.shards if args.max_requests is None else max(1, min(args.shards, args.max_requests))
    shards = []
    for index in range(number):
        own = argparse.Namespace(**vars(args))
        if args.max_requests is not None:
            own.max_requests = args.max_requests // number + (index < args.max_requests % number)
        shards.append(_Shard(index + 1, own, requested))
    entries: list[dict[str, Any]] = []
    for shard, result in WorkerProcesses(_run_shard, shards, jobs=number).results():
        entries.append(
            result or _entry(shard.number, None, "Its process was killed; the others load its days.")
        )
        _report_shard(entries[-1])
    done = [entry["result"] for entry in entries if entry["result"] is not None]
    not_covered = done[-1]["not_covered"] if done else []
    codes = [ExitCode(entry["exit_code"]) for entry in entries if entry["exit_code"] is not None]
    if not done and not codes:
        codes = [ExitCode.UNEXPECTED]
    result = {
        "command": "backfill",
        "exit_code": int(worst(codes)),
        "system": settings.system.name,
        "instance": settings.instance,
        "complete": bool(done) and all(shard["complete"] for shard in done) and not not_covered,
        "executions": sum(shard["executions"] for shard in done),
        "steps": sum(shard["steps"] for shard in done),
        "payloads": sum(shard["payloads"] for shard in done),
        "requests": sum(shard["requests"] for shard in done),
        "not_covered": not_covered,
        "shards": sorted(entries, key=itemgetter("shard")),
        "duration_s": round(time.monotonic() - began, 1),
    }
    if args.json:
        output.emit(result)
    else:
        output.tell(
            f"{len(done)} of {number} shards: {result['executions']:,} executions read, {result['steps']:,} steps, "
            f"{result['payloads']:,} payloads with {result['requests']:,} requests in "
            f"{times.duration(result['duration_s'])}."
            + ("" if result["complete"] else " Something is left: run the same command again.")
        )
    return int(result["exit_code"])


def _run_shard(shard: _Shard) -> dict[str, Any]:
    """The share of one process: its result as ``backfill --json`` prints it, or its error."""
    args = shard.args
    output.start_logging_in_worker(args.log_level, args.log_format, shard=shard.number)
    with output.escaped_streams():
        try:
            settings = load(args.system, instance=args.instance)
            target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
            result = _backfill(args, settings, target, shard.requested)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - one shard's error ends no other
            return _entry(shard.number, *described(error))
    return _entry(shard.number, ExitCode.DONE, None) | {"result": result}


def _entry(shard: int, code: ExitCode | None, error: str | None) -> dict[str, Any]:
    return {"shard": shard, "exit_code": None if code is None else int(code), "error": error, "result": None}


def _report_shard(entry: Mapping[str, Any]) -> None:
    result = entry["result"]
    if result is None:
        output.tell(f"Shard {entry['shard']}: {entry['error']}", level=logging.ERROR)
    else:
        output.tell(f"Shard {entry['shard']}: {run_summary.lines(result)[0]}")


def backfill(
    settings: Settings,
    target: Target,
    requested: date_range.Range,
    *,
    filters: dict[str, str],
    scope: Scope,
    shards: int | None = None,
    max_requests: int | None = None,
    max_minutes: float | None = None,
) -> dict[str, Any]:
    """Loads the gaps of the range and returns the result. ``shards`` is how many such runs share it on this machine.

    Raises:
        TaskHistoryError: what stopped it, after everything fetched was written.
    """
    from task_history.runs.backfill import Backfill
    from task_history.runs.shared_days import DayLeases

    began = time.monotonic()
    selection = date_range.selection(requested, filters)

    def make_work(context: Context, _: Loader) -> Backfill:
        if context.locks is None:
            return Backfill(context)
        name = f"lease/{settings.dataset_name}/{filters_text(context.warehouse.recorded(selection.filters))}"
        purpose = f"{scope.steps}/{scope.payloads}"
        return Backfill(context, DayLeases(context.locks, name=name, purpose=purpose, shards=shards))

    with start_command(
        settings,
        target,
        make_work,
        command="backfill",
        lane=SHARDS if shards else BACKFILL,
        selection=selection,
        scope=scope,
        max_requests=max_requests,
        max_minutes=max_minutes,
    ) as current:
        for line in date_range.lines(requested):
            output.tell(line)
        gaps = list(current.loop.context.gaps(requested.window))
        _report_gaps(gaps, requested)
        carry_out(current, is_viewed=True)
        if (
            filters
            and not shards
            and not current.loop.context.tally.executions
            and gaps == [requested.window]
        ):
            log.warning(
                "filter_matches_nothing",
                filters=" ".join(f"--{name} {value}" for name, value in sorted(filters.items())),
                hint="no execution of this range matches: check the spelling",
            )
        result = run_summary.result(current, target, time.monotonic() - began) | _about(current, requested)
        Notices(settings, working_folder(target)).after(result, datetime.now(UTC))
        return result


def _report_gaps(gaps: Sequence[Window], requested: date_range.Range) -> None:
    if not gaps:
        output.tell("All of the range is covered: nothing has to be listed again.")
    elif list(gaps) != [requested.window]:
        spans = ", ".join(f"{times.minute(gap.start)} to {times.minute(gap.end)}" for gap in gaps[:5])
        others = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        output.tell(f"The rest is covered; to be listed: {spans}{others}.")


def _about(current: ActiveRun, requested: date_range.Range) -> dict[str, Any]:
    context = current.loop.context
    window = requested.window
    return {
        "range": {"name": requested.name, **window.as_json(), "timezone": requested.zone},
        "filters": dict(context.selection.filters),
        "not_covered": [gap.as_json() for gap in context.gaps(window)],
    }
