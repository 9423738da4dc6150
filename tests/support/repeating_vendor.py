"""A vendor, any of the four, whose steps have ids that are unique neither in the account nor in an execution."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

EXECUTIONS = 5
ITERATIONS = 3
"""How often a loop runs: each of its iterations has a step of the same id."""
STEPS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "paragon": (("step_executions", "type", 1 + ITERATIONS), ("step_payloads", "input", 2)),
    "sailpoint": (("execution_events", "error", 1 + ITERATIONS),),
    "twinit": (("tasks", "result", 2 + ITERATIONS), ("task_logs", "message", 6)),
    "b3os": (("execution_events", "message", 1 + ITERATIONS), ("run_nodes", "result", 1 + ITERATIONS)),
}
"""The tables of steps of each system, the column that tells what a row is, and how many rows an execution has there."""
SETTINGS: dict[str, dict[str, Any]] = {
    "paragon": {"project_id": "p", "api_key": "k", "integrations": None, "payloads": "all"},
    "sailpoint": {"tenant": "acme", "client_id": "c", "client_secret": "s"},
    "twinit": {"token": "t", "namespaces": ["A_1"]},
    "b3os": {"api_key": "b3sk_k", "organization_id": "o"},
}


NOW = datetime(2026, 3, 3, tzinfo=UTC)
"""The vendor's clock when a test begins."""
BEGAN = NOW - timedelta(days=2)
"""When the oldest execution began."""


class RepeatingVendor:
    """The answers."""

    def __init__(self, system: str) -> None:
        self.system = system
        self.url = ""
        self.now = NOW
        self.gone: set[str] = set()
        """Executions that can no longer be read singly."""
        self.reads: list[str] = []
        """The executions of all single reads."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that reach it."""
        own = {"base_url": self.url, "start_date": "2026-02-28", "retention_days": 0}
        return {**SETTINGS[self.system], **own}

    def answer(self, path: str, params: Mapping[str, str]) -> Any:
        """The answer as JSON; None for 404."""
        return getattr(self, f"_{self.system}")(path.strip("/").split("/"), params)

    def _starts(self) -> list[tuple[str, str]]:
        return [
            (f"x{at}", f"{BEGAN + timedelta(hours=at):%Y-%m-%dT%H:%M:%S.000Z}") for at in range(EXECUTIONS)
        ]

    def _start(self, identity: str) -> str | None:
        self.reads.append(identity)
        return None if identity in self.gone else dict(self._starts()).get(identity)

    def _paragon(self, path: list[str], params: Mapping[str, str]) -> Any:
        if len(path) == 4:
            after, before = params.get("afterDate", ""), params.get("beforeDate", "~")
            rows = [self._execution(*one) for one in self._starts() if after < one[1] < before]
            return {"workflowExecutions": rows, "nextLink": None, "total": len(rows)}
        start = self._start(path[4])
        if start is None:
            return None
        if len(path) > 5:
            return {"input": f"{path[4]} {path[6]}", "output": None}
        ids = ["first", *["again"] * ITERATIONS]
        steps = [
            {"id": identity, "stepId": identity, "status": "SUCCEEDED", "start": start, "end": start}
            | {"type": f"{path[4]} {at}"}
            for at, identity in enumerate(ids)
        ]
        return {**self._execution(path[4], start), "stepExecutions": steps}

    def _execution(self, identity: str, start: str) -> dict[str, Any]:
        ended = {"dateStarted": start, "dateEnded": start, "taskCount": 1, "runDuration": 0}
        return {"id": identity, "userId": "u", "workflowId": "w", "status": "SUCCEEDED", **ended}

    def _sailpoint(self, path: list[str], params: Mapping[str, str]) -> Any:
        if path[0] == "oauth":
            return {"access_token": "t", "expires_in": 3600}
        if path[1] == "workflows":
            if len(path) == 2:
                return [{"id": "w", "name": "W"}]
            rows = [self._completed(*one) for one in self._starts()]
            if words := params.get("filters", "").split('"')[1::2]:
                rows = [row for row in rows if words[0] <= row["startTime"] < words[1]]
            return rows[int(params.get("offset", "0")) :]
        start = self._start(path[2])
        if start is None or path[-1] == "history-v2":
            return None
        if len(path) == 3:
            return self._completed(path[2], start)
        return [
            {"id": "event", "type": "ActivityTaskFailed", "timestamp": start}
            | {"attributes": {"stepName": "again", "error": f"{path[2]} {at}"}}
            for at in range(1 + ITERATIONS)
        ]

    def _completed(self, identity: str, start: str) -> dict[str, Any]:
        return {
            "id": identity,
            "workflowId": "w",
            "startTime": start,
            "closeTime": start,
            "status": "Completed",
        }

    def _twinit(self, path: list[str], params: Mapping[str, str]) -> Any:
        path = path[3:]
        if path == ["workflowdefs"]:
            return self._list([])
        if path == ["workflows"]:
            rows = [self._run(*one) for one in reversed(self._starts())]
            return self._list(rows[int(params["_offset"]) :], int(params["_offset"]), len(rows))
        start = self._start(path[1])
        if start is None:
            return None
        if len(path) == 2:
            loop = {"_id": "loop", "_type": "DO_WHILE", "_status": "COMPLETED", "_result": f"{path[1]} loop"}
            return {**self._run(path[1], start), "_tasks": [self._task("first", f"{path[1]} first"), loop]}
        if path[4] == "logs":
            lines = [f"{path[1]} {path[3]} {at}" for at in range(2)]
            when = start.replace("T", " ")[:19]
            return self._list([{"timestamp": when, "level": "INFO", "message": line} for line in lines])
        return self._list([self._task("again", f"{path[1]} {at}") for at in range(ITERATIONS)])

    @staticmethod
    def _list(rows: list[Any], offset: int = 0, total: int | None = None) -> dict[str, Any]:
        return {
            "_offset": offset,
            "_pageSize": 100,
            "_total": len(rows) if total is None else total,
            "_list": rows,
        }

    @staticmethod
    def _task(identity: str, result: str) -> dict[str, Any]:
        return {
            "_id": identity,
            "_name": identity,
            "_type": "SCRIPT",
            "_status": "COMPLETED",
            "_result": result,
        }

    @staticmethod
    def _run(identity: str, start: str) -> dict[str, Any]:
        times = {"_createdAt": start, "_updatedAt": start}
        return {
            "_id": identity,
            "_namespaces": ["A_1"],
            "_status": "COMPLETED",
            "_workflowDefId": "d",
            **times,
        }

    def _b3os(self, path: list[str], params: Mapping[str, str]) -> Any:
        if path[-1] == "stats":
            return {"code": 200, "data": {"granularity": "hourly", "timeSeries": []}}
        of_runs = path[1] == "runs"
        if len(path) == 2:
            rows = [self._of_b3os(*one, of_runs=of_runs) for one in reversed(self._starts())]
            offset = int(params.get("offset", "0"))
            page = {"items": rows[offset:], "limit": 100, "offset": offset, "hasMore": False}
            return {"code": 200, "data": page}
        start = self._start(path[2])
        if start is None:
            return None
        row = self._of_b3os(path[2], start, of_runs=of_runs)
        if of_runs:
            inner = [
                {"again": {"status": "success", "result": f"{path[2]} {at}"}} for at in range(ITERATIONS)
            ]
            state = {
                "loop": {"type": "for-each", "status": "success", "iterations": inner, "result": path[2]}
            }
            return {"code": 200, "data": {**row, "executionState": state}}
        events = [
            {"id": "event", "eventType": "node.done", "message": f"{path[2]} {at}", "createdAt": start}
            for at in range(1 + ITERATIONS)
        ]
        return {"code": 200, "data": {"execution": row, "events": events, "message": ""}}

    @staticmethod
    def _of_b3os(identity: str, start: str, *, of_runs: bool) -> dict[str, Any]:
        row = {"id": identity, "workflowId": "w", "startedAt": start, "finishedAt": start}
        if of_runs:
            return {**row, "status": "success"}
        return {**row, "runId": identity, "status": "workflow_succeeded", "createdAt": start}


@contextmanager
def serving(system: str) -> Iterator[RepeatingVendor]:
    """The vendor on a port of its own."""
    vendor = RepeatingVendor(system)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            split = urlsplit(self.path)
            params = {name: values[-1] for name, values in parse_qs(split.query).items()}
            data = vendor.answer(split.path, params)
            body = json.dumps({"message": "not found"} if data is None else data).encode()
            self.send_response_only(404 if data is None else 200)
            self.send_header("date", format_datetime(vendor.now, usegmt=True))
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    vendor.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
