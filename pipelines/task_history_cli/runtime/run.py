"""A run of one system, from settings to the last commit."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from task_history.client.client import Client
from task_history.client.connect import connected
from task_history.client.rate_limit import Budget, Usage
from task_history.client.rate_limit_rule import Lane as Share
from task_history.core.errors import ConfigurationError
from task_history.core.log import log
from task_history.core.stop import StopSignal
from task_history.load.memory import give_back, keep_flat
from task_history.settings import Settings

from ..console.output import keep_secret
from .dlt_config import configure_dlt
from .lock import only_one
from .permissions import name_open_to_others
from .target import Target

if TYPE_CHECKING:
    from task_history.core.batch import Batch
    from task_history.core.models import Scope, Selection
    from task_history.load.pipeline import Loader
    from task_history.runs.context import Context
    from task_history.runs.session import Session, Work


@dataclass(slots=True)
class Run:
    """What a command works with."""

    session: Session
    loader: Loader
    client: Client
    budget: Budget
    stop: StopSignal

    def usage(self) -> Usage | None:
        """How much of the budget is used; None where its file cannot be read now, which ends no run."""
        try:
            return self.budget.usage()
        except ConfigurationError:
            return None


@dataclass(frozen=True, slots=True)
class Lane:
    """Who works on a dataset: each lane has one process at a time, and all of them share it."""

    name: str
    """As coverage names it."""
    has_cursor: bool
    """Whether it moves the live cursor; the others have pipelines, states and staging tables of their own."""
    budget: Share = Share.FOREGROUND
    """Which share of the budget it spends."""

    def pipeline(self, settings: Settings) -> str:
        """The name of its dlt pipeline."""
        return settings.pipeline_name if self.has_cursor else f"{settings.pipeline_name}_{self.name}"


SYNC = Lane("sync", has_cursor=True)
BACKFILL = Lane("backfill", has_cursor=False, budget=Share.BACKGROUND)
AUDIT = Lane("audit", has_cursor=False, budget=Share.BACKGROUND)

_WORTH_COLLECTING = 0.1
"""Of a full commit: to look for garbage takes a fifth of the time of a small one."""

Makes = Callable[["Context", "Loader"], "Work"]
"""Makes the work of a command."""


@contextmanager
def run(
    settings: Settings,
    target: Target,
    makes: Makes,
    *,
    command: str,
    lane: Lane = SYNC,
    selection: Selection | None = None,
    scope: Scope | None = None,
    max_requests: int | None = None,
    max_minutes: float | None = None,
) -> Iterator[Run]:
    """Everything ready for the first batch, the warehouse checked before a request is spent.

    Raises:
        AlreadyRunning, ConfigurationError, WarehouseUnavailable.
    """
    stop = StopSignal(max_requests=max_requests, max_s=None if max_minutes is None else max_minutes * 60)
    with ExitStack() as stack:
        stack.enter_context(_signals(stop))
        folder = working_folder(target)
        name = lane.pipeline(settings)
        stack.enter_context(only_one(folder / f"{name}.lock", name))
        configure_dlt()
        keep_flat()
        keep_secret(settings.secrets)
        for text in settings.system.access.warnings(settings.values):
            log.warning("settings", hint=text)
        client, budget = stack.enter_context(connected(settings, stop, lane=lane.budget))
        name_open_to_others(filter(None, (target.file, folder, budget.path)), folder)

        import dlt

        from task_history.load.errors import failures
        from task_history.load.pipeline import Loader
        from task_history.runs.context import Context, new_run_id
        from task_history.runs.session import Session

        with failures():
            pipeline = dlt.pipeline(
                name,
                pipelines_dir=str(folder),
                destination=target.destination(
                    "" if lane.has_cursor else lane.name, retention=settings.retention
                ),
                dataset_name=settings.dataset_name,
            )
        # What is imported by now stays: nobody has to look for garbage in it.
        gc.freeze()
        gc.set_threshold(50_000)
        run_id = new_run_id()
        loader = Loader(
            pipeline,
            settings.system,
            has_cursor=lane.has_cursor,
            run_id=run_id,
            secrets=settings.secrets,
            limits=settings.column_limits,
        )
        stack.callback(loader.close)
        client.meanwhile = loader.let_go
        os.environ.setdefault("LOAD__WORKERS", str(loader.backend.workers))
        os.environ.setdefault("LOAD__TRUNCATE_STAGING_DATASET", str(not loader.backend.empties_late).lower())
        loader.ready()
        warehouse = loader.warehouse().reaching(settings.retention)
        if settings.retention is not None:
            loader.backend.reaches(warehouse.since)
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
        )
        yield Run(Session(context, makes(context, loader)), loader, client, budget, stop)


def commits(run: Run, after: Callable[[int, float], None]) -> None:
    """Commits batch after batch, each while the next is fetched; ``after`` gets each one's rows and seconds.

    Raises the error that ended the session, once everything it had fetched is written.
    """
    progress, garbage = run.session.context.progress, 0.0

    def commit(batch: Batch) -> None:
        nonlocal garbage
        rows = len(batch)
        garbage += batch.share
        began = time.monotonic()
        try:
            run.loader.commit(batch)
        except BaseException:
            # What is fetched from now on could not be written either.
            run.stop.request("the warehouse failed")
            raise
        progress.committed += 1
        after(rows, time.monotonic() - began)
        if garbage >= _WORTH_COLLECTING:
            give_back(is_thorough=True)
            garbage = 0.0

    with ThreadPoolExecutor(1, thread_name_prefix="commit") as committer:
        for batch in run.session.batches():
            progress.wait()
            progress.begin(committer.submit(commit, batch))
        progress.wait()
    if run.session.error is not None:
        raise run.session.error


def working_folder(target: Target) -> Path:
    """Where dlt keeps what is not yet written: a folder per warehouse, so that none gets another's rows."""
    root = os.environ.get("DLT_DATA_DIR")
    if not root:
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        root = "/var/dlt" if is_root else str(Path.home() / ".dlt")
    return Path(root) / "pipelines" / f"task_history-{target.fingerprint}"


@contextmanager
def _signals(stop: StopSignal) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the run after the commit in hand; the next one at once."""

    def ask(number: int, _: FrameType | None) -> None:
        stop.request(signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
