"""Open executions → what the vendor says of them now."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from ..core.batch import Chunk
from ..core.errors import Rejected, UnexpectedResponse, UnusableId
from ..core.models import MS, Answer, Page, Request, Row, Scope, Sender, Window, floor_ms
from ..core.side_by_side import side_by_side
from ..systems.ids import check_id
from ..systems.protocol import Detail, System, Values
from ..warehouse.queries import Open, Warehouse
from ..warehouse.status_history import Seen, earlier_state
from ..warehouse.tables import STATES
from . import rows as records
from .rows import Stamp, Tolerance
from .settling import Plan, plan
from .sorted_listing import Listing
from .unsorted_listing import Lists

log = logging.getLogger("task_history")

_AT_ONCE = 200
"""Single reads between two chunks."""


class Settling:
    """Brings stored open executions up to date.

    Raises, while chunks are drawn: whatever the client raises; chunks drawn before stay true.
    """

    def __init__(
        self,
        *,
        listing: Listing,
        client: Sender,
        system: System,
        values: Values,
        warehouse: Warehouse,
        scope: Scope,
        stamp: Callable[[], Stamp],
        is_expired: Callable[[datetime | None], bool],
        whole: Callable[[str, Request, Answer], Detail],
    ) -> None:
        self._whole = whole
        self._listing = listing
        self._client = client
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

    def chunks(self, opens: Sequence[Open], *, is_quiet: bool) -> Iterator[Chunk]:
        """Refreshes ``opens``, oldest first.

        ``is_quiet`` says that nothing new was found: then lists that count what is held are not read on.
        """
        planned = self._plan(opens, by_status=self._system.listing.filters_by_status)
        left = {one.id: one for one in opens}
        window = _span(opens)
        if planned.statuses and window is not None:
            held = {one.status for one in opens}
            # In a quiet sync those that are held say it all, and mostly they say that nothing changed.
            heads = self._heads([status for status in planned.statuses if status in held], window)
            if heads is not None and is_quiet and self._is_unchanged(heads, opens):
                return
            others = (
                None
                if heads is None
                else self._heads([status for status in planned.statuses if status not in held], window)
            )
            if heads is not None and others is not None:
                heads |= others
                for status, head in heads.items():
                    yield self._executions(self._rest(status, window, head), left, records.STATUS)
                if self._scope.steps == "all" and self._system.details.come_with_execution:
                    # What has ended is read singly anyway, for its steps.
                    yield from self._singly(left)
                    return
            planned = self._plan(list(left.values()), by_status=False)
        for span in planned.spans:
            for piece in self._listing.pieces(span):
                yield self._executions(piece.rows, left, records.LIST)
        # Whatever no list showed has ended, was purged, or moved from one list to another meanwhile.
        yield from self._singly(left)

    def _singly(self, left: dict[str, Open]) -> Iterator[Chunk]:
        """Reads singly what is left; what cannot be asked for so is shown by the list of its millisecond."""
        unusable: list[str] = []
        yield from self.read(left, unusable=unusable)
        for window in sorted(
            {instant for key in unusable if (instant := _instant_of(left[key])) is not None}
        ):
            for piece in self._listing.pieces(window):
                yield self._executions(piece.rows, left, records.LIST)

    def by_lists(
        self, opens: Sequence[Open], lists: Callable[[str], Lists | None], *, at_once: int
    ) -> Iterator[Chunk]:
        """The same where the vendor has several lists, of which none is narrowed to a status.

        ``lists`` gives the list of an execution's ``part``; None where it is not to be read.
        """
        left = {one.id: one for one in opens}
        work: deque[Callable[[], list[Row]]] = deque()
        for part in sorted({one.part for one in opens}):
            found = lists(part)
            if found is not None:
                planned = self._plan([one for one in opens if one.part == part], by_status=False)
                work += [partial(_rows, found, span) for span in planned.spans]
        for rows in side_by_side(work, at_once=at_once):
            yield self._executions(rows, left, records.LIST)
        # A list that is not narrowed to a time shows nothing more cheaply than a single read.
        forbidden: list[str] | None = [] if self._system.listing.kind == "unsorted" else None
        yield from self.read(left, forbidden=forbidden, unusable=forbidden)
        # Who may list need not be allowed to read singly: then the list of its millisecond shows it.
        for one in [left[identity] for identity in forbidden or ()]:
            found = lists(one.part)
            window = _instant_of(one)
            if found is not None and window is not None:
                yield self._executions(_rows(found, window), left, records.LIST)

    def read(
        self, ids: Iterable[str], *, forbidden: list[str] | None = None, unusable: list[str] | None = None
    ) -> Iterator[Chunk]:
        """Reads executions singly; those that the vendor no longer holds are marked.

        ``forbidden`` gets the ids of those that may not be read so, ``unusable`` of those that no address can hold.
        """
        wanted = list(ids)
        while wanted:
            # The first one tells whether single reads are allowed at all.
            at_once = 1 if forbidden is not None and self._may_read is None else _AT_ONCE
            part, wanted = wanted[:at_once], wanted[at_once:]
            if self._may_read is False and forbidden is not None:
                forbidden += part
                continue
            stored = self._warehouse.stored(part)
            asked = self._requests(part, stored)
            if unusable is not None:
                unusable += sorted(set(part) - asked.keys())
            answers = self._client.map(asked.values())
            for (identity, request), answer in zip(asked.items(), answers, strict=False):
                if isinstance(answer, Rejected) and self._system.details.is_gone(answer.status, str(answer)):
                    yield self._gone(identity, stored.get(identity))
                elif (
                    isinstance(answer, Rejected)
                    and answer.status == 403
                    and forbidden is not None
                    and not self._may_read
                ):
                    log.info("single_reads_forbidden advice=%r", self._system.access.hint(403))
                    self._may_read = False
                    forbidden.append(identity)
                else:
                    detail = self._read(identity, request, answer)
                    if detail is not None:
                        self._may_read = True
                        yield self._detail(identity, stored.get(identity, {}), detail)

    def _requests(self, ids: Iterable[str], stored: Mapping[str, Row]) -> dict[str, Request]:
        """The requests for these executions, without those that no address can hold."""
        found = {}
        for identity in ids:
            part = self._warehouse.part_of(stored.get(identity, {}))
            try:
                found[identity] = self._system.details.execution_request(self._values, identity, part)
            except UnusableId as error:
                log.warning("unreadable reason=%r", str(error))
        return found

    def _read(self, identity: str, request: Request, answer: Answer | Exception) -> Detail | None:
        """What the answer holds; None when this one is skipped."""
        try:
            if isinstance(answer, Exception):
                raise answer
            check_id("execution", self._system.details.execution_ids, answer.data, identity)
            detail = self._system.details.read_execution(answer.data)
            if self._system.details.has_more and not self._system.is_open(detail.execution):
                detail = self._whole(identity, request, answer)
        except (Rejected, UnexpectedResponse) as error:
            self._tolerance.skip(identity, error)
            return None
        self._tolerance.went_well()
        return detail

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

    def _heads(self, statuses: Sequence[str], window: Window) -> dict[str, Page] | None:
        """The first page of each status; None when the vendor does not filter by it."""
        heads = {}
        for status in statuses:
            try:
                page = self._listing.pages.one(window, 0, {"status": status})
            except Rejected as error:
                if error.status in (404, 410):
                    raise
                log.info("status_filter_refused status=%s", status)
                return None
            if any(row.get("status") not in (status, None) for row in page.rows):
                log.info("status_filter_ignored status=%s", status)
                return None
            heads[status] = page
        return heads

    def _is_unchanged(self, heads: Mapping[str, Page], opens: Sequence[Open]) -> bool:
        """Whether each status has as many as are held: what is open can only become fewer."""
        held = Counter(one.status for one in opens)
        known = {one.id: one.status for one in opens}
        return held.total() == sum(held[status] for status in heads) and all(
            page.total == held[status]
            and all(known.get(self._system.identity(row)) == status for row in page.rows)
            for status, page in heads.items()
        )

    def _rest(self, status: str, window: Window, head: Page) -> list[Row]:
        """All rows of that status. What moves while pages are read is missed here and read singly."""
        filters = {"status": status}
        size = self._system.listing.page_size
        rows = list(head.rows)
        if head.total is not None:
            offsets = range(len(rows), head.total, size) if rows else range(0)
            for _, found in self._listing.pages.many(window, offsets, filters):
                if isinstance(found, Exception):
                    raise found
                rows += found.rows
            return rows
        page = head
        while page.rows and (page.more or len(page.rows) >= size):
            page = self._listing.pages.one(window, len(rows), filters)
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
        is_quiet = all(row["is_open"] for row in kept.values())
        return Chunk(
            {self._system.executions.name: list(kept.values()), STATES.name: earlier}, is_quiet=is_quiet
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
        last = earlier_state(identity, Seen.in_row(stored or {}), None)
        return Chunk(
            {
                self._system.executions.name: [row],
                STATES.name: last,
                self._system.details.log.name: [
                    records.ledger(self._system.details.log, identity, at, outcome, stamp)
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
        before = Seen.in_row(stored)
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
                    records.ledger(system.details.log, identity, started_at, "loaded", stamp, detail)
                ]
                tables[system.details.steps.name] = records.steps(
                    system.details.steps, detail, started_at, stamp
                )
                tables |= records.children(system, detail, started_at, stamp)
        return Chunk(tables, is_quiet=row["is_open"])

    def _wants(self, row: Row) -> bool:
        if self._scope.steps == "failed":
            return row.get("status") in self._system.failed_statuses
        return self._scope.steps == "all"


def _rows(lists: Lists, span: Window) -> list[Row]:
    """What the list shows of the span; nothing where it is not to be had, and single reads tell."""
    try:
        return [row for piece in lists.pieces(span) for row in piece.rows]
    except Rejected:
        return []


def _instant_of(one: Open) -> Window | None:
    """The millisecond in which it began; None where that is not known."""
    start = one.started_at and floor_ms(one.started_at)
    return Window(start, start + MS) if start else None


def _span(opens: Sequence[Open]) -> Window | None:
    starts = [one.started_at for one in opens if one.started_at is not None]
    return Window(min(starts), max(starts) + MS) if starts else None
