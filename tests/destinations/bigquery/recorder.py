"""What a client says to BigQuery: a proxy in front of the emulator that writes it all down and can get in the way."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from tests.destinations.bigquery import credentials
from tests.destinations.bigquery.recorded_requests import Load, Request, Statement, load, parsed, statement

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
# Of each reason: the HTTP status and the name that BigQuery answers with it
# (https://cloud.google.com/bigquery/docs/error-messages).
STATUSES = {
    "accessDenied": (403, "PERMISSION_DENIED"),
    "accessNotConfigured": (403, "PERMISSION_DENIED"),
    "billingNotEnabled": (403, "PERMISSION_DENIED"),
    "quotaExceeded": (403, "RESOURCE_EXHAUSTED"),
    "rateLimitExceeded": (403, "RESOURCE_EXHAUSTED"),
    "notFound": (404, "NOT_FOUND"),
    "duplicate": (409, "ALREADY_EXISTS"),
    "conditionNotMet": (412, "FAILED_PRECONDITION"),
    "invalid": (400, "INVALID_ARGUMENT"),
    "invalidQuery": (400, "INVALID_ARGUMENT"),
    "bytesBilledLimitExceeded": (400, "INVALID_ARGUMENT"),
    "backendError": (503, "UNAVAILABLE"),
    "internalError": (500, "INTERNAL"),
}


@dataclass
class Rule:
    """What happens to the next requests that it fits, instead of the usual."""

    method: str | None = None
    path: str = ""
    """A regular expression, found in path and query."""
    text: str = ""
    """A regular expression, found in the body: SQL, names of tables."""
    reason: str | None = None
    """Answers with this error of BigQuery."""
    message: str = "made up by a test"
    status: int | None = None
    """Another HTTP status than that of ``reason``."""
    drops: bool = False
    """Hangs up without an answer, before BigQuery hears of it."""
    drops_answer: bool = False
    """BigQuery does it, then hangs up without an answer."""
    holds: bool = False
    """Waits for ``release`` before BigQuery hears of it."""
    holds_answer: bool = False
    """BigQuery does it; the answer waits for ``release``."""
    times: int = 1
    skip: int = 0
    """How many requests that fit pass first."""
    reached: threading.Event = field(default_factory=threading.Event)
    """Set when a request met the rule."""
    release: threading.Event = field(default_factory=threading.Event)

    def fits(self, method: str, path: str, body: bytes) -> bool:
        return (
            self.method in (None, method)
            and re.search(self.path, path) is not None
            and (not self.text or re.search(self.text, body.decode("utf-8", "replace")) is not None)
        )


class Projects:
    """Names of projects that nothing is in. Few are used, again and again: so tests say what others said before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: set[str] = set()

    def take(self) -> str:
        """A name that no other project has."""
        with self._lock:
            name = next(
                name for number in itertools.count(1) if (name := f"lab-{number:03d}") not in self._used
            )
            self._used.add(name)
            return name

    def give_back(self, name: str) -> None:
        """Once all is thrown away that was in the project."""
        with self._lock:
            self._used.discard(name)


class Recorder:
    """A server on a free port of loopback that passes everything on to the emulator.

    Answers ``/token`` itself, as Google does to the signed claim of a service account. Without a project given it has
    one of its own, that nothing is in.
    """

    _projects = Projects()

    def __init__(self, upstream: str, project: str | None = None) -> None:
        self.project = project or self._projects.take()
        self.upstream = upstream
        self.requests: list[Request] = []
        self.rules: list[Rule] = []
        self.tokens = 0
        """How often a token was asked for."""
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        for rule in self.rules:
            rule.release.set()
        self._server.shutdown()
        self._server.server_close()
        status, _, _ = self.forward("DELETE", f"/projects/{self.project}", {}, b"")
        if status == 200:
            self._projects.give_back(self.project)

    @cached_property
    def service_account(self) -> str:
        """The JSON of a key file whose tokens come from here."""
        return credentials.service_account(self.project, f"{self.url}/token")

    def environment(self) -> dict[str, str]:
        """What a process needs to take this for BigQuery."""
        return {
            "BIGQUERY_EMULATOR_HOST": self.url,
            "DESTINATION__BIGQUERY__CREDENTIALS": self.service_account,
            "DESTINATION__BIGQUERY__LOCATION": "US",
        }

    def add(self, **rule: Any) -> Rule:
        """One more rule, see Rule."""
        found = Rule(**rule)
        with self._lock:
            self.rules.append(found)
        return found

    def clear(self) -> None:
        """Forgets what was said, and the rules."""
        with self._lock:
            for rule in self.rules:
                rule.release.set()
            self.requests, self.rules = [], []

    def reset(self) -> None:
        """Drops every dataset, then forgets."""
        listed = self._ask("GET", "/datasets?all=true&maxResults=1000").get("datasets", [])
        for dataset in listed:
            self._ask("DELETE", f"/datasets/{dataset['datasetReference']['datasetId']}?deleteContents=true")
        self.clear()

    @property
    def statements(self) -> list[Statement]:
        """The SQL that was sent, in order."""
        return [found for request in list(self.requests) if (found := statement(request)) is not None]

    @property
    def loads(self) -> list[Load]:
        """The load jobs that were sent, in order."""
        return [found for request in list(self.requests) if (found := load(request)) is not None]

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        url = f"/bigquery/v2/projects/{self.project}{path}"
        _, _, body = self.forward(method, url, {"Authorization": "Bearer tests"}, b"")
        return parsed(body)

    def taken(self, method: str, path: str, body: bytes) -> Rule | None:
        """The rule that this request meets."""
        with self._lock:
            for rule in self.rules:
                if rule.times and rule.fits(method, path, body):
                    if rule.skip:
                        rule.skip -= 1
                        continue
                    rule.times -= 1
                    rule.reached.set()
                    return rule
        return None

    def record(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Iterable[tuple[str, str]], bytes]:
        """What the emulator answers."""
        connection = http.client.HTTPConnection(
            self._upstream.hostname or "", self._upstream.port, timeout=300
        )
        try:
            connection.request(method, path, body, {**headers, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/token":
                recorder.tokens += 1
                token = {"access_token": "token-of-tests", "expires_in": 3600, "token_type": "Bearer"}
                self._answer(200, [("Content-Type", "application/json")], json.dumps(token).encode())
                return
            rule = recorder.taken(self.command, self.path, body)
            if rule is not None and self._is_over(rule, body):
                return
            status, headers, answer = recorder.forward(
                self.command, self.path, dict(self.headers.items()), body
            )
            self._record(body, status, answer)
            if rule is not None and rule.drops_answer:
                self._hang_up()
                return
            if rule is not None and rule.holds_answer:
                rule.release.wait()
            self._answer(status, headers, answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer_any

        def _is_over(self, rule: Rule, body: bytes) -> bool:
            if rule.holds:
                rule.release.wait()
            if rule.drops:
                self._record(body, 0, b"")
                self._hang_up()
            elif rule.reason is not None:
                usual, name = STATUSES[rule.reason]
                status = rule.status or usual
                problem = {"reason": rule.reason, "message": rule.message, "domain": "global"}
                error = {"code": status, "message": rule.message, "errors": [problem], "status": name}
                answer = json.dumps({"error": error}).encode()
                self._record(body, status, answer)
                self._answer(status, [("Content-Type", "application/json")], answer)
            return rule.drops or rule.reason is not None

        def _record(self, body: bytes, status: int, answer: bytes) -> None:
            path = self.path.replace("/bigquery/v2", "", 1)
            recorder.record(Request(self.command, path, parsed(body), status, parsed(answer)))

        def _answer(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # killed while it waited

        def _hang_up(self) -> None:
            self.close_connection = True
            self.connection.shutdown(2)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
