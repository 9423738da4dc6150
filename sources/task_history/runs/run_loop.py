"""The loop of one run: groups the chunks of its work into batches that are committed one by one.

A stop or an error ends the loop after the batch that it interrupted, so that everything fetched is written.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Protocol

from ..core.batch import Batch, Chunk
from ..core.errors import Stopped, TaskHistoryError
from ..core.models import Row, Selection
from ..warehouse.tables import COVERAGE, SYNC_RUNS
from .context import Context
from .run_row import RunRow
from .tally import Left


class Work(Protocol):
    """The work of a command, as a sequence of chunks to write."""

    @property
    def selection(self) -> Selection | None:
        """The executions whose details the work loads; None when it loads no details."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises what ends the run."""
        ...


class RunLoop:
    """Draws the chunks of ``work``, and adds coverage and the run's own row to each batch.

    ``is_committed`` says that each batch is in the warehouse before the next is drawn; otherwise it is not known
    at the end what is left.
    """

    def __init__(self, context: Context, work: Work, *, is_committed: bool = True) -> None:
        self.context = context
        self.error: TaskHistoryError | None = None
        self.stopped: Stopped | None = None
        self.left: Left | None = None
        """What is not loaded at the end; None before the end, or where it is not counted."""
        self.work = work
        self._is_committed = is_committed
        self._interrupted: list[Row] = []
        self._began = time.monotonic()

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end with nothing left to do."""
        is_over = self.error is None and self.stopped is None and not self.context.tally.unverified
        return is_over and (self.left is None or self.left.is_nothing)

    def batches(self) -> Generator[Batch, None, None]:
        """What is to be committed, in this order; what a work has to find in the warehouse is waited for.

        Never raises for a stop or a known error: ``stopped`` and ``error`` hold them.
        """
        batch = self._batch()
        work = self._chunks()
        while True:
            try:
                chunk = next(work)
                if chunk.is_end and batch.leaves_backlog_unchanged:
                    self.context.progress.wait()
            except StopIteration:
                break
            except Stopped as stopped:
                self.stopped = stopped
                break
            except TaskHistoryError as error:
                self.error = error
                break
            batch.add(chunk)
            is_end = chunk.is_end and not batch.leaves_backlog_unchanged
            if len(batch) and (is_end or chunk.is_due or batch.is_full(time.monotonic())):
                yield self._sealed(batch)
                batch = self._batch()
                if chunk.is_end:
                    self.context.progress.wait()
        if not batch.leaves_backlog_unchanged:
            yield self._sealed(batch)
            batch = self._batch()
        self.context.progress.wait()
        self._count_left()
        yield self._sealed(batch, is_over=True)

    def _chunks(self) -> Iterator[Chunk]:
        self._interrupted = self.context.warehouse.unfinished_runs([self.context.command])
        yield from self.work.chunks()

    def _batch(self) -> Batch:
        return Batch(self.context.commits, began_at=time.monotonic())

    def _sealed(self, batch: Batch, *, is_over: bool = False) -> Batch:
        """The batch with the coverage and the run's row as they are once it is in the warehouse."""
        context = self.context
        # This run holds the command's lock: any other run that says that it is running was killed.
        runs = [
            {**row, "outcome": "interrupted", "is_complete": False, "written_at": context.now()}
            for row in self._interrupted
        ]
        self._interrupted = []
        context.progress.handed_out += 1
        batch.note(
            {
                COVERAGE.name: context.covered(),
                SYNC_RUNS.name: [*runs, self._run(is_over=is_over)],
            }
        )
        return batch

    def _count_left(self) -> None:
        selection = self.work.selection
        if selection is None or not self._is_committed:
            return
        scope = self.context.scope
        left = [context.warehouse.within(selection).left(scope) for context in self.context.all]
        unreadable = [context.warehouse.unreadable() for context in self.context.all]
        due = [at for listing in unreadable if (at := listing.next_try_at) is not None]
        self.left = Left(
            sum(listing.open_executions for listing in left),
            sum(listing.details for listing in left),
            sum(listing.payloads for listing in left),
            sum(listing.details + listing.payloads for listing in unreadable),
            min(due, default=None),
        )

    def _run(self, *, is_over: bool) -> Row:
        context = self.context
        outcome, reason = ("running", None) if not is_over else self._outcome()
        run = RunRow(context.run_id, context.command, context.started_at, outcome, reason)
        row = run.current(
            context.tally,
            context.client.stats,
            now=context.now(),
            seconds=time.monotonic() - self._began,
        )
        row |= context.range_columns()
        if is_over:
            row |= run.final(
                self.left, now=context.now(), is_complete=self.is_complete if self._is_committed else None
            )
        return row

    def _outcome(self) -> tuple[str, str | None]:
        """How the run ended, and why, without secrets: the words are kept for good."""
        if self.error is not None:
            return "failed", self.context.redactor.text(f"{type(self.error).__name__}: {self.error}")[0]
        if self.stopped is not None:
            return "stopped", self.context.redactor.text(self.stopped.reason)[0]
        return "complete", None
