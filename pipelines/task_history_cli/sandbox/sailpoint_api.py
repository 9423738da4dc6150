"""SailPoint's workflow API over a sandbox's world, with a switch for everything that its documentation leaves open.

https://developer.sailpoint.com/docs/api/v2025/workflows
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import orjson

from . import odd_rows
from .api_base import JSON, ApiBase
from .paragon_world import NEVER, parse
from .server import HttpRequest, HttpResponse, Refused

PAGE = 250
SWITCHES: dict[str, Any] = {
    "order": "newest",  # oldest, any, days, random
    "empty_from": 0,
    "count": "ignored",  # given, refused
    "limit": "heeded",  # ignored
    "offset": "heeded",  # ignored
    "page_cap": PAGE,
    "running": "Executing",  # Running
    "queued": True,  # in the first seconds
    "open_close_time": "null",  # absent
    "filter_name": "start_time",  # startTime, none
    "filter_quotes": "any",  # without, with
    "single": "object",  # list, forbidden
    "history_v2": "list",  # object, absent, null
    "token_life_s": 749,
    "token_says_life": True,
    "forbidden_workflows": 0,
    "deleted_workflows": 0,
    "slow_workflows": 0,
    "slow_s": 2.0,
    "busy_history": False,  # more than a page of events
    "extra_fields": False,
    "failing": "",  # ids, by commas: single reads of them are answered with 500
    "forbidden": "",  # ids: with 403
    "insert_late_while_paging": 0,
    "too_many": "seconds",  # date, none
    "date_header": True,
    **odd_rows.SWITCHES,
    "error_style": "house",  # html
}
_PATHS = (
    re.compile(
        r"/(?P<version>beta|v3|v2024|v2025|v2026)/(?P<service>workflows|workflow-executions)(?P<rest>/.*)?"
    ),
    re.compile(r"/(?P<service>workflows|workflow-executions)/(?P<version>v1)(?P<rest>/.*)?"),
)
_COMPARED = re.compile(r"(\w+) (eq|lt|le|gt|ge) (\"(?:[^\"\\]|\\.)*\"|[^\s\"]+)")
_STEPS = ("Get Identity", "Send Email", "Create Ticket", "Verify Data Type")


class SailPoint(ApiBase):
    """One tenant."""

    name = "sailpoint"
    switches = SWITCHES
    read_once = ("history",)
    client_id = "sandbox-client-0123456789"
    client_secret = "sandbox-secret-" + "fedcba9876543210"

    @property
    def client_settings(self) -> dict[str, str]:
        return {"client_id": self.client_id, "client_secret": self.client_secret}

    def refused(self, status: int, message: str) -> HttpResponse:
        if self._state.switches["error_style"] == "html":
            return HttpResponse(status, b"<html><body>error</body></html>", {"Content-Type": "text/html"})
        if status == 401:
            body: dict[str, Any] = {"error": message}
        elif status == 429:
            body = {"message": " Rate Limit Exceeded "}
        else:
            text = {"locale": "en-US", "localeOrigin": "DEFAULT", "text": message}
            body = {
                "detailCode": f"{status} error",
                "trackingId": "b21b1f7c",
                "messages": [text],
                "causes": [],
            }
        return HttpResponse(status, orjson.dumps(body), JSON)

    def kind(self, request: HttpRequest) -> str:
        if request.path == "/oauth/token":
            return "token"
        match = self._split(request.path)
        if match is None or request.method != "GET":
            return "other"
        _, service, words = match
        if service == "workflows":
            return {0: "workflows", 1: "workflow"}.get(
                len(words), "list" if words[1:] == ["executions"] else "other"
            )
        if len(words) == 2 and words[1] in ("history", "history-v2"):
            return "history"
        return "execution" if len(words) == 1 else "other"

    def row(self, index: int, now: int) -> dict[str, Any]:
        world, switches = self.world, self._state.switches
        is_open = world.is_open(index, now)
        row: dict[str, Any] = {
            "id": world.identity(index),
            "workflowId": world.workflow_ids[world.workflow(index)],
            "requestId": f"{index:032x}",
            "startTime": self.fine(index, world.starts[index]),
        }
        if not is_open:
            row["closeTime"] = self.fine(index, world.ends[index])
        elif switches["open_close_time"] == "null":
            row["closeTime"] = None
        row["status"] = ("Completed", "Failed", "Canceled")[world.finals[index]]
        if is_open:
            is_new = switches["queued"] and now - world.starts[index] < 5_000
            row["status"] = "Queued" if is_new else switches["running"]
        if switches["extra_fields"]:
            row |= {"tenantNote": "x", "attempt": 1 + index % 3}
        return row

    def children(self, index: int, now: int) -> list[dict[str, Any]]:
        """The history."""
        world = self.world
        begun, end = world.starts[index], min(world.ends[index], now)
        number = 2 + index % 3 if not self._state.switches["busy_history"] else 130
        pace = max(1, (min(end, begun + 60_000) - begun) // (number + 1))
        events: list[dict[str, Any]] = [self._event("WorkflowExecutionStarted", index, begun, {})]
        for place in range(number):
            name = _STEPS[(index + place) % len(_STEPS)]
            attributes: dict[str, Any] = {
                "displayName": name,
                "stepName": name,
                "technicalName": "sp:send-email",
            }
            is_failed = world.finals[index] == 1 and place == number - 1
            events.append(self._event("ActivityTaskScheduled", index, begun + place * pace, attributes))
            done = "ActivityTaskFailed" if is_failed else "ActivityTaskCompleted"
            if is_failed:
                attributes = {
                    **attributes,
                    "error": {"message": "no recipient", "password": f"hunter2-{index}-secret"},
                }
            events.append(self._event(done, index, begun + (place + 1) * pace, attributes))
        if not world.is_open(index, now):
            last = ("Completed", "Failed", "Canceled")[world.finals[index]]
            events.append(self._event(f"WorkflowExecution{last}", index, world.ends[index], {}))
        return events

    def _event(self, kind: str, index: int, ms: int, attributes: dict[str, Any]) -> dict[str, Any]:
        return {"type": kind, "timestamp": self.fine(index, ms), "attributes": attributes}

    def _split(self, path: str) -> tuple[str, str, list[str]] | None:
        for pattern in _PATHS:
            if match := pattern.fullmatch(path):
                words = [word for word in (match["rest"] or "").split("/") if word]
                return match["version"], match["service"], words
        return None

    def _answered(self, request: HttpRequest, kind: str) -> HttpResponse:
        if kind == "token":
            return self._token(request)
        if not self.is_let_in(request):
            raise Refused(401, "JWT validation failed: JWT is expired")
        parts = self._split(request.path)
        if parts is None or kind == "other":
            raise Refused(404, "The server did not find a current representation for the target resource.")
        version, _, words = parts
        delay_s, headers = 0.0, JSON
        if kind == "workflows":
            data: Any = self._workflows(version, request)
        elif kind == "workflow":
            data = self._workflow(self._numbered(words[0]))
        elif kind == "list":
            data, delay_s, total = self._list(words[0], request)
            is_counted = request.query.get("count") == "true" and self._state.switches["count"] == "given"
            headers = {**JSON, "X-Total-Count": str(total)} if is_counted else JSON
        elif kind == "execution":
            data = self._single(words[0])
        else:
            data = self._history(version, words, request)
        return HttpResponse(200, orjson.dumps(data), headers, delay_s=delay_s)

    def _token(self, request: HttpRequest) -> HttpResponse:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        right = {"client_id": self.client_id, "client_secret": self.client_secret}
        is_right = form == {"grant_type": "client_credentials", **right}
        if request.method != "POST" or not is_right or self._state.is_revoked:
            return HttpResponse(
                401, b'{"error":"invalid_client","error_description":"Bad client credentials"}', JSON
            )
        token, life_s = self.token()
        response: dict[str, Any] = {
            "access_token": token,
            "token_type": "bearer",
            "scope": "read",
            "tenant_id": "t",
        }
        if self._state.switches["token_says_life"]:
            response["expires_in"] = life_s
        return HttpResponse(200, orjson.dumps(response), JSON)

    def _workflows(self, version: str, request: HttpRequest) -> list[dict[str, Any]]:
        count = len(self.world.workflow_ids)
        if version in ("v3", "beta"):
            start, size = self._place(request)
            return [self._workflow(index) for index in range(count)[start : start + size]]
        if request.query:
            raise Refused(400, "This endpoint takes no parameters")
        return [self._workflow(index) for index in range(count)[:PAGE]]

    def _workflow(self, index: int) -> dict[str, Any]:
        kind = ("EVENT", "SCHEDULED", "EXTERNAL", "")[index % 4]
        return {
            "id": self.world.workflow_ids[index],
            "name": f"Workflow {index}",
            "executionCount": 2,
            "failureCount": 0,
            "created": "2022-01-10T16:06:16.636381447Z",
            "modified": "2023-12-05T15:18:27.699132301Z",
            "modifiedBy": {"type": "IDENTITY", "id": "2c91", "name": "Thomas Edison"},
            "owner": {"type": "IDENTITY", "id": "2c92", "name": "William Wilson"},
            "description": "Sends an email.",
            "definition": {
                "start": "a",
                "steps": {"a": {"type": "action", "attributes": {"apiKey": "hush-hush-99"}}},
            },
            "enabled": index % 3 > 0,
            "trigger": {"type": kind, "displayName": None, "attributes": None},
        }

    def _numbered(self, workflow_id: str) -> int:
        if workflow_id not in self.world.workflow_ids:
            raise Refused(404, "The server did not find a current representation for the target resource.")
        return self.world.workflow_ids.index(workflow_id)

    def _list(self, workflow_id: str, request: HttpRequest) -> tuple[list[dict[str, Any]], float, int]:
        """The rows of a page, how many seconds it takes, and how many rows there are."""
        switches = self._state.switches
        workflow = self._numbered(workflow_id)
        last = len(self.world.workflow_ids) - workflow
        if last <= int(switches["forbidden_workflows"]):
            raise Refused(403, "The server understood the request but refuses to authorize it.")
        if workflow < int(switches["deleted_workflows"]):
            raise Refused(404, "The server did not find a current representation for the target resource.")
        self.moved()
        start, size = self._place(request)
        low, high, fits = self._window(request.query.get("filters"))
        now = self.now()
        world = self.world
        numbers = [
            index
            for index in self.shown(low - 1, high + 1)
            if world.workflow(index) == workflow and fits(self.row(index, now))
        ]
        start = 0 if switches["offset"] == "ignored" else start
        ordered = self.ordered(numbers)
        part = ordered[start:] if switches["limit"] == "ignored" else self.page(ordered, start, size)
        delay_s = float(switches["slow_s"]) if workflow < int(switches["slow_workflows"]) else 0.0
        return [self.row(index, now) for index in part], delay_s, len(numbers)

    def _place(self, request: HttpRequest) -> tuple[int, int]:
        known = {"limit", "offset", "filters"}
        unknown = set(request.query) - (
            known if self._state.switches["count"] == "refused" else {*known, "count"}
        )
        try:
            start, size = int(request.query.get("offset") or 0), int(request.query.get("limit") or PAGE)
        except ValueError:
            raise Refused(400, "limit and offset are numbers") from None
        if unknown or start < 0 or not 0 <= size <= PAGE:
            raise Refused(400, "limit is at most 250, offset at least 0, and there are no others")
        return start, size

    def _window(self, text: str | None) -> tuple[int, int, Callable[[dict[str, Any]], bool]]:
        """From and to which millisecond, about, and what a row has to fulfil exactly."""
        switches = self._state.switches
        if text is None:
            return -NEVER, NEVER, lambda _: True
        low, high = -NEVER, NEVER
        tests: list[Callable[[dict[str, Any]], bool]] = []
        for term in text.split(" and "):
            comparison = _COMPARED.fullmatch(term.strip())
            if comparison is None:
                raise Refused(400, "This filter is not understood")
            name, sign, value = comparison.groups()
            if name == "status" and sign == "eq":
                wanted = value.strip('"').lower()
                tests.append(lambda row, wanted=wanted: str(row["status"]).lower() == wanted)  # type: ignore[misc]
                continue
            is_quoted = value.startswith('"')
            quotes = switches["filter_quotes"]
            if name != switches["filter_name"] or (quotes != "any" and is_quoted != (quotes == "with")):
                raise Refused(400, f"{name} cannot be filtered so")
            value = value.strip('"')
            ms = parse(value)
            low = max(low, ms) if sign in ("ge", "gt") else low
            high = min(high, ms) if sign in ("le", "lt") else high
            tests.append(_comparing(sign, value))
        return low, high, lambda row: all(test(row) for test in tests)

    def _single(self, identity: str) -> Any:
        form = self._state.switches["single"]
        if form == "forbidden":
            raise Refused(403, "The server understood the request but refuses to authorize it.")
        self.admit(identity)
        row = self.row(self.find(identity), self.now())
        return [row] if form == "list" else row

    def _history(self, version: str, words: list[str], request: HttpRequest) -> Any:
        switches = self._state.switches
        if words[1] == "history-v2" and (
            version in ("beta", "v3", "v2024") or switches["history_v2"] == "absent"
        ):
            raise Refused(404, "The server did not find a current representation for the target resource.")
        self.admit(words[0])
        events = self.children(self.find(words[0]), self.now())
        if words[1] == "history":
            start, size = self._place(request)
            return events[start : start + size]
        if switches["history_v2"] == "object":
            found: Any = events[-1]
        else:
            found = None if switches["history_v2"] == "null" else events
        return {"definition": {"start": "a", "steps": {}}, "history": found, "trigger": {"type": "EVENT"}}


def _comparing(sign: str, value: str) -> Callable[[dict[str, Any]], bool]:
    """Instants as texts of the same length compare as instants."""
    wanted = _long(value)
    signs: dict[str, Callable[[str], bool]] = {
        "eq": lambda got: got == wanted,
        "lt": lambda got: got < wanted,
        "le": lambda got: got <= wanted,
        "gt": lambda got: got > wanted,
        "ge": lambda got: got >= wanted,
    }
    test = signs[sign]
    return lambda row: test(_long(row["startTime"]))


def _long(text: str) -> str:
    date, _, fraction = text.rstrip("Z").partition(".")
    return f"{date}.{fraction:0<9}"


API = SailPoint
