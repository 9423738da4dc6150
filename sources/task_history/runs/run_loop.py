"""The loop of one run: groups the chunks of its work into batches that are committed one by one.

A stop or an error ends the loop after the batch that it interrupted, so that everything fetched is written.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ..core.batch import Batch, Chunk
from ..core.errors import PackageRefused, Stopped
from ..core.log import log
from ..core.models import Row, Selection
from ..warehouse.common_tables import COVERAGE, LEFT_OUT, SYNC_RUNS
from .context import Context
from .run_counters import Remaining
from .run_lock import host, was_killed
from .sync_runs_values import RunRow

_ROW_INTERVAL_S = 600.0
"""Seconds between two writings of the run's row where each is billed."""


class Work(Protocol):
    """The work of a command, as a sequence of chunks to write."""

    @property
    def selection(self) -> Selection | None:
        """The executions whose details the work loads; None when it loads no details."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """The chunks to write, in order. Raises the error or stop that ends the run."""
        ...


class RunLoop:
    """Draws the chunks of ``work``, and adds coverage and the run's own row to each batch.

    ``is_committed`` says that each batch is committed before the loop goes on; otherwise the backlog is not counted
    at the end.
    """

    def __init__(self, context: Context, work: Work, *, is_committed: bool = True) -> None:
        self.context = context
        self.error: Exception | None = None
        self.stopped: Stopped | None = None
        self.left: Remaining | None = None
        """The backlog at the end; None before the end, or where it is not counted."""
        self.oldest_left: datetime | None = None
        """When the first execution began of which something is left; None without any, or where ``left`` is None."""
        self.left_counted_at: float | None = None
        """When ``left`` was counted, by the monotonic clock: commits since are not in it."""
        self.work = work
        self._is_committed = is_committed
        self.hand_over: Callable[[Batch], None] | None = None
        """Has a batch committed while the next is drawn; None where only ``batches`` gives them."""
        self._batch_in_hand: Batch
        self._drawn_in: int | None = None
        """The thread that draws the chunks."""
        self._sent, self._sent_at = -1, 0.0
        """Requests that were sent, and since when it has been that many."""
        self._interrupted: list[Row] = []
        self._refused: PackageRefused | None = None
        """The first refusal of a commit; the rest of the work goes on without it."""
        self._is_coverage_stale = False
        self._row_written_at: float | None = None
        """When the run's row was written last, by the monotonic clock; None before, or where that is uncertain."""
        self._is_over = False
        self._began = time.monotonic()

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end with nothing left to do."""
        is_over = self.failure is None and self.stopped is None and not self.context.tally.unverified
        return is_over and (self.left is None or self.left.is_nothing)

    def batches(self) -> Generator[Batch, None, None]:
        """The batches to commit, in order; waits for commits whose rows the work queries next.

        Never raises for a stop or an error of the work: ``stopped`` and ``error`` hold them, for the run's row.
        """
        work = self._chunks()
        self._batch_in_hand = self._batch()
        self._drawn_in = threading.get_ident()
        while True:
            try:
                chunk = next(work)
                if chunk.is_end and self._batch_in_hand.leaves_backlog_unchanged:
                    self.context.progress.wait()
            except StopIteration:
                break
            except Stopped as stopped:
                self.stopped = stopped
                break
            except Exception as error:  # noqa: BLE001 - raised once what was read and the run's row are written
                self.error = error
                break
            batch = self._batch_in_hand
            batch.add(self.context.without_left_out(chunk))
            is_end = chunk.is_end and not batch.leaves_backlog_unchanged
            is_due = len(batch) and (is_end or chunk.is_due or batch.is_full(time.monotonic()))
            if is_due or chunk.is_last_of_window:
                yield self._taken()
                if chunk.is_end:
                    self.context.progress.wait()
        if not self._batch_in_hand.leaves_backlog_unchanged:
            yield self._taken()
        self.context.progress.wait()
        self._count_left()
        yield self._taken(is_over=True)

    def while_waiting(self) -> None:
        """Commits what is in hand once no request was sent for some seconds, as while the budget is spent.

        Called in the thread that draws the chunks, while it waits for the vendor: then each row that was counted as
        read is in the batch. Raises the error of a failed commit.
        """
        if self.hand_over is None or threading.get_ident() != self._drawn_in:
            return
        now, sent = time.monotonic(), self.context.client.requests_sent
        if sent != self._sent:
            self._sent, self._sent_at = sent, now
        elif len(self._batch_in_hand) and now - self._sent_at >= self.context.commits.long_wait_s:
            self.hand_over(self._taken())

    def _chunks(self) -> Iterator[Chunk]:
        unfinished = self.context.warehouse.unfinished_runs()
        self._interrupted = [run for run in unfinished if self._was_killed(run)]
        yield from self.work.chunks()

    def _was_killed(self, run: Row) -> bool:
        """Whether a run without an end was killed. This run holds the lock of its own command."""
        if run.get("host") == host() and run.get("lock_file"):
            return run["lock_file"] == str(self.context.lock_file) or was_killed(run)
        return bool(run["command"] == self.context.command) and not self._is_held_elsewhere(run)

    def _is_held_elsewhere(self, run: Row) -> bool:
        """Whether a run is known to be active on another machine, which is known where machines share their locks."""
        locks, lock_file = self.context.locks, run.get("lock_file")
        if not locks or not lock_file:
            return False
        return locks.holder(Path(str(lock_file)).stem) != ""

    def refuse(self, error: PackageRefused) -> None:
        """Notes that a commit was refused for good, so that its windows are read again.

        Called in the thread that commits. Raises the error where it is the second one, or nothing is left to go on with.
        """
        if self._refused is not None or self._is_over:
            raise error
        self._refused = error
        self._is_coverage_stale = True
        self._row_written_at = None
        log.warning("package_refused", reason=str(error), hint="the run goes on with the rest")

    @property
    def failure(self) -> Exception | None:
        """The error that ended the run, or else the refusal of one of its commits."""
        return self.error or self._refused

    @property
    def is_written(self) -> bool:
        """Whether the run's row in the warehouse has its end."""
        progress = self.context.progress
        return self._is_over and progress.committed == progress.handed_out

    def _batch(self) -> Batch:
        return Batch(self.context.commits, began_at=time.monotonic())

    def _taken(self, *, is_over: bool = False) -> Batch:
        """The batch in hand, sealed; the next one is begun."""
        # What is covered depends on whether the commit before was refused.
        self.context.progress.wait()
        batch, self._batch_in_hand = self._batch_in_hand, self._batch()
        if self._is_coverage_stale:
            self._is_coverage_stale = False
            self.context.reload_coverage()
        if self._refused is not None:
            batch.cursor = None
        self._is_over = is_over
        return self._sealed(batch, is_over=is_over)

    def _sealed(self, batch: Batch, *, is_over: bool) -> Batch:
        """Adds the coverage and the run's row to the batch; returns the batch."""
        context = self.context
        runs = [
            {**row, "outcome": "interrupted", "is_complete": False, "written_at": context.now()}
            for row in self._interrupted
        ]
        self._interrupted = []
        context.progress.handed_out += 1
        if is_over or self._is_row_due():
            self._row_written_at = time.monotonic()
            runs.append(self._run(is_over=is_over))
        batch.note({COVERAGE.name: context.covered(), SYNC_RUNS.name: runs})
        if context.left_out is not None:
            batch.note({LEFT_OUT.name: context.left_out.new_rows(context.now())})
        return batch

    def _is_row_due(self) -> bool:
        """Whether a commit in mid-run writes the run's row: each where that is free, else some."""
        written_at = self._row_written_at
        if self.context.cost is None or written_at is None:
            return True
        return time.monotonic() - written_at >= _ROW_INTERVAL_S

    def _count_left(self) -> None:
        selection = self.work.selection
        if selection is None or not self._is_committed:
            return
        self.left_counted_at = time.monotonic()
        scope = self.context.scope
        left = [context.warehouse.within(selection).left(scope) for context in self.context.all]
        unreadable = [context.warehouse.unreadable() for context in self.context.all]
        due = [at for listing in unreadable if (at := listing.next_try_at) is not None]
        oldest = [*(listing.oldest for listing in left), *(listing.oldest for listing in unreadable)]
        if self.context.warehouse.counts_all_open:
            oldest += [context.warehouse.oldest_open() for context in self.context.all]
        self.left = Remaining(
            sum(listing.open_executions for listing in left),
            sum(listing.details for listing in left),
            sum(listing.payloads for listing in left),
            sum(listing.details + listing.payloads for listing in unreadable),
            min(due, default=None),
        )
        self.oldest_left = min(filter(None, oldest), default=None)

    def _run(self, *, is_over: bool) -> Row:
        context = self.context
        outcome, reason = ("running", None) if not is_over else self._outcome()
        run = RunRow(context.run_id, context.command, context.started_at, outcome, reason, context.lock_file)
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
        """The outcome of the run and its reason, without secrets because both are stored."""
        if self.failure is not None:
            return "failed", self.context.redactor.text(f"{type(self.failure).__name__}: {self.failure}")[0]
        if self.stopped is not None:
            return "stopped", self.context.redactor.text(self.stopped.reason)[0]
        return "complete", None
