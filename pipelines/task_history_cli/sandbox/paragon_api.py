"""Paragon's Task History API over a sandbox's world, with a switch for everything that its documentation leaves open.

https://docs.useparagon.com/apis/task-history
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson

from . import misleading_lists, odd_rows
from .paragon_payloads import payload
from .paragon_refusals import JSON, refusal
from .paragon_replays import Replays
from .paragon_world import NEVER, USERS, World, iso, parse, window_without
from .server import HttpRequest, HttpResponse, Refused
from .state import State

PAGE = 100
SWITCHES: dict[str, Any] = {
    "envelope": "workflowExecutions",  # data, list
    "next_link": "other",  # same, relative, absent, null_absent, empty, evil
    "sort_quirk": True,  # the link says ASC when the caller named no order
    "after": "exclusive",  # inclusive
    "before": "exclusive",  # inclusive
    "open_rows": "omit",  # null
    "extra_fields": False,
    "extra_statuses": False,  # QUEUED in the first seconds
    "total": "present",  # absent, moving
    "ties": "stable",  # unstable
    "max_offset": None,
    "ignore_sort": False,
    "purge_while_paging": 0,
    "failing": "",  # ids, by commas: single reads of them are answered with 500
    "forbidden": "",  # ids: with 403
    "insert_late_while_paging": 0,
    "short_pages": False,
    "status_filter": "works",  # ignored, refused
    "integration_filter": "works",  # ignored, refused, forbidden
    "wrong_project": 403,
    "payload_expired": False,
    "detail_404_share": 0.0,
    "replay_same_id": False,
    "replay_fails": False,
    "too_many": "seconds",  # date, none
    "rejected_count": False,
    "date_header": True,
    **(misleading_lists.SWITCHES | odd_rows.SWITCHES),
    "error_style": "house",  # nest, text, html, empty
}
_FILTERS = {"userId", "workflowId", "integration", "status", "beforeDate", "afterDate", "offset", "sortBy"}


@dataclass(frozen=True, slots=True)
class _Found:
    """Which executions a listing shows: positions are turned into numbers."""

    total: int
    at: Callable[[int, int], Sequence[int]]
    """The numbers at the positions from and to."""


class Paragon:
    """One project. ``evil`` is the origin of the second listener."""

    name = "paragon"
    options = ("project_id", "api_key")
    switches = SWITCHES
    empty_page = b'{"workflowExecutions":[],"nextLink":null,"total":0}'

    def __init__(self, world: World, state: State, *, project_id: str, api_key: str) -> None:
        self.world = world
        self.project_id = project_id
        self.api_key = api_key
        self.origin = ""
        self.evil = ""
        self._state = state
        self._lists = 0
        """How many requests of the list were answered."""
        self._rows: list[bytes | None] = [None] * len(world)
        self._by: dict[tuple[str, str], list[int]] = {}
        self.replays = Replays(world)
        self._users = {user: orjson.dumps(user).decode() for user in USERS}

    @property
    def client_settings(self) -> dict[str, str]:
        return {"project_id": self.project_id, "api_key": self.api_key}

    def refused(self, status: int, message: str) -> HttpResponse:
        """An error as the API gives it."""
        return refusal(status, message, self._state.switches["error_style"])

    def once(self, request: HttpRequest, kind: str) -> str | None:
        """The key of what is requested, where one request for it is enough; None where it may be requested again."""
        return request.path.rsplit("/", 1)[1] if kind in ("execution", "payload") else None

    def kind(self, request: HttpRequest) -> str:
        """What the request is for: list, execution, payload, replay; other where there is no such endpoint."""
        parts = self._parts(request.path)
        if parts is None:
            return "other"
        if request.method == "POST":
            return "replay" if len(parts) == 2 and parts[1] == "replay" else "other"
        if len(parts) == 3 and parts[1] == "step-executions":
            return "payload"
        if not parts and request.query.keys() & {"integration"}:
            return "integration"
        return {0: "list", 1: "execution"}.get(len(parts), "other")

    def answer(self, request: HttpRequest, kind: str) -> HttpResponse:
        """The answer of an API that works."""
        switches = self._state.switches
        try:
            self._admit(request)
            parts = self._parts(request.path) or []
            if kind in ("list", "integration"):
                body = self._list(request)
                if kind == "list":
                    self._lists += 1
                    offset = self._offset(request.query.get("offset"))
                    body = misleading_lists.misled(body, switches, number=self._lists, offset=offset)
            elif kind == "execution":
                body = orjson.dumps(self._execution(parts[0]))
            elif kind == "payload":
                body = orjson.dumps(self._payload(parts[0], parts[2]))
            elif kind == "replay":
                return HttpResponse(201, orjson.dumps(self._replay(parts[0])), JSON)
            else:
                raise Refused(404, "Cannot find it")
        except Refused as error:
            return refusal(error.status, str(error), switches["error_style"])
        return HttpResponse(200, body, JSON)

    def truth(self, *, with_steps: bool = False) -> list[bytes]:
        """What a perfect copy holds now: the rows of the listing, one JSON text each."""
        now = self._state.clock.now_ms()
        low, high, hidden = self.world.shown(-NEVER, NEVER, now)
        skip = set(hidden)
        rows = []
        for index in range(low, high):
            if index in skip:
                continue
            row = self._row(index, now)
            if with_steps:
                row = orjson.dumps({**orjson.loads(row), "_steps": self.world.steps(index, now)})
            rows.append(row)
        return rows

    def _parts(self, path: str) -> list[str] | None:
        segments = path.split("/")
        if (
            len(segments) < 5
            or segments[1] != "projects"
            or segments[3:5] != ["task-history", "workflow-executions"]
        ):
            return None
        return [part for part in segments[5:] if part]

    def _admit(self, request: HttpRequest) -> None:
        state = self._state
        if state.is_revoked or request.headers.get("authorization") != f"Bearer {self.api_key}":
            raise Refused(401, "Unauthorized")
        if request.path.split("/")[2:3] != [self.project_id]:
            raise Refused(int(state.switches["wrong_project"]), "Forbidden resource")

    def _list(self, request: HttpRequest) -> bytes:
        switches, query = self._state.switches, request.query
        now = self._state.clock.now_ms()
        offset = self._offset(query.get("offset"))
        order = query.get("sortBy", "DESC")
        if order not in ("ASC", "DESC"):
            raise Refused(400, "Invalid value for parameter: sortBy")
        self._change(now)
        after, before = self._instant(query, "afterDate"), self._instant(query, "beforeDate")
        low_ms = -NEVER if after is None else after + (switches["after"] == "exclusive")
        high_ms = NEVER if before is None else before + (switches["before"] == "inclusive")
        found = self._select(query, low_ms, high_ms, now)
        size = PAGE
        if switches["short_pages"]:
            size = 60 + random.Random(f"{offset}/{found.total}").randrange(41)
        is_descending = order == "DESC" or switches["ignore_sort"]
        start, end = min(offset, found.total), min(offset + size, found.total)
        if is_descending:
            numbers = list(reversed(found.at(found.total - end, found.total - start)))
        else:
            numbers = list(found.at(start, end))
        if switches["ties"] == "unstable":
            numbers = self._swapped(found, start, end, is_descending=is_descending)
        rows = [self._row(index, now) for index in numbers]
        return self._envelope(rows, request, offset + len(rows), found.total, more=end < found.total)

    def _change(self, now: int) -> None:
        """Changes the world between two pages of a list, where a switch says so."""
        switches, world = self._state.switches, self.world
        if switches["purge_while_paging"]:
            low, high, hidden = world.shown(-NEVER, NEVER, now)
            left = [index for index in range(low, min(high, low + 200)) if index not in set(hidden)]
            world.gone.update(left[: int(switches["purge_while_paging"])])
        number = int(switches["insert_late_while_paging"])
        if number:
            for index in sorted(world.held_back)[:number]:
                world.held_back.discard(index)

    def hold_back(self, number: int) -> None:
        """Hides that many executions, spread over all, until paging lets them go."""
        step = max(1, len(self.world) // (number + 1))
        self.world.held_back.update(range(step, min(len(self.world), step * number + 1), step))

    def _select(self, query: Mapping[str, str], low_ms: int, high_ms: int, now: int) -> _Found:
        world, switches = self.world, self._state.switches
        low, high, hidden = world.shown(low_ms, high_ms, now)
        filters = {
            name: query[name] for name in ("userId", "workflowId", "integration", "status") if name in query
        }
        if filters.get("status") and switches["status_filter"] == "refused":
            raise Refused(400, "Invalid value for parameter: status")
        if filters.get("integration") and switches["integration_filter"] == "refused":
            raise Refused(400, "Invalid value for parameter: integration")
        if filters.get("integration") and switches["integration_filter"] == "forbidden":
            raise Refused(403, "This plan does not list executions by integration")
        if switches["status_filter"] == "ignored":
            filters.pop("status", None)
        if switches["integration_filter"] == "ignored":
            filters.pop("integration", None)
        if not filters:
            return _Found(high - low - len(hidden), partial(window_without, low, hidden))
        skip = set(hidden)
        chosen = [index for index in self._candidates(filters, low, high, now) if index not in skip]
        return _Found(len(chosen), lambda start, end: chosen[start:end])

    def _candidates(self, filters: Mapping[str, str], low: int, high: int, now: int) -> Sequence[int]:
        world = self.world
        wanted = filters.get("status")
        if wanted in ("EXECUTING", "DELAYED", "QUEUED"):
            numbers: Sequence[int] = list(world.open_numbers(low, high, now))
        else:
            numbers = range(low, high)
        for name, of in (
            ("workflowId", self._workflow_id),
            ("integration", self._integration),
            ("userId", self._user),
        ):
            if name in filters:
                known = self._numbers(name, filters[name], of)
                if isinstance(numbers, range):
                    numbers = known[bisect_left(known, low) : bisect_left(known, high)]
                else:
                    numbers = [index for index in numbers if of(index) == filters[name]]
        if wanted is not None:
            numbers = [index for index in numbers if self._status(index, now) == wanted]
        return numbers

    def _numbers(self, name: str, value: str, of: Callable[[int], str | None]) -> list[int]:
        if (name, value) not in self._by:
            self._by[(name, value)] = [index for index in range(len(self.world)) if of(index) == value]
        return self._by[(name, value)]

    def _workflow_id(self, index: int) -> str:
        return self.world.workflow_ids[self.world.workflow(index)]

    def _integration(self, index: int) -> str:
        return self.world.integration(self.world.workflow(index))

    def _user(self, index: int) -> str | None:
        return self.world.user(index)

    def _status(self, index: int, now: int) -> str:
        if self._state.switches["extra_statuses"] and self.world.starts[index] > now - 30_000:
            return "QUEUED" if self.world.is_open(index, now) else self.world.status(index, now)
        return self.world.status(index, now)

    def _swapped(self, found: _Found, start: int, end: int, *, is_descending: bool) -> list[int]:
        """The positions with those of one millisecond in another order on every request."""
        if is_descending:
            start, end = found.total - end, found.total - start
        world = self.world
        low, high = max(0, start - 300), min(found.total, end + 300)
        numbers = list(found.at(low, high))
        keyed = [(world.starts[index], self._state.random.random(), index) for index in numbers]
        # Groups that reach beyond what was looked at stay as they are.
        keyed.sort()
        part = [index for _, _, index in keyed][start - low : end - low]
        return part[::-1] if is_descending else part

    def _row(self, index: int, now: int) -> bytes:
        cached = self._rows[index]
        world = self.world
        if cached is not None and now >= world.ends[index]:
            return cached
        if now < world.ends[index] or self._state.switches["extra_fields"]:
            return orjson.dumps(self._fields(index, now))
        # The hot path: the same text as of the fields, written at once.
        start, end = world.starts[index], world.ends[index]
        made = (
            f'{{"id":"{world.identity(index)}","userId":{self._users[world.user(index)]},'
            f'"taskCount":{world.tasks(index)},"runDuration":{end - start},'
            f'"workflowId":"{self._workflow_id(index)}","status":"{world.status(index, end)}",'
            f'"dateEnded":"{iso(end)}","dateStarted":"{iso(start)}"}}'
        ).encode()
        self._rows[index] = made
        return made

    def _fields(self, index: int, now: int) -> dict[str, Any]:
        world, switches = self.world, self._state.switches
        row: dict[str, Any] = {"id": world.identity(index), "userId": world.user(index)}
        is_open = world.is_open(index, now)
        took = world.ends[index] - world.starts[index]
        if not is_open:
            row |= {"taskCount": world.tasks(index), "runDuration": took}
        elif switches["open_rows"] == "null":
            row |= {"taskCount": None, "runDuration": None}
        row["workflowId"] = self._workflow_id(index)
        row["status"] = self._status(index, now)
        if not is_open:
            row["dateEnded"] = iso(world.ends[index])
        elif switches["open_rows"] == "null":
            row["dateEnded"] = None
        row["dateStarted"] = iso(world.starts[index])
        if switches["extra_fields"]:
            row |= {
                "integration": self._integration(index),
                "attempt": 1 + index % 3,
                "tags": ["a", {"b": index % 7}],
                "costUnits": index / 8,
                "billedTo": str(10**20 + index),
            }
        return row

    def _refuse(self, identity: str) -> None:
        """Raises Refused where the switches say that single reads of the id are refused."""
        status = self._state.single_status(identity)
        if status is not None:
            raise Refused(status, "Internal server error" if status == 500 else "Forbidden resource")

    def _execution(self, identity: str) -> dict[str, Any]:
        self._refuse(identity)
        index, now = self._shown(identity)
        share = self._state.switches["detail_404_share"]
        if share and random.Random(identity).random() < share:
            raise Refused(404, "Workflow execution not found")
        row = self._fields(index, now)
        if index in self.world.unstarted:
            return {
                "id": identity,
                "userId": row["userId"],
                "workflowId": row["workflowId"],
                "status": "QUEUED",
            }
        if row.get("runDuration") is not None:
            row["runDuration"] = round(row["runDuration"] / 1000)
        return {**row, "stepExecutions": self.world.steps(index, now)}

    def _payload(self, identity: str, step_id: str) -> dict[str, Any]:
        self._refuse(step_id)
        index, now = self._shown(identity)
        steps = self.world.steps(index, now)
        step = next((step for step in steps if step["id"] == step_id), None)
        if step is None or self._state.switches["payload_expired"]:
            raise Refused(404, "Step execution not found")
        return payload(
            self.world.spec.seed, index, steps.index(step), is_failed=step["status"] == "FAILED"
        ).body

    def _replay(self, identity: str) -> dict[str, Any]:
        index, now = self._shown(identity)
        is_failing = bool(self._state.switches["replay_fails"])
        if self._state.switches["replay_same_id"]:
            new = self.replays.in_place(index, now, is_failing=is_failing)
            self._rows[index] = None
        else:
            new = self.replays.anew(index, now, is_failing=is_failing)
            self._rows.insert(new, None)
            self._by.clear()
        row = self._fields(new, now)
        return {name: row[name] for name in ("id", "userId", "workflowId", "status", "dateStarted")}

    def _shown(self, identity: str) -> tuple[int, int]:
        now = self._state.clock.now_ms()
        index = self.world.number(identity)
        if index is None or not self.world.is_shown(index, now) or index in self.world.held_back:
            raise Refused(404, "Workflow execution not found")
        return index, now

    def _offset(self, text: str | None) -> int:
        try:
            offset = int(text or 0)
        except ValueError:
            raise Refused(400, "Invalid value for parameter: offset") from None
        deepest = self._state.switches["max_offset"]
        if offset < 0 or (deepest is not None and offset > int(deepest)):
            raise Refused(400, "Invalid value for parameter: offset")
        return offset

    def _instant(self, query: Mapping[str, str], name: str) -> int | None:
        if name not in query:
            return None
        try:
            return parse(query[name])
        except ValueError:
            raise Refused(400, f"Invalid value for parameter: {name}") from None

    def _envelope(
        self, rows: list[bytes], request: HttpRequest, offset: int, total: int, *, more: bool
    ) -> bytes:
        switches = self._state.switches
        body = b"[" + b",".join(rows) + b"]"
        if switches["envelope"] == "list":
            return body
        parts = [b'{"%s":%s' % (str(switches["envelope"]).encode(), body)]
        link = self._link(request, offset) if more else None
        form = switches["next_link"]
        if form == "absent" or (link is None and form == "null_absent"):
            pass
        elif link is None and form == "empty":
            parts.append(b'"nextLink":""')
        else:
            parts.append(b'"nextLink":' + orjson.dumps(link))
        if switches["total"] == "present" or (switches["total"] == "moving" and not total):
            parts.append(b'"total":%d' % total)
        elif switches["total"] == "moving":
            parts.append(b'"total":%d' % (total + self._state.random.randrange(3)))
        return b",".join(parts) + b"}"

    def _link(self, request: HttpRequest, offset: int) -> str:
        """Filters are echoed as they came in, decoded, and the order is always named ASC."""
        switches = self._state.switches
        query = {
            name: value for name, value in request.query.items() if name in _FILTERS and name != "offset"
        }
        if "sortBy" not in query:
            query["sortBy"] = "ASC" if switches["sort_quirk"] else "DESC"
        query["offset"] = str(offset)
        words = "&".join(f"{name}={value}" for name, value in query.items())
        form = switches["next_link"]
        if form == "relative":
            return f"/workflow-executions?offset={offset}"
        host = self.origin if form == "same" else self.evil
        return f"{host}{quote(request.path)}?{words}"


API = Paragon
