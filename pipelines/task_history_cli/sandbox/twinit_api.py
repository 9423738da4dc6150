"""Twinit's workflow service over a sandbox's world, with a switch for everything that its documentation leaves open.

https://twinit.dev/docs/apis/rest/workflowsvc/workflows
"""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson

from . import odd_rows
from .api_base import JSON, ApiBase
from .paragon_world import NEVER
from .server import HttpRequest, HttpResponse, Refused

_ROOT = "/workflowsvc/api/v1/"
SWITCHES: dict[str, Any] = {
    "order": "newest",  # oldest, any, days, random
    "empty_from": 0,
    "total": "right",  # more, absent
    "sort": "ignored",  # heeded, refused
    "envelope": True,
    "page_cap": 100,
    "size_name": "both",  # _count, _pageSize
    "path": "plural",  # singular
    "tasks": "embedded",  # nested
    "session": "plain",  # within: an answer of 200 holds the 401
    "token_life_s": 3_600,
    "token_says_life": True,
    "missing": 404,  # 403, 500
    "lines": 3,
    "logs": "json",  # text, prose (text without times), empty
    "failing": "",  # ids, by commas: single reads of them are answered with 500
    "forbidden": "",  # ids: with 403
    "insert_late_while_paging": 0,
    "too_many": "seconds",  # date, none
    "date_header": True,
    **odd_rows.SWITCHES,
    "error_style": "house",  # html
}
_ENDED = ("COMPLETED", "FAILED", "TERMINATED")


class Twinit(ApiBase):
    """One environment with two namespaces; some runs are in both."""

    name = "twinit"
    switches = SWITCHES
    read_once = ("run", "loop_tasks", "logs")
    access_key, secret_key, application_id = (
        "sandbox-access-0123",
        "sandbox-secret-" + "aa11bb22cc33",
        "app-1",
    )
    namespaces = ("Alpha_w3MFXx7h", "Beta_9kQqLm2z")

    @property
    def client_settings(self) -> dict[str, str]:
        return {
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "application_id": self.application_id,
            "namespaces": json.dumps(self.namespaces),
        }

    def refused(self, status: int, message: str) -> HttpResponse:
        switches = self._state.switches
        if switches["error_style"] == "html":
            return HttpResponse(status, b"<html><body>error</body></html>", {"Content-Type": "text/html"})
        if status == 401 and switches["session"] == "within":
            return HttpResponse(200, orjson.dumps({"errorResult": {"status": 401, "message": message}}), JSON)
        return HttpResponse(status, orjson.dumps({"_code": str(status), "_message": message}), JSON)

    def once(self, request: HttpRequest, kind: str) -> str | None:
        # Within an answer of 200 there may be a refusal.
        return super().once(request, kind) if self.is_let_in(request) else None

    def kind(self, request: HttpRequest) -> str:
        if request.path == "/passportsvc/api/v1/auth/token":
            return "token"
        match request.path.removeprefix(_ROOT).split("/"):
            case ["workflowdefs"]:
                return "definitions"
            case ["workflows"]:
                return "list"
            case ["workflows", _]:
                return "run"
            case ["workflows" | "workflow", _, "tasks" | "task", _, "loopovertasks"]:
                return "loop_tasks"
            case ["workflows", _, "tasks", _, "logs"]:
                return "logs"
            case ["workflows" | "workflow", _, "userinput", _]:
                return "answer" if request.method == "POST" else "other"
        return "other"

    def spaces(self, index: int) -> list[str]:
        """The namespaces of a run."""
        return list(self.namespaces) if index % 10 == 0 else [self.namespaces[index % 2]]

    def row(self, index: int, now: int) -> dict[str, Any]:
        world = self.world
        is_open = world.is_open(index, now)
        return {
            "_id": world.identity(index),
            "_workflowDefId": world.workflow_ids[world.workflow(index)],
            "_name": f"run {index}",
            "_namespaces": self.spaces(index),
            "_userType": "iaq",
            "_tasks": [] if self._state.switches["tasks"] == "absent" else self.children(index, now),
            "_result": None if is_open else {"ok": True, "password": f"hunter2-{index}-secret"},
            "_timeoutSeconds": None,
            "_timeoutPolicy": None,
            "_status": "RUNNING" if is_open else _ENDED[world.finals[index]],
            "_createdAt": self.fine(index, world.starts[index]),
            "_updatedAt": self.fine(index, world.starts[index] if is_open else world.ends[index]),
        }

    def children(self, index: int, now: int) -> list[dict[str, Any]]:
        """The tasks, without those of loops."""
        world = self.world
        is_failed = world.finals[index] == 1 and not world.is_open(index, now)
        first = self._task(index, "a", "REST_CONNECTOR", "COMPLETED", 1)
        last = self._task(index, "b", "SCRIPT_EXECUTION", "FAILED" if is_failed else "COMPLETED", 3)
        tasks = [first, last]
        if index % 3 == 0:
            tasks.insert(1, self._task(index, "c", "DO_WHILE", "COMPLETED", 2))
        if world.is_open(index, now):
            tasks.append(self._task(index, "u", "USER_INPUT", "IN_PROGRESS", 4))
        if self._state.switches["tasks"] == "nested":
            return [
                {**self._task(index, "f", "FORK_JOIN", "COMPLETED", 0), "_forkTasks": [[first], tasks[1:]]}
            ]
        return tasks

    def _task(self, index: int, mark: str, kind: str, status: str, place: int) -> dict[str, Any]:
        return {
            "_id": f"{self.world.identity(index)}-{mark}",
            "_name": None if place == 3 else f"task_{place}",
            "_type": kind,
            "_sequenceno": place,
            "_status": status,
            "_inputParams": {
                "_url": "https://reqres.in",
                "_auth": {"_type": "Basic", "_password": f"hunter2-{index}-in"},
            },
            "_result": {"data": {}},
        }

    def _answered(self, request: HttpRequest, kind: str) -> HttpResponse:
        if kind == "token":
            return self._token(request)
        if not self.is_let_in(request):
            raise Refused(401, "session expired")
        namespace = request.query.get("nsfilter")
        if namespace not in self.namespaces:
            raise Refused(400 if not namespace else 403, "nsfilter is no namespace of yours")
        words = request.path.removeprefix(_ROOT).split("/")
        now = self.now()
        if kind == "definitions":
            data: Any = self._paged(
                [self._definition(index) for index in range(len(self.world.workflow_ids))], request
            )
        elif kind == "list":
            data = self._list(request, str(namespace), now)
        elif kind == "run":
            data = self.row(self._found(words[1]), now)
        elif kind == "logs" and self._state.switches["logs"] != "json":
            return HttpResponse(200, self._text_log(self._found(words[1])), {"Content-Type": "text/plain"})
        elif kind in ("loop_tasks", "logs", "answer"):
            data = self._of_task(request, kind, words)
        else:
            raise Refused(404, "no such endpoint")
        return HttpResponse(200, orjson.dumps(data), JSON)

    def _of_task(self, request: HttpRequest, kind: str, words: list[str]) -> Any:
        if kind == "loop_tasks":
            if (words[0] == "workflow") != (self._state.switches["path"] == "singular"):
                raise Refused(404, "no such endpoint")
            index = self._found(words[1])
            loops = [self._task(index, f"c{n}", "REST_CONNECTOR", "COMPLETED", 1) for n in range(index % 4)]
            return self._paged(loops if words[3].endswith("-c") else [], request)
        if kind == "logs":
            return self._paged(self._lines(self._found(words[1])), request)
        self._found(words[1])
        self._state.posts[words[3]] += 1
        if not isinstance(orjson.loads(request.body or b"{}").get("_userInput"), dict):
            raise Refused(400, "_userInput is missing")
        return {"message": "Task updated successfully"}

    def _token(self, request: HttpRequest) -> HttpResponse:
        pair = base64.b64encode(f"{self.access_key}:{self.secret_key}".encode()).decode()
        is_right = request.headers.get("authorization") == f"Basic {pair}"
        if request.method != "POST" or not is_right or self._state.is_revoked:
            return HttpResponse(401, b'{"_code":"401","_message":"bad access key"}', JSON)
        if request.query.get("appId") != self.application_id:
            return HttpResponse(404, b'{"_code":"404","_message":"no such application"}', JSON)
        token, life_s = self.token()
        response: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if self._state.switches["token_says_life"]:
            response["expires_in"] = life_s
        return HttpResponse(200, orjson.dumps(response), JSON)

    def _found(self, identity: str) -> int:
        self.admit(identity)
        try:
            return self.find(identity)
        except Refused:
            raise Refused(int(self._state.switches["missing"]), "Workflow not found") from None

    def _definition(self, index: int) -> dict[str, Any]:
        return {
            "_id": self.world.workflow_ids[index],
            "_name": f"definition {index}",
            "_description": "Publishes.",
            "_namespaces": [self.namespaces[index % 2]],
            "_userType": "publish",
            "_taskDefs": [{"_type": "MQTT_PUBLISH", "_inputParams": {"_password": "hush-hush-99"}}],
            "_createdAt": "2025-08-15T21:18:38.295172Z",
            "_updatedAt": "2025-08-15T21:18:38.295177Z",
            "_timeoutSeconds": 20,
        }

    def _list(self, request: HttpRequest, namespace: str, now: int) -> Any:
        switches = self._state.switches
        if "sort" in request.query and switches["sort"] == "refused":
            raise Refused(400, "unknown parameter sort")
        self.moved()
        numbers = [index for index in self.shown(-NEVER, NEVER) if namespace in self.spaces(index)]
        is_sorted = "sort" in request.query and switches["sort"] == "heeded"
        ordered = numbers[::-1] if is_sorted else self.ordered(numbers)
        return self._paged([(self, index, now) for index in ordered], request)

    def _lines(self, index: int) -> list[dict[str, Any]]:
        line = {"timestamp": "2026-03-10 17:26:08", "level": "INFO"}
        secret = f'headers: {{"x-api-key": "hunter2-{index}-log0123456789"}}\nsecond line'
        count = int(self._state.switches["lines"])
        return [{**line, "message": secret if place == 1 else f"line {place}"} for place in range(count)]

    def _text_log(self, index: int) -> bytes:
        """The log as text, in the form that the switch ``logs`` names."""
        form, lines = self._state.switches["logs"], self._lines(index)
        if form == "empty":
            return b""
        names = ("timestamp", "level", "message") if form == "text" else ("message",)
        return "\n".join(" ".join(line[name] for name in names) for line in lines).encode()

    def _paged(self, found: list[Any], request: HttpRequest) -> Any:
        switches = self._state.switches
        names = ("_count", "_pageSize") if switches["size_name"] == "both" else (switches["size_name"],)
        given = [int(request.query[name]) for name in names if name in request.query]
        start, size = int(request.query.get("_offset", 0)), given[0] if given else 10
        part = self.page(found, start, size)
        rows = [one[0].row(one[1], one[2]) if isinstance(one, tuple) else one for one in part]
        if not switches["envelope"]:
            return rows
        total = len(found) + 7 * (switches["total"] == "more")
        counted = {} if switches["total"] == "absent" else {"_total": total}
        return {"_offset": start, "_pageSize": size, **counted, "_list": rows}


API = Twinit
