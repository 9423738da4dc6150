"""Heads of HTTP/1.1 are read as http.client reads them, and written so that nobody reads two of them."""

from __future__ import annotations

import http.client
import io
import socket
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_history.client.heads import Response, request_head

TOKENS = st.text("abcXYZ019-_.!~", min_size=1, max_size=12)
TEXTS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF).filter(lambda one: one != "\x7f"), max_size=20
).map(lambda text: text.strip("\x85\xa0 \t"))
MEANT = st.sampled_from(
    [
        ("Content-Length", "5"),
        ("content-length", "-5"),
        ("Content-Length", "many"),
        ("Transfer-Encoding", "chunked"),
        ("Transfer-Encoding", "Chunked"),
        ("transfer-encoding", "identity"),
        ("Connection", "close"),
        ("Connection", "Keep-Alive"),
        ("Keep-Alive", "timeout=5"),
        ("X-Twice", "one"),
        ("x-twice", "two"),
        ("Empty", ""),
    ]
)
FIELDS = st.lists(st.one_of(st.tuples(TOKENS, TEXTS), MEANT), max_size=12)
STATUS = st.sampled_from(["200 OK", "204 No Content", "304 Not Modified", "404 Not Found", "500", "200 "])
VERSION = st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2", "ICY"])
ODD = st.sampled_from(
    [
        "no colon",
        " folded: value",
        "\tfolded",
        "spaced : value",
        ": nothing",
        "bare\nbreak: x",
        "a: b\rc",
        "é: x",
    ]
)


class Said(socket.socket):
    """What stands for a connection on which that was said: http.client wants no more of it."""

    def __init__(self, said: bytes) -> None:
        super().__init__()
        self.close()
        self._said = said

    def makefile(self, *_: Any, **__: Any) -> Any:
        return io.BufferedReader(io.BytesIO(self._said))


def _seen(made: http.client.HTTPResponse) -> Any:
    try:
        made.begin()
    except (http.client.HTTPException, ValueError) as error:
        return type(error)
    assert made.fp is not None or made.length == 0
    rest = made.fp.read() if made.fp is not None else b""
    found = [(name, value.strip(" \t")) for name, value in made.getheaders()]
    return made.status, made.reason, made.version, made.chunked, made.length, made.will_close, found, rest


def _both(said: bytes, method: str) -> tuple[Any, Any]:
    ours = Response(Said(said), method)
    theirs = http.client.HTTPResponse(Said(said), method=method)
    return _seen(ours), _seen(theirs)


@given(VERSION, STATUS, FIELDS, st.sampled_from(["GET", "HEAD", "POST"]), st.binary(max_size=30))
def test_a_plain_head_is_read_as_http_client_reads_it(
    version: str, status: str, fields: list[tuple[str, str]], method: str, body: bytes
) -> None:
    """Status, fields, and what they say of the body and the connection; what follows is left where it is."""
    lines = [f"{version} {status}", *(f"{name}: {value}" for name, value in fields)]
    said = "\r\n".join([*lines, "\r\n"]).encode("latin-1") + body
    ours, theirs = _both(said, method)
    assert ours == theirs


@given(
    st.lists(st.one_of(st.tuples(TOKENS, TEXTS).map(": ".join), ODD), min_size=1, max_size=6), st.booleans()
)
def test_an_odd_head_is_read_as_http_client_reads_it(lines: list[str], ends: bool) -> None:
    """Whatever is odd about it, folded lines, none with a colon, is what http.client makes of it."""
    said = "\r\n".join(["HTTP/1.1 200 OK", *lines]).encode("latin-1") + (b"\r\n\r\nbody" if ends else b"\r\n")
    ours, theirs = _both(said, "GET")
    if ends:
        assert ours == theirs
    else:
        # http.client takes the end of what was said for the head's end.
        assert ours is http.client.IncompleteRead


def test_a_length_beyond_all_measure_is_none() -> None:
    """It raises nothing that nobody expects: the answer then ends with its connection."""
    ours, _ = _both(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nbody", "GET")
    assert ours[4:6] == (None, True)
    assert ours[-1] == b"body"


class Slow(io.RawIOBase):
    """What was said, in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        piece = self._pieces.pop(0) if self._pieces else b""
        room[: len(piece)] = piece
        return len(piece)


class SlowlySaid(Said):
    """The same, cut in two."""

    def __init__(self, said: bytes, at: int) -> None:
        super().__init__(said)
        self._at = at

    def makefile(self, *_: Any, **__: Any) -> Any:
        return Slow(self._said[: self._at], self._said[self._at :])


@pytest.mark.parametrize("at", range(1, 60))
def test_a_head_that_comes_in_pieces_is_read(at: int) -> None:
    """Wherever it is cut, and with spaces around its values."""
    said = b"HTTP/1.1 200 OK\r\nContent-Length: \t4 \r\nX-A:  b \r\n\r\nbodymore"
    response = Response(SlowlySaid(said, at), "GET")
    response.begin()
    assert response.read() == b"body"
    assert response.getheaders() == [("Content-Length", "4"), ("X-A", "b")]


def test_too_many_fields_are_refused() -> None:
    """A head of more than a hundred fields is none."""
    said = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101 + b"\r\n"
    ours, theirs = _both(said, "GET")
    assert ours is theirs is http.client.HTTPException


class Served(BaseHTTPRequestHandler):
    """What Python's server makes of a head."""

    def __init__(self, said: bytes) -> None:
        self.rfile = io.BytesIO(said)
        self.wfile = io.BytesIO()
        self.client_address = ("", 0)
        self.raw_requestline = self.rfile.readline()
        self.is_read = self.parse_request()

    def log_message(self, *_: Any) -> None: ...


def test_what_is_sent_is_what_a_server_reads() -> None:
    """Method, target, host, fields and the size of the body."""
    head = request_head(
        "POST", "/a%20b?c=d&e=%7B", "x.example:8443", {"Accept": "application/json", "A-b": "c d"}, 12
    )
    served = Served(head)
    assert served.is_read
    assert (served.command, served.path) == ("POST", "/a%20b?c=d&e=%7B")
    assert served.headers.items() == [
        ("Host", "x.example:8443"),
        ("Accept", "application/json"),
        ("A-b", "c d"),
        ("Content-Length", "12"),
    ]
    assert b"Content-Length: 0\r\n" in request_head("POST", "/", "x", {}, None)
    assert b"Content-Length" not in request_head("GET", "/", "x", {}, None)


@given(
    st.one_of(st.just("/a"), st.text(max_size=12)),
    st.one_of(TOKENS, st.text(max_size=12)),
    st.text("ab: \r\n\x00é", max_size=12),
)
def test_nothing_that_is_sent_becomes_two_heads(target: str, name: str, value: str) -> None:
    """Line breaks, spaces and what is no character of HTTP are refused wherever they stand."""
    try:
        head = request_head("GET", target, "x", {name: value}, None)
    except ValueError:
        return
    lines = head.split(b"\r\n")
    assert len(lines) == 5
    assert lines[3:] == [b"", b""]
    assert head.count(b"\n") == head.count(b"\r") == 4
    assert lines[0].split(b" ") == [b"GET", target.encode(), b"HTTP/1.1"]


@pytest.mark.parametrize("target", ["", "/a b", "/a\r\nX: y", "/ä", "/\x00"])
def test_a_target_that_would_be_more_is_refused(target: str) -> None:
    """So are those that stand for it."""
    with pytest.raises(ValueError, match="cannot be sent"):
        request_head("GET", target, "x", {}, None)
