"""Starts a run of one system over a dlt pipeline, and commits its batches.

The commands and ``task_history.sync`` both use it; the lock is the caller's (``lock``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client.account_client import connected
from ..client.client import Client
from ..client.rate_limit import Budget, Usage
from ..core.errors import (
    AlreadyRunning,
    ConfigurationError,
    PackageRefused,
    Rejected,
    StateUnavailable,
    WarehouseUnavailable,
)
from ..core.log import log
from ..core.stop import StopSignal
from ..core.thread_pools import do_nothing
from ..load.memory import release_memory
from ..redaction.redactor import Redactor
from ..settings_reader import Settings
from ..state.locks import Locks, held_lock
from ..systems.protocol import System
from ..warehouse.column_rules import column_rules
from ..warehouse.common_tables import SYNC_RUNS
from .column_changes import check_column_rules
from .lanes import SYNC, Lane
from .left_days_notes import note_left_days, read_left_days
from .run_counters import Tally
from .run_lock import check_other_machines, lock_path
from .sync_runs_values import RunRow

if TYPE_CHECKING:
    from ..core.batch import Batch
    from ..core.models import Scope, Selection
    from ..load.pipeline import Loader
    from .context import Context
    from .run_loop import RunLoop, Work


@dataclass(slots=True)
class ActiveRun:
    """A run that is started: its loop, loader, client, budget and stop signal."""

    loop: RunLoop
    loader: Loader
    client: Client
    budget: Budget
    stop: StopSignal
    rows: Counter[str] = field(default_factory=Counter)
    """Rows that were committed, by table."""
    on_commit: list[Callable[[int, float], None]] = field(default_factory=list)
    """Called after each commit with its rows and seconds."""
    viewed_columns: frozenset[tuple[str, str]] | None = None
    """The stored columns, by table and column, over which this run made the views; None before."""

    def usage(self) -> Usage | None:
        """How much of the budget is used; None where its store cannot be read now, which ends no run."""
        try:
            return self.budget.usage()
        except (ConfigurationError, StateUnavailable):
            return None


_COMMITS_PER_COLLECTION = 0.1
"""Full commits after which garbage is collected: doing it after each small one takes a fifth of its time."""

WorkFactory = Callable[["Context", "Loader"], "Work"]
"""Returns the work of a command for a context and a loader."""


@contextmanager
def start_run(
    settings: Settings,
    pipeline: Any,
    make_work: WorkFactory,
    *,
    stop: StopSignal,
    command: str,
    lane: Lane = SYNC,
    selection: Selection | None = None,
    scope: Scope | None = None,
    locks: Locks | None = None,
    lock_wait_s: float | None = None,
    accepts_new_key: bool = False,
) -> Iterator[ActiveRun]:
    """Checks the settings and the warehouse, then yields a run that is ready for its first batch.

    No request is sent before the warehouse is ready.

    ``pipeline`` is a dlt pipeline, of which the caller holds the lock (see ``lock``). ``locks`` are those of the run,
    which are confirmed before each commit. ``accepts_new_key`` says that hash_key was changed on purpose.

    Raises:
        AlreadyRunning, ConfigurationError, WarehouseUnavailable.
    """
    from ..load.pipeline import Loader
    from .context import Context, new_run_id
    from .run_loop import RunLoop

    rules = column_rules(settings)
    with ExitStack() as stack:
        for text in settings.system.access.warnings(settings.values):
            log.warning("settings", hint=text)
        client, budget = stack.enter_context(connected(settings, stop, share=lane.budget))
        run_id, started_at = new_run_id(), datetime.now(UTC)
        lock_file = lock_path(pipeline.pipelines_dir, pipeline.pipeline_name)
        loop: RunLoop | None = None
        loader = Loader(
            pipeline,
            settings.system,
            has_cursor=lane.has_cursor,
            run_id=run_id,
            secrets=settings.secrets,
            limits=settings.column_limits,
            rules=rules,
            fault_deadline_s=settings.values.fault_deadline_s,
            horizon=None if settings.retention is None else started_at - settings.retention,
            **({} if lock_wait_s is None else {"lock_wait_s": lock_wait_s}),
        )
        stack.callback(loader.close)
        redactor = Redactor(
            settings.values.redact, secrets=settings.secrets, mode=settings.values.redact_mode
        )
        loader.schema_changes.redactor = redactor
        if locks is not None:
            loader.schema_changes.exclusive = partial(held_lock, locks, f"tables/{settings.dataset_name}")
        client.meanwhile = loader.released
        try:
            # Two that make the same tables at once would be in each other's way.
            with nullcontext() if locks is None else held_lock(locks, f"tables/{settings.dataset_name}"):
                loader.prepare()
            warehouse = loader.warehouse().reaching(settings.retention)
            if loader.backend.is_exclusive:
                check_other_machines(warehouse.unfinished_runs(), command, started_at, loader.backend.commits)
            check_column_rules(loader, warehouse, accepts_new_key=accepts_new_key)
            if settings.retention is not None:
                loader.backend.limit_merges(warehouse.since)
            context = Context(
                settings,
                client,
                warehouse,
                now=lambda: datetime.now(UTC),
                command=command,
                lane=lane.name,
                selection=selection,
                scope=scope,
                commits=loader.backend.commits,
                cost=loader.backend.cost,
                run_id=run_id,
                lock_file=lock_file,
                working_dir=Path(pipeline.working_dir),
            )
            context.locks = locks
            read_left_days(context, loader)
            loop = RunLoop(context, make_work(context, loader))
            yield ActiveRun(loop, loader, client, budget, stop)
        except BaseException as error:
            is_noted = isinstance(error, AlreadyRunning) or (loop is not None and loop.is_written)
            if not is_noted:
                reason = redactor.text(f"{type(error).__name__}: {error}")[0]
                run = RunRow(run_id, command, started_at, "failed", reason, lock_file)
                _write_end(loader, run, client, loop)
            raise


def _write_end(loader: Loader, run: RunRow, client: Client, loop: RunLoop | None) -> None:
    """Writes the row of a run that ends without having written it; never raises, since the warehouse may be the cause."""
    now = datetime.now(UTC)
    tally = loop.context.tally if loop else Tally()
    row = run.current(tally, client.stats, now=now, seconds=(now - run.started_at).total_seconds())
    row |= run.final(None, now=now, is_complete=False)
    row |= loop.context.range_columns() if loop else {}
    try:
        loader.put(SYNC_RUNS, row)
    except Exception as error:  # noqa: BLE001 - the error that ended the run is the one to report
        log.debug("run_not_written", reason=f"{type(error).__name__}: {error}")


def _no_report(rows: int, seconds: float) -> None:
    del rows, seconds


def _is_committed(run: ActiveRun, batch: Batch) -> bool:
    """Commits the batch; False where the warehouse refused it for good and the run can go on with the rest."""
    row = batch.only_row(SYNC_RUNS.name)
    if row is not None and run.loader.backend.cost is None:
        # A load of one row takes a multiple of a statement; where each is billed, it costs more than a load.
        run.loader.put(SYNC_RUNS, row)
        return True
    try:
        run.loader.commit(batch)
    except PackageRefused as error:
        run.loop.refuse(error)
        return False
    return True


def note_bytes(run: ActiveRun) -> None:
    """Has the run's row tell of all bytes that it was billed for, once all is done; what fails is only logged."""
    try:
        run.loader.note_bytes(run.loop.context.run_id)
    except WarehouseUnavailable as error:
        log.debug("bytes_not_noted", reason=str(error))


def commit_batches(
    run: ActiveRun,
    on_commit: Callable[[int, float], None] = _no_report,
    *,
    before_first: Callable[[], None] = do_nothing,
) -> None:
    """Commits batch after batch, each while the next is fetched; ``on_commit`` gets the rows and seconds of each.

    ``before_first`` is called in the thread that commits, while the first batch is fetched.

    Raises the error that ended the run, once everything that was fetched is written.
    """
    progress, uncollected = run.loop.context.progress, 0.0

    def commit(batch: Batch) -> None:
        nonlocal uncollected
        rows, by_table = len(batch), batch.rows_by_table()
        uncollected += batch.share
        began = time.monotonic()
        try:
            if run.loop.context.locks is not None:
                run.loop.context.locks.confirm()
            is_written = _is_committed(run, batch)
        except BaseException:
            # What is fetched from now on could not be written either.
            run.stop.request("the warehouse failed")
            raise
        progress.committed += 1
        if not is_written:
            return
        run.rows.update(by_table)
        seconds = time.monotonic() - began
        for report in (on_commit, *run.on_commit):
            report(rows, seconds)
        if uncollected >= _COMMITS_PER_COLLECTION:
            release_memory(collects_garbage=True)
            uncollected = 0.0

    with ThreadPoolExecutor(1, thread_name_prefix="commit") as committer:

        def hand_over(batch: Batch) -> None:
            progress.wait()
            progress.begin(committer.submit(commit, batch))

        committer.submit(before_first)
        run.loop.hand_over = hand_over
        run.client.while_waiting = run.loop.while_waiting
        with closing(run.loop.batches()) as batches:
            for batch in batches:
                hand_over(batch)
        progress.wait()
    _erase_left_out(run)
    note_left_days(run.loop, run.loader)
    if run.loop.failure is not None:
        raise _with_hint(run.loop.failure, run.loop.context.system)


def _erase_left_out(run: ActiveRun) -> None:
    """Erases what is stored of forgotten people and was not known to be theirs before this run."""
    left_out = run.loop.context.left_out
    if left_out is not None and left_out.new_ids:
        from .forget import erase_left_out

        erase_left_out(run.loader, left_out)


def _with_hint(error: Exception, system: System) -> Exception:
    """The error; the refusal of a whole list with what can be checked."""
    if type(error) is not Rejected or not (hint := system.access.hint(error.status)):
        return error
    return Rejected(f"{error} {hint}", status=error.status)
