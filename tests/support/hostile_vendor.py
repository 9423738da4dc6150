"""A vendor whose every text carries what a terminal obeys: between the command and a sandbox, on loopback."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FORGED = "2026-01-01T00:00:00Z INFO forged"
EVIL = f"\x1b[2J\x1b]0;t\x07\r\n{FORGED}\n\t\x08\x7f\x85\x9b31m\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"
_QUOTED = urllib.parse.quote(EVIL, safe="")
_PLAIN = re.compile(r"\d{4}-\d\d-\d\dT|https?://|/")
_ID = re.compile("(^|_)id$|I[dD]s?$|^prev$|^_namespaces$")
_AS_SENT = {"status", "_status", "nextLink", "access_token", "token_type", "executionState", "_list"}


def _evil(value: Any, key: str, *, in_ids: bool) -> Any:
    if isinstance(value, dict):
        return {name: _evil(inner, name, in_ids=in_ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [_evil(inner, key, in_ids=in_ids) for inner in value]
    is_text = isinstance(value, str) and key not in _AS_SENT and not _PLAIN.match(value)
    return value + EVIL if is_text and (in_ids or not _ID.search(key)) else value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    origin = ""
    refusal: int | None = None
    in_ids = True

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        target = self.path.replace(_QUOTED, "").replace(urllib.parse.quote_plus(EVIL), "")
        if body:
            body = json.dumps(_without(json.loads(body))).encode() if body.startswith(b"{") else body
        if self.refusal is not None:
            self._send(self.refusal, json.dumps({"message": "no " + EVIL, "id": EVIL}).encode(), {})
            return
        request = urllib.request.Request(self.origin + target, body, method=self.command)
        for name, value in self.headers.items():
            if name.lower() not in ("host", "content-length", "connection", "accept-encoding"):
                request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, content, headers = answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            status, content, headers = error.code, error.read(), error.headers
        if content[:1] in (b"{", b"["):
            content = json.dumps(_evil(json.loads(content), "", in_ids=self.in_ids)).encode()
        self._send(
            status, content, {name: headers[name] for name in headers if name.lower().startswith("x-")}
        )

    do_POST = do_PUT = do_PATCH = do_GET

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status, "\x9b31m")
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner) for inner in value]
    return value.replace(EVIL, "") if isinstance(value, str) else value


class HostileVendor(ThreadingHTTPServer):
    """Answers as the server at ``origin`` does, with more in each text; ``refuse`` makes it refuse everything."""

    daemon_threads = True

    def __init__(self, origin: str, *, in_ids: bool) -> None:
        values = {"origin": origin.rstrip("/"), "in_ids": in_ids}
        self._handler: type[_Handler] = type("Handler", (_Handler,), values)
        super().__init__(("127.0.0.1", 0), self._handler)
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}"

    def refuse(self, status: int | None) -> None:
        """Answers every request with that status from now on; None answers as the server does again."""
        self._handler.refusal = status


@contextmanager
def hostile(origin: str, *, in_ids: bool = True) -> Iterator[HostileVendor]:
    """A hostile vendor in front of the server at ``origin``; its ids stay as they are where ``in_ids`` is false."""
    server = HostileVendor(origin, in_ids=in_ids)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
