"""The sandbox's Paragon without a network: requests go in as values, answers come back at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from task_history.core.errors import Rejected
from task_history.core.models import Answer, Request, Window
from task_history.systems.paragon.settings import ParagonSettings
from task_history_cli.sandbox.paragon_api import SWITCHES, Paragon
from task_history_cli.sandbox.paragon_world import Spec, World
from task_history_cli.sandbox.server import HttpRequest
from task_history_cli.sandbox.state import Clock, State

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VALUES = ParagonSettings(project_id="p", api_key="k")
_AT_ONCE = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Vendor:
    """One project of a made-up world, and the client that asks it; its clock stands still."""

    def __init__(self, spec: Spec, switches: dict[str, Any], *, seed: int, held_back: int = 0) -> None:
        self.world = World(spec)
        self.state = State(Clock(spec.now, is_frozen=True), dict(SWITCHES), random=random.Random(seed))
        self.state.switch(switches)
        self._api = Paragon(self.world, self.state, project_id="p", api_key="k")
        self._random = random.Random(seed + 1)
        self.requests = 0
        self.most_requests = 100_000
        self._then: tuple[int, Callable[[], object]] | None = None
        self.recount: Callable[[int, int], int] | None = None
        """What it says that the total is, of the true one and of how many rows the page holds."""
        if held_back:
            self._api.hold_back(held_back)

    @property
    def now(self) -> datetime:
        """Its clock."""
        return self.state.clock.now()

    def advance(self, span: timedelta) -> None:
        """Moves its clock."""
        self.state.clock.set(self.now + span)

    def after(self, requests: int, happens: Callable[[], object]) -> None:
        """Once so many requests were answered, that happens."""
        self._then = (requests, happens)

    def shown(self, window: Window) -> set[str]:
        """The ids that a complete list of the window holds now."""
        low, high = (round((at - _EPOCH) / timedelta(milliseconds=1)) for at in (window.start, window.end))
        first, last, hidden = self.world.shown(low, high, self.state.clock.now_ms())
        return {self.world.identity(at) for at in set(range(first, last)).difference(hidden)}

    def send(self, request: Request) -> Answer:
        """The answer. Raises Rejected."""
        self.requests += 1
        if self._then and self.requests > self._then[0]:
            (_, happens), self._then = self._then, None
            happens()
        assert self.requests <= self.most_requests, "the listing does not come to an end"
        http_request = HttpRequest(
            "GET", request.path, request.path, dict(request.params), {"authorization": "Bearer k"}, b""
        )
        response = self._api.answer(http_request, self._api.kind(http_request))
        if response.status >= 400:
            raise Rejected(f"HTTP {response.status}", status=response.status)
        data = orjson.loads(response.body)
        if self.recount is not None and "total" in data:
            data["total"] = self.recount(data["total"], len(data["workflowExecutions"]))
            return Answer(data, orjson.dumps(data))
        return Answer(data, response.body)

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        """The answers in order; the requests of one moment arrive in any."""
        source = iter(requests)
        while part := list(islice(source, _AT_ONCE)):
            answers: dict[int, Answer | Exception] = {}
            for at in self._random.sample(range(len(part)), len(part)):
                try:
                    answers[at] = self.send(part[at])
                except Rejected as error:
                    answers[at] = error
            yield from (answers[at] for at in range(len(part)))
