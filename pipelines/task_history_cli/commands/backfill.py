"""``task-history backfill SYSTEM --month 2026-09``: a range of the past, once; resumes if killed."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from task_history.core.log import log
from task_history.core.models import Scope, Window
from task_history.runs.runner import BACKFILL, ActiveRun, commit_batches
from task_history.settings import Settings, load

from ..console import arguments, date_range, output
from ..runtime import result_output, views
from ..runtime.command_run import start_command
from ..runtime.notices import Notices
from ..runtime.progress import Progress
from ..runtime.target import Target, find_target, working_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    date_range.add_range(parser)
    date_range.add_filters(parser)
    arguments.add_details(parser)
    arguments.add_warehouse(parser)
    arguments.add_limits(parser)


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance)
    target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
    asked = date_range.window(args, settings, datetime.now(UTC))
    result = backfill(
        settings,
        target,
        asked,
        filters=date_range.filters(args, settings),
        scope=arguments.scope(args, settings),
        max_requests=args.max_requests,
        max_minutes=args.max_minutes,
    )
    if args.json:
        output.emit(result)
    else:
        for line in result_output.lines(result):
            output.tell(line)
    return 0


def backfill(
    settings: Settings,
    target: Target,
    asked: date_range.Range,
    *,
    filters: dict[str, str],
    scope: Scope,
    max_requests: int | None = None,
    max_minutes: float | None = None,
) -> dict[str, Any]:
    """Loads the gaps of the range and returns the result.

    Raises:
        TaskHistoryError: what stopped it, after everything fetched was written.
    """
    from task_history.runs.backfill import Backfill

    began = time.monotonic()
    with start_command(
        settings,
        target,
        lambda context, _: Backfill(context),
        command="backfill",
        lane=BACKFILL,
        selection=date_range.selection(asked, filters),
        scope=scope,
        max_requests=max_requests,
        max_minutes=max_minutes,
    ) as current:
        for line in date_range.lines(asked):
            output.tell(line)
        gaps = list(current.loop.context.gaps(asked.window))
        _tell_gaps(gaps, asked)
        with Progress(current) as progress:
            commit_batches(current, views.after_first_commit(current, progress.committed))
        views.after(current)
        if filters and not current.loop.context.tally.executions and gaps == [asked.window]:
            log.warning(
                "filter_matches_nothing",
                filters=" ".join(f"--{name} {value}" for name, value in sorted(filters.items())),
                hint="no execution of this range matches: check the spelling",
            )
        result = result_output.result(current, target, time.monotonic() - began) | _about(current, asked)
        Notices(settings, working_folder(target)).after(result, datetime.now(UTC))
        return result


def _tell_gaps(gaps: Sequence[Window], asked: date_range.Range) -> None:
    if not gaps:
        output.tell("All of it is covered: nothing has to be listed again.")
    elif list(gaps) != [asked.window]:
        spans = ", ".join(f"{output.minute(gap.start)} to {output.minute(gap.end)}" for gap in gaps[:5])
        others = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        output.tell(f"The rest is covered; to be listed: {spans}{others}.")


def _about(current: ActiveRun, asked: date_range.Range) -> dict[str, Any]:
    context = current.loop.context
    window = asked.window
    return {
        "range": {"name": asked.name, **window.as_json(), "timezone": asked.zone},
        "filters": dict(context.selection.filters),
        "not_covered": [gap.as_json() for gap in context.gaps(window)],
    }
