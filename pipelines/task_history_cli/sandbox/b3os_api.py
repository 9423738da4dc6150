"""B3OS' API over a sandbox's world, with a switch for everything that its documentation leaves open.

https://docs.b3os.org/api/introduction
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from . import odd_rows
from .api_base import JSON, ApiBase
from .paragon_world import NEVER, iso
from .server import HttpRequest, HttpResponse, Refused

PAGE = 100
SWITCHES: dict[str, Any] = {
    "order": "newest",  # oldest, any, days, random
    "page_cap": PAGE,
    "empty_from": 0,
    "has_more": "right",  # always
    "empty": "null",  # list
    "code": 200,  # 0
    "times": "string",  # number
    "unset_time": "absent",  # null, empty, zero
    "partial": True,
    "empty_buckets": "omitted",  # given
    "success_rate": "percent",  # share
    "missing": 400,  # 404
    "organization": "unneeded",  # needed
    "stats": "right",  # wrong, refused, forbidden, failing
    "failing": "",  # ids, by commas: single reads of them are answered with 500
    "forbidden": "",  # ids: with 403
    "insert_late_while_paging": 0,
    "extra_fields": False,
    "too_many": "seconds",  # date, none
    "date_header": True,
    **odd_rows.SWITCHES,
    "error_style": "house",  # stale, html
}
_ENDED = ("workflow_succeeded", "workflow_failed", "workflow_cancelled")
_RUN_ENDED = ("success", "failure", "cancelled")
_SOURCES = ("shop", "crm", "cron")


class B3os(ApiBase):
    """One organization."""

    name = "b3os"
    switches = SWITCHES
    read_once = ("execution", "run")
    empty_page = b'{"code":200,"message":"success","data":{"items":[],"hasMore":false}}'
    api_key = "b3sk_" + "sandbox0123456789abcdef"
    organization_id = "org_sandbox1"

    @property
    def client_settings(self) -> dict[str, str]:
        return {"api_key": self.api_key, "organization_id": self.organization_id}

    def refused(self, status: int, message: str) -> HttpResponse:
        style = self._state.switches["error_style"]
        if style == "html":
            return HttpResponse(status, b"<html><body>error</body></html>", {"Content-Type": "text/html"})
        if style == "stale":
            body: dict[str, Any] = {"success": False, "error": {"message": message, "code": "x"}}
        else:
            body = {"code": status * 1000 + 78, "message": message, "details": [], "requestId": "req_1"}
        return HttpResponse(status, orjson.dumps(body), JSON)

    def kind(self, request: HttpRequest) -> str:
        if request.method != "GET":
            return "other"
        match request.path.strip("/").split("/"):
            case ["v1", "executions"]:
                return "list"
            case ["v1", "executions", "stats"]:
                return "stats"
            case ["v1", "executions", _]:
                return "execution"
            case ["v1", "runs"]:
                return "runs"
            case ["v1", "runs", _]:
                return "run"
        return "other"

    def row(self, index: int, now: int) -> dict[str, Any]:
        world = self.world
        is_open = world.is_open(index, now)
        status = _ENDED[world.finals[index]] if not is_open else "workflow_running"
        if self._state.switches["partial"] and not is_open and index % 17 == 0 and not world.finals[index]:
            status = "workflow_partial"
        row: dict[str, Any] = {
            "id": f"exec_{world.identity(index)}",
            "organizationId": self.organization_id,
            "workflowId": f"wf_{world.workflow(index)}",
            "runId": f"run_{world.identity(index)}",
            "sourceSystem": _SOURCES[index % 3],
            "sourceEntityType": "order",
            "sourceEntityId": str(index),
            "initiatedByType": "user" if self._person(index) else "api_key",
            "initiatedById": self._person(index),
            "status": status,
            "statusReason": "node failed" if world.finals[index] == 1 and not is_open else "",
            "requestPayload": {"sku": "A1", "password": f"hunter2-{index}-secret"},
            "responsePayload": None if is_open else {"ok": True},
            "clientSafeMetadata": {},
            **self._time("createdAt", world.starts[index]),
            **self._time("startedAt", world.starts[index] + 5),
            **self._time("finishedAt", None if is_open else world.ends[index]),
            **self._time("updatedAt", now if is_open else world.ends[index]),
        }
        return {**row, "chainId": 8453} if self._state.switches["extra_fields"] else row

    def run(self, index: int, now: int) -> dict[str, Any]:
        """The run as the list shows it."""
        world = self.world
        is_open = world.is_open(index, now)
        return {
            "id": f"run_{world.identity(index)}",
            "workflowId": f"wf_{world.workflow(index)}",
            "workflowName": "Pay order",
            "workflowVersion": 3,
            "status": "waiting" if is_open else _RUN_ENDED[world.finals[index]],
            "triggerSource": "webhook",
            # Most are triggered by the service that took the order.
            "triggeredBy": self._person(index) if index % 5 == 0 else "",
            "totalCu": 2.5,
            "isDustTest": False,
            "isSimulation": False,
            "sourceRunId": "",
            "summary": "",
            **self._time("startedAt", world.starts[index] + 5),
            **self._time("finishedAt", None if is_open else world.ends[index]),
        }

    def _person(self, index: int) -> str:
        """Who began the execution; empty where that was no person."""
        return f"user_{index * 7919 % 12:04d}" if index % 3 else ""

    def children(self, index: int, now: int) -> list[dict[str, Any]]:
        """The events."""
        world = self.world
        identity = world.identity(index)
        number = 1 + index % 3
        last = "node.failed" if world.finals[index] == 1 and not world.is_open(index, now) else "node.done"
        return [
            {
                "id": f"evt_{identity}_{place}",
                "executionId": f"exec_{identity}",
                "runId": f"run_{identity}",
                "workflowId": f"wf_{world.workflow(index)}",
                "organizationId": self.organization_id,
                "nodeId": "send",
                "requestId": "req_9",
                "eventType": last if place == number - 1 else "node.started",
                "level": "info",
                "title": "Node",
                "message": "insufficient balance",
                "data": {"apiKey": "hush-hush-99", "code": place},
                **self._time("createdAt", world.starts[index] + 10 + place),
            }
            for place in range(number)
        ]

    def _time(self, name: str, ms: int | None) -> dict[str, Any]:
        switches = self._state.switches
        if ms is not None:
            return {name: ms if switches["times"] == "number" else iso(ms)}
        form = switches["unset_time"]
        if form == "absent":
            return {}
        return {name: {"null": None, "empty": "", "zero": "0001-01-01T00:00:00Z"}[form]}

    def _answered(self, request: HttpRequest, kind: str) -> HttpResponse:
        if self._state.is_revoked or request.headers.get("authorization") != f"Bearer {self.api_key}":
            raise Refused(401, "unauthorized")
        given = request.headers.get("x-org-id")
        if given not in (None, self.organization_id) or (
            given is None and self._state.switches["organization"] == "needed"
        ):
            raise Refused(403, "no access to this organization")
        now = self.now()
        identity = request.path.rsplit("/", 1)[1]
        if kind in ("list", "runs"):
            data: Any = self._page(request, kind, now)
        elif kind == "execution":
            index = self._found(identity, "exec_")
            data = {
                "execution": self.row(index, now),
                "events": self.children(index, now) or None,
                "message": "done",
            }
        elif kind == "run":
            data = self._run(self._found(identity, "run_"), now)
        elif kind == "stats":
            data = self._stats(request, now)
        else:
            raise Refused(404, "no such endpoint")
        code = self._state.switches["code"]
        return HttpResponse(
            200, orjson.dumps({"code": code, "message": "success", "data": data, "requestId": "req_2"}), JSON
        )

    def _found(self, identity: str, prefix: str) -> int:
        self.admit(identity)
        try:
            if not identity.startswith(prefix):
                raise Refused(404, "not found")
            return self.find(identity.removeprefix(prefix))
        except Refused:
            raise Refused(int(self._state.switches["missing"]), "execution not found") from None

    def _page(self, request: HttpRequest, kind: str, now: int) -> dict[str, Any]:
        if set(request.query) - {"limit", "offset", *(("status",) if kind == "runs" else ())}:
            raise Refused(400, "there is no such parameter")
        try:
            size, start = int(request.query.get("limit", 20)), int(request.query.get("offset", 0))
        except ValueError:
            raise Refused(400, "limit and offset are numbers") from None
        if not 0 < size <= PAGE or start < 0:
            raise Refused(400, "limit is at most 100")
        self.moved()
        numbers = self.ordered(self.shown(-NEVER, NEVER))
        made = self.row if kind == "list" else self.run
        rows = [made(index, now) for index in self.page(numbers, start, size)]
        switches = self._state.switches
        is_more = start + len(rows) < len(numbers) or switches["has_more"] == "always"
        items = rows if rows or switches["empty"] == "list" else None
        return {"items": items, "limit": size, "offset": start, "hasMore": is_more}

    def _run(self, index: int, now: int) -> dict[str, Any]:
        world = self.world
        failed = world.finals[index] == 1 and not world.is_open(index, now)
        inner = {
            "log": {"type": "log", "status": "success", **self._time("startedAt", world.starts[index] + 20)}
        }
        state: dict[str, Any] = {
            "root": {"type": "webhook", "status": "success", "result": {"body": {"amount": "42.00"}}},
            "loop": {"type": "for-each", "status": "success", "iterations": [inner] * (index % 3)},
            "send": {
                "type": "send-token",
                "status": "failure" if failed else "success",
                "input": {"to": "0x0", "pin": f"hunter2-{index}-pin"},
                "secretKeys": ["pin"],
                "context": {"storage": {"token": "hush-hush-99"}},
                "result": {"error": "insufficient balance"} if failed else {"ok": True},
                **self._time("startedAt", world.starts[index] + 30),
                **self._time("finishedAt", None if world.is_open(index, now) else world.ends[index]),
            },
        }
        definition = {"nodes": {"root": {"type": "webhook", "payload": {}, "children": ["loop", "send"]}}}
        return {
            **self.run(index, now),
            "organizationId": self.organization_id,
            "executionState": state,
            "workflowDefinition": definition,
        }

    def _stats(self, request: HttpRequest, now: int) -> dict[str, Any]:
        switches = self._state.switches
        if switches["stats"] in ("forbidden", "failing"):
            raise Refused(403 if switches["stats"] == "forbidden" else 500, "statistics are not for you")
        width = {"hourly": 3_600_000, "daily": 86_400_000}.get(request.query.get("granularity", ""))
        if (
            set(request.query) != {"from", "to", "granularity"}
            or width is None
            or switches["stats"] == "refused"
        ):
            raise Refused(400, "invalid granularity")
        low, high = int(request.query["from"]), int(request.query["to"])
        buckets: dict[int, dict[str, int]] = {}
        statuses: dict[str, int] = {}
        sources: dict[str, dict[str, int]] = {}
        failures = []
        for index in self.shown(low, high):
            row = self.row(index, now)
            statuses[row["status"]] = statuses.get(row["status"], 0) + 1
            start = self.world.starts[index] // width * width
            for found in (buckets.setdefault(start, {}), sources.setdefault(row["sourceSystem"], {})):
                for name in ("total", _word(row["status"])):
                    found[name] = found.get(name, 0) + 1
            if row["status"] == "workflow_failed":
                names = (
                    "runId",
                    "workflowId",
                    "sourceSystem",
                    "status",
                    "statusReason",
                    "createdAt",
                    "finishedAt",
                )
                failures.append(
                    {"executionId": row["id"], **{name: row[name] for name in names if name in row}}
                )
        if switches["stats"] == "wrong" and buckets:
            buckets[min(buckets)]["total"] += 1
        if switches["empty_buckets"] == "given":
            for start in range(low // width * width, high, width):
                buckets.setdefault(start, {})
        ended = {name: sum(found.get(name, 0) for found in buckets.values()) for name in self._words()}
        total, terminal = sum(found.get("total", 0) for found in buckets.values()), sum(ended.values())
        scale = 100 if switches["success_rate"] == "percent" else 1
        summary = {
            "total": total,
            "terminal": terminal,
            "inProgress": total - terminal,
            **ended,
            "successRate": scale * ended["succeeded"] / terminal if terminal else 0,
            "averageDurationMs": 5321.5,
        }
        series = [
            {"bucketStart": _rfc(start), **self._counted(found)} for start, found in sorted(buckets.items())
        ]
        return {
            "granularity": request.query["granularity"],
            "summary": summary,
            "statuses": [{"status": name, "count": number} for name, number in statuses.items()] or None,
            "sourceSystems": [
                {"sourceSystem": name, **self._counted(found)} for name, found in sources.items()
            ]
            or None,
            "timeSeries": series or None,
            "recentFailures": failures[-5:] or None,
        }

    def _words(self) -> tuple[str, ...]:
        words = ("succeeded", "failed", "cancelled")
        return (*words, "partial") if self._state.switches["partial"] else words

    def _counted(self, found: dict[str, int]) -> dict[str, int]:
        return {name: found.get(name, 0) for name in ("total", *self._words())}


def _word(status: str) -> str:
    word = status.removeprefix("workflow_")
    return word if word in ("succeeded", "failed", "cancelled", "partial") else "inProgress"


def _rfc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


API = B3os
