"""``task-history forget SYSTEM --user ID``: erases what is stored of a person, and leaves them out from then on.

Shows how many rows in which tables it would erase until ``--yes``, or a confirmation at a terminal.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from task_history.core.errors import UsageError
from task_history.core.keyed_hash import KeyedHash
from task_history.runs.lanes import SYNC
from task_history.runs.run_lock import check_any_machine, lock_path
from task_history.settings_reader import Settings, load
from task_history.warehouse.column_rules import column_rules
from task_history.warehouse.common_tables import has_person, listings
from task_history.warehouse.erasure import Erasure

from ..console import arguments, output
from ..runtime.command_run import all_lanes, no_other_run, opened_loader
from ..runtime.reader import queried, warehouse_of
from ..runtime.target import Target, find_target

if TYPE_CHECKING:
    pass

_CONFIRMATION = "yes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_system(parser)
    parser.add_argument(
        "--user",
        required=True,
        metavar="ID",
        help="the person, as the vendor's executions name them (user_id in the view executions)",
    )
    parser.add_argument("--yes", action="store_true", help="do it: erase the rows for good")
    arguments.add_warehouse(parser)


def run(args: argparse.Namespace) -> int:
    settings = load(args.system, instance=args.instance, allow_missing=True)
    output.keep_secret(settings.secrets)
    if not has_person(settings.system):
        raise UsageError(
            f"{settings.system.title} names no person in its executions: it is not known whose they are. "
            "Nothing was erased."
        )
    rules = column_rules(settings)
    for one in listings(settings.system):
        if one.person and rules.of(one.executions.name).action(one.person.column) == "exclude":
            raise UsageError(
                f"{one.executions.name}.{one.person.column} is in exclude_columns, so that no row says whose it is. "
                "Nothing was erased."
            )
    if not args.user.strip():
        raise UsageError("--user needs the id of a person.")
    target = find_target(args.destination, settings.pipeline_name, dataset=settings.dataset_name)
    shown = show(settings, target, args.user)
    is_wanted = args.yes
    if not is_wanted and not args.json and sys.stdin.isatty() and sys.stdout.isatty():
        output.say("\n".join(lines_shown(shown, is_asking=True)))
        is_wanted = input("> ").strip().lower() == _CONFIRMATION
        if not is_wanted:
            output.say("Nothing was erased.")
            return 0
    elif not is_wanted:
        output.show(shown, lines_shown(shown), is_json=args.json)
        return 0
    result = forget(settings, target, args.user)
    output.show(result, lines_done(result), is_json=args.json)
    return 0


def people(settings: Settings, user: str) -> list[str]:
    """The texts by which rows may name a person: the vendor's id, and its hash where columns are hashed."""
    key = getattr(settings.values, "hash_key", None)
    return [user, KeyedHash(key).of(user)] if key else [user]


def show(settings: Settings, target: Target, user: str) -> dict[str, Any]:
    """The numbers of rows by table that would be erased; writes nothing.

    Raises:
        UsageError: nothing is loaded yet.
        WarehouseUnavailable: the warehouse cannot be read.
    """
    with queried(target, settings) as reader:
        if reader is None or warehouse_of(reader, settings) is None:
            raise UsageError(
                f"{settings.system.name} is not synced yet into {target.place}: there is nothing to erase. Start with: "
                f"task-history sync {settings.system.name}{arguments.instance_option(settings.instance)}"
            )
        erasure = Erasure(reader.query, reader.names, settings.system, people(settings, user))
        rows = erasure.counts()
    return _result(settings, rows, is_erased=False)


def forget(settings: Settings, target: Target, user: str) -> dict[str, Any]:
    """Erases the person's rows and notes that they are left out from now on.

    Raises:
        AlreadyRunning: a run is active on the dataset.
        WarehouseUnavailable: the same command goes on where this one ended.
    """
    began = time.monotonic()
    with no_other_run(settings, target, task="forget") as folder:
        from task_history.load import working_dir
        from task_history.runs.forget import forget as forget_in

        with opened_loader(settings, target, SYNC, folder) as loader:
            loader.prepare()
            held = {str(lock_path(folder, lane.pipeline(settings))) for lane in all_lanes()}
            running, commits = loader.warehouse().unfinished_runs(), loader.backend.commits
            check_any_machine(running, held, datetime.now(UTC), commits)
        folders = [folder / lane.pipeline(settings) for lane in all_lanes()]
        for lane, own in zip(all_lanes(), folders, strict=True):
            if lane != SYNC and own.is_dir() and working_dir.unloaded(own):
                # What a killed run has still to load may be of the person, too.
                with opened_loader(settings, target, lane, folder) as pending:
                    pending.prepare()
        with opened_loader(settings, target, SYNC, folder) as loader:
            loader.prepare()
            erased = forget_in(
                loader,
                people(settings, user),
                staging=_staging(settings),
                folders=[own for own in folders if own.is_dir()],
            )
    result = _result(settings, erased.rows, is_erased=True)
    return {
        **result,
        "was_forgotten": erased.was_forgotten,
        "left_out": erased.left_out,
        "duration_s": round(time.monotonic() - began, 1),
    }


def _staging(settings: Settings) -> Iterable[str]:
    """The names of the staging datasets that runs may have made."""
    return ["_".join(filter(None, (settings.dataset_name, lane.staging, "staging"))) for lane in all_lanes()]


def _result(settings: Settings, rows: Mapping[str, int], *, is_erased: bool) -> dict[str, Any]:
    return {
        "command": "forget",
        "system": settings.system.name,
        "instance": settings.instance,
        "erased": is_erased,
        "rows": sum(rows.values()),
        "tables": dict(rows),
    }


def lines_shown(shown: Mapping[str, Any], *, is_asking: bool = False) -> list[str]:
    """What would be erased as text."""
    if shown["rows"]:
        text = [f"{shown['rows']:,} rows of this person are stored:", *_tables(shown)]
    else:
        text = ["No row of this person is stored: no execution names that id."]
    text.append(
        "All later syncs, backfills and repairs would leave the person out, so that erased rows do not come back. Free "
        "text in other people's rows is not searched."
    )
    if is_asking:
        return [*text, f"Erase them for good? Type {_CONFIRMATION}:"]
    return [*text, "Nothing was erased. Add --yes to erase these rows and leave the person out."]


def lines_done(result: Mapping[str, Any]) -> list[str]:
    """What was erased as text."""
    if result["rows"]:
        text = [f"Erased {result['rows']:,} rows:", *_tables(result)]
    elif result["was_forgotten"]:
        text = ["This person had been forgotten before, and nothing of them was stored."]
    else:
        text = ["No row of this person was stored."]
    return [
        *text,
        "The person is left out from now on. Other machines that ran syncs keep their working folders: run the same "
        "command there, too.",
    ]


def _tables(result: Mapping[str, Any]) -> list[str]:
    longest = max(map(len, result["tables"]))
    return [f"  {table:<{longest}}  {number:>9,}" for table, number in result["tables"].items()]
