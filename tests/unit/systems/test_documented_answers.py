"""A server that gives to every question the example of the vendor's documentation, whatever its parameters say."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from task_history import systems
from task_history.core.models import Answer, Json, Request
from task_history.extract.details import DetailReader
from task_history.settings_reader import build
from tests.support.place import Place

_EXECUTION = {
    "id": "b393f4e2-4785-4d7f-ab27-3a6b8ded4c81",
    "workflowId": "d201c5d9-d37b-4a2f-af14-66414f39d568",
    "requestId": "41e12a74fa7b4a6a98ae47887b64acdb",
    "startTime": "2022-02-07T20:13:29.356648026Z",
    "closeTime": "2022-02-07T20:13:31.682410165Z",
    "status": "Completed",
}
_EVENT = {"type": "WorkflowTaskScheduled", "timestamp": "2022-02-07T20:13:31.640618296Z", "attributes": {}}
_WORKFLOW = {
    "id": "d201c5d9-d37b-4a2f-af14-66414f39d568",
    "executionCount": 2,
    "created": "2022-01-10T16:06:16.636381447Z",
    "owner": {"type": "IDENTITY", "id": "2c91", "name": "William Wilson"},
    "name": "Send Email",
    "definition": {"start": "Send Email Test", "steps": {"success": {"type": "success"}}},
    "enabled": False,
    "trigger": {
        "type": "EVENT",
        "displayName": None,
        "attributes": {"id": "idn:identity-attributes-changed"},
    },
}
_RUN = {
    "_id": "442b84d7-6327-42a3-971e-99c923e46322",
    "_workflowDefId": "cc2c728b-6ba5-4210-8a42-6f6079e8269e",
    "_name": "sample_workflow",
    "_namespaces": ["RefAppProject_w3MFXx7h"],
    "_tasks": [
        {
            "_id": "7df8cb79-32b9-43e8-abc8-88991f455bd5",
            "_name": "rest_connector_task",
            "_type": "REST_CONNECTOR",
            "_sequenceno": 1,
            "_status": "COMPLETED",
            "_result": {"rest_conn_result": {"data": {}}},
            "_inputParams": {"_url": "https://reqres.in/api/users/2", "_auth": {"_type": "NoAuth"}},
        }
    ],
    "_result": None,
    "_timeoutSeconds": None,
    "_timeoutPolicy": None,
    "_status": "COMPLETED",
    "_createdAt": "2025-05-24T21:26:49.367573830Z",
    "_updatedAt": "2025-05-24T21:26:49.367574131Z",
}
_LOGS = {
    "_offset": 0,
    "_pageSize": 10,
    "_total": 15,
    "_list": [
        {
            "timestamp": "2026-03-10 17:26:08",
            "level": "INFO",
            "message": "In TaskExecutor.decryptInputData...",
        }
    ],
}
_DEFS = {
    "_offset": 0,
    "_pageSize": 10,
    "_total": 2,
    "_list": [{"_id": "4b65", "_name": "mqtt", "_taskDefs": []}],
}
_ORDER = {
    "id": "exec_1",
    "workflowId": "wf_1",
    "runId": "run_1",
    "sourceSystem": "shop",
    "status": "workflow_succeeded",
    "requestPayload": {"sku": "A1"},
    "createdAt": "2026-03-10T17:26:01.120Z",
    "finishedAt": "2026-03-10T17:26:08Z",
}
_B3OS_RUN = {"id": "run_1", "workflowId": "wf_1", "status": "failure", "startedAt": "2026-03-10T18:00:01Z"}
_STATE = {"send": {"type": "x", "status": "failure", "input": {"apiKey": "***"}, "secretKeys": ["apiKey"]}}
_BUCKET = {"bucketStart": "2026-03-10T00:00:00Z", "total": 12, "succeeded": 7, "failed": 1, "cancelled": 1}


def _enveloped(data: Json) -> Json:
    return {"code": 200, "message": "success", "requestId": "req_01", "data": data}


def _listed(*items: Json) -> Json:
    return _enveloped({"limit": 20, "offset": 0, "hasMore": True, "items": list(items)})


ANSWERS: dict[str, dict[str, Json]] = {
    "sailpoint": {
        r"/oauth/token": {"access_token": "jwt-jwt-jwt", "token_type": "bearer", "expires_in": 749},
        r"/v2025/workflows": [_WORKFLOW],
        r"/v2025/workflows/[^/]+/executions": [_EXECUTION],
        r"/v2025/workflow-executions/[^/]+": [_EXECUTION],
        r"/v2025/workflow-executions/[^/]+/history-v2": {
            "definition": _WORKFLOW["definition"],
            "history": _EVENT,
            "trigger": _WORKFLOW["trigger"],
        },
    },
    "twinit": {
        r"/workflowsvc/api/v1/workflowdefs": _DEFS,
        r"/workflowsvc/api/v1/workflows": [_RUN],
        r"/workflowsvc/api/v1/workflows/[^/]+": _RUN,
        r"/workflowsvc/api/v1/workflows/[^/]+/tasks/[^/]+/logs": _LOGS,
    },
    "b3os": {
        r"/v1/executions": _listed(_ORDER),
        r"/v1/executions/exec_1": _enveloped(
            {"execution": _ORDER, "events": [{"id": "evt_1", "eventType": "x"}]}
        ),
        r"/v1/executions/stats": _enveloped(
            {
                "granularity": "daily",
                "summary": {
                    **_BUCKET,
                    "terminal": 9,
                    "inProgress": 3,
                    "successRate": 70,
                    "averageDurationMs": 5321.5,
                },
                "statuses": [{"status": "workflow_succeeded", "count": 7}],
                "sourceSystems": [{"sourceSystem": "shop", "total": 12, "succeeded": 7}],
                "timeSeries": [_BUCKET],
                "recentFailures": [{"executionId": "exec_2", "createdAt": "2026-03-10T18:00:00Z"}],
            }
        ),
        r"/v1/runs": _listed(_B3OS_RUN),
        r"/v1/runs/run_1": _enveloped(
            {**_B3OS_RUN, "executionState": _STATE, "workflowDefinition": {"nodes": {}}}
        ),
    },
}
SETTINGS: dict[str, dict[str, Any]] = {
    "sailpoint": {"client_id": "c", "client_secret": "secret-of-the-client"},
    "twinit": {"token": "token-of-the-user", "namespaces": ["RefAppProject_w3MFXx7h"]},
    "b3os": {"api_key": "b3sk_key", "stats_granularity": "daily"},
}
BARE = [{"timestamp": "2026-03-10 17:26:08", "level": "INFO", "message": f"line {at}"} for at in range(12)]
ROWS = {
    "sailpoint": {"workflow_executions": 1, "execution_events": 1, "workflows": 1},
    "twinit": {"workflow_runs": 1, "tasks": 1, "task_logs": 15, "workflow_defs": 1},
    "b3os": {"executions": 1, "execution_events": 1, "runs": 1, "run_nodes": 1, "recent_failures": 1},
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: dict[str, Json]

    def _answer(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        path = self.path.partition("?")[0]
        # The most specific path comes last.
        found = [answer for pattern, answer in self.answers.items() if re.fullmatch(pattern, path)]
        body = json.dumps(found[-1] if found else {"message": "no such path"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(params=sorted(ANSWERS))
def documented(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A system, and where its examples are served."""
    handler = type("Of", (Handler,), {"answers": ANSWERS[request.param]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield request.param, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_examples_of_the_documentation_load(tmp_path: Path, documented: tuple[str, str]) -> None:
    """One row of each, however often the same page is given, and an end to it."""
    name, base_url = documented
    # Each hour from then on is a row of B3OS's statistics.
    start = "2026-03-01" if name == "b3os" else "2022-01-01"
    place = Place(tmp_path, None, system=name, base_url=base_url, start_date=start, **SETTINGS[name])
    place.run("check", name)
    place.quick_sync()
    for table, rows in ROWS[name].items():
        assert place.query(f"SELECT count(*) FROM {name}.{table}") == [(rows,)], table


@pytest.mark.parametrize(("name", "number"), [("twinit", 12), ("sailpoint", 250)])
def test_a_bare_list_that_comes_again_is_the_whole(name: str, number: int) -> None:
    """Lines and events of a server that heeds no offset are there once, and there is an end."""
    system = systems.find(name)
    values = build(system, {"base_url": "https://t.example", **SETTINGS[name]}).values
    lists = {"logs": BARE, "history": [_EVENT] * 250, "history-v2": [_EVENT] * 250}
    asked: list[Request] = []

    class Static:
        def send(self, request: Request) -> Answer:
            asked.append(request)
            assert len(asked) < 10
            data = lists.get(request.path.rsplit("/", 1)[1], _RUN)
            return Answer(data, json.dumps(data).encode())

        def map(
            self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
        ) -> Iterator[Answer | Exception]:
            yield from map(self.send, requests)

    request = replace(system.details.request(values, "e", "n"), instead=None)
    found = DetailReader(Static(), system, values).whole(str(_RUN["_id"]), request, Static().send(request))
    rows = found.steps if name == "sailpoint" else found.children["task_logs"]
    assert len({row["id"] for row in rows}) == len(rows) == number
