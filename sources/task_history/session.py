"""One run: listing → settling → workflows → details, in batches that are committed one by one.

The warehouse is asked between the phases; so whatever a phase found is committed before the next.
A stop or an error ends the run after the batch that it interrupted: nothing fetched is thrown away.
"""

from __future__ import annotations

import itertools
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from . import records
from .batches import END, Batch, Chunk
from .client import Client
from .comparing import Comparison
from .coverage import Book
from .details import Details
from .errors import Stopped, TaskHistoryError
from .listing import Listing, Piece
from .model import MS, Row, Window, floor_ms
from .paging import described
from .recent import Known, Late, recent
from .records import Payloads, Stamp
from .refresh import Settling
from .runs import Left, Run, Tally
from .settings import Settings
from .stopping import StopSignal
from .tables import COVERAGE, RUNS
from .warehouse import Scope, Wanted, Warehouse
from .workflows import learn, read_map

log = logging.getLogger("task_history")

DETAILS_PER_COMMIT = 1_000
_ROWS_PER_COMMIT = 5_000
_BYTES_PER_COMMIT = 16_000_000
_S_PER_COMMIT = 60.0
_DEEP_EVERY = timedelta(hours=24)
_MARGIN = timedelta(days=1)
"""What passes the vendor's retention while it is counted must not look like a difference."""
_SECOND = timedelta(seconds=1)
_MOST_VANISHED = 200


class Session:
    """One run of one system. ``cursor`` is where the last one got; ``now`` tells the time, UTC.

    ``rounds`` is how often the backlog is asked for; any number of times where batches are committed
    before the next is drawn.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        warehouse: Warehouse,
        *,
        cursor: datetime | None,
        stop: StopSignal,
        now: Callable[[], datetime],
        command: str = "sync",
        rounds: int | None = None,
    ) -> None:
        self.settings = settings
        self.client = client
        self.run_id = uuid.uuid4().hex[:16]
        self.tally = Tally(cursor=cursor)
        self.error: TaskHistoryError | None = None
        self.stopped: Stopped | None = None
        self.left = Left(0, 0, 0)
        self._warehouse = warehouse
        self._interrupted: list[Row] = []
        self._stop = stop
        self._now = now
        self._command = command
        self._rounds = rounds
        self._system = settings.system
        self._scope = Scope(settings.steps, settings.payloads)
        self._named = read_map(settings.values.get("workflow_map"))
        self._started_at = now()
        self._began = time.monotonic()
        self._book = Book(warehouse.coverage())
        span = self._book.span
        if cursor is not None and span is not None and span.end < cursor:
            cursor = span.end
        self._cursor = cursor if span is not None else None
        self._listing = Listing(client, self._system, settings.values)
        self._settling = Settling(
            listing=self._listing,
            client=client,
            system=self._system,
            values=settings.values,
            warehouse=warehouse,
            scope=self._scope,
            stamp=self._stamp,
        )
        self._details = Details(
            client=client,
            system=self._system,
            values=settings.values,
            payloads=Payloads(
                redact=settings.redact, secrets=settings.secrets, max_bytes=settings.payload_max_bytes
            ),
            stamp=self._stamp,
            is_expired=self._is_expired,
            changed=self._settling.changed,
        )

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end with nothing left to do."""
        return self.error is None and self.stopped is None and self.left.is_nothing

    def batches(self) -> Iterator[Batch]:
        """What is to be committed, in this order, each before the next is drawn.

        Never raises for a stop or a known error: ``stopped`` and ``error`` hold them.
        """
        batch = self._batch()
        work = self._work()
        while True:
            try:
                chunk = next(work)
            except StopIteration:
                break
            except Stopped as stopped:
                self.stopped = stopped
                break
            except TaskHistoryError as error:
                self.error = error
                break
            batch.add(chunk)
            if len(batch) and (chunk.is_end or batch.is_full(time.monotonic())):
                yield self._sealed(batch)
                batch = self._batch()
        if len(batch):
            yield self._sealed(batch)
            batch = self._batch()
        self._count_left()
        yield self._sealed(batch, is_over=True)

    def _work(self) -> Iterator[Chunk]:
        self._interrupted = self._warehouse.unfinished_runs()
        yield from self._new_executions()
        yield END
        yield from self._settle()
        yield END
        yield from self._workflows()
        yield END
        yield from self._backlog()

    def _new_executions(self) -> Iterator[Chunk]:
        self._phase("listing")
        known = self._known()
        for found in recent(self._listing, self._system, known, self._warehouse, edge=self._edge):
            if isinstance(found, Late):
                yield from self._came_late(found.comparison, found.window)
            else:
                yield self._listed(found)
        if self._is_deep_due(known):
            horizon = known.start if self._book.span is None else self._book.span.start
            if self._system.retention is not None:
                horizon = max(horizon, self._edge() - self._system.retention + _MARGIN)
            window = Window(horizon, known.start)
            if not window.is_empty:
                yield from self._came_late(self._listing.compare(window, self._warehouse), window)

    def _known(self) -> Known:
        first = self.settings.start(self._started_at)
        if self._cursor is None:
            return Known(floor_ms(first), floor_ms(first), 0)
        newest = self._warehouse.newest_start()
        newest = min(self._cursor, floor_ms(newest) + MS) if newest is not None else self._cursor
        span = self._book.span
        start = max(newest - self.settings.lookback, span.start if span else first)
        start = min(start, newest)
        return Known(start, newest, self._warehouse.count(Window(start, self._edge() + timedelta(days=3650))))

    def _is_deep_due(self, known: Known) -> bool:
        """Once a day, with a sync that brought something, everything before the lookback is counted too."""
        span = self._book.span
        is_idle = not self.tally.executions
        if span is None or is_idle or span.start >= known.start or not self._listing.pages.has_counts:
            return False
        return self._book.checked_at(span.start) <= self._now() - _DEEP_EVERY

    def _listed(self, piece: Piece) -> Chunk:
        stamp = self._stamp()
        rows = [records.execution(self._system, row, stamp) for row in piece.rows]
        starts = [at for row in piece.rows if (at := self._system.started_at(row)) is not None]
        self._book.add(
            piece.window,
            starts,
            is_counted=piece.total is not None,
            is_verified=piece.is_verified,
            checked_at=stamp.at,
        )
        if not piece.is_verified:
            self.tally.unverified += 1
            log.warning("unverified window=%s rows=%d", described(piece.window), len(rows))
        self.tally.executions += len(rows)
        self.tally.done += len(rows)
        self._cursor = self.tally.cursor = piece.window.end
        return Chunk({self._system.executions.name: rows}, cursor=piece.window.end)

    def _came_late(self, comparison: Comparison, window: Window) -> Iterator[Chunk]:
        """Executions behind the cursor: those that became visible late, and those that are listed no more."""
        stamp = self._stamp()
        rows = [records.execution(self._system, row, stamp) for row in comparison.fresh]
        starts = [at for row in comparison.fresh if (at := self._system.started_at(row)) is not None]
        if rows:
            log.info("late window=%s rows=%d", described(window), len(rows))
        self._book.found_late(starts, checked_at=stamp.at)
        self._book.checked(window.start, checked_at=stamp.at)
        self.tally.late += len(rows)
        self.tally.executions += len(rows)
        yield Chunk({self._system.executions.name: rows})
        yield from self._settling.read(comparison.vanished[:_MOST_VANISHED])

    def _settle(self) -> Iterator[Chunk]:
        opens = self._warehouse.open_executions(not_read_by=self.run_id)
        self._phase("settling", len(opens))
        for chunk in self._settling.chunks(opens, is_quiet=not self.tally.executions):
            self.tally.done += len(chunk.rows.get(self._system.executions.name, ()))
            self.tally.settled = self._settling.settled
            yield self._counted(chunk)

    def _workflows(self) -> Iterator[Chunk]:
        known = self._warehouse.workflows()
        self._phase("workflows", len(known))
        integrations = self.settings.values.get("integrations") or ()
        for row in learn(
            known, named=self._named, integrations=integrations, asks=self._belongs, stamp=self._stamp
        ):
            self.tally.done += 1
            yield Chunk({self._system.workflows.name: [row]})

    def _belongs(self, workflow_id: str, integration: str) -> bool:
        request = self._system.integration_request(self.settings.values, workflow_id, integration)
        if request is None:
            return False
        page = self._system.read_page(self.client.send(request).data)
        return bool(page.total if page.total is not None else page.rows)

    def _backlog(self) -> Iterator[Chunk]:
        """Payloads of what failed come as soon as their steps are known, then more steps."""
        goal = self._warehouse.details_left(self._scope) + self._warehouse.payloads_left(self._scope)
        self._phase("details", goal)
        for _ in itertools.count() if self._rounds is None else range(self._rounds):
            skipped = self._details.skipped
            limit = DETAILS_PER_COMMIT + len(skipped)
            payloads = _without(self._warehouse.payloads_wanted(self._scope, limit), skipped)
            for chunk in self._details.inputs_and_outputs(payloads):
                self.tally.payloads += 1
                self.tally.done += 1
                self.tally.redactions = self._details.redactions
                yield chunk
            yield END
            wanted = _without(self._warehouse.details_wanted(self._scope, limit), self._details.skipped)
            for chunk in self._details.steps(wanted):
                self.tally.done += 1
                yield self._counted(chunk)
            yield END
            if not payloads and not wanted:
                return

    def _counted(self, chunk: Chunk) -> Chunk:
        self.tally.steps += len(chunk.rows.get(self._system.steps.name, ()))
        return chunk

    def _is_expired(self, one: Wanted) -> bool:
        retention = self._system.retention
        return (
            retention is not None and one.started_at is not None and one.started_at < self._edge() - retention
        )

    def _edge(self) -> datetime:
        """Now: by the vendor's clock once it answered. Its seconds are cut, so that one is added."""
        offset = self.client.vendor_clock_offset_s
        if offset is None:
            return floor_ms(self._now())
        return floor_ms(self._now() + timedelta(seconds=offset) + _SECOND)

    def _stamp(self) -> Stamp:
        return Stamp(self.run_id, self._now())

    def _phase(self, name: str, goal: int | None = None) -> None:
        self.tally.phase, self.tally.done, self.tally.goal = name, 0, goal

    def _batch(self) -> Batch:
        return Batch(
            began_at=time.monotonic(),
            max_rows=_ROWS_PER_COMMIT,
            max_bytes=_BYTES_PER_COMMIT,
            max_s=_S_PER_COMMIT,
        )

    def _sealed(self, batch: Batch, *, is_over: bool = False) -> Batch:
        """The batch with the coverage and the run's row as they are once it is in the warehouse."""
        # This run holds the lock: whoever else says that it is running was killed.
        runs = [
            {**row, "outcome": "interrupted", "is_complete": False, "written_at": self._now()}
            for row in self._interrupted
        ]
        self._interrupted = []
        batch.note(
            {COVERAGE.name: self._book.changes(self.run_id), RUNS.name: [*runs, self._run(is_over=is_over)]}
        )
        return batch

    def _count_left(self) -> None:
        self.left = Left(
            self._warehouse.open_count(),
            self._warehouse.details_left(self._scope),
            self._warehouse.payloads_left(self._scope),
        )

    def _run(self, *, is_over: bool) -> Row:
        outcome, reason = ("running", None) if not is_over else self._outcome()
        run = Run(self.run_id, self._command, self._started_at, outcome, reason)
        row = run.row(self.tally, self.client.stats, now=self._now(), seconds=time.monotonic() - self._began)
        if is_over:
            row |= run.ending(self.left, now=self._now(), is_complete=self.is_complete)
        return row

    def _outcome(self) -> tuple[str, str | None]:
        if self.error is not None:
            return "failed", f"{type(self.error).__name__}: {self.error}"
        if self.stopped is not None:
            return "stopped", self.stopped.reason
        return "complete", None


def _without(wanted: list[Wanted], skipped: set[str]) -> list[Wanted]:
    return [one for one in wanted if (one.step_id or one.execution_id) not in skipped]
