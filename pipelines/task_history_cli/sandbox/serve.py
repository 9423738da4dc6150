"""The sandbox command: parses its options and runs the server."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import math
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from task_history.core.errors import UsageError

from . import odd_rows
from .apis import APIS, Api, create_api
from .control import PREFIX, Control
from .paragon_world import Spec, World
from .server import MANNERS, HttpRequest, HttpResponse, listen
from .state import Clock, State

SYSTEMS = tuple(APIS)
_NUMBERS = {
    "executions": "how many",
    "seed": "which world; the same seed gives the same one",
    "days": "how far back they reach",
    "future_hours": "how far ahead they reach; those appear as the clock moves",
    "ties": "share that begins in the same millisecond as another",
    "tie_burst": "how many begin in one single millisecond",
    "open_days": "share that stays open for hours to days",
    "late": "share that becomes visible late",
    "late_s": "how late, in seconds",
    "failed": "share that fails",
    "cancelled": "share that is cancelled",
    "workflows": "how many workflows",
    "retention_days": "how long the vendor keeps executions",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a world and its server."""
    parser.add_argument("system", metavar="SYSTEM", choices=SYSTEMS, help=f"one of {', '.join(SYSTEMS)}")
    parser.add_argument("--port", type=_port, default=0, help="0 takes a free one")
    fields = {field.name: field.default for field in dataclasses.fields(Spec)}
    for name, text in _NUMBERS.items():
        default = fields[name]
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=_whole if isinstance(default, int) else _number,
            default=default,
            help=f"{text} (default {default})",
        )
    parser.add_argument("--now", type=_instant, default=None, help="the world's clock at the start")
    parser.add_argument("--freeze", action="store_true", help="the clock stands still until it is moved")
    parser.add_argument("--latency-ms", type=_number, default=0.0, help="how long an answer takes")
    parser.add_argument("--limit", type=_whole, default=0, help="requests in any --period-s; 0 for no limit")
    parser.add_argument("--period-s", type=_number, default=600.0)
    parser.add_argument("--project-id", default="908f4c5e-6394-46a5-9355-3f729edbd160")
    parser.add_argument("--api-key", default="sandbox-key-" + "0123456789abcdef")
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="; ".join(f"{name}: {', '.join(api.switches)}" for name, api in APIS.items()),
    )


def run(args: argparse.Namespace, ready: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Serves until SIGINT or SIGTERM; ``ready`` gets what was written on stdout, once the server answers.

    Raises:
        UsageError: a switch or a port that cannot be.
    """
    try:
        parsed = dict(_switch(pair, APIS[args.system].switches) for pair in args.switch)
        asyncio.run(_serve(args, parsed, ready))
    except ValueError as error:
        raise UsageError(f"{error}") from error
    except OSError as error:
        raise UsageError(
            f"Port {args.port} cannot be used ({error.strerror}): name another one, or 0 for a free one."
        ) from error


def _switch(pair: str, switches: Mapping[str, Any]) -> tuple[str, Any]:
    name, is_given, text = pair.partition("=")
    if not is_given:
        raise UsageError(f"--switch {pair} has no value: write it like {pair}=true.")
    return name, _value(switches.get(name), text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number") from None


def _port(text: str) -> int:
    number = _whole(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is no port: they go from 0 to 65535")
    return number


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text} is no number")
    return number


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no instant such as 2026-09-01T12:00") from None


def _value(default: Any, text: str) -> Any:
    # A switch that takes words may take the word null.
    if isinstance(default, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


async def _serve(
    args: argparse.Namespace, switches: dict[str, Any], ready: Callable[[dict[str, Any]], None]
) -> None:
    now = args.now.replace(tzinfo=args.now.tzinfo or UTC) if args.now else datetime.now(UTC)
    spec = Spec(**{name: getattr(args, name) for name in _NUMBERS}, now=now)
    state = State(Clock(now, is_frozen=args.freeze), dict(APIS[args.system].switches), seed=spec.seed)
    state.random = random.Random(spec.seed)
    state.switch(switches)
    state.latency_ms = args.latency_ms
    state.limit.set(args.limit, args.period_s)
    api = create_api(args.system, World(spec), state, args)
    if state.switches.get("insert_late_while_paging"):
        api.hold_back(40)
    front = RequestGate(api, state)
    main, port = await listen(front.main, args.port)
    other, evil_port = await listen(front.evil, 0)
    api.origin, api.evil = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{evil_port}"
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    connection = {
        "system": args.system,
        "base_url": api.origin,
        "evil_url": api.evil,
        "control_url": f"{api.origin}{PREFIX.rstrip('/')}",
        **api.client_settings,
    }
    sys.stdout.write(json.dumps(connection) + "\n")
    sys.stdout.flush()
    ready(connection)
    await stop.wait()
    main.close()
    other.close()


class RequestGate:
    """What every request meets before the API: counting, the rate limit, faults."""

    def __init__(self, api: Api, state: State) -> None:
        self._api = api
        self._state = state
        self._control = Control(state, api)
        self._last: HttpResponse | None = None

    def main(self, request: HttpRequest) -> HttpResponse:
        """A request to the API or its controls."""
        if request.path.startswith(PREFIX):
            return self._control.answer(request)
        state = self._state
        kind = self._api.kind(request)
        response = self._response(request, kind)
        state.counters[kind] += 1
        state.counters[f"status_{response.status}"] += 1
        once = self._api.once(request, kind) if response.status == 200 else None
        if once is not None:
            state.reads[once] += 1
        if kind == "replay":
            state.posts[request.path.split("/")[-2]] += 1
        self._log(request, kind, "main", response.status)
        headers = dict(response.headers)
        if state.switches["date_header"]:
            headers["Date"] = state.clock.header
        delay_s = state.latency_ms / 1000 * state.random.uniform(0.5, 1.5) if state.latency_ms else 0.0
        return HttpResponse(response.status, response.body, headers, response.manner, delay_s)

    def evil(self, request: HttpRequest) -> HttpResponse:
        """A request to the other origin, to which none should go."""
        self._log(request, "list", "evil", 200)
        return HttpResponse(200, self._api.empty_page, {"Content-Type": "application/json"})

    def _response(self, request: HttpRequest, kind: str) -> HttpResponse:
        state = self._state
        wait_s = state.limit.arrive()
        if wait_s is not None:
            return self._too_many(wait_s)
        fault = state.fault_for(kind)
        if fault is not None:
            state.counters[f"fault_{fault}"] += 1
            if fault == "done500":
                # It takes place, and then fails to say so.
                self._api.answer(request, kind)
                fault = "status500"
            return self._faulty(fault, request, kind)
        response = self._api.answer(request, kind)
        if kind in odd_rows.KINDS:
            response = odd_rows.with_odd_rows(response, state.switches)
        if kind == "list":
            self._last = response
        return response

    def _too_many(self, wait_s: float) -> HttpResponse:
        form = self._state.switches["too_many"]
        response = self._api.refused(429, "Too many requests")
        seconds = max(1, round(wait_s + 0.5))
        if form == "seconds":
            return dataclasses.replace(response, headers={**response.headers, "Retry-After": str(seconds)})
        if form == "date":
            at = datetime.fromtimestamp(self._state.clock.now().timestamp() + seconds, UTC)
            return dataclasses.replace(
                response,
                headers={
                    **response.headers,
                    "Retry-After": format_datetime(at.replace(microsecond=0), usegmt=True),
                },
            )
        return response

    def _faulty(self, fault: str, request: HttpRequest, kind: str) -> HttpResponse:
        if fault == "status502_html":
            return HttpResponse(
                502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", {"Content-Type": "text/html"}
            )
        if fault == "status503_retry_after":
            return HttpResponse(503, b"", {"Retry-After": "1"})
        if fault == "status429":
            return self._too_many(0.5)
        if fault.startswith("status"):
            return self._api.refused(int(fault.removeprefix("status")), "Internal server error")
        if fault == "revoked":
            self._state.is_revoked = True
            return self._api.refused(401, "Unauthorized")
        if fault == "redirect":
            return HttpResponse(302, b"", {"Location": f"{self._api.evil}{request.target}"})
        if fault == "repeat_page":
            return self._last or self._api.answer(request, kind)
        bodies = {
            "not_json": b"<html>maintenance</html>",
            "empty": b"",
            "wrong_key": b'{"results":[],"count":0}',
            "null_rows": b'{"workflowExecutions":null,"nextLink":null,"total":3}',
            "array_of_strings": b'{"workflowExecutions":["a"],"nextLink":null,"total":1}',
        }
        if fault in bodies:
            return HttpResponse(200, bodies[fault], {"Content-Type": "application/json"})
        if fault in MANNERS:
            return dataclasses.replace(self._api.answer(request, kind), manner=fault)
        raise ValueError(f"no fault {fault!r}")

    def _log(self, request: HttpRequest, kind: str, origin: str, status: int) -> None:
        self._state.log.append(
            {
                "at": time.monotonic(),
                "method": request.method,
                "target": request.target,
                "kind": kind,
                "origin": origin,
                "authorization": request.headers.get("authorization"),
                "status": status,
            }
        )
