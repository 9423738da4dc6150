"""The heads of HTTP/1.1, out and in: of all that http.client does for a request they take four fifths of its time.

What an answer's head means for its body, http.client decides, and reads it: those are the harder rules.
https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import http.client
import io
import re
import socket
from collections.abc import Mapping
from typing import Any

_BUFFER = 1 << 16
_MOST = 100
"""Fields; more are for http.client to refuse."""
_DIGITS = 18
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"[\x21-\x7e]+")
_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def request_head(method: str, target: str, host: str, headers: Mapping[str, str], size: int | None) -> bytes:
    """What is sent before a body of that many bytes. Raises ValueError for what would be more than one head."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _TEXT.fullmatch(value):
            raise ValueError(f"the header {name!r} cannot be sent")
        lines.append(f"{name}: {value}")
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise ValueError("the target cannot be sent")
    if size is None and method in ("POST", "PUT", "PATCH"):
        size = 0
    if size is not None:
        lines.append(f"Content-Length: {size}")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1")


class Response(http.client.HTTPResponse):
    """One answer on a connection. ``begin`` reads its head."""

    headers: Any

    def __init__(self, sock: socket.socket, method: str) -> None:
        super().__init__(_Opened(sock), method=method)  # type: ignore[arg-type]

    def begin(self) -> None:
        """Reads the head, also one that is only said in advance. Raises HTTPException."""
        version, status, reason = self._read_status()  # type: ignore[attr-defined]
        if not version.startswith(("HTTP/1.", "HTTP/0.9")):
            raise http.client.UnknownProtocol(version)
        self.version = 10 if version in ("HTTP/1.0", "HTTP/0.9") else 11
        self.status, self.reason = status, reason.strip()
        self.headers = _fields(self.fp)
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = self.headers.get("content-length", "")
        is_length = length.isdecimal() and len(length) <= _DIGITS
        self.length = int(length) if is_length and not self.chunked else None
        if status in (204, 304) or status < 200 or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        ends_with_it = not self.chunked and self.length is None
        self.will_close = ends_with_it or self._check_close()  # type: ignore[attr-defined]


class _Fields(list[tuple[str, str]]):
    """The fields of a head as http.client asks for them."""

    def get(self, name: str, default: str | None = None) -> str | None:
        return next((value for key, value in self if key.lower() == name), default)

    def items(self) -> list[tuple[str, str]]:
        return self


def _fields(lines: Any) -> _Fields:
    """What follows the status line; what is not plainly a few fields is left to http.client."""
    seen = lines.peek(1)
    if seen.startswith(b"\r\n"):
        lines.read(2)
        return _Fields()
    end = seen.find(b"\r\n\r\n")
    found = _Fields()
    for line in seen[: max(0, end)].decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or not _TEXT.fullmatch(value) or len(found) == _MOST:
            read = http.client.parse_headers(lines).items()
            return _Fields((key, text.strip(" \t")) for key, text in read)
        found.append((name, value.strip(" \t")))
    lines.read(end + 4)
    return found


class _Lines(io.BufferedReader):
    """http.client takes an end in the middle of a head for the head's end."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise http.client.IncompleteRead(line)
        return line


class _Opened:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _: str) -> _Lines:
        return _Lines(self._sock.makefile("rb", buffering=0), _BUFFER)
