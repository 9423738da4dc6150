"""Any system's sandbox without a network, as the client that asks it; its clock stands still."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from task_history import systems
from task_history.client.credentials import Credentials
from task_history.core.errors import Rejected
from task_history.core.models import Answer, Request, Window
from task_history.settings_reader import build
from task_history_cli.sandbox.apis import APIS
from task_history_cli.sandbox.paragon_world import Spec, World
from task_history_cli.sandbox.server import HttpRequest
from task_history_cli.sandbox.state import Clock, State

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class PlainVendor:
    """One account of a made-up world."""

    def __init__(self, name: str, *, switches: dict[str, Any] | None = None, **spec: Any) -> None:
        self.world = World(Spec(now=NOW, **spec))
        self.state = State(Clock(NOW, is_frozen=True), dict(APIS[name].switches), random=random.Random(1))
        self.state.switch(switches or {})
        self.api = APIS[name](self.world, self.state)
        self.system = systems.find(name)
        self.values = build(self.system, {"base_url": "http://localhost", **self.api.client_settings}).values
        self.sent: list[tuple[str, str]] = []
        self.after: tuple[int, Callable[[], None]] | None = None
        """After how many requests what happens."""
        self._lock = threading.Lock()
        self._credentials = Credentials(self.system, self.values)
        self._credentials.send = lambda login: self._send(login.request, login.headers, urlencode(login.form))

    @property
    def requests(self) -> int:
        return len(self.sent)

    def shown(self, window: Window, workflow: int | None = None) -> set[str]:
        """The ids that a complete copy of the window holds."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        low, high = (round((at - epoch) / timedelta(milliseconds=1)) for at in (window.start, window.end))
        numbers = self.api.shown(low, high)
        return {
            self.world.identity(at)
            for at in numbers
            if workflow is None or self.world.workflow(at) == workflow
        }

    def send(self, request: Request) -> Answer:
        """The answer. Raises Rejected."""
        return self._send(request, self._credentials.headers(), "")

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        """The answers in order."""
        for request in requests:
            try:
                yield self.send(request)
            except Rejected as error:
                yield error

    def _send(self, request: Request, headers: Any, body: str) -> Answer:
        lower = {name.lower(): value for name, value in headers.items()}
        http_request = HttpRequest(
            request.method, request.path, request.path, dict(request.params), lower, body.encode()
        )
        if self.after is not None and self.requests >= self.after[0]:
            self.after[1]()
        with self._lock:
            kind = self.api.kind(http_request)
            if kind != "token":
                self.sent.append((kind, request.path))
            response = self.api.answer(http_request, kind)
        if response.status >= 400:
            raise Rejected(f"HTTP {response.status}", status=response.status)
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(orjson.loads(response.body), response.body, headers=lower)
