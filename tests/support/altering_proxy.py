"""A server between the command and a sandbox that changes what the vendor answers."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Alter = Callable[[str, bytes], bytes]
"""The path and the answer → what is answered instead."""
_HEADERS = ("authorization", "accept", "content-type")


@contextmanager
def altering(url: str, alter: Alter) -> Iterator[str]:
    """The address of a server that asks the one at ``url`` and alters what it answers with 2xx."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            sent = {
                name: value
                for name, value in self.headers.items()
                if name.lower() in _HEADERS or name.lower().startswith("x-")
            }
            request = urllib.request.Request(
                url + self.path, self.rfile.read(size) or None, sent, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    status, headers, body = answer.status, answer.headers, alter(self.path, answer.read())
            except urllib.error.HTTPError as error:
                status, headers, body = error.code, error.headers, error.read()
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() in ("content-type", "date", "retry-after") or name.lower().startswith("x-"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def with_fields(body: bytes, fields: Mapping[str, str], *, every: bool = False) -> bytes:
    """The answer with these fields in the first of its objects that has an id; values are JSON as it is sent.

    With ``every`` in each of them.
    """
    data = json.loads(body)
    rows = _rows(data)
    for row in rows if every else rows[:1]:
        row.update({name: f"@{at}@" for at, name in enumerate(fields)})
    values = list(fields.values())
    text = json.dumps(data, separators=(",", ":"))
    return re.sub(r'"@(\d+)@"', lambda match: values[int(match[1])], text).encode()


def _rows(data: Any) -> list[dict[str, Any]]:
    if isinstance(data, list):
        return [row for one in data for row in _rows(one)]
    if not isinstance(data, dict):
        return []
    if "id" in data or "_id" in data:
        return [data]
    return [row for one in data.values() for row in _rows(one)]
