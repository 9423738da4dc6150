"""What is seen of runs from outside: OpenTelemetry's metrics and spans, and notices to people."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from task_history_cli.runtime import notices, telemetry
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Receiver(ThreadingHTTPServer):
    """A server that keeps the path and body of every POST; answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[tuple[str, bytes]] = []
        self.status = 200
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def points(self) -> dict[str, list[Any]]:
        """The points of each metric as last sent."""
        found: dict[str, list[Any]] = {}
        for path, body in self.posts:
            if path.endswith("/v1/metrics"):
                request = ExportMetricsServiceRequest.FromString(body)
                for resource in request.resource_metrics:
                    for scope in resource.scope_metrics:
                        for metric in scope.metrics:
                            data = getattr(metric, metric.WhichOneof("data"))
                            found[metric.name] = list(data.data_points)
        return found

    def spans(self) -> list[Any]:
        """All spans."""
        return [
            span
            for path, body in self.posts
            if path.endswith("/v1/traces")
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.posts.append((self.path, body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(executions=200, seed=5, freeze=True) as server:
        yield server


def attributes(point: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in point.attributes}


def values(points: list[Any], *names: str) -> dict[Any, float]:
    """The points' values by the values of these attributes."""
    return {
        tuple(attributes(point)[name] for name in names): getattr(point, point.WhichOneof("value"))
        for point in points
    }


def test_a_run_sends_its_metrics_and_spans(
    tmp_path: Path, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    """Every metric of the reference with its attributes, equal to the run's result; a span for the run and one for each
    commit; no secret of the vendor's payloads and none of ours."""
    place = Place(tmp_path, sandbox, rate_limit_requests=10_000)
    place.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
    result = place.sync()
    points = receiver.points()
    assert set(points) == set(telemetry.METRICS) - {"task_history.bytes_billed"}
    assert values(points["task_history.requests"], "kind") == {
        (kind,): count for kind, count in result["requests_by_kind"].items()
    }
    answers = values(points["task_history.answers"], "kind", "status")
    assert answers["execution", 200] == result["requests_by_kind"]["execution"]
    assert values(points["task_history.rows"], "table")["step_executions",] == result["steps"]
    assert values(points["task_history.budget.limit"])[()] == 10_000
    assert values(points["task_history.backlog"], "kind") == {("details",): 0, ("payloads",): 0}
    assert set(values(points["task_history.waited"], "cause")) == {("fault",), ("retry_after",), ("budget",)}
    (commits,) = points[telemetry.COMMIT_DURATION]
    assert commits.count == result["commits"]
    assert attributes(commits) == {
        "system": "paragon",
        "account": "paragon",
        "dataset": "paragon",
        "command": "sync",
    }
    spans = receiver.spans()
    (run,) = (span for span in spans if span.name == telemetry.RUN_SPAN)
    committed = [span for span in spans if span.name == telemetry.COMMIT_SPAN]
    assert len(committed) == result["commits"]
    assert {span.parent_span_id for span in committed} == {run.span_id}
    assert attributes(run)["run_id"] == result["run_id"]
    sent = b"".join(body for _, body in receiver.posts)
    assert len(sandbox.secrets(100)) >= 100
    assert not [secret for secret in [*sandbox.secrets(100), sandbox.api_key] if secret.encode() in sent]


def test_a_failed_run_says_so_without_its_text(
    tmp_path: Path, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    """The span of a run that failed has the error's class and status; its text, which may name rows, stays here."""
    place = Place(tmp_path, sandbox, fault_deadline_s=0)
    place.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
    sandbox.faults({"kind": "status503", "times": None})
    place.run("sync", "paragon", expect=4)
    (run,) = (span for span in receiver.spans() if span.name == telemetry.RUN_SPAN)
    assert attributes(run)["error.type"] == "VendorUnavailable"
    assert (run.status.code, run.status.message) == (2, "")


def test_a_receiver_that_is_away_ends_no_run(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Metrics that nobody takes are a warning; the run is what it would be without."""
    place = Place(tmp_path, sandbox, steps="none", integrations=None)
    place.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    assert place.sync()["complete"]
    place.env["OTEL_SDK_DISABLED"] = "true"
    assert "127.0.0.1:9" not in place.sync()["stderr"]


def test_one_message_for_each_event_and_day(
    tmp_path: Path, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    """A run that fails sends one message that day, whoever fails again; it names the account and no secret."""
    place = Place(
        tmp_path,
        sandbox,
        fault_deadline_s=0,
        retention_days=0,
        notify=[f"json://user:Sup3rS3cret@{receiver.url[7:]}/"],
    )
    sandbox.faults({"kind": "status503", "times": None})
    done = [place.run("sync", "paragon", expect=4) for _ in range(2)]
    (post,) = receiver.posts
    message = json.loads(post[1])
    assert message["title"] == "task-history paragon: sync failed"
    assert "VendorUnavailable, exit code 4" in message["message"]
    assert "task-history status paragon" in message["message"]
    assert not any("Sup3rS3cret" in one.stderr + one.stdout for one in done)
    place.run("backfill", "paragon", "--from", "2026-02-01", "--to", "2026-02-02", expect=4)
    assert [json.loads(body)["title"] for _, body in receiver.posts[1:]] == [
        "task-history paragon: backfill failed"
    ]


def test_a_message_that_does_not_arrive_is_sent_by_the_next_run(
    tmp_path: Path, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    """A hook that refuses changes no exit code, and the event counts as not told."""
    place = Place(tmp_path, sandbox, fault_deadline_s=0, notify=[f"json://{receiver.url[7:]}/"])
    sandbox.faults({"kind": "status503", "times": None})
    receiver.status = 500
    assert "notice_not_sent" in place.run("sync", "paragon", expect=4).stderr
    receiver.status = 200
    place.run("sync", "paragon", expect=4)
    place.run("sync", "paragon", expect=4)
    assert len(receiver.posts) == 2


def test_an_address_that_is_none_is_refused_before_anything_is_sent(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    """A wrong address in ``notify`` ends with exit code 3 and is not shown."""
    place = Place(tmp_path, sandbox, notify=["nothing-known://Sup3rS3cret"])
    done = place.run("sync", "paragon", expect=3)
    assert "notify: an address is not one that apprise knows" in done.stderr
    assert "Sup3rS3cret" not in done.stderr
    assert not sandbox.counters().get("status_200")


RESULT: dict[str, Any] = {"command": "sync", "covered_until": NOW, "left": {"seconds": None}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"covered_until": NOW - timedelta(hours=25)}, ["behind"]),
        ({"left": {"seconds": 25 * 3600}}, ["behind"]),
        ({"command": "backfill", "covered_until": NOW - timedelta(days=90)}, []),
        ({"lost": {"from": NOW, "until": NOW}}, ["lost"]),
        ({"unverified_windows": 2}, ["unverified"]),
        ({"rejected": 3, "unverified_windows": 1}, ["unverified", "rejected"]),
        ({"schema_changes": 1}, ["schema_changed"]),
    ],
)
def test_events_of_a_result(change: dict[str, Any], expected: list[str]) -> None:
    """What a person should know of a run, and nothing of one that is as it should be."""
    assert [event for event, _, _ in notices.events(RESULT | change, NOW, behind_hours=24)] == expected
