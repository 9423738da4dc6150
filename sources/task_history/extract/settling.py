"""Settling: brings executions that are stored open up to date, by the cheapest requests.

Three kinds of request refresh what is open: a page of those the vendor calls open, a page of everything
that began in a span, and a single read. What they cost is counted before the first is sent. What a
list of open executions does not show any more is read singly; that read brings its steps too.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial

from ..core.batch import Chunk
from ..core.errors import UnusableId
from ..core.log import log
from ..core.models import MS, Answer, Request, Row, Scope, Window, floor_ms
from ..core.thread_pools import unordered
from ..systems.checked_ids import check_id
from ..systems.protocol import Detail
from ..warehouse.backlog import OpenExecution
from ..warehouse.common_tables import EXECUTION_STATES
from ..warehouse.status_history import StoredStatus, earlier_state
from . import warehouse_rows
from .details import DetailReader
from .listing import WindowReader, rows_in
from .read_context import ReadContext
from .settling_plan import SettlingPlan, plan, span_of
from .single_reads import MAX_KNOWN_READABLE, Failure, Item, SingleReads, is_refused
from .status_lists import StatusLists
from .warehouse_rows import ReadProblem

_AT_ONCE = 200
"""Single reads between two chunks."""
_STORED_AHEAD = 400
"""Executions whose stored rows are read ahead of their single reads."""
_FORBIDDEN = 2
"""Single reads stop after so many were answered with 403 and none otherwise."""


@dataclass(frozen=True, slots=True)
class _Single:
    """An execution that is read singly."""

    id: str
    stored: OpenExecution | None = None
    """What is stored of it; None for one that is not stored open."""

    @property
    def tries(self) -> int:
        """How many runs could not read it."""
        return 0 if self.stored is None else self.stored.tries


class Settler:
    """Brings executions that are stored open up to date.

    Raises, while chunks are drawn: what the client raises; chunks drawn before stay true.
    """

    def __init__(self, context: ReadContext, *, scope: Scope) -> None:
        self._context = context
        self._system, self._warehouse = context.system, context.warehouse
        self._open_reads = context.open_reads
        self._reader = DetailReader(context.sender, context.system, context.values)
        self._scope = scope
        self.settled = 0
        self.unresolved = 0
        self._may_read: bool | None = None
        """Whether single reads are allowed, once that is known."""
        self._forbidden = 0
        """Single reads that were refused with 403."""
        self._failed: dict[str, Failure] = {}
        """Errors of single reads, by id, until a listing shows what became of the execution."""
        self._lists = StatusLists(context.system)
        self._reads: SingleReads[_Single] = SingleReads(
            sender=context.sender,
            fault_deadline=context.fault_deadline,
            key=lambda item: item.id,
            is_final=lambda error: context.system.details.is_gone(error.status, str(error)),
            known=self._known,
        )

    def chunks(
        self,
        opens: Sequence[OpenExecution],
        readable: Callable[[str], WindowReader | None],
        *,
        leaves_backlog_unchanged: bool,
        at_once: int,
    ) -> Iterator[Chunk]:
        """Refreshes ``opens``, oldest first.

        ``readable`` gives the reader of a partition; None where it is not to be had. ``leaves_backlog_unchanged`` says
        that nothing new was listed: then lists that count what is stored are not read on.
        """
        left = {execution.id: execution for execution in opens}
        readers = self._readers((execution.partition for execution in opens), readable)
        spans: deque[Callable[[], tuple[list[Row], bool]]] = deque()
        for name, reader in readers.items():
            ours = [execution for execution in opens if execution.partition == name]
            if self._system.listing.filters_by_status:
                ours = yield from self._by_status(
                    reader, ours, left, leaves_backlog_unchanged=leaves_backlog_unchanged
                )
            spans += [partial(rows_in, reader, span) for span in self._plan(ours, by_status=False).spans]
        for rows, _ in unordered(spans, threads=at_once):
            yield self._executions(rows, left, warehouse_rows.LIST)
        # What no listing showed has ended, was purged, or moved from one page to another meanwhile.
        still_unknown: list[str] | None = None
        due = [execution for execution in left.values() if self._is_due(execution)]
        if readers:
            still_unknown = [identity for identity, execution in left.items() if not self._is_due(execution)]
        yield from self._singly([_Single(one.id, one) for one in due], still_unknown)
        yield from self._by_instants(still_unknown or (), readers, left)
        self._open_reads.save()

    def vanished(
        self, ids: Collection[str], readable: Callable[[str], WindowReader | None]
    ) -> Iterator[Chunk]:
        """Reads settled executions that a listing shows no more; those that the vendor no longer holds are marked."""
        still_unknown: list[str] = []
        yield from self._singly(map(_Single, ids), still_unknown)
        stored = self._warehouse.stored(still_unknown)
        readers = self._readers(map(self._warehouse.partition_of, stored.values()), readable)
        yield from self._by_instants(still_unknown, readers, {})

    def _readers(
        self, names: Iterable[str], readable: Callable[[str], WindowReader | None]
    ) -> dict[str, WindowReader]:
        """The readers of these partitions; none where windows are not filtered by time: a single read costs less."""
        wanted = sorted(set(names)) if self._system.listing.is_filtered_by_time else ()
        return {name: reader for name in wanted if (reader := readable(name)) is not None}

    def read(self, ids: Iterable[str]) -> Iterator[Chunk]:
        """Reads settled executions singly; those that the vendor no longer holds are marked."""
        yield from self._singly(map(_Single, ids), None)

    def retried(self) -> Iterator[Chunk]:
        """Reads what failed before, and notes what fails again: a later run tries it."""
        for item, outcome in self._reads.retried(self._detail_of):
            yield from self._single_read(item, outcome, self._warehouse.stored([item.id]).get(item.id), None)

    @property
    def postponed(self) -> Collection[str]:
        """Ids of executions that are read again at the end of the run."""
        return self._reads.postponed

    def _is_due(self, execution: OpenExecution) -> bool:
        return execution.next_try_at is None or execution.next_try_at <= self._context.now()

    def _by_instants(
        self, ids: Iterable[str], readers: Mapping[str, WindowReader], left: dict[str, OpenExecution]
    ) -> Iterator[Chunk]:
        """What the listing of its millisecond shows of each execution of which no single read tells.

        Who may list need not be allowed to read singly, no address can hold some ids, and some reads always fail. What
        two listings do not show, each known to be whole, is gone.
        """
        identity, stored = self._system.identity, self._warehouse.stored(list(ids))
        ids_by_instant: dict[tuple[str, Window], set[str]] = defaultdict(set)
        for key, row in stored.items():
            name, started_at = self._warehouse.partition_of(row), row.get(self._system.started_column)
            if name in readers and started_at is not None:
                start = floor_ms(started_at)
                ids_by_instant[name, Window(start, start + MS)].add(key)
        for (name, instant), missing in sorted(ids_by_instant.items()):
            for _ in range(2):
                rows, is_whole = rows_in(readers[name], instant)
                missing -= set(map(identity, rows))
                yield self._executions(rows, left, warehouse_rows.LIST)
                if not is_whole or not missing:
                    break
            for key in sorted(missing) if is_whole else ():
                left.pop(key, None)
                yield self._gone(key, stored[key], read_by=warehouse_rows.LIST)
        for key, failure in self._failed.items():
            if key in left:
                yield self._unreadable(left[key].id, left[key].tries + 1, left[key].started_at, failure)
        self._failed.clear()

    def _by_status(
        self,
        reader: WindowReader,
        opens: Sequence[OpenExecution],
        left: dict[str, OpenExecution],
        *,
        leaves_backlog_unchanged: bool,
    ) -> Generator[Chunk, None, list[OpenExecution]]:
        """Refreshes what lists of a status show; gives those that are still to be looked for by their starts."""
        planned, window = self._plan(opens, by_status=True), span_of(opens)
        if not planned.statuses or window is None:
            return list(opens)
        stored = {execution.status for execution in opens}
        # In a quiet sync those that are stored say it all, and mostly they say that nothing changed.
        heads = self._lists.heads(reader, [status for status in planned.statuses if status in stored], window)
        if heads is not None and leaves_backlog_unchanged and self._lists.is_unchanged(reader, heads, opens):
            for execution in opens:
                del left[execution.id]
            return []
        rest = [status for status in planned.statuses if status not in stored]
        others = None if heads is None else self._lists.heads(reader, rest, window)
        if heads is None or others is None:
            return list(opens)
        for status, head in {**heads, **others}.items():
            yield self._executions(
                self._lists.rest(reader, status, window, head), left, warehouse_rows.STATUS
            )
        if self._scope.steps == "all" and self._system.details.come_with_execution:
            # What has ended is read singly anyway, for its steps.
            return []
        return [execution for execution in opens if execution.id in left]

    def _singly(self, items: Iterable[_Single], still_unknown: list[str] | None) -> Iterator[Chunk]:
        """Reads executions singly. Adds the ids that only a listing can tell of to ``still_unknown``."""
        wanted = list(items)
        # Where a listing may tell, it is asked at once.
        may_postpone = _never if still_unknown is not None else _is_open_and_new
        asked_of: set[str] = set()
        while wanted:
            # The first ones tell whether single reads are allowed at all.
            at_once = 1 if still_unknown is not None and self._may_be_refused else _AT_ONCE
            part, wanted = wanted[:at_once], wanted[at_once:]
            if self._may_read is False and still_unknown is not None:
                still_unknown += [item.id for item in part]
                continue
            if any(item.id not in asked_of for item in part):
                # Each query is billed at least for a minimum: then one is for many executions, and none where
                # nothing changed.
                ahead = wanted[:_STORED_AHEAD] if self._warehouse.is_billed else []
                ids = [item.id for item in (*part, *ahead)]
                asked_of, stored = set(ids), cache(partial(self._warehouse.stored, ids))
            asked = self._items(part, stored)
            if still_unknown is not None:
                still_unknown += sorted({item.id for item in part} - {item.id for item, _ in asked})
            outcomes = self._reads.first(asked, self._detail_of, may_postpone=may_postpone)
            for item, outcome in outcomes:
                if isinstance(outcome, Detail) and self._open_reads.is_unchanged(item.stored, _sent(outcome)):
                    self._may_read = True
                else:
                    yield from self._single_read(item, outcome, stored().get(item.id), still_unknown)

    def _single_read(
        self, item: _Single, outcome: Detail | Failure, stored: Row | None, still_unknown: list[str] | None
    ) -> Iterator[Chunk]:
        """The chunks of what a single read says of an execution."""
        if isinstance(outcome, Detail):
            self._may_read = True
            yield self._detail(item.id, stored or {}, outcome, tries=item.tries)
        elif is_refused(outcome) and self._system.details.is_gone(outcome.status, str(outcome)):
            yield self._gone(item.id, stored)
        elif still_unknown is not None:
            if is_refused(outcome) and outcome.status == 403 and self._may_read is None:
                self._forbidden += 1
                if self._forbidden >= _FORBIDDEN:
                    log.info("single_reads_forbidden", hint=self._system.access.hint(403))
                    self._may_read = False
            elif self._may_read is not False:
                self._failed[item.id] = outcome
            still_unknown.append(item.id)
        elif item.stored is not None:
            started_at = (stored or {}).get(self._system.started_column)
            yield self._unreadable(item.id, item.tries + 1, started_at, outcome)
        else:
            log.warning("execution_not_read", id=item.id, reason=str(outcome))

    def _unreadable(self, identity: str, tries: int, started_at: datetime | None, failure: Failure) -> Chunk:
        """The note in the details log that so many runs could not read an open execution."""
        unread = ReadProblem.until_later((str(failure),), tries=tries, now=self._context.now())
        log.warning(
            "execution_not_read",
            id=identity,
            reason=unread.reason,
            tries=unread.tries,
            next_try_at=unread.next_try_at,
        )
        table = self._system.details.log
        row = warehouse_rows.details_log_row(
            table, identity, started_at, "unreadable", self._context.stamp(), unread=unread
        )
        return Chunk({table.name: [row]}, leaves_backlog_unchanged=True)

    def _items(
        self, items: Iterable[_Single], stored: Callable[[], Mapping[str, Row]]
    ) -> list[Item[_Single]]:
        """The items with their requests, without those that no address can hold."""
        asked = []
        for item in items:
            if item.stored is not None:
                part = item.stored.partition
            else:
                part = self._warehouse.partition_of(stored().get(item.id, {}))
            try:
                request = self._system.details.execution_request(self._context.values, item.id, part)
            except UnusableId as error:
                log.warning("unreadable", reason=str(error))
            else:
                asked.append((item, request))
        return asked

    def _known(self, without: Collection[str]) -> Iterator[Item[_Single]]:
        """Executions that the vendor is known to give."""
        for wanted in self._warehouse.readable(MAX_KNOWN_READABLE):
            if wanted.execution_id not in without:
                try:
                    request = self._system.details.execution_request(
                        self._context.values, wanted.execution_id, wanted.partition
                    )
                except UnusableId:
                    continue
                yield _Single(wanted.execution_id), request

    def _detail_of(self, item: _Single, request: Request, answer: Answer) -> Detail:
        """What the answer holds. Raises Rejected, UnexpectedResponse."""
        check_id("execution", self._system.details.execution_ids, answer.data, item.id)
        detail = self._system.details.read_execution(answer.data)
        if self._system.details.has_more and not self._system.is_open(detail.execution):
            return self._reader.whole(item.id, request, answer)
        return detail

    @property
    def _may_be_refused(self) -> bool:
        """Whether a single read may be refused although the credentials are right, and it is not known yet."""
        request = self._system.details.execution_request(self._context.values, "x", "")
        return self._may_read is None and request.is_partial

    def changed(self, identity: str, detail: Detail) -> Chunk:
        """An execution that a single read shows in another state than the stored one."""
        return self._detail(identity, self._warehouse.stored([identity]).get(identity, {}), detail)

    def _plan(self, opens: Sequence[OpenExecution], *, by_status: bool) -> SettlingPlan:
        return plan(
            opens,
            self._warehouse.ranks(opens),
            open_statuses=self._system.open_statuses,
            page_size=self._system.listing.page_size,
            by_status=by_status,
        )

    def _executions(self, rows: Iterable[Row], left: dict[str, OpenExecution], read_by: str) -> Chunk:
        """What a list says of those that are asked about; it has not to know others."""
        stamp = self._context.stamp()
        kept: dict[str, Row] = {}
        earlier: list[Row] = []
        rows = self._open_reads.without_unchanged(rows, left)
        seen = {key: before.seen for key, before in left.items() if before.seen is not None}
        sent = {self._system.identity(row): row for row in rows}
        for row in warehouse_rows.keep_fields_of_single_reads(
            self._system, rows, seen, self._warehouse.stored
        ):
            identity = self._system.identity(row)
            before = left.pop(identity, None)
            if before is not None:
                kept[identity] = warehouse_rows.execution(
                    self._system, row, stamp, read_by=read_by, before=before.seen
                )
                last = self._open_reads.last_seen(identity, before.seen)
                earlier += earlier_state(identity, last, kept[identity].get("status"))
                self.settled += not kept[identity]["is_open"]
                self._open_reads.note(identity, kept[identity], sent[identity])
        leaves_backlog_unchanged = all(row["is_open"] for row in kept.values())
        return Chunk(
            {self._system.executions.name: list(kept.values()), EXECUTION_STATES.name: earlier},
            leaves_backlog_unchanged=leaves_backlog_unchanged,
        )

    def _gone(self, identity: str, stored: Row | None, *, read_by: str = warehouse_rows.EXECUTION) -> Chunk:
        stamp = self._context.stamp()
        at = (stored or {}).get(self._system.started_column)
        is_expired = self._context.is_expired(at)
        row = warehouse_rows.vanished(
            self._system,
            stored or {"id": identity},
            stamp,
            is_expired=is_expired,
            read_by=read_by,
        )
        self.settled += 1
        self.unresolved += row["resolution"] == "unresolved_at_retention"
        outcome = "expired" if is_expired else "gone"
        # Its row tells from now on when it was found gone; when it was last seen is kept apart.
        last = self._open_reads.last_seen(identity, StoredStatus.in_row(stored or {}))
        return Chunk(
            {
                self._system.executions.name: [row],
                EXECUTION_STATES.name: earlier_state(identity, last, None),
                self._system.details.log.name: [
                    warehouse_rows.details_log_row(self._system.details.log, identity, at, outcome, stamp)
                ],
            }
        )

    def _detail(self, identity: str, stored: Row, detail: Detail, *, tries: int = 0) -> Chunk:
        """A single read: the execution's state and, if it has ended and they are wanted, its steps.

        ``tries`` is how many runs could not read it: the note of that is no longer true.
        """
        stamp = self._context.stamp()
        system = self._system
        fresh = {**detail.execution, **warehouse_rows.also_listed(system, stored, detail.extra)}
        before = self._open_reads.last_seen(identity, StoredStatus.in_row(stored))
        row = warehouse_rows.merged_over(system, stored, fresh)
        row = warehouse_rows.execution(system, row, stamp, read_by=warehouse_rows.EXECUTION, before=before)
        started_at = system.started_at(detail.execution) or stored.get(system.started_column)
        tables = {
            system.executions.name: [row],
            EXECUTION_STATES.name: earlier_state(identity, before, row.get("status")),
        }
        log_table = system.details.log
        if tries:
            tables[log_table.name] = [
                warehouse_rows.details_log_row(log_table, identity, started_at, "again", stamp)
            ]
        self._open_reads.note(identity, row, _sent(detail))
        if not row["is_open"]:
            self.settled += 1
            if system.details.come_with_execution and self._wants(row):
                unread = ReadProblem.parts_of(detail, tries=tries + 1, now=self._context.now)
                tables[log_table.name] = [
                    warehouse_rows.details_log_row(
                        log_table, identity, started_at, "loaded", stamp, detail, unread=unread
                    )
                ]
                tables[system.details.steps.name] = warehouse_rows.steps(
                    system.details.steps, detail, started_at, stamp
                )
                tables |= warehouse_rows.children(system, detail, started_at, stamp)
        return Chunk(tables, leaves_backlog_unchanged=row["is_open"])

    def _wants(self, row: Row) -> bool:
        if self._scope.steps == "failed":
            return row.get("status") in self._system.failed_statuses
        return self._scope.steps == "all"


def _is_open_and_new(item: _Single) -> bool:
    """Whether it is tried for longer: no earlier run failed to read it, and nothing else tells how it ended."""
    return item.stored is not None and not item.tries


def _sent(detail: Detail) -> Row:
    """What a single read says of the execution itself."""
    return {**detail.extra, **detail.execution}


def _never(item: _Single) -> bool:  # noqa: ARG001 - as the other
    return False
