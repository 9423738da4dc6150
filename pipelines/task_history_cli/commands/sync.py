"""``task-history sync SYSTEM``: everything since the last sync, then what is open, then details."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from typing import Any

from task_history.runs.runner import commit_batches
from task_history.settings import Settings, load

from ..console import arguments, output
from ..runtime import result_output, views
from ..runtime.command_run import start_command
from ..runtime.notices import Notices
from ..runtime.progress import Progress
from ..runtime.target import Target, find_target, working_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    arguments.add_warehouse(parser)
    arguments.add_limits(parser)


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance)
    target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
    result = sync(settings, target, max_requests=args.max_requests, max_minutes=args.max_minutes)
    if args.json:
        output.emit(result)
    else:
        for line in result_output.lines(result):
            output.tell(line)
    return 0


def sync(
    settings: Settings,
    target: Target,
    *,
    max_requests: int | None = None,
    max_minutes: float | None = None,
    lock_wait_s: float | None = None,
) -> dict[str, Any]:
    """Runs one sync and returns its result.

    ``lock_wait_s`` is how long it waits at first for a DuckDB file that another process has open.

    Raises:
        TaskHistoryError: what stopped it, after everything fetched was written.
    """
    began = time.monotonic()
    from task_history.runs.sync import Sync

    with start_command(
        settings,
        target,
        lambda context, loader: Sync(context, cursor=loader.cursor()),
        command="sync",
        max_requests=max_requests,
        max_minutes=max_minutes,
        lock_wait_s=lock_wait_s,
    ) as current:
        with Progress(current) as progress:
            commit_batches(current, views.after_first_commit(current, progress.committed))
        views.after(current)
        result = result_output.result(current, target, time.monotonic() - began)
        Notices(settings, working_folder(target)).after(result, datetime.now(UTC))
        return result
