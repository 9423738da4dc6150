"""A small HTTP/1.1 server: one request after the other on each connection, many connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True)
class Asked:
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


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. ``manner`` is how it is sent."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: str = "whole"
    """``whole``; ``reset`` breaks the connection first, ``truncated`` in the middle; ``stall`` never answers;
    ``drip`` sends a byte a second."""
    delay_s: float = 0.0


Handler = Callable[[Asked], Said]
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
            self._answer(self._handler(Asked(method, target, unquote(path), pairs, headers, body)))

    def _answer(self, said: Said) -> None:
        if said.manner == "whole" and not said.delay_s:
            self._write(said)
            return
        self._is_busy = True
        task = asyncio.get_running_loop().create_task(self._slowly(said))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _slowly(self, said: Said) -> None:
        if said.delay_s:
            await asyncio.sleep(said.delay_s)
        if said.manner == "reset" and self._transport:
            self._transport.abort()
        elif said.manner == "truncated" and self._transport:
            whole = _bytes(said)
            self._transport.write(whole[: len(whole) - max(1, len(said.body) // 2)])
            self._transport.close()
        elif said.manner == "stall":
            await asyncio.sleep(3600)
        elif said.manner == "drip":
            for index in range(len(whole := _bytes(said))):
                if self._transport is None:
                    return
                self._transport.write(whole[index : index + 1])
                await asyncio.sleep(1)
        else:
            self._write(said)
        self._is_busy = False
        self._next()

    def _write(self, said: Said) -> None:
        if self._transport is not None:
            self._transport.write(_bytes(said))


def _bytes(said: Said) -> bytes:
    lines = [f"HTTP/1.1 {said.status} {_REASONS.get(said.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in said.headers.items()]
    lines.append(f"Content-Length: {len(said.body)}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + said.body


async def listen(handler: Handler, port: int) -> tuple[asyncio.Server, int]:
    """Serves on the loopback address; gives the port that was free."""
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(handler, tasks), "127.0.0.1", port)
    return server, int(server.sockets[0].getsockname()[1])
