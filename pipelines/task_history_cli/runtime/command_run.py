"""A run of a command: its lock, its signals, and the dlt pipeline of its warehouse."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from task_history.core.errors import AlreadyRunning
from task_history.core.stop import StopSignal
from task_history.load.memory import configure_allocators, freeze_imports
from task_history.runs.lanes import AUDIT, BACKFILL, REPLAY, SHARDS, SYNC, Lane
from task_history.runs.run_lock import lock_path, run_lock
from task_history.runs.runner import ActiveRun, WorkFactory, commit_batches, note_bytes, start_run
from task_history.settings_reader import Settings
from task_history.state.locks import FileLocks, Locks, PostgresLocks, held_lock
from task_history.state.postgres import shared_state
from task_history.warehouse.column_rules import column_rules

from ..console.output import import_structlog, keep_secret
from . import views
from .dlt_defaults import configure_dlt, make_pipeline
from .interruption import stopped_by_signals
from .notices import Notices
from .permissions import name_open_to_others
from .progress import Progress
from .target import Target, working_folder
from .telemetry import observed

if TYPE_CHECKING:
    from task_history.core.models import Scope, Selection
    from task_history.load.pipeline import Loader
    from task_history.views.access import ViewAccess
    from task_history.warehouse.copied_tables import TablesOfDataset


@contextmanager
def start_command(
    settings: Settings,
    target: Target,
    make_work: WorkFactory,
    *,
    command: str,
    lane: Lane = SYNC,
    selection: Selection | None = None,
    scope: Scope | None = None,
    max_requests: int | None = None,
    max_minutes: float | None = None,
    lock_wait_s: float | None = None,
    accepts_new_key: bool = False,
) -> Iterator[ActiveRun]:
    """Yields a run that is ready for its first batch; the warehouse is checked before a request is sent.

    ``lock_wait_s`` is how long it waits at first for a DuckDB file that another process has open.

    ``accepts_new_key`` says that hash_key was changed on purpose.

    Raises:
        AlreadyRunning, ConfigurationError, WarehouseUnavailable.
    """
    import_structlog()
    stop = StopSignal(max_requests=max_requests, max_s=None if max_minutes is None else max_minutes * 60)
    with ExitStack() as stack:
        stack.enter_context(stopped_by_signals(stop))
        folder = working_folder(target)
        notices = Notices(settings, folder)
        notices.check()
        stack.enter_context(notices.on_failure(command))
        locks = _locks(settings, target, stop, folder)
        stack.callback(locks.close)
        recorded = column_rules(settings).recorded(settings.system, selection.filters if selection else {})
        task = _task(command, selection, scope, recorded)
        wait = stop.wait if lane in (BACKFILL, AUDIT) else None
        lane = _free(lane, settings, folder, locks, stack, task=task, wait=wait)
        pipeline = _pipeline(settings, target, lane, folder)
        current = stack.enter_context(
            start_run(
                settings,
                pipeline,
                make_work,
                stop=stop,
                command=command,
                lane=lane,
                selection=selection,
                scope=scope,
                locks=locks,
                lock_wait_s=lock_wait_s,
                accepts_new_key=accepts_new_key,
            )
        )
        freeze_imports()
        name_open_to_others(filter(None, (target.file, folder, current.budget.path)), folder)
        stack.enter_context(observed(current))
        yield current


def carry_out(current: ActiveRun, *, is_viewed: bool = False, has_views: bool = False) -> None:
    """Commits what a run reads while its progress is shown, and then the bytes that it was billed for.

    ``is_viewed`` says that views show what it writes, so that they are made and checked; ``has_views`` that they are
    made already. Raises the error that ended the run.
    """
    with Progress(current) as progress:
        if is_viewed and not has_views:
            commit_batches(
                current,
                views.after_first_commit(current, progress.committed),
                before_first=partial(views.before_first_commit, current),
            )
        else:
            commit_batches(current, progress.committed)
    if is_viewed:
        views.after(current, has_views=has_views)
    note_bytes(current)


@contextmanager
def no_other_run(settings: Settings, target: Target, *, task: str) -> Iterator[Path]:
    """Context manager: holds the locks of all runs on the dataset, so that none begins; yields the working folder.

    Raises:
        AlreadyRunning: a run is active, as far as locks show.
        ConfigurationError, WarehouseUnavailable.
    """
    folder = working_folder(target)
    with ExitStack() as stack:
        locks = _locks(settings, target, StopSignal(), folder)
        stack.callback(locks.close)
        names = [lane.pipeline(settings) for lane in all_lanes()]
        for name in names:
            stack.enter_context(run_lock(lock_path(folder, name), name, task=task))
        if isinstance(locks, PostgresLocks) and (missing := set(names) - locks.take(names)):
            name = min(missing)
            raise AlreadyRunning(f"Another run of {name} is active{locks.holder(name)}. Let it finish first.")
        yield folder


def all_lanes() -> list[Lane]:
    """All lanes of a dataset; one that several processes may use at a time is there once for each of its numbers."""
    return [numbered for lane in (SYNC, SHARDS, AUDIT, REPLAY) for numbered in lane.numbered]


def make_tables(settings: Settings, target: Target) -> None:
    """Makes the tables of an account as its next sync would, so that views can show them before it begins.

    Raises:
        AlreadyRunning, ConfigurationError, WarehouseUnavailable.
    """
    folder = working_folder(target)
    with (
        _no_other_sync(settings, target, folder) as (lane, locks),
        opened_loader(settings, target, lane, folder) as loader,
        held_lock(locks, f"tables/{settings.dataset_name}"),
    ):
        loader.prepare()


def copy_tables(settings: Settings, target: Target, made: TablesOfDataset, access: ViewAccess) -> None:
    """Makes the tables of an account in a DuckDB file that has no such dataset, like those that ``make_tables`` made.

    Raises:
        AlreadyRunning, WarehouseUnavailable.
    """
    with _no_other_sync(settings, target, working_folder(target)):
        access.execute([made.copied(settings.dataset_name)])


@contextmanager
def _no_other_sync(settings: Settings, target: Target, folder: Path) -> Iterator[tuple[Lane, Locks]]:
    """Context manager: the lane of syncs, whose lock is held, and the locks. Raises AlreadyRunning."""
    with ExitStack() as stack:
        locks = _locks(settings, target, StopSignal(), folder)
        stack.callback(locks.close)
        yield _free(SYNC, settings, folder, locks, stack, task="make tables", wait=None), locks


@contextmanager
def opened_loader(settings: Settings, target: Target, lane: Lane, folder: Path) -> Iterator[Loader]:
    """Context manager: the loader of a lane, whose lock the caller holds; ``folder`` is the working folder."""
    from task_history.load.pipeline import Loader

    loader = Loader(
        _pipeline(settings, target, lane, folder),
        settings.system,
        has_cursor=lane.has_cursor,
        secrets=settings.secrets,
        limits=settings.column_limits,
        rules=column_rules(settings),
    )
    try:
        yield loader
    finally:
        loader.close()


def _pipeline(settings: Settings, target: Target, lane: Lane, folder: Path) -> Any:
    """The dlt pipeline of a run, with dlt and the allocators set up for it. Raises ConfigurationError."""
    configure_dlt()
    configure_allocators()
    keep_secret(settings.secrets)

    from task_history.load.destinations import of

    pipeline = make_pipeline(
        lane.pipeline(settings),
        pipelines_dir=str(folder),
        destination=target.destination(lane.staging, retention=settings.retention),
        dataset_name=settings.dataset_name,
    )
    backend = of(pipeline.destination)
    os.environ.setdefault("LOAD__WORKERS", str(backend.workers))
    os.environ.setdefault("LOAD__TRUNCATE_STAGING_DATASET", str(not backend.truncates_staging_late).lower())
    return pipeline


def _locks(settings: Settings, target: Target, stop: StopSignal, folder: Path) -> Locks:
    """The locks of a run: those of all machines that share the warehouse, where it is no file of this one."""
    shared = None if target.file is not None else shared_state()
    if shared is None:
        return FileLocks(folder / "locks", wait=stop.wait)
    return PostgresLocks(
        shared, target.fingerprint, deadline_s=settings.values.fault_deadline_s, wait=stop.wait
    )


def _free(
    lane: Lane,
    settings: Settings,
    folder: Path,
    locks: Locks,
    stack: ExitStack,
    *,
    task: str,
    wait: Callable[[float], None] | None,
) -> Lane:
    """The lane with the first of its numbers that is free, of which the stack holds the lock. Raises AlreadyRunning."""
    errors: list[AlreadyRunning] = []
    for numbered in lane.numbered:
        name = numbered.pipeline(settings)
        try:
            with ExitStack() as own:
                own.enter_context(run_lock(lock_path(folder, name), name, task=task, wait=wait))
                if isinstance(locks, PostgresLocks) and not locks.take([name]):
                    raise AlreadyRunning(
                        f"Another run of {name} is active{locks.holder(name)}. Let it finish, then start this one."
                    )
                stack.enter_context(own.pop_all())
                return numbered
        except AlreadyRunning as error:
            errors.append(error)
    raise errors[0]


def _task(command: str, selection: Selection | None, scope: Scope | None, filters: Mapping[str, str]) -> str:
    """What a run does, in one line that is the same for the same work."""
    words = [command]
    if selection is not None and selection.window is not None:
        words.append(f"{selection.window.start.isoformat()} to {selection.window.end.isoformat()}")
    words += [f"{name}={value}" for name, value in sorted(filters.items())]
    words += [f"steps={scope.steps}", f"payloads={scope.payloads}"] if scope else []
    return " ".join(words)
