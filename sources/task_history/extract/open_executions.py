"""Open executions → what the vendor says of them now, by the cheapest requests.

Three kinds of request refresh what is open: a page of those the vendor calls open, a page of everything
that began in a span, and a single read. What they cost is counted before the first is sent. What a
list of open executions does not show any more is read singly; that read brings its steps too.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ..core.batch import Chunk
from ..core.concurrency import unordered
from ..core.errors import Rejected, UnexpectedResponse, UnusableId
from ..core.log import log
from ..core.models import MS, Answer, Page, Request, Row, Scope, Sender, Window, floor_ms
from ..systems.ids import check_id
from ..systems.protocol import Detail, System
from ..systems.shared_settings import SystemSettings
from ..warehouse.backlog import Open
from ..warehouse.queries import Warehouse
from ..warehouse.status_history import StoredStatus, earlier_state
from ..warehouse.tables import STATES
from . import rows as records
from .details import DetailReader
from .listing import WindowReader
from .rows import Stamp, Tolerance

_AT_ONCE = 200
"""Single reads between two chunks."""


class OpenExecutions:
    """Brings stored open executions up to date.

    Raises, while chunks are drawn: what the client raises; chunks drawn before stay true.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        system: System,
        values: SystemSettings,
        warehouse: Warehouse,
        scope: Scope,
        stamp: Callable[[], Stamp],
        is_expired: Callable[[datetime | None], bool],
        reader: DetailReader,
    ) -> None:
        self._reader = reader
        self._sender = sender
        self._system = system
        self._values = values
        self._warehouse = warehouse
        self._scope = scope
        self._stamp = stamp
        self._is_expired = is_expired
        self.settled = 0
        self.unresolved = 0
        self._tolerance = Tolerance()
        self._may_read: bool | None = None
        """Whether single reads are allowed, once that is known."""

    def chunks(
        self,
        opens: Sequence[Open],
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
        # A listing that is not filtered by time shows nothing more cheaply than a single read.
        readers = {
            name: reader
            for name in sorted({execution.partition for execution in opens})
            if self._system.listing.is_filtered_by_time and (reader := readable(name)) is not None
        }
        spans: deque[Callable[[], list[Row]]] = deque()
        for name, reader in readers.items():
            ours = [execution for execution in opens if execution.partition == name]
            if self._system.listing.filters_by_status:
                ours = yield from self._by_status(
                    reader, ours, left, leaves_backlog_unchanged=leaves_backlog_unchanged
                )
            spans += [partial(_rows, reader, span) for span in self._plan(ours, by_status=False).spans]
        for rows in unordered(spans, threads=at_once):
            yield self._executions(rows, left, records.LIST)
        # What no listing showed has ended, was purged, or moved from one page to another meanwhile.
        forbidden: list[str] | None = [] if readers else None
        unusable: list[str] = []
        yield from self.read(left, forbidden=forbidden, unusable=unusable)
        # Who may list need not be allowed to read singly, and no address can hold some ids: then the list of its
        # millisecond shows an execution.
        instants = {
            (execution.partition, instant)
            for execution in (left[identity] for identity in (*(forbidden or ()), *unusable))
            if execution.partition in readers and (instant := _instant_of(execution)) is not None
        }
        for partition, instant in sorted(instants):
            yield self._executions(_rows(readers[partition], instant), left, records.LIST)

    def _by_status(
        self,
        reader: WindowReader,
        opens: Sequence[Open],
        left: dict[str, Open],
        *,
        leaves_backlog_unchanged: bool,
    ) -> Generator[Chunk, None, list[Open]]:
        """Refreshes what lists of a status show; gives those that are still to be looked for by their starts."""
        planned, window = self._plan(opens, by_status=True), _span(opens)
        if not planned.statuses or window is None:
            return list(opens)
        stored = {execution.status for execution in opens}
        # In a quiet sync those that are stored say it all, and mostly they say that nothing changed.
        heads = self._heads(reader, [status for status in planned.statuses if status in stored], window)
        if heads is not None and leaves_backlog_unchanged and self._is_unchanged(heads, opens):
            for execution in opens:
                del left[execution.id]
            return []
        rest = [status for status in planned.statuses if status not in stored]
        others = None if heads is None else self._heads(reader, rest, window)
        if heads is None or others is None:
            return list(opens)
        for status, head in {**heads, **others}.items():
            yield self._executions(self._rest(reader, status, window, head), left, records.STATUS)
        if self._scope.steps == "all" and self._system.details.come_with_execution:
            # What has ended is read singly anyway, for its steps.
            return []
        return [execution for execution in opens if execution.id in left]

    def read(
        self, ids: Iterable[str], *, forbidden: list[str] | None = None, unusable: list[str] | None = None
    ) -> Iterator[Chunk]:
        """Reads executions singly; those that the vendor no longer holds are marked.

        ``forbidden`` gets the ids of those that may not be read so, ``unusable`` of those that no address can hold.
        """
        wanted = list(ids)
        while wanted:
            # The first one tells whether single reads are allowed at all.
            at_once = 1 if forbidden is not None and self._may_be_refused else _AT_ONCE
            part, wanted = wanted[:at_once], wanted[at_once:]
            if self._may_read is False and forbidden is not None:
                forbidden += part
                continue
            stored = self._warehouse.stored(part)
            asked = self._requests(part, stored)
            if unusable is not None:
                unusable += sorted(set(part) - asked.keys())
            answers = self._sender.map(asked.values())
            for (identity, request), answer in zip(asked.items(), answers, strict=False):
                if isinstance(answer, Rejected) and self._system.details.is_gone(answer.status, str(answer)):
                    yield self._gone(identity, stored.get(identity))
                elif (
                    isinstance(answer, Rejected)
                    and answer.status == 403
                    and forbidden is not None
                    and not self._may_read
                ):
                    log.info("single_reads_forbidden", hint=self._system.access.hint(403))
                    self._may_read = False
                    forbidden.append(identity)
                else:
                    detail = self._read(identity, request, answer)
                    if detail is not None:
                        self._may_read = True
                        yield self._detail(identity, stored.get(identity, {}), detail)

    def _requests(self, ids: Iterable[str], stored: Mapping[str, Row]) -> dict[str, Request]:
        """The requests for these executions, without those that no address can hold."""
        requests = {}
        for identity in ids:
            part = self._warehouse.partition_of(stored.get(identity, {}))
            try:
                requests[identity] = self._system.details.execution_request(self._values, identity, part)
            except UnusableId as error:
                log.warning("unreadable", reason=str(error))
        return requests

    def _read(self, identity: str, request: Request, answer: Answer | Exception) -> Detail | None:
        """What the answer holds; None when this one is skipped."""
        try:
            if isinstance(answer, Exception):
                raise answer
            check_id("execution", self._system.details.execution_ids, answer.data, identity)
            detail = self._system.details.read_execution(answer.data)
            if self._system.details.has_more and not self._system.is_open(detail.execution):
                detail = self._reader.whole(identity, request, answer)
        except (Rejected, UnexpectedResponse) as error:
            self._tolerance.skip(identity, error)
            return None
        self._tolerance.went_well()
        return detail

    @property
    def _may_be_refused(self) -> bool:
        """Whether a single read may be refused although the credentials are right, and it is not known yet."""
        request = self._system.details.execution_request(self._values, "x", "")
        return self._may_read is None and request.is_partial

    def changed(self, identity: str, detail: Detail) -> Chunk:
        """An execution that a single read shows in another state than the stored one."""
        return self._detail(identity, self._warehouse.stored([identity]).get(identity, {}), detail)

    def _plan(self, opens: Sequence[Open], *, by_status: bool) -> Plan:
        return plan(
            opens,
            self._warehouse.ranks(opens),
            open_statuses=self._system.open_statuses,
            page_size=self._system.listing.page_size,
            by_status=by_status,
        )

    def _heads(self, reader: WindowReader, statuses: Sequence[str], window: Window) -> dict[str, Page] | None:
        """The first page of each status; None when the vendor does not filter by it."""
        heads = {}
        for status in statuses:
            try:
                page = reader.pages.one(window, 0, {"status": status})
            except Rejected as error:
                if error.status in (404, 410):
                    raise
                log.info("status_filter_refused", status=status)
                return None
            if any(row.get("status") not in (status, None) for row in page.rows):
                log.info("status_filter_ignored", status=status)
                return None
            heads[status] = page
        return heads

    def _is_unchanged(self, heads: Mapping[str, Page], opens: Sequence[Open]) -> bool:
        """Whether each status has as many as are held: what is open can only become fewer."""
        held = Counter(execution.status for execution in opens)
        known = {execution.id: execution.status for execution in opens}
        return held.total() == sum(held[status] for status in heads) and all(
            page.total == held[status]
            and all(known.get(self._system.identity(row)) == status for row in page.rows)
            for status, page in heads.items()
        )

    def _rest(self, reader: WindowReader, status: str, window: Window, head: Page) -> list[Row]:
        """All rows of that status. What moves while pages are read is missed here and read singly."""
        filters = {"status": status}
        size = self._system.listing.page_size
        rows = list(head.rows)
        if head.total is not None:
            offsets = range(head.size, head.total, size) if rows else range(0)
            for _, page_or_error in reader.pages.many(window, offsets, filters):
                if isinstance(page_or_error, Exception):
                    raise page_or_error
                rows += page_or_error.rows
            return rows
        page, offset = head, 0
        while page.rows and (page.more or page.size >= size):
            offset += page.size
            page = reader.pages.one(window, offset, filters)
            known = set(map(self._system.identity, rows))
            if all(self._system.identity(row) in known for row in page.rows):
                break
            rows += page.rows
        return rows

    def _executions(self, rows: Iterable[Row], left: dict[str, Open], read_by: str) -> Chunk:
        """What a list says of those that are asked about; it has not to know others."""
        stamp = self._stamp()
        kept: dict[str, Row] = {}
        earlier: list[Row] = []
        for row in rows:
            identity = self._system.identity(row)
            before = left.pop(identity, None)
            if before is not None:
                kept[identity] = records.execution(
                    self._system, row, stamp, read_by=read_by, before=before.seen
                )
                earlier += earlier_state(identity, before.seen, row.get("status"))
                self.settled += not kept[identity]["is_open"]
        leaves_backlog_unchanged = all(row["is_open"] for row in kept.values())
        return Chunk(
            {self._system.executions.name: list(kept.values()), STATES.name: earlier},
            leaves_backlog_unchanged=leaves_backlog_unchanged,
        )

    def _gone(self, identity: str, stored: Row | None) -> Chunk:
        stamp = self._stamp()
        at = (stored or {}).get(self._system.started_column)
        is_expired = self._is_expired(at)
        row = records.vanished(
            self._system.executions, stored or {"id": identity}, stamp, is_expired=is_expired
        )
        self.settled += 1
        self.unresolved += row["resolution"] == "unresolved_at_retention"
        outcome = "expired" if is_expired else "gone"
        # Its row tells from now on when it was found gone; when it was last seen is kept apart.
        last = earlier_state(identity, StoredStatus.in_row(stored or {}), None)
        return Chunk(
            {
                self._system.executions.name: [row],
                STATES.name: last,
                self._system.details.log.name: [
                    records.details_log_row(self._system.details.log, identity, at, outcome, stamp)
                ],
            }
        )

    def _detail(self, identity: str, stored: Row, detail: Detail) -> Chunk:
        """A single read: the execution's state and, if it has ended and they are wanted, its steps."""
        stamp = self._stamp()
        system = self._system
        columns = {column.name for column in system.executions.columns}
        spelled = {records.plain(name) for name in stored if name not in columns}
        also_listed = {name for name in detail.extra if records.plain(name) in spelled}
        fresh = {**detail.execution, **{name: detail.extra[name] for name in also_listed}}
        before = StoredStatus.in_row(stored)
        row = records.laid_over(system.executions, stored, fresh)
        row = records.execution(system, row, stamp, read_by=records.EXECUTION, before=before)
        started_at = system.started_at(detail.execution) or stored.get(system.started_column)
        tables = {
            system.executions.name: [row],
            STATES.name: earlier_state(identity, before, row.get("status")),
        }
        if not row["is_open"]:
            self.settled += 1
            if system.details.come_with_execution and self._wants(row):
                tables[system.details.log.name] = [
                    records.details_log_row(system.details.log, identity, started_at, "loaded", stamp, detail)
                ]
                tables[system.details.steps.name] = records.steps(
                    system.details.steps, detail, started_at, stamp
                )
                tables |= records.children(system, detail, started_at, stamp)
        return Chunk(tables, leaves_backlog_unchanged=row["is_open"])

    def _wants(self, row: Row) -> bool:
        if self._scope.steps == "failed":
            return row.get("status") in self._system.failed_statuses
        return self._scope.steps == "all"


def _rows(reader: WindowReader, span: Window) -> list[Row]:
    """What the listing shows of the span; nothing where it is not to be had, and single reads tell."""
    try:
        return [row for piece in reader.pieces(span) for row in piece.rows]
    except Rejected:
        return []


def _instant_of(execution: Open) -> Window | None:
    """The millisecond in which it began; None where that is not known."""
    start = execution.started_at and floor_ms(execution.started_at)
    return Window(start, start + MS) if start else None


def _span(opens: Sequence[Open]) -> Window | None:
    starts = [execution.started_at for execution in opens if execution.started_at is not None]
    return Window(min(starts), max(starts) + MS) if starts else None


Places = tuple[int, int]
"""The first and the last place of those that began in one instant."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, in this order."""

    statuses: tuple[str, ...] = ()
    """Lists by these statuses; what they do not show is read singly."""
    spans: tuple[Window, ...] = ()
    """Listings of everything that began in these."""
    singles: tuple[str, ...] = ()
    """Ids that are read singly."""
    requests: int = 0
    """What it probably costs, without single reads of what the lists do not show."""


def plan(
    opens: Sequence[Open],
    ranks: Mapping[str, Places],
    *,
    open_statuses: Sequence[str],
    page_size: int,
    by_status: bool = True,
) -> Plan:
    """The cheapest way to refresh ``opens``, which stand oldest first.

    ``ranks`` are the places among all executions, in the order of their starts, that their instants take.
    ``by_status`` says whether the vendor lists what it calls open.
    """
    if not opens:
        return Plan()
    local = _by_place(opens, ranks, page_size)
    if not by_status:
        return local
    counts = Counter(execution.status for execution in opens)
    statuses = tuple(dict.fromkeys((*open_statuses, *sorted(filter(None, counts)))))
    lists = sum(max(1, math.ceil(counts[status] / page_size)) for status in statuses)
    if local.requests <= lists:
        return local
    return Plan(statuses=statuses, requests=lists)


def _by_place(opens: Sequence[Open], ranks: Mapping[str, Places], page_size: int) -> Plan:
    """A page for those that stand close together, a single read for each of the others."""
    known = [execution for execution in opens if execution.id in ranks and execution.started_at is not None]
    placed = sorted(((ranks[execution.id], execution) for execution in known), key=lambda pair: pair[0])
    singles = [
        execution.id for execution in opens if execution.id not in ranks or execution.started_at is None
    ]
    spans: list[Window] = []
    at = 0
    while at < len(placed):
        first, _ = placed[at][0]
        end = at
        # A listing of the span shows all that began in the instants of its first and its last.
        while end + 1 < len(placed) and placed[end + 1][0][1] < first + page_size:
            end += 1
        start, last = placed[at][1].started_at, placed[end][1].started_at
        if end > at and start is not None and last is not None:
            spans.append(Window(start, last + MS))
        else:
            singles.append(placed[at][1].id)
        at = end + 1
    return Plan(spans=tuple(spans), singles=tuple(singles), requests=len(spans) + len(singles))
