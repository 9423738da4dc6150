"""Control endpoints under ``/_sandbox/``: they read and change the server's state."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson

from .apis import Api
from .paragon_payloads import payload
from .paragon_world import NEVER
from .server import HttpRequest, HttpResponse
from .state import Fault, State

PREFIX = "/_sandbox/"


class Control:
    """The controls of one server."""

    def __init__(self, state: State, api: Api) -> None:
        self._state = state
        self._api = api

    def answer(self, request: HttpRequest) -> HttpResponse:
        name = request.path.removeprefix(PREFIX)
        try:
            data = orjson.loads(request.body) if request.body else {}
            if name == "truth":
                with_steps = request.query.get("steps") == "1"
                return HttpResponse(200, b"\n".join(self._api.truth(with_steps=with_steps)))
            set_or_get = getattr(self, f"_{request.method.lower()}_{name}", None)
            if set_or_get is None:
                return HttpResponse(404, b'{"error":"no such control"}')
            return HttpResponse(200, orjson.dumps(set_or_get(data, request.query)))
        except (ValueError, TypeError, KeyError) as error:
            return HttpResponse(400, orjson.dumps({"error": str(error)}))

    def _get_clock(self, _: Any, __: Any) -> Any:
        return {"at": self._state.clock.now(), "is_frozen": self._state.clock.is_frozen}

    def _post_clock(self, data: Any, _: Any) -> Any:
        clock = self._state.clock
        at = datetime.fromisoformat(data["at"]) if "at" in data else clock.now()
        clock.set(at + timedelta(seconds=data.get("advance_s", 0)), is_frozen=data.get("freeze"))
        return self._get_clock(None, None)

    def _post_switches(self, data: Any, _: Any) -> Any:
        self._state.switch(data)
        if data.get("insert_late_while_paging"):
            self._api.hold_back(int(data.get("held_back", 40)))
        return self._state.switches

    def _post_faults(self, data: Any, _: Any) -> Any:
        self._state.faults = [Fault(**rule) for rule in data]
        self._state.is_revoked = False
        return {"faults": len(self._state.faults)}

    def _post_limit(self, data: Any, _: Any) -> Any:
        self._state.limit.set(int(data.get("requests") or 0), float(data.get("period_s") or 600))
        return {"requests": self._state.limit.requests, "period_s": self._state.limit.period_s}

    def _post_latency(self, data: Any, _: Any) -> Any:
        self._state.latency_ms = float(data["ms"])
        return {"ms": self._state.latency_ms}

    def _post_purge(self, data: Any, _: Any) -> Any:
        numbers = self._numbers(data)
        self._api.world.gone.update(numbers)
        return {"purged": len(numbers)}

    def _post_unlisted(self, data: Any, _: Any) -> Any:
        """From now on only single reads show these, and no others than these."""
        self._api.world.unlisted = self._numbers(data)
        return {"unlisted": len(self._api.world.unlisted)}

    def _post_unstarted(self, data: Any, _: Any) -> Any:
        """These, and no others, have not begun."""
        self._api.world.unstarted = self._numbers(data)
        return {"unstarted": len(self._api.world.unstarted)}

    def _numbers(self, data: Any) -> set[int]:
        return {index for identity in data["ids"] if (index := self._api.world.number(identity)) is not None}

    def _get_counters(self, _: Any, __: Any) -> Any:
        state = self._state
        return {
            **state.counters,
            "violations": state.limit.violations,
            "peak": state.limit.peak,
            "reads_more_than_once": sorted(key for key, number in state.reads.items() if number > 1)[:20],
            "read_once_or_more": len(state.reads),
        }

    def _get_replays(self, _: Any, __: Any) -> Any:
        return {"posts": self._state.posts, "began": self._api.replays.began}

    def _get_requests(self, _: Any, query: Any) -> Any:
        return list(self._state.log)[-int(query.get("limit", 1000)) :]

    def _post_reset_counters(self, _: Any, __: Any) -> Any:
        self._state.reset_counters()
        return {}

    def _get_secrets(self, _: Any, query: Any) -> Any:
        """Every secret in the payloads of the first failed executions, at least that many."""
        world = self._api.world
        now = self._state.clock.now_ms()
        low, high, _hidden = world.shown(-NEVER, NEVER, now)
        secrets: list[str] = []
        for index in range(low, high):
            if len(secrets) >= int(query.get("least", 200)):
                break
            if world.finals[index] == 1 and not world.is_open(index, now):
                for position, step in enumerate(world.steps(index, now)):
                    if step["status"] == "FAILED":
                        secrets += payload(world.spec.seed, index, position, is_failed=True).secrets
        return secrets
