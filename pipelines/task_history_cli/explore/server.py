"""The process of ``task-history explore``: marimo's own command, answering only the browser of this machine.

Its words are marimo's, and on its standard input comes the token that lets people in. A page of another site may
have its name point to this machine (DNS rebinding), and pages of other servers here share their cookies with
marimo's: so each request has to name this machine, and what a page sends has to come from marimo's own.
"""

from __future__ import annotations

import os
import re
import runpy
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_HOSTS = frozenset({"127.0.0.1", "localhost"})
REFUSED = b"task-history explore answers this machine's browser at http://127.0.0.1 only.\n"

_PICTURES = re.compile(rb'<link rel="preload"[^>]*as="image"[^>]*>')

Message = MutableMapping[str, Any]
Asgi = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


def only_this_machine(app: Asgi) -> Asgi:
    """The ASGI app, with requests of other sites refused (https://asgi.readthedocs.io/en/latest/specs/www.html)."""

    async def guarded(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] not in ("http", "websocket") or is_own(scope["headers"]):
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            kind = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": kind})
            await send({"type": "http.response.body", "body": REFUSED})

    return guarded


def is_own(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether Host is this machine and Origin, if sent, is this server."""
    hosts = [value.decode("latin-1") for name, value in headers if name.lower() == b"host"]
    origins = [value.decode("latin-1") for name, value in headers if name.lower() == b"origin"]
    if len(hosts) != 1:
        return False
    name, _, port = hosts[0].partition(":")
    is_here = name.lower() in _HOSTS and (not port or (port.isascii() and port.isdigit()))
    return is_here and all(origin.lower() == f"http://{hosts[0].lower()}" for origin in origins)


def without_unused_pictures(app: Asgi) -> Asgi:
    """The ASGI app, whose page does not load in advance what it never shows, which browsers complain about."""

    async def lighter(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await app(scope, receive, send)
            return
        start: Message = {}
        content = b""

        async def collected(message: Message) -> None:
            nonlocal start, content
            if message["type"] == "http.response.start":
                start = message
                return
            content += message.get("body", b"")
            if message.get("more_body"):
                return
            page = _PICTURES.sub(b"", content)
            headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(page)).encode())]})
            await send({"type": "http.response.body", "body": page})

        await app(scope, receive, collected)

    return lighter


def main() -> None:
    """Runs marimo with this process's arguments."""
    import uvicorn

    server: Any = uvicorn
    config = server.Config

    def guarded(app: Asgi, *words: Any, **more: Any) -> Any:
        return config(only_this_machine(without_unused_pictures(app)), *words, **more)

    server.Config = guarded
    # marimo puts the notebook's folder before all others, unless it is there: nothing in it shall be taken for an
    # installed module, such as a duckdb.py.
    sys.path.append(os.path.dirname(os.path.abspath(sys.argv[-1])))  # noqa: PTH100, PTH120 - as marimo writes it
    # The words that a process was started with can be read by all who are on this machine; these cannot.
    sys.argv[-1:] = ["--token", "--token-password", sys.stdin.readline().strip(), sys.argv[-1]]
    runpy.run_module("marimo", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
