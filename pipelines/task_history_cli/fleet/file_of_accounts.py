"""The DuckDB file of many accounts: makes their tables and the views over all of them, then serves it to their syncs.

Each sync by itself would make the views anew for its account: of 200 accounts the views would be made 200 times, over
up to 200 datasets.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from task_history.core import lock_timeouts
from task_history.core.awaited_file import is_awaited
from task_history.core.errors import TaskHistoryError
from task_history.core.log import log
from task_history.load.memory import freeze_imports, release_memory
from task_history.settings_reader import Settings, load
from task_history.views.create import datasets, refresh
from task_history.warehouse.copied_tables import TablesOfDataset, schema_names
from task_history.warehouse.duckdb_file_reader import is_made

from ..console import output
from ..runtime import views
from ..runtime.command_run import copy_tables, make_tables
from ..runtime.target import Target, find_target
from .worker_processes import process_context, set_up


@dataclass(frozen=True, slots=True)
class SharedFile:
    """The accounts, as system and instance, that are loaded into one DuckDB file."""

    accounts: tuple[tuple[str, str | None], ...]
    destination: str | None
    log_level: str
    log_format: str


def prepare(shared: SharedFile) -> frozenset[str]:
    """The datasets whose tables are all there and which the views show, once those that lacked any have been made.

    Never raises: an account that is left out makes its tables and the views in its own sync, or says what is wrong.
    """
    output.start_logging_in_worker(shared.log_level, shared.log_format)
    from task_history.load.shared_connection import leave_open_between_runs

    leave_open_between_runs()
    try:
        return frozenset(_prepared(shared))
    except Exception as error:  # noqa: BLE001 - the syncs make what is missing, or fail with the reason
        log.debug("tables_not_made_yet", reason=f"{type(error).__name__}: {error}")
        return frozenset()


def _prepared(shared: SharedFile) -> Sequence[str]:
    accounts = [load(system, instance=instance) for system, instance in shared.accounts]
    targets = [
        find_target(shared.destination, account.pipeline_name, dataset=account.dataset_name)
        for account in accounts
    ]
    there, complete = _datasets(targets[0])
    of_system: dict[str, str] = {}
    copies: list[tuple[Settings, Target]] = []
    for account, target in zip(accounts, targets, strict=True):
        name, system = account.dataset_name, account.system.name
        if name in complete:
            continue
        if name not in there and system in of_system:
            copies.append((account, target))
            continue
        with _noted(name):
            make_tables(account, target)
            if name not in there:
                of_system[system] = name
        freeze_imports()
        # Else what 200 accounts leave behind takes more memory than a sync.
        release_memory(collects_garbage=True)
    with views.opened(targets[0]) as access:
        made = {system: TablesOfDataset(access.query, name) for system, name in of_system.items()}
        for account, target in copies:
            with _noted(account.dataset_name):
                copy_tables(account, target, made[account.system.name], access)
        return refresh(access).datasets


@contextmanager
def _noted(dataset: str) -> Iterator[None]:
    """Context manager: only logs that tables of a dataset could not be made, but where the file is locked."""
    from task_history.load.error_kinds import is_locked

    try:
        yield
    except TaskHistoryError as error:
        if is_locked(error):
            # Each of the others would wait as long.
            raise
        log.debug("tables_not_made_yet", dataset=dataset, reason=str(error))


def _datasets(target: Target) -> tuple[frozenset[str], frozenset[str]]:
    """The datasets of the file, and those of them whose tables are all there."""
    if target.file is None or not is_made(target.file):
        return frozenset(), frozenset()
    with views.opened(target) as access:
        complete = (dataset.name for dataset in datasets(access) if not dataset.lacking)
        return schema_names(access.query), frozenset(complete)


@contextmanager
def served(files: Mapping[Path, SharedFile]) -> Iterator[dict[Path, str]]:
    """Context manager: one process per file has it open for the syncs; yields where each is reached.

    A file that cannot be served is left out: its syncs open it in turn.
    """
    with ExitStack() as stack:
        addresses = {}
        for file, shared in files.items():
            if (address := stack.enter_context(_server(shared))) is not None:
                addresses[file] = address
        yield addresses


@contextmanager
def _server(shared: SharedFile) -> Iterator[str | None]:
    context = process_context()
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(shared, theirs, dict(os.environ)), name="file-server")
    process.start()
    theirs.close()
    try:
        try:
            address: str | None = ours.recv()
        except EOFError:
            address = None
        yield address
    finally:
        # The process closes the file when this end of the pipe is closed, as also when this process dies.
        ours.close()
        process.join()


def _serve(shared: SharedFile, control: Connection[Any, Any], environment: Mapping[str, str]) -> None:
    """Has the file open for other processes until the other end of ``control`` is closed, which gets its address."""
    set_up(environment)
    # The syncs end first, and commit what they have read.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    output.start_logging_in_worker(shared.log_level, shared.log_format)
    from task_history.load.duckdb_file_server import FileServer

    try:
        system, instance = shared.accounts[0]
        settings = load(system, instance=instance)
        target = find_target(shared.destination, settings.pipeline_name, dataset=settings.dataset_name)
        loader = views.views_loader(target, lock_wait_s=lock_timeouts.FILE_WAIT_OF_RUN_WITH_ROWS_S)
        server = FileServer(
            loader.opened, loader.close_connection, is_awaited=partial(is_awaited, Path(str(target.file)))
        )
    except Exception as error:  # noqa: BLE001 - the syncs open the file in turn, or fail with the reason
        log.debug("file_not_served", reason=f"{type(error).__name__}: {error}")
        return
    server.start()
    control.send(server.address)
    with suppress(EOFError, OSError):
        control.recv()
    server.stop()
