"""``task-history fleet list|sync|status``: all configured accounts of all systems at once."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from task_history.core.errors import TaskHistoryError, UsageError
from task_history.core.exit_codes import ExitCode
from task_history.core.lock_timeouts import FILE_WAIT_OF_RUN_WITH_ROWS_S
from task_history.settings_reader import load

from ..console import arguments, output, times
from ..console.failures import described, worst
from ..fleet.accounts import FleetAccount, configured_accounts, selected
from ..fleet.file_of_accounts import SharedFile, prepare, served
from ..fleet.worker_processes import WorkerProcesses
from ..runtime import run_summary
from ..runtime.reader import files_kept_open
from ..runtime.target import find_target
from .status import is_stale, status
from .sync import sync

_JOBS = 4
_ACTIONS = {"jobs": "sync", "max_requests": "sync", "max_minutes": "sync", "fail_if_stale": "status"}
"""The action that uses an option, where the others do not."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("list", "sync", "status"),
        help="list: the accounts, their datasets and schedules; sync: the sync of each, side by side; "
        "status: how far each is loaded",
    )
    parser.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="GLOB",
        help="only accounts with such names, such as 'paragon*' or '*/eu'; may be given several times",
    )
    parser.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help=f"of sync: how many accounts at a time (default {_JOBS})",
    )
    arguments.add_warehouse(parser)
    arguments.add_limits(parser)
    arguments.add_fail_if_stale(parser)


def run(args: argparse.Namespace) -> int:
    for option, action in _ACTIONS.items():
        if args.action != action and getattr(args, option) is not None:
            raise UsageError(
                f"--{option.replace('_', '-')} belongs to fleet {action}: fleet {args.action} does not use it."
            )
    accounts = selected(configured_accounts(args.destination), args.select)
    return {"list": _list, "sync": _sync, "status": _status}[args.action](args, accounts)


def _jobs(text: str) -> int:
    jobs = arguments.whole_number(text)
    if not 1 <= jobs <= 64:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1 to 64")
    return jobs


def _list(args: argparse.Namespace, accounts: Sequence[FleetAccount]) -> int:
    code = worst(account.error.exit_code for account in accounts if account.error)
    if args.json:
        now = datetime.now(UTC)
        entries = [account.as_json(now) for account in accounts]
        output.emit({"command": "fleet list", "exit_code": code, "accounts": entries})
        return code
    rows = [
        [
            account.name,
            account.settings.dataset_name,
            account.target.name,
            account.target.place,
            account.schedule or "",
        ]
        for account in accounts
        if account.settings and account.target
    ]
    output.say(*output.table(rows, heads=["account", "dataset", "destination", "place", "schedule (UTC)"]))
    for account in accounts:
        if account.error:
            output.say(f"{account.name} cannot run: {account.error}")
    return code


def _sync(args: argparse.Namespace, accounts: Sequence[FleetAccount]) -> int:
    began = time.monotonic()
    entries = [
        _entry(account.name, account.error.exit_code, str(account.error))
        for account in accounts
        if account.error
    ]
    for entry in entries:
        _report(entry)
    files = _shared_files(args, accounts)
    is_stopped, shown = _prepare(args, files)
    tasks = [
        _SyncTask(
            account.name,
            account.system,
            account.instance,
            args.destination,
            args.max_requests,
            args.max_minutes,
            args.log_level,
            args.log_format,
            has_views=account.settings.dataset_name in shown,
        )
        for account in accounts
        if account.settings is not None
    ]
    if tasks and not is_stopped:
        with served(files) as addresses:
            processes = WorkerProcesses(
                partial(_sync_account, {str(file): address for file, address in addresses.items()}),
                tasks,
                jobs=args.jobs or _JOBS,
            )
            for task, result in processes.results():
                entries.append(
                    result
                    or _entry(
                        task.account,
                        ExitCode.UNEXPECTED,
                        "Its process was killed; the next sync goes on there.",
                    )
                )
                _report(entries[-1])
            is_stopped = processes.is_stopping
    code = worst(ExitCode(entry["exit_code"]) for entry in entries)
    result = {
        "command": "fleet sync",
        "exit_code": code,
        "accounts": sorted(
            entries, key=lambda entry: [account.name for account in accounts].index(entry["account"])
        ),
        "not_begun": [
            account.name
            for account in accounts
            if account.name not in {entry["account"] for entry in entries}
        ],
        "is_stopped": is_stopped,
        "duration_s": round(time.monotonic() - began, 3),
    }
    if args.json:
        output.emit(result)
    else:
        output.tell(*_summary(result))
    return code


def _shared_files(args: argparse.Namespace, accounts: Sequence[FleetAccount]) -> dict[Path, SharedFile]:
    """The DuckDB files into which several accounts are loaded."""
    by_file: dict[Path, list[tuple[str, str | None]]] = {}
    for account in accounts:
        if account.target is not None and account.target.file is not None:
            by_file.setdefault(account.target.file.resolve(), []).append((account.system, account.instance))
    return {
        file: SharedFile(tuple(shared), args.destination, args.log_level, args.log_format)
        for file, shared in by_file.items()
        if len(shared) > 1
    }


def _prepare(args: argparse.Namespace, files: Mapping[Path, SharedFile]) -> tuple[bool, set[str]]:
    """Makes the tables and views of these files.

    Returns whether a signal asked to stop, and the datasets that the views show.
    """
    if not files:
        return False, set()
    processes = WorkerProcesses(prepare, list(files.values()), jobs=args.jobs or _JOBS)
    shown = {dataset for _, datasets in processes.results() for dataset in datasets or ()}
    return processes.is_stopping, shown


@dataclass(frozen=True, slots=True)
class _SyncTask:
    """What a worker process needs for the sync of one account."""

    account: str
    system: str
    instance: str | None
    destination: str | None
    max_requests: int | None
    max_minutes: float | None
    log_level: str
    log_format: str
    has_views: bool
    """Whether views show its tables already."""


def _sync_account(addresses: Mapping[str, str], task: _SyncTask) -> dict[str, Any]:
    """The sync of one account, in a worker process: its result as ``sync --json`` prints it, or its error.

    ``addresses`` says by file where the processes are that have it open for all accounts.
    """
    output.start_logging_in_worker(task.log_level, task.log_format, account=task.account)
    from task_history.load import duckdb_file_server
    from task_history.load.shared_connection import leave_open_between_runs

    leave_open_between_runs()
    for file, address in addresses.items():
        duckdb_file_server.use(file, address)
    with output.escaped_streams():
        try:
            settings = load(task.system, instance=task.instance)
            target = find_target(task.destination, settings.pipeline_name, dataset=settings.dataset_name)
            result = sync(
                settings,
                target,
                max_requests=task.max_requests,
                max_minutes=task.max_minutes,
                # The other accounts' processes write to the same file in turn.
                lock_wait_s=FILE_WAIT_OF_RUN_WITH_ROWS_S,
                has_views=task.has_views,
            )
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - one account's error ends no other's run
            return _entry(task.account, *described(error))
    return _entry(task.account, ExitCode.DONE, None) | {"result": result}


def _entry(account: str, code: ExitCode, error: str | None) -> dict[str, Any]:
    return {"account": account, "exit_code": int(code), "error": error, "result": None}


def _report(entry: Mapping[str, Any]) -> None:
    result = entry["result"]
    if result is None:
        output.tell(
            f"{entry['account']}: exit code {entry['exit_code']}. {entry['error']}",
            level=logging.ERROR if entry["exit_code"] else logging.INFO,
            account=entry["account"],
            exit_code=entry["exit_code"],
        )
    else:
        output.tell(
            f"{entry['account']}: {' '.join(run_summary.lines(result))}",
            account=entry["account"],
            exit_code=entry["exit_code"],
        )


def _summary(result: Mapping[str, Any]) -> list[str]:
    entries = result["accounts"]
    done = [entry for entry in entries if entry["result"] is not None]
    rows = sum(entry["result"]["executions"] for entry in done)
    requests = sum(entry["result"]["requests"] for entry in done)
    lines = [
        f"{len(done):,} of {len(entries) + len(result['not_begun']):,} accounts done in "
        f"{times.duration(result['duration_s'])}: {rows:,} executions with {requests:,} requests."
    ]
    failed = [entry["account"] for entry in entries if entry["exit_code"]]
    if failed:
        lines.append(f"Not done: {', '.join(failed)}.")
    if result["is_stopped"]:
        left = ", ".join(result["not_begun"]) or "none"
        lines.append(f"Stopped by a signal. Accounts not begun: {left}. The same command continues.")
    return lines


def _statuses(
    args: argparse.Namespace, accounts: Sequence[FleetAccount]
) -> tuple[list[dict[str, Any]], list[ExitCode]]:
    """The status of each account or why it cannot be read, and the exit codes of those that are not well."""
    entries: list[dict[str, Any]] = []
    codes: list[ExitCode] = []
    for account in accounts:
        entry: dict[str, Any] = {"account": account.name, "error": None, "status": None}
        try:
            if account.error is not None:
                raise account.error
            entry["status"] = status(account.system, account.instance, args.destination)
            if args.fail_if_stale is not None and is_stale(entry["status"], args.fail_if_stale):
                codes.append(ExitCode.STALE)
        except TaskHistoryError as error:
            entry["error"] = str(error)
            codes.append(error.exit_code)
        entries.append(entry)
    return entries, codes


def _status(args: argparse.Namespace, accounts: Sequence[FleetAccount]) -> int:
    with files_kept_open():
        entries, codes = _statuses(args, accounts)
    code = worst(codes)
    if args.json:
        output.emit({"command": "fleet status", "exit_code": code, "accounts": entries})
        return code
    rows = [[entry["account"], *_status_cells(entry["status"])] for entry in entries if entry["status"]]
    heads = ["account", "covered until", "behind", "open", "left", "last run", "outcome"]
    output.say(*output.table(rows, heads=heads, right={3, 4}))
    for entry in entries:
        if entry["error"]:
            output.say(f"{entry['account']} cannot be read: {entry['error']}")
    return code


def _status_cells(result: Mapping[str, Any]) -> list[str]:
    if not result["loaded"]:
        return ["not synced yet", "", "", "", "", ""]
    last = result["runs"][0] if result["runs"] else None
    return [
        times.minute(result["covered_until"]),
        "" if result["lag_s"] is None else times.duration(max(0, result["lag_s"])),
        f"{result['open_executions']:,}",
        f"{result['details_left'] + result['payloads_left']:,}",
        times.minute(last["started_at"]) if last else "",
        str(last["outcome"]) if last else "",
    ]
