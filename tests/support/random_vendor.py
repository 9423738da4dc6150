"""A vendor in memory whose lists misbehave in ways that a seed draws: it serves any system's list of executions.

Only what a reader can notice is drawn. A vendor that hides a row and says in its own words that the list is whole
cannot be told from one that has no such row.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from task_history.client.logged_waits import Stats
from task_history.client.vendor_clock import VendorClock
from task_history.core.errors import Rejected, TaskHistoryError, VendorUnavailable
from task_history.core.models import MS, Answer, Json, Request, Row, Window, iso_ms
from task_history.core.thread_pools import do_nothing
from task_history.systems import find
from task_history.systems.parsing import instant
from task_history.systems.protocol import System

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = 20
PAGE_SIZE = 30
"""Shorter than any vendor's, so that a small world has many pages."""
_PARTITIONS = {"paragon": ("",), "sailpoint": ("w1", "w2", "w3"), "twinit": ("n1", "n2"), "b3os": ("",)}
_ORDERS = ["oldest", "any", "changing", "changing_in_day"]
_MAX_REQUESTS = 3_000
_NEWCOMER = "e000000000000"
"""The id that stands before all others."""
_SAILPOINT_BOUND = re.compile(r'start_?[tT]ime (ge|lt) "?([^" ]+)"?')


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the vendor misbehaves; the defaults are those of one that does not."""

    page_cap: int | None = None
    """Its longest page, where it is shorter than what is asked for."""
    order: str = "sorted"
    """``sorted``: as the kind of listing says; of the others ``oldest``, ``any``, ``changing`` from request to request,
    or ``changing_in_day``; ``changing_nearby``, where some neighbours swap; ``updated``: the last update first, and a row
    is updated meanwhile; ``moving_once``: its last
    third comes first after a while; ``updated_to_front``, where the order stays but for one row; ``updated_to_middle``: a
    row moves in among those that were read, and another comes to the front later; ``updated_as_one_goes``: a row moves to
    the front as one that was read vanishes."""
    total: str = "true"
    """``true``, ``absent``, ``high``, ``moving``, ``dropped`` after the first page, or ``page``: that of the page's rows.

    SailPoint, which counts in a header, gives one unless it is ``true``, and the true one as ``given``.
    """
    more: str = "true"
    """``true``, ``absent``, or ``always``: another page is said to follow the last one."""
    envelope: str = "object"
    """``object``, or ``list``: neither a total nor whether more follows."""
    empty_beyond: int | None = None
    """From this offset on pages are empty."""
    empty_at: tuple[int, ...] = ()
    """The requests, counted from 1, whose page is empty."""
    short_at: tuple[int, ...] = ()
    """Those whose page is cut to its half."""
    fails_at: tuple[int, ...] = ()
    """Those that fail."""
    late: int = 0
    """Rows that become visible while the first run reads."""
    purged: int = 0
    """The oldest rows, that vanish meanwhile."""
    expires_every: int = 0
    """After so many lists the oldest row vanishes, again and again; 0 for never."""
    arrives_every: int = 0
    """After so many lists another row comes to the front, again and again; 0 for never. Its order is ``any``."""
    bounds: str = "exclusive"
    """Whether the bounds of a window are ``exclusive`` or ``inclusive``; ``ignored`` where the list is not filtered."""

    @property
    def is_honest(self) -> bool:
        """Whether nothing but the length of pages and a steady order differs from what is documented."""
        honest = Behaviour(page_cap=self.page_cap, bounds=self.bounds)
        return self in (honest, replace(honest, order=self.order)) and not self.is_order_changing

    @property
    def is_order_changing(self) -> bool:
        """Whether the order of rows differs between requests."""
        return self.order.startswith(("changing", "updated", "moving"))

    def __str__(self) -> str:
        odd = (field for field in fields(self) if getattr(self, field.name) != field.default)
        return ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in odd) or "honest"


def drawn(name: str, rng: random.Random) -> Behaviour:
    """What a vendor of that system may do."""
    if rng.random() < 0.2:
        orders = ["sorted"] if name == "paragon" else ["sorted", "oldest", "any"]
        return Behaviour(page_cap=rng.choice([None, None, 10, 15]), order=rng.choice(orders))

    def sometimes(values: list[Any], otherwise: Any, share: float = 0.25) -> Any:
        return rng.choice(values) if rng.random() < share else otherwise

    counts, says_more = name in ("paragon", "twinit"), name in ("paragon", "b3os")
    # Apart from each other: what is empty at the second look too cannot be told from what is not there.
    places = [tuple(rng.sample(range(1, 40, 8), rng.randint(1, 3))) for _ in range(3)]
    envelope = sometimes(["list"], "object", 0.5 if name == "twinit" else 0.15) if counts else "object"
    wrong = ["absent", "high", "moving", "dropped"]
    total = sometimes(wrong, "true", 0.5) if counts else "true"
    if name == "sailpoint":
        total = sometimes(["given", *wrong, "page"], "true", 0.5)
    more = sometimes(["absent", "always"], "true", 0.4) if says_more else "true"
    # Where nothing else tells the end, a page that is cut short is one.
    is_told = total != "absent" if name == "twinit" else says_more and more != "absent"
    has_end = is_told and envelope == "object"
    return Behaviour(
        page_cap=sometimes([10, 15, 29], None),
        order="sorted"
        if name == "paragon"
        else sometimes(["oldest", "any", "changing", "changing_in_day"], "sorted", 0.6),
        total=total,
        more=more,
        envelope=envelope,
        empty_beyond=sometimes([30, 70, 150], None, 0.15),
        empty_at=sometimes([places[0], (1,)], ()),
        short_at=sometimes([places[1]], ()) if has_end else (),
        fails_at=sometimes([places[2]], ()),
        late=sometimes([1, 7], 0),
        purged=sometimes([1, 7], 0),
        bounds=rng.choice(["exclusive", "inclusive"]),
    )


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution; it has ended."""

    id: str
    start: datetime
    partition: str


def small_pages(name: str) -> System:
    """The system with short pages, and with nothing beside its executions."""
    system = find(name)
    listing = replace(system.listing, page_size=PAGE_SIZE)
    return replace(system, listing=listing, companions=(), statistics=None, integrations=None)


class RandomVendor:
    """One account of that system, as the client that asks it."""

    vendor_clock = VendorClock(0.0)
    while_waiting = staticmethod(do_nothing)

    def __init__(self, name: str, seed: int, behaviour: Behaviour, *, executions: int) -> None:
        self.name = name
        self.behaviour = behaviour
        self._rng = random.Random(seed)
        self._requests = Counter[str]()
        self._lists = 0
        self.executions = self._made(executions)
        self.hidden = set(self._rng.sample(sorted(self.executions), min(behaviour.late, executions // 4)))
        self._happens_at = self._rng.randint(2, 12)
        self._updated = ""
        """The row that was updated while the list was read."""

    def _made(
        self, number: int, *, since: datetime = NOW - timedelta(days=DAYS), until: datetime = NOW
    ) -> dict[str, Execution]:
        """So many executions, some of which began in one millisecond."""
        made: dict[str, Execution] = {}
        start = since
        for _ in range(number):
            if self._rng.random() > 0.1 or start == since:
                start = since + self._rng.randrange(1, (until - since) // MS) * MS
            identity = f"e{self._rng.getrandbits(48):012x}"
            made[identity] = Execution(identity, start, self._rng.choice(_PARTITIONS[self.name]))
        return made

    def grow(self, number: int, *, until: datetime) -> None:
        """So many executions more, that began since ``NOW``."""
        self.executions |= self._made(number, since=max(NOW, until - timedelta(minutes=50)), until=until)

    def move_at(self, lists: int, identity: str = "") -> None:
        """Has what the order says happen at that list request from now on, to that row if one is named."""
        self._happens_at, self._updated = self._lists + lists, identity

    @property
    def visible(self) -> dict[str, Execution]:
        """The executions that are listed now."""
        return {key: one for key, one in self.executions.items() if key not in self.hidden}

    @property
    def stats(self) -> Stats:
        """The requests so far."""
        return Stats(dict(self._requests), {}, 0, {})

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return sum(self._requests.values())

    def send(self, request: Request) -> Answer:
        """The answer. Raises Rejected, VendorUnavailable."""
        self._requests[request.kind] += 1
        assert self.requests <= _MAX_REQUESTS, f"the reading comes to no end: {self.behaviour}"
        headers: dict[str, str] = {}
        if request.kind == "list":
            data, total = self._listed(request)
            if self.name == "sailpoint" and self.behaviour.total != "true" and total is not None:
                headers = {"x-total-count": str(total)}
        elif request.kind in ("workflows", "definitions"):
            data = [] if _param(request, "offset", "_offset") else self._workflows()
        else:
            data = self._single(request)
        return Answer(data, orjson.dumps(data), headers=headers)

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        """The answers in order."""
        for request in requests:
            try:
                yield self.send(request)
            except TaskHistoryError as error:
                yield error

    def _workflows(self) -> Json:
        return [{"id": key, "_id": key, "name": key} for key in _PARTITIONS[self.name]]

    def _single(self, request: Request) -> Json:
        found = next((one for key, one in self.visible.items() if key in request.path), None)
        if found is None:
            raise Rejected("HTTP 404: not found", status=404)
        row = _row(self.name, found)
        return {"data": {"execution": row, "events": []}} if self.name == "b3os" else row

    def _listed(self, request: Request) -> tuple[Json, int | None]:
        behaviour = self.behaviour
        self._lists += 1
        number = self._lists
        if number == self._happens_at:
            self.hidden.clear()
            oldest = sorted(self.executions.values(), key=lambda one: one.start)[: behaviour.purged]
            for one in oldest:
                del self.executions[one.id]
        if behaviour.expires_every and not number % behaviour.expires_every and self.executions:
            del self.executions[min(self.executions.values(), key=lambda one: one.start).id]
        if behaviour.arrives_every and not number % behaviour.arrives_every:
            identity = f"a{10**9 - number:012d}"
            partition = _PARTITIONS[self.name][0]
            self.executions[identity] = Execution(
                identity, NOW - timedelta(days=3, minutes=number), partition
            )
        if number in behaviour.fails_at:
            raise VendorUnavailable("The vendor gives no answer.")
        partition, window, offset = _asked(self.name, request)
        if not offset:
            self._begin_again(partition)
        rows = self._ordered(
            one
            for one in self.visible.values()
            if one.partition == partition and (window is None or self._is_within(one.start, window))
        )
        cap = min(behaviour.page_cap or PAGE_SIZE, PAGE_SIZE)
        page = rows[offset : offset + cap]
        if number in behaviour.empty_at or offset >= (behaviour.empty_beyond or len(rows) + 1):
            page = []
        elif number in behaviour.short_at:
            page = page[: len(page) // 2]
        total: int | None = len(rows)
        if behaviour.total == "high":
            total = len(rows) + 3
        elif behaviour.total == "moving":
            total = len(rows) + number % 3
        elif behaviour.total == "page":
            total = len(page)
        elif behaviour.total == "absent" or (behaviour.total == "dropped" and offset):
            total = None
        more: bool | None = offset + len(page) < len(rows)
        if behaviour.more != "true":
            more = None if behaviour.more == "absent" else True
        is_bare = behaviour.envelope == "list"
        given = [_row(self.name, one) for one in page]
        return (given if is_bare else _page(self.name, given, total, more, offset)), total

    def _is_within(self, start: datetime, window: Window) -> bool:
        if self.behaviour.bounds == "ignored":
            return True
        if self.behaviour.bounds == "inclusive":
            return window.start <= start <= window.end
        return window.start < start < window.end

    def _ordered(self, executions: Iterable[Execution]) -> list[Execution]:
        order, rows = self.behaviour.order, sorted(executions, key=lambda one: (one.start, one.id))
        if order == "any":
            rows.sort(key=lambda one: one.id)
        elif order == "changing":
            self._rng.shuffle(rows)
        elif order == "changing_nearby":
            rows.sort(key=lambda one: one.id)
            for at in range(20, min(70, len(rows) - 1), 2):
                if self._rng.random() < 0.5:
                    rows[at], rows[at + 1] = rows[at + 1], rows[at]
        elif order == "changing_in_day":
            self._rng.shuffle(rows)
            rows.sort(key=lambda one: -one.start.toordinal())
        elif order == "updated":
            rows.reverse()
            if len(rows) > 2 * PAGE_SIZE and self._lists >= self._happens_at:
                self._updated = self._updated or rows[-1].id
                rows.sort(key=lambda one: one.id != self._updated)
        elif order == "moving_once":
            rows.sort(key=lambda one: one.id)
            cut = -(len(rows) // 3) if self._lists >= self._happens_at else 0
            rows = rows[cut:] + rows[:cut] if cut else rows
        elif order.startswith("updated_"):
            rows = self._with_one_moved(sorted(rows, key=lambda one: one.id))
        elif order == "sorted" and self.name != "paragon":
            rows.reverse()
        return rows

    def _with_one_moved(self, rows: list[Execution]) -> list[Execution]:
        """The last row moved, once some pages were read, and what happens with it."""
        order, is_to_middle = self.behaviour.order, self.behaviour.order == "updated_to_middle"
        if not self._updated and self._lists >= self._happens_at and len(rows) > 3 * PAGE_SIZE:
            self._updated = rows[-1].id
            if order == "updated_as_one_goes":
                del self.executions[rows.pop(3).id]
        moved = next((one for one in rows if one.id == self._updated), None)
        if moved is None:
            return rows
        rows.remove(moved)
        rows.insert(PAGE_SIZE + 10 if is_to_middle else 0, moved)
        return rows

    def _begin_again(self, partition: str) -> None:
        """A new row in front, once the list's beginning is asked for after a row moved to its middle."""
        if self.behaviour.order == "updated_to_middle" and self._updated and _NEWCOMER not in self.executions:
            self.executions[_NEWCOMER] = Execution(_NEWCOMER, NOW - timedelta(minutes=1), partition)


def _param(request: Request, *names: str) -> int:
    given = dict(request.params)
    return int(next((given[name] for name in names if name in given), "0"))


def _asked(name: str, request: Request) -> tuple[str, Window | None, int]:
    """The partition, the window with exclusive bounds, and the offset that a request for a page names."""
    given = dict(request.params)
    offset = _param(request, "offset", "_offset")
    if name == "paragon":
        start, end = instant(given.get("afterDate")), instant(given.get("beforeDate"))
        return "", Window(start, end) if start and end else None, offset
    if name == "sailpoint":
        bounds = {mark: instant(text) for mark, text in _SAILPOINT_BOUND.findall(given.get("filters", ""))}
        start, end = bounds.get("ge"), bounds.get("lt")
        window = Window(start - MS, end) if start and end else None
        return request.path.split("/")[-2], window, offset
    return given.get("nsfilter", ""), None, offset


def _page(name: str, rows: list[Row], total: int | None, more: bool | None, offset: int) -> Json:
    if name == "twinit":
        return {"_list": rows, "_offset": offset, **({} if total is None else {"_total": total})}
    if name == "paragon":
        counted = {} if total is None else {"total": total}
        linked = {} if more is None else {"nextLink": "https://elsewhere.example/next" if more else None}
        return {"workflowExecutions": rows, **counted, **linked}
    if name == "b3os":
        return {"code": 200, "data": {"items": rows, **({} if more is None else {"hasMore": more})}}
    return rows


def _row(name: str, one: Execution) -> Row:
    start, end = iso_ms(one.start), iso_ms(one.start + timedelta(seconds=5))
    if name == "paragon":
        return {
            "id": one.id,
            "status": "SUCCEEDED",
            "dateStarted": start,
            "dateEnded": end,
            "workflowId": "w",
        }
    if name == "sailpoint":
        return {
            "id": one.id,
            "workflowId": one.partition,
            "status": "Completed",
            "startTime": start,
            "closeTime": end,
        }
    if name == "twinit":
        return {
            "_id": one.id,
            "_namespaces": [one.partition],
            "_status": "COMPLETED",
            "_createdAt": start,
            "_updatedAt": end,
            "_tasks": [],
        }
    return {"id": one.id, "status": "workflow_succeeded", "createdAt": start, "finishedAt": end}
