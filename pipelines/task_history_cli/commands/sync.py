"""``task-history sync SYSTEM``: everything since the last sync, then what is open, then details.

What it prints at its end stands in ``runtime/run_summary``.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from task_history.core.errors import UsageError
from task_history.settings_reader import Settings, load

from ..console import arguments, output
from ..runtime import run_summary, views
from ..runtime.command_run import carry_out, start_command
from ..runtime.notices import Notices
from ..runtime.target import Target, find_target, working_folder
from .integration_advice import advice

if TYPE_CHECKING:
    from task_history.load.pipeline import Loader
    from task_history.runs.context import Context


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    arguments.add_warehouse(parser)
    arguments.add_limits(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be asked and written, and write nothing; at most 5 requests",
    )
    parser.add_argument(
        "--erase-old-values",
        action="store_true",
        help="remove values that were stored before exclude_columns or hash_columns named their columns; for good",
    )
    parser.add_argument(
        "--new-hash-key",
        action="store_true",
        help="go on with another hash_key; what is stored keeps the hashes of the former one",
    )


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance)
    target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
    if args.dry_run:
        from . import sync_dry_run

        _refuse_changes(args)
        planned = sync_dry_run.dry_run(settings, target)
        output.show(planned, sync_dry_run.lines(planned), is_json=args.json)
        return 0
    result = sync(
        settings,
        target,
        max_requests=args.max_requests,
        max_minutes=args.max_minutes,
        erases_old_values=args.erase_old_values,
        accepts_new_key=args.new_hash_key,
    )
    if args.json:
        output.emit(result)
    else:
        for line in run_summary.lines(result):
            output.tell(line)
        for text in advice(settings):
            output.tell(f"Note: {text}")
    return 0


def _refuse_changes(args: argparse.Namespace) -> None:
    """Raises UsageError for options that change what is stored."""
    for option in ("erase_old_values", "new_hash_key"):
        if getattr(args, option):
            raise UsageError(
                f"--{option.replace('_', '-')} changes what is stored: leave it out of a --dry-run."
            )


def sync(
    settings: Settings,
    target: Target,
    *,
    max_requests: int | None = None,
    max_minutes: float | None = None,
    lock_wait_s: float | None = None,
    erases_old_values: bool = False,
    accepts_new_key: bool = False,
    has_views: bool = False,
) -> dict[str, Any]:
    """Runs one sync and returns its result.

    ``lock_wait_s`` is how long it waits at first for a DuckDB file that another process has open, ``erases_old_values``
    removes values of before ``exclude_columns`` and ``hash_columns``, ``accepts_new_key`` says that ``hash_key`` was
    changed on purpose. ``has_views`` says that views show the account's tables already: they are not made.

    Raises:
        TaskHistoryError: what stopped it, after everything fetched was written.
    """
    began = time.monotonic()
    from task_history.runs.column_changes import erase_old_values, note_old_values
    from task_history.runs.delete_old_rows import delete_old_rows
    from task_history.runs.sync import Sync

    erased: dict[str, int] = {}

    def make_work(context: Context, loader: Loader) -> Sync:
        views.check_users(settings, loader)
        if erases_old_values:
            erased.update(erase_old_values(loader))
        else:
            note_old_values(context, loader)
        return Sync(context, cursor=loader.cursor(), delete_old_rows=partial(delete_old_rows, loader))

    with start_command(
        settings,
        target,
        make_work,
        command="sync",
        max_requests=max_requests,
        max_minutes=max_minutes,
        lock_wait_s=lock_wait_s,
        accepts_new_key=accepts_new_key,
    ) as current:
        carry_out(current, is_viewed=True, has_views=has_views)
        result = run_summary.result(current, target, time.monotonic() - began)
        if erases_old_values:
            result["erased_values"] = erased
        Notices(settings, working_folder(target)).after(result, datetime.now(UTC))
        return result
