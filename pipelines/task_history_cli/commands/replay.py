"""``task-history replay SYSTEM ID… | --failed``: run executions again. Shows what it would do until ``--yes``."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from task_history.core.errors import AlreadyRunning, TaskHistoryError, UnusableId, UsageError
from task_history.core.models import Scope, Selection
from task_history.runs.lanes import REPLAY
from task_history.runs.replay_candidates import Candidate, Candidates, with_earlier_replays
from task_history.settings_reader import Settings, load
from task_history.systems.checked_ids import path_of
from task_history.warehouse.common_tables import REPLAYS

from ..console import arguments, date_range, output
from ..runtime.command_run import carry_out, start_command
from ..runtime.reader import queried, warehouse_of
from ..runtime.target import Target, find_target
from . import replay_text as replay_words

if TYPE_CHECKING:
    from task_history.runs.replay import Replay


@dataclass(frozen=True, slots=True)
class Choice:
    """The requested executions, and those that would be replayed."""

    candidates: list[Candidate]
    """The executions to replay, in the order of sending: oldest first."""
    skipped: list[tuple[Candidate, str]]
    """Skipped executions with the reason."""
    selection: Selection
    asked: date_range.Range | None
    without_output: int = 0
    """Failed executions whose error text is not loaded, so that --error could not match them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    parser.add_argument("ids", nargs="*", metavar="ID", help="executions to run again")
    parser.add_argument(
        "--failed", action="store_true", help="all that failed in a month or range, instead of ids"
    )
    date_range.add_range(parser)
    date_range.add_filters(parser, but=("status",))
    parser.add_argument(
        "--error",
        metavar="TEXT",
        help="only those whose failed step said that; any case, in payloads that are loaded",
    )
    parser.add_argument("--yes", action="store_true", help="do it: send one request for each of them, once")
    parser.add_argument(
        "--again", action="store_true", help="also those that were, or may have been, replayed before"
    )
    parser.add_argument(
        "--max",
        type=_number,
        default=replay_words.MOST,
        metavar="N",
        help=f"send nothing when it would be more than that many (default {replay_words.MOST})",
    )
    arguments.add_warehouse(parser)


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance, allow_missing=not args.yes)
    output.keep_secret(settings.secrets)
    if not settings.system.replay is not None:
        raise UsageError(f"{settings.system.title} cannot run executions again.")
    target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
    choice = choose(args, settings, target)
    number = len(choice.candidates)
    if number > args.max:
        raise UsageError(
            f"{number:,} executions would be replayed, which is more than --max {args.max:,}. Nothing was sent. Choose "
            f"fewer by a shorter range or a filter, or say --max {number}."
        )
    if not args.yes or not number:
        shown = replay_words.shown(args, settings, target, choice)
        output.show(shown, replay_words.lines_shown(shown), is_json=args.json)
        return 0
    return _carried_out(args, settings, target, choice)


def choose(args: argparse.Namespace, settings: Settings, target: Target) -> Choice:
    """The executions that the arguments select from the warehouse; sends and writes nothing.

    Raises:
        UsageError: words that do not go together.
        WarehouseUnavailable: it cannot be read.
    """
    filters = date_range.filters(args, settings)
    ids = _ids(args)
    has_range = bool(args.month or args.start or args.end)
    if ids and (args.failed or has_range or filters or args.error is not None):
        raise UsageError("Give either ids, or --failed with a range and filters, not both.")
    if not ids and not args.failed:
        raise UsageError(
            "Say which executions: their ids, or --failed with --month 2026-09 or --from 2026-09-01 --to 2026-09-02."
        )
    if args.error is not None and not args.error.strip():
        raise UsageError("--error needs a text that the failed step said.")
    now = datetime.now(UTC)
    asked = date_range.window(args, settings, now, lookback=False) if args.failed else None
    selection = date_range.selection(asked, filters) if asked else Selection()
    with queried(target, settings) as reader:
        if reader is None or warehouse_of(reader, settings) is None:
            if args.failed:
                raise UsageError(
                    f"--failed chooses from the warehouse, and {settings.system.name} is not synced yet into "
                    f"{target.place}. Start with: task-history sync {settings.system.name}"
                    f"{arguments.instance_option(settings.instance)}"
                )
            return Choice([Candidate(candidate, is_known=False) for candidate in ids], [], selection, None)
        candidates = Candidates(reader.query, reader.names, settings.system, selection=selection)
        considered = candidates.failed(args.error) if args.failed else candidates.with_ids(ids)
        names = [candidate.id for candidate in considered]
        has_replays = any(table == REPLAYS.name for table, _ in reader.columns())
        earlier = candidates.earlier(names) if has_replays else {}
        horizon = None if settings.retention is None else now - settings.retention
        considered = with_earlier_replays(considered, earlier, horizon=horizon)
        reasons = {candidate.id: _obstacle(candidate, again=args.again) for candidate in considered}
        chosen = [candidate for candidate in considered if reasons[candidate.id] is None]
        return Choice(
            candidates.with_errors(chosen) if len(chosen) <= args.max else chosen,
            [
                (candidate, reason)
                for candidate in considered
                if (reason := reasons[candidate.id]) is not None
            ],
            selection,
            asked,
            candidates.without_output() if args.error is not None else 0,
        )


def _obstacle(candidate: Candidate, *, again: bool) -> str | None:
    if not _can_be_asked_for(candidate.id):
        return "no address can hold its id"
    before = str(candidate.earlier) if candidate.earlier is not None and not again else None
    return candidate.obstacle or before


def _carried_out(args: argparse.Namespace, settings: Settings, target: Target, choice: Choice) -> int:
    """Sends the replays, prints the results and returns the exit code."""
    from task_history.load.pipeline import Loader
    from task_history.runs.context import Context
    from task_history.runs.replay import Replay

    ids = [candidate.id for candidate in choice.candidates]
    works: list[Replay] = []

    def make_work(context: Context, loader: Loader) -> Replay:
        candidates = Candidates(loader.query, loader.names, settings.system)
        works.append(Replay(context, candidates, ids, again=args.again))
        return works[0]

    began = time.monotonic()
    error: TaskHistoryError | None = None
    try:
        with start_command(
            settings,
            target,
            make_work,
            command="replay",
            lane=REPLAY,
            selection=choice.selection,
            scope=Scope("none", "none"),
        ) as current:
            try:
                carry_out(current)
            except TaskHistoryError as failure:
                error = failure
            result = replay_words.done(current, works[0], choice, error, time.monotonic() - began)
    except AlreadyRunning:
        raise AlreadyRunning(
            f"Another replay of {settings.pipeline_name} is active. Nothing was sent: run the same command when it "
            "has ended, and what it replayed is skipped."
        ) from None
    if args.json and error is not None:
        output.tell(f"task-history replay: {error}")
    output.show(result, replay_words.lines_done(result), is_json=args.json)
    return int(result["exit_code"])


def _ids(args: argparse.Namespace) -> list[str]:
    """The ids without repetitions, in the given order."""
    for identity in args.ids:
        if not identity.isprintable() or identity.split() != [identity] or not _can_be_asked_for(identity):
            raise UsageError(f"{identity!r} is no id of an execution.")
    return list(dict.fromkeys(args.ids))


def _can_be_asked_for(identity: str) -> bool:
    try:
        path_of("", identity)
    except UnusableId:
        return False
    return True


def _number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value
