"""The base of a vendor's API: who is let in, and which executions its lists show in which order."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson

from .paragon_replays import Replays
from .paragon_world import NEVER, World, iso
from .server import HttpRequest, HttpResponse, Refused
from .state import State

JSON = {"Content-Type": "application/json"}
DAY_MS = 86_400_000

Row = TypeVar("Row")


class ApiBase:
    """An API over a world; ``ApiBase`` knows no paths."""

    name = ""
    options: tuple[str, ...] = ()
    switches: dict[str, Any] = {}  # noqa: RUF012 - each API has its own
    read_once: tuple[str, ...] = ()
    """Kinds of requests that should be sent only once about an execution that has ended."""
    empty_page = b"[]"

    def __init__(self, world: World, state: State) -> None:
        self.world = world
        self.replays = Replays(world)
        self.origin = ""
        self.evil = ""
        self._state = state
        self._tokens: dict[str, float] = {}

    @property
    def client_settings(self) -> dict[str, str]:
        return {}

    def hold_back(self, number: int) -> None:
        """Hides that many executions, spread over all, until paging lets them go."""
        step = max(1, len(self.world) // (number + 1))
        self.world.held_back.update(range(step, min(len(self.world), step * number + 1), step))

    def refused(self, status: int, message: str) -> HttpResponse:
        raise NotImplementedError

    def once(self, request: HttpRequest, kind: str) -> str | None:
        """The key of what is requested, where one request for it is enough; None where it may be requested again."""
        index = self.number_in(request) if kind in self.read_once else None
        return None if index is None or self.world.is_open(index, self.now()) else request.target

    def number_in(self, request: HttpRequest) -> int | None:
        """The execution that a path names."""
        for segment in request.path.split("/"):
            index = self.world.number(segment.rpartition("_")[2])
            if index is not None:
                return index
        return None

    def kind(self, request: HttpRequest) -> str:
        raise NotImplementedError

    def answer(self, request: HttpRequest, kind: str) -> HttpResponse:
        """The answer of an API that works."""
        try:
            return self._answered(request, kind)
        except Refused as error:
            return self.refused(error.status, str(error))

    def _answered(self, request: HttpRequest, kind: str) -> HttpResponse:
        raise NotImplementedError

    def truth(self, *, with_steps: bool = False) -> list[bytes]:
        """What a perfect copy holds now."""
        now = self.now()
        rows = []
        for index in self.shown(-NEVER, NEVER):
            row = self.row(index, now)
            rows.append(orjson.dumps({**row, "_steps": self.children(index, now)} if with_steps else row))
        return rows

    def row(self, index: int, now: int) -> dict[str, Any]:
        raise NotImplementedError

    def children(self, index: int, now: int) -> Any:  # noqa: ARG002 - most have some
        return []

    def now(self) -> int:
        return self._state.clock.now_ms()

    def shown(self, low_ms: int, high_ms: int) -> list[int]:
        """The numbers of the executions that began in the window and are shown, oldest first."""
        low, high, hidden = self.world.shown(low_ms, high_ms, self.now())
        skip = set(hidden)
        return [index for index in range(low, high) if index not in skip]

    def ordered(self, numbers: Sequence[int]) -> list[int]:
        """As the switch ``order`` says: newest, oldest, any (the same each time), days (newest first, and within a day
        in another order each time), or random."""
        order = self._state.switches["order"]
        sorted_numbers = list(numbers)
        if order == "newest":
            sorted_numbers.reverse()
        elif order == "any":
            sorted_numbers.sort(key=self.world.identity)
        elif order in ("days", "random"):
            self._state.random.shuffle(sorted_numbers)
        if order == "days":
            sorted_numbers.sort(key=lambda index: self.world.starts[index] // DAY_MS, reverse=True)
        return sorted_numbers

    def admit(self, identity: str) -> None:
        """Raises Refused where the switches say that single reads of the id are refused."""
        status = self._state.single_status(identity)
        if status is not None:
            raise Refused(status, "Internal server error" if status == 500 else "Forbidden")

    def page(self, rows: Sequence[Row], start: int, size: int) -> Sequence[Row]:
        """The rows of a page. The switch ``page_cap`` is how many it has at most, ``empty_from`` an offset from which
        on pages are empty; 0 for none."""
        switches = self._state.switches
        is_empty = 0 < int(switches["empty_from"]) <= start
        return [] if is_empty else rows[start : start + min(size, int(switches["page_cap"]))]

    def find(self, identity: str) -> int:
        """The execution's number. Raises Refused."""
        index = self.world.number(identity)
        if index is None or not self.world.is_shown(index, self.now()) or index in self.world.held_back:
            raise Refused(404, "Not found")
        return index

    def moved(self) -> None:
        """Changes the world between two pages of a list, where a switch says so."""
        number = int(self._state.switches.get("insert_late_while_paging") or 0)
        for index in sorted(self.world.held_back)[:number]:
            self.world.held_back.discard(index)

    def token(self) -> tuple[str, float]:
        """A new token, and how many seconds it is good for."""
        life_s = float(self._state.switches["token_life_s"])
        token = f"sandbox-token-{random.Random(len(self._tokens)).getrandbits(96):024x}"
        self._tokens[token] = time.monotonic() + life_s
        return token, life_s

    def is_let_in(self, request: HttpRequest) -> bool:
        """Whether the request carries a token that is still good."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return not self._state.is_revoked and time.monotonic() < self._tokens.get(given, 0.0)

    def fine(self, index: int, ms: int) -> str:
        """The instant with nine digits behind the second, of which the last six follow from the number."""
        return f"{iso(ms)[:-1]}{(index * 7_919 + 13) % 1_000_000:06d}Z"
