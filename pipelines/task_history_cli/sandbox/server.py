"""A small HTTP/1.1 server: one request after the other on each connection, many connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request."""

    method: str
    target: str
    """Path and query as sent."""
    path: str
    """Decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


MANNERS: Mapping[str, str] = {
    "reset": "the connection is broken before the answer",
    "truncated": "the connection is broken in the middle of the answer",
    "stall": "no answer comes",
    "drip": "the answer comes at a byte a second",
}
"""The faulty ways in which an answer is sent."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One answer. ``manner`` is how it is sent."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: str = "whole"
    """``whole``, or one of ``MANNERS``."""
    delay_s: float = 0.0


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Handler = Callable[[HttpRequest], HttpResponse]
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_MAX_BODY_BYTES = 1_000_000


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, handler: Handler, stalled: set[asyncio.Task[None]]) -> None:
        self._handler = handler
        self._buffer = bytearray()
        self._tasks = stalled
        self._transport: asyncio.Transport | None = None
        self._is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own name
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_busy:
            self._next()

    def _next(self) -> None:
        while not self._is_busy:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
            headers = {}
            for line in head[1:]:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            length = min(int(headers.get("content-length") or 0), _MAX_BODY_BYTES)
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            method, _, rest = head[0].partition(" ")
            target = rest.rsplit(" ", 1)[0]
            path, _, query = target.partition("?")
            pairs = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
            self._answer(self._handler(HttpRequest(method, target, unquote(path), pairs, headers, body)))

    def _answer(self, response: HttpResponse) -> None:
        if response.manner == "whole" and not response.delay_s:
            self._write(response)
            return
        self._is_busy = True
        task = asyncio.get_running_loop().create_task(self._slowly(response))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _slowly(self, response: HttpResponse) -> None:
        if response.delay_s:
            await asyncio.sleep(response.delay_s)
        if response.manner == "reset" and self._transport:
            self._transport.abort()
        elif response.manner == "truncated" and self._transport:
            whole = _bytes(response)
            self._transport.write(whole[: len(whole) - max(1, len(response.body) // 2)])
            self._transport.close()
        elif response.manner == "stall":
            await asyncio.sleep(3600)
        elif response.manner == "drip":
            for index in range(len(whole := _bytes(response))):
                if self._transport is None:
                    return
                self._transport.write(whole[index : index + 1])
                await asyncio.sleep(1)
        else:
            self._write(response)
        self._is_busy = False
        self._next()

    def _write(self, response: HttpResponse) -> None:
        if self._transport is not None:
            self._transport.write(_bytes(response))


def _bytes(response: HttpResponse) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines.append(f"Content-Length: {len(response.body)}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + response.body


async def listen(handler: Handler, port: int) -> tuple[asyncio.Server, int]:
    """Serves on the loopback address; gives the port that was free."""
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(handler, tasks), "127.0.0.1", port)
    return server, int(server.sockets[0].getsockname()[1])
