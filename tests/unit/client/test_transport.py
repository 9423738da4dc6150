"""Answers over real sockets, in whatever form they come: what is read, what is refused, and over which connections."""

from __future__ import annotations

import base64
import errno
import gzip
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from task_history.client import request_threads
from task_history.client import transport as transport_module
from task_history.client.proxy import encode_logins, proxy_for
from task_history.client.transport import Transport
from task_history.client.transport_errors import Lost
from task_history.client.unpack import LARGE_BYTES, read_body
from task_history.client.urls import check_base, joined, parsed
from task_history.core.errors import (
    AnswerTooLarge,
    ConfigurationError,
    Rejected,
    Stopped,
    Unconfirmed,
    UnexpectedResponse,
    VendorUnavailable,
)
from task_history.core.models import Answer, Request
from task_history.core.stop import StopSignal

from .test_client import CA_VARIABLES, GOOD, KEY, Served, ask, certificates, client_of, serving, serving_tls

BODY = b'{"ok": true}'
Say = Callable[[socket.socket, int], bool]
"""Answers the n-th request of all on that connection; whether it stays open."""


class Talk:
    """What a server of raw bytes was asked, and on how many connections."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.connections = 0
        self.ended = 0


def _request(connection: socket.socket) -> bytes:
    """A whole request; empty when there is none any more."""
    found = b""
    while True:
        head, end, body = found.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            return found
        piece = connection.recv(65536)
        if not piece:
            return b""
        found += piece


@contextmanager
def talking(say: Say) -> Iterator[tuple[str, Talk]]:
    talk = Talk()
    listener = socket.create_server(("127.0.0.1", 0))

    def converse(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while head := _request(connection):
                talk.asked.append(head)
                if not say(connection, len(talk.asked)):
                    break
        talk.ended += 1

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            talk.connections += 1
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", talk
    finally:
        listener.close()


def whole(body: bytes = BODY, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def bare(body: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(body) + packing.flush()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FORMS: dict[str, bytes] = {
    "counted": whole(),
    "chunked": CHUNKED + b'5;a=b\r\n{"ok"\r\n7\r\n: true}\r\n0\r\nX-After: 1\r\n\r\n',
    "gzip": whole(gzip.compress(BODY), "Content-Encoding: gzip"),
    "deflate": whole(zlib.compress(BODY), "Content-Encoding: deflate"),
    "deflate without a header": whole(bare(BODY), "Content-Encoding: deflate"),
    "gzip of several members": whole(
        gzip.compress(BODY[:5]) + gzip.compress(b"") + gzip.compress(BODY[5:]), "Content-Encoding: gzip"
    ),
    "gzip with zeros after it": whole(gzip.compress(BODY) + bytes(8), "Content-Encoding: x-gzip"),
    "packed not at all": whole(BODY, "Content-Encoding: identity"),
    "a header beyond ASCII": whole(BODY, "X-Name: B\u00fccher", "X-Other: 1"),
    "many headers": whole(BODY, *(f"X-{number}: a" for number in range(90))),
    "hints before": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    + whole(),
    "continue before": b"HTTP/1.1 100 Continue\r\n\r\n" + whole(),
}


@pytest.mark.parametrize("name", FORMS, ids=str)
def test_every_form_of_an_answer_is_read(tmp_path: Path, name: str) -> None:
    """However it is framed and packed, the answer is the same, and its connection serves the next request."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(FORMS[name])
        return True

    with talking(say) as (url, talk), client_of(url, tmp_path) as client:
        for _ in range(3):
            assert client.send(ask()).data == {"ok": True}
        assert client.stats.retries == 0
        assert talk.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + whole(BODY, "Connection: close"),
    ],
    ids=["no length", "old", "hints before"],
)
def test_an_answer_that_ends_with_its_connection_is_read(tmp_path: Path, reply: bytes) -> None:
    """What closes the connection at its end is whole, and the next request takes another one."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(reply)
        return False

    with talking(say) as (url, talk), client_of(url, tmp_path) as client:
        for _ in range(2):
            assert client.send(ask()).data == {"ok": True}
        assert client.stats.retries == 0
        assert talk.connections == 2


BROKEN: dict[str, tuple[bytes, str]] = {
    "in the head": (b"HTTP/1.1 200 OK\r\nContent-", "connection was lost"),
    "in the body": (whole()[:-3], "connection was lost"),
    "in a chunk": (CHUNKED + b'c\r\n{"ok": ', "connection was lost"),
    "between chunks": (CHUNKED + b'c\r\n{"ok": true}\r\n', "connection was lost"),
    "packed": (whole(gzip.compress(BODY)[:-10], "Content-Encoding: gzip"), "could not be unpacked"),
    "in the second member": (
        whole(gzip.compress(BODY) + gzip.compress(BODY)[:-10], "Content-Encoding: gzip"),
        "could not be unpacked",
    ),
    "not packed": (whole(BODY, "Content-Encoding: gzip"), "could not be unpacked"),
    "packed twice": (
        whole(gzip.compress(gzip.compress(BODY)), "Content-Encoding: gzip, gzip"),
        "packed as 'gzip, gzip'",
    ),
    "packed twice, said twice": (
        whole(zlib.compress(gzip.compress(BODY)), "Content-Encoding: gzip", "Content-Encoding: deflate"),
        "packed as 'gzip, deflate'",
    ),
    "packed in another way": (whole(BODY, "Content-Encoding: br"), "packed as 'br'"),
    "no http": (b"220 mail.example ESMTP\r\n", "no HTTP"),
    "http of another version": (b"HTTP/7 200 OK\r\n\r\n", "no HTTP"),
    "two lengths": (whole(BODY, "Content-Length: 5"), "no HTTP"),
    "too many headers": (
        whole(BODY, *(f"X-{number}: a" for number in range(3000))),
        "too many or too large headers",
    ),
    "a huge header": (whole(BODY, "X: " + "a" * 2_000_000), "too many or too large headers"),
}


@pytest.mark.parametrize("name", BROKEN, ids=str)
def test_what_is_not_whole_is_never_an_answer(tmp_path: Path, name: str) -> None:
    """Cut off, packed in a way that was not asked for, or no HTTP: a fault, tried again, named without the key."""
    reply, response = BROKEN[name]

    def say(connection: socket.socket, number: int) -> bool:
        connection.sendall(reply if number < 3 or not passes else whole())
        return number >= 3 and passes

    for passes in (True, False):
        with (
            talking(say) as (url, _),
            client_of(url, tmp_path, fault_deadline_s=20.0 if passes else 0.1) as client,
        ):
            if passes:
                assert client.send(ask()).data == {"ok": True}
                assert client.stats.retries == 2
            else:
                with pytest.raises(VendorUnavailable, match=response) as caught:
                    client.send(ask())
                assert KEY not in str(caught.value)


DRIPS: dict[str, bytes] = {
    "in the head": b"HTTP/1.1 200 OK\r\nX-Name: ",
    "in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    "in a chunk's size": CHUNKED + b"5;a=",
    "in the trailers": CHUNKED + b"2\r\n{}\r\n0\r\nX-Name: ",
    "in hints before": b"HTTP/1.1 103 Early Hints\r\nLink: ",
}


def drip(start: bytes) -> Say:
    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(start)
        while True:
            connection.sendall(b"a")
            time.sleep(0.02)

    return say


@pytest.mark.parametrize("name", DRIPS, ids=str)
def test_an_answer_that_drips_is_given_up(tmp_path: Path, name: str) -> None:
    """However steadily the bytes come and wherever they stand, an answer has an end."""
    with (
        talking(drip(DRIPS[name])) as (url, _),
        client_of(url, tmp_path, timeout_s=0.1, fault_deadline_s=0.0) as client,
    ):
        began = time.monotonic()
        with pytest.raises(VendorUnavailable, match=r"did not end|no answer within 0\.1 s"):
            client.send(ask())
        assert time.monotonic() - began < 10


def test_a_drip_lasts_no_longer_than_the_setting_says(tmp_path: Path) -> None:
    """What drips is given up after ``timeout_s`` and a second for each 100,000 bytes, not after several times that."""
    with (
        talking(drip(DRIPS["in the body"])) as (url, _),
        client_of(url, tmp_path, timeout_s=8.0, fault_deadline_s=0.0) as client,
    ):
        began = time.monotonic()
        with pytest.raises(VendorUnavailable, match=r"did not end within 8 s"):
            client.send(ask())
        assert 8 < time.monotonic() - began < 16


def test_a_large_answer_may_take_longer(tmp_path: Path) -> None:
    """An answer that comes steadily and not too slowly is read, however many times ``timeout_s`` it takes."""
    piece, pieces = b" " * 400_000, 20

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * pieces + 4))
        for _ in range(pieces):
            connection.sendall(piece)
            time.sleep(0.2)
        connection.sendall(b"[{}]")
        return True

    with talking(say) as (url, _), client_of(url, tmp_path, timeout_s=1.0) as client:
        assert client.send(ask()).data == [{}]
        assert client.stats.retries == 0


@pytest.mark.parametrize("packing", ["", "gzip"], ids=["plain", "packed"])
@pytest.mark.parametrize("has_room", [True, False], ids=["room for a file", "no room"])
def test_a_large_answer_waits_for_its_turn(
    monkeypatch: pytest.MonkeyPatch, has_room: bool, packing: str
) -> None:
    """It waits longer than ``timeout_s`` after it has come whole; where no file can be written, it comes in its turn."""
    monkeypatch.setattr(tempfile, "tempdir", None if has_room else "/nowhere/at/all")
    body = random.Random(1).randbytes(LARGE_BYTES + 5_000_000)
    reply = whole(gzip.compress(body, 1), "Content-Encoding: gzip") if packing else whole(body)
    sent = threading.Event()

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(reply)
        sent.set()
        return True

    def when_large() -> None:
        # Without a file the answer stays in the connection meanwhile, and ``timeout_s`` counts on.
        is_sent.append(sent.wait(4.0 if has_room else 0.5))

    is_sent: list[bool] = []
    with talking(say) as (url, _):
        transport = Transport(parsed(url), timeout_s=3.0, max_idle_connections=1, answer_max_bytes=1 << 30)
        answer = transport.exchange("GET", "/", {}, None, is_fresh=False, when_large=when_large)
        transport.close()
    assert answer.body == body
    assert len(is_sent) == 1
    assert is_sent[0] or not has_room


def test_what_does_not_fit_in_the_file_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full in the midst of an answer, all of it is there in its turn."""
    pieces = [bytes([number]) * 1_000_000 for number in range(10)]

    class Full(FileIO):
        def write(self, data: Any, /) -> int:
            if self.tell() >= 4_000_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data[: 4_500_000 - self.tell()])

    with tempfile.NamedTemporaryFile() as file:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full(file.name, "w+"))
        turns: list[int] = []
        body = read_body("", pieces, max_bytes=1 << 30, when_large=lambda: turns.append(1))
    assert body == b"".join(pieces)
    assert turns == [1]


def test_a_large_answer_that_waits_is_asked_for_once(tmp_path: Path) -> None:
    """One whose turn comes after several ``timeout_s`` is not asked for again."""
    large = b'{"text": "' + b"x" * (4 * LARGE_BYTES) + b'"}'
    with (
        talking(saying(whole(large))) as (url, talk),
        client_of(url, tmp_path, concurrency=3, timeout_s=2.0) as client,
    ):
        answers = client.map([ask() for _ in range(3)], ahead=3)
        assert isinstance(next(answers), Answer)
        time.sleep(6.0)
        assert [type(answer) for answer in answers] == [Answer, Answer]
        assert len(talk.asked) == 3


def test_a_handshake_that_drips_is_given_up(tmp_path: Path) -> None:
    """A server that sends its part of the TLS handshake byte by byte is no connection, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
                while True:
                    connection.sendall(b"\0")
                    time.sleep(0.02)

        threading.Thread(target=serve, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with (
            client_of(url, tmp_path, timeout_s=0.2, fault_deadline_s=0.0) as client,
            pytest.raises(VendorUnavailable, match=r"no connection within 0\.2 s") as caught,
        ):
            client.send(ask("/x", "POST"))
        assert not isinstance(caught.value, Unconfirmed)


def silent_after(start: bytes) -> Say:
    """Says nothing more until the other side closes."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(start)
        connection.recv(1)
        return False

    return say


UNENDING: dict[str, Say] = {
    **{f"a drip {name}": drip(start) for name, start in DRIPS.items()},
    "silence before the head": silent_after(b""),
    "silence before the body": silent_after(CHUNKED),
    "silence in the body": silent_after(CHUNKED + b"2\r\n[1\r\n"),
}


@pytest.mark.parametrize("name", UNENDING, ids=str)
def test_an_interrupted_run_waits_for_no_answer(tmp_path: Path, name: str) -> None:
    """Asked to stop, a run ends the answers in flight after a moment, also those that were asked for side by side."""
    for is_mapped in (False, True):
        stop = StopSignal()
        began = time.monotonic()
        with (
            talking(UNENDING[name]) as (url, talk),
            client_of(url, tmp_path, timeout_s=600.0, stop=stop) as client,
        ):
            threading.Thread(target=_interrupt, args=(stop, talk), daemon=True).start()
            if is_mapped:
                answers = list(client.map([ask(), ask(), ask()]))
                assert [type(answer) for answer in answers] == [Stopped] * 3
            else:
                with pytest.raises(Stopped, match="SIGTERM"):
                    client.send(ask())
        assert time.monotonic() - began < 60


def test_a_process_ends_whatever_it_waits_for() -> None:
    """An answer that stays silent in its body keeps no process alive once its client is closed."""
    with talking(UNENDING["silence in the body"]) as (url, _):
        code = f"""
import tempfile, threading
from pathlib import Path
from tests.unit.client.test_client import ask, client_of
client = client_of({url!r}, Path(tempfile.mkdtemp()), timeout_s=600.0)
threading.Timer(2.0, client.close).start()
for answer in client.map([ask(), ask()]):
    print(type(answer).__name__)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
        )
    assert (done.returncode, done.stdout.split()) == (0, ["Stopped", "Stopped"]), done.stderr


def test_a_limit_of_the_run_lets_answers_in_flight_come(tmp_path: Path) -> None:
    """With ``--max-requests`` what was sent is read, however long its answer takes: it is paid for."""

    def say(connection: socket.socket, _: int) -> bool:
        time.sleep(1.5)
        connection.sendall(whole())
        return True

    with (
        talking(say) as (url, _),
        client_of(url, tmp_path, stop=StopSignal(max_requests=2), concurrency=2) as client,
    ):
        answers = list(client.map([ask()] * 4))
    assert [type(answer).__name__ for answer in answers[:3]] == ["Answer", "Answer", "Stopped"]


def test_closing_a_client_waits_for_no_drip(tmp_path: Path) -> None:
    """What is left in flight when something else failed keeps nothing up."""
    with talking(drip(DRIPS["in the body"])) as (url, talk):
        client = client_of(url, tmp_path, timeout_s=600.0)
        answers = client.map([ask(), ask()], ahead=2)
        _wait_until(lambda: len(talk.asked) == 2)
        began = time.monotonic()
        client.close()
        del answers
        assert time.monotonic() - began < 60


def test_a_request_that_is_sent_once_is_not_cut_off_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted, what has effects gets longer to be answered; then it is said that nobody knows what it did."""
    once = Request("replay", "/x", method="POST", is_once=True)
    for grace_s, is_answered in ((60.0, True), (0.1, False)):
        monkeypatch.setattr(request_threads, "_ONCE_GRACE_S", grace_s)
        stop, release = StopSignal(), threading.Event()

        def say(connection: socket.socket, _: int, release: threading.Event = release) -> bool:
            release.wait(60)
            connection.sendall(whole())
            return True

        with talking(say) as (url, talk), client_of(url, tmp_path, timeout_s=600.0, stop=stop) as client:
            threading.Thread(target=_interrupt, args=(stop, talk), daemon=True).start()
            if is_answered:
                threading.Timer(2.0, release.set).start()
                assert client.send(once).data == {"ok": True}
            else:
                with pytest.raises(Unconfirmed, match="may or may not"):
                    client.send(once)
                release.set()
        assert len(talk.asked) == 1


def _interrupt(stop: StopSignal, talk: Talk) -> None:
    _wait_until(lambda: bool(talk.asked))
    time.sleep(0.2)
    stop.request("SIGTERM")


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def saying(start: bytes, endlessly: bytes = b"") -> Say:
    """Answers with those bytes, and then with the others for ever where there are any."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(start)
        while endlessly:
            connection.sendall(endlessly)
        return True

    return say


LARGE: dict[str, Say] = {
    "gzip bomb": saying(whole(gzip.compress(bytes(4_000_000)), "Content-Encoding: gzip")),
    "deflate bomb": saying(whole(zlib.compress(bytes(4_000_000)), "Content-Encoding: deflate")),
    "many members": saying(whole(gzip.compress(bytes(40_000)) * 100, "Content-Encoding: gzip")),
    "endless": saying(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65536),
    "endless chunks": saying(CHUNKED, b"10000\r\n" + b"a" * 65536 + b"\r\n"),
    "endless and packed, of nothing": saying(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n\x78\x9c", b"\x00\x00\x00\xff\xff" * 10_000
    ),
    "counted": saying(whole(bytes(2_000_000))),
}


@pytest.mark.parametrize("name", LARGE, ids=str)
def test_an_answer_beyond_the_bound_is_refused(tmp_path: Path, name: str) -> None:
    """More bytes than ``answer_max_bytes``, as they come or unpacked, are not held; the error names the request."""
    with talking(LARGE[name]) as (url, talk), client_of(url, tmp_path, answer_max_bytes=1 << 20) as client:
        request = Request("payload", "/x/y", params=(("token", "hidden"),))
        with pytest.raises(
            AnswerTooLarge, match=r"payload request GET /x/y .*1 MiB.*answer_max_bytes"
        ) as caught:
            client.send(request)
        assert "hidden" not in str(caught.value)
        assert KEY not in str(caught.value)
        assert len(talk.asked) == 1
        answers = list(client.map([request, request]))
        assert [type(answer) for answer in answers] == [AnswerTooLarge] * 2


def test_the_bound_is_exact(tmp_path: Path) -> None:
    """As many bytes as ``answer_max_bytes`` are read, one more is refused, packed or not."""
    body = b'"' + b"a" * 998 + b'"'

    def say(connection: socket.socket, number: int) -> bool:
        packed = gzip.compress(body)
        connection.sendall(whole(packed, "Content-Encoding: gzip") if number % 2 else whole(body))
        return True

    for bound, is_read in ((1000, True), (999, False)):
        with talking(say) as (url, _), client_of(url, tmp_path, answer_max_bytes=bound) as client:
            for _ in range(2):
                if is_read:
                    assert client.send(ask()).body == body
                else:
                    with pytest.raises(AnswerTooLarge):
                        client.send(ask())


def test_a_refusal_with_an_endless_body_is_a_refusal(tmp_path: Path) -> None:
    """What is no success is told by its status, whatever size or packing its body has."""
    for start in (b"HTTP/1.1 404 Gone\r\n\r\n", b"HTTP/1.1 404 Gone\r\nContent-Encoding: br\r\n\r\n"):
        with talking(saying(start, b"a" * 65536)) as (url, _), client_of(url, tmp_path) as client:
            with pytest.raises(Rejected, match="404") as caught:
                client.send(ask())
            assert caught.value.status == 404
            assert not isinstance(caught.value, AnswerTooLarge)


def test_what_was_sent_once_and_answered_beyond_the_bound_is_uncertain(tmp_path: Path) -> None:
    """It was carried out or not: without its answer nobody knows, and it is not sent again."""
    with (
        talking(LARGE["endless"]) as (url, talk),
        client_of(url, tmp_path, answer_max_bytes=1 << 20) as client,
        pytest.raises(Unconfirmed, match="may or may not"),
    ):
        client.send(Request("replay", "/x", method="POST", is_once=True))
    assert len(talk.asked) == 1


def test_a_connection_that_was_closed_meanwhile_costs_no_pause(tmp_path: Path) -> None:
    """A server that closes after its answer without a word is no fault: the next request has a connection at once."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(whole())
        return False

    with talking(say) as (url, _), client_of(url, tmp_path, fault_deadline_s=0.0) as client:
        for _ in range(20):
            assert client.send(ask()).data == {"ok": True}
        assert client.stats.waited_s["fault"] == 0


def _closes_kept_connections(how: Callable[[socket.socket], None]) -> Say:
    """A server that answers the first request of each connection and closes at the second."""
    seen: set[socket.socket] = set()

    def say(connection: socket.socket, _: int) -> bool:
        if connection in seen:
            how(connection)
            return False
        seen.add(connection)
        connection.sendall(whole())
        return True

    return say


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("how", [lambda _: None, _reset], ids=["closed", "reset"])
def test_a_kept_connection_that_closes_under_a_request_is_no_fault(
    tmp_path: Path, how: Callable[[socket.socket], None]
) -> None:
    """A read is sent again once, at once and over a new connection; what has effects never goes over a kept one."""
    with (
        talking(_closes_kept_connections(how)) as (url, talk),
        client_of(url, tmp_path, fault_deadline_s=0.0) as client,
    ):
        for _ in range(2):
            assert client.send(ask()).data == {"ok": True}
        assert len(talk.asked) == 3
        assert client.stats.waited_s["fault"] == 0
        for _ in range(3):
            client.send(Request("replay", "/x", method="POST", is_once=True))
        assert len(talk.asked) == 6


def test_a_server_that_always_closes_is_a_fault(tmp_path: Path) -> None:
    """Sent again at once is a request one time only; after that its faults are paused after and have a deadline."""
    with (
        talking(lambda *_: False) as (url, talk),
        client_of(url, tmp_path, fault_deadline_s=0.0) as client,
        pytest.raises(VendorUnavailable, match="connection was lost"),
    ):
        client.send(ask())
    assert len(talk.asked) == 2


def test_what_nobody_asked_for_is_no_answer(tmp_path: Path) -> None:
    """Bytes that follow an answer are not taken for the answer to what is asked next."""

    def say(connection: socket.socket, number: int) -> bool:
        connection.sendall(whole(b'{"ok": true}') if number > 1 else whole(b'{"ok": false}'))
        if number == 1:
            time.sleep(0.05)
            connection.sendall(whole(b'{"is": "somebody else\'s"}'))
        return True

    with talking(say) as (url, _), client_of(url, tmp_path) as client:
        assert client.send(ask()).data == {"ok": False}
        time.sleep(0.2)
        assert client.send(ask()).data == {"ok": True}
        assert client.stats.retries == 0


def test_connections_that_rested_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rest another one is made: servers close theirs after 5 s, this side closes after 4."""
    assert transport_module.KEEP_ALIVE_S == 4.0
    monkeypatch.setattr(transport_module, "KEEP_ALIVE_S", 0.2)

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(whole())
        return True

    with talking(say) as (url, talk), client_of(url, tmp_path) as client:
        for number in range(1, 4):
            client.send(ask())
            assert talk.connections == number
            time.sleep(0.5)


def test_what_has_effects_goes_over_a_connection_of_its_own(tmp_path: Path) -> None:
    """One that was kept may be closed just then, and nobody would know whether the request arrived."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(whole())
        return True

    with talking(say) as (url, talk), client_of(url, tmp_path) as client:
        client.send(ask())
        client.send(Request("replay", "/x", method="POST", is_once=True))
        assert talk.connections == 2
    for _ in range(1000):
        if talk.ended == 2:
            break
        time.sleep(0.005)
    assert talk.ended == 2


def test_what_is_sent(tmp_path: Path) -> None:
    """The address as it was given, values percent-encoded, a body as JSON, its length, no cookie that an answer set."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(whole(BODY, "Set-Cookie: a=b"))
        return True

    with talking(say) as (url, talk), client_of(f"{url}/base/", tmp_path) as client:
        client.send(Request("list", "/a b/%2Fc", params=(("q", "x y/+é"),)))
        client.send(Request("answer", "c", method="POST", body={"é": 1}))
        client.send(Request("token", "t", method="POST"), form={"grant": "a b"}, headers={"Accept": "*/*"})
        client.send(Request("replay", "r", method="POST"))
    first, second, third, fourth = (head.decode() for head in talk.asked)
    assert first.startswith("GET /base/a%20b/%2Fc?q=x%20y%2F%2B%C3%A9 HTTP/1.1\r\n")
    assert f"\r\nAuthorization: Bearer {KEY}\r\n" in first
    assert "\r\nAccept-Encoding: gzip, deflate\r\n" in first
    assert "\r\nContent-Type: application/json\r\n" in second
    assert second.endswith('\r\n\r\n{"é": 1}')
    assert "\r\nContent-Type: application/x-www-form-urlencoded\r\n" in third
    assert third.endswith("\r\n\r\ngrant=a+b")
    assert "\r\nAccept: */*\r\n" in third
    assert "Authorization" not in third
    assert "\r\nContent-Length: 0\r\n" in fourth
    assert "\r\nContent-Length: " not in first
    assert all(head.count("\r\nHost: ") == 1 for head in (first, second, third, fourth))
    assert not any("cookie" in head.lower() for head in (first, second, third, fourth))


PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
PASSWORD = "Sup3rS3cret/x@9"


VENDOR = "https://vendor.invalid"


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A vendor whose name only a proxy knows, with a certificate that is trusted."""
    own = certificates(tmp_path, "vendor.invalid")
    for name in (*PROXY_VARIABLES, *CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(own.authority))
    with serving_tls(lambda *_: GOOD, own.server) as served:
        yield served


def tunnel_to(port: int) -> Say:
    """What an HTTP proxy does with CONNECT."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        _join(connection, port)
        return False

    return say


def _join(connection: socket.socket, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as there:
        back = threading.Thread(target=_copy, args=(there, connection))
        back.start()
        _copy(connection, there)
        back.join()


@contextmanager
def socks_proxy(port: int, *, wants_login: bool) -> Iterator[tuple[str, list[bytes]]]:
    """A SOCKS 5 proxy (RFC 1928, 1929) that leads to that port; its address and the logins and hosts it was given."""
    given: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def converse(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(257)
            connection.sendall(b"\x05\x02" if wants_login else b"\x05\x00")
            if wants_login:
                given.append(connection.recv(513))
                connection.sendall(b"\x01\x00")
            given.append(connection.recv(262))
            connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
            _join(connection, port)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=converse, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", given
    finally:
        listener.close()


@pytest.mark.parametrize("no_proxy", ["", "vendor.invalid"], ids=["proxy", "none for it"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_from_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: Served, variable: str, no_proxy: str
) -> None:
    """What HTTPS_PROXY names carries what is sent, still encrypted for the vendor; NO_PROXY excepts a host."""
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with talking(tunnel_to(vendor.server.server_port)) as (proxy, talk):
        # Without a scheme it is an HTTP proxy.
        monkeypatch.setenv(variable, proxy.removeprefix("http://") if variable == "ALL_PROXY" else proxy)
        with client_of(f"{VENDOR}/api", tmp_path, fault_deadline_s=0.0) as client:
            if no_proxy:
                with pytest.raises(VendorUnavailable, match="host name is not found"):
                    client.send(ask())
                assert talk.asked == []
            else:
                for _ in range(2):
                    assert client.send(ask()).data == {"ok": True}
                assert [head.split(b"\r\n")[0] for head in talk.asked] == [
                    b"CONNECT vendor.invalid:443 HTTP/1.1"
                ]
                assert [path for path, _, _ in vendor.asked] == ["/api/x", "/api/x"]
                assert KEY.encode() not in b"".join(talk.asked)


@pytest.mark.parametrize("scheme", ["socks5h", "socks5", "socks"])
@pytest.mark.parametrize("login", ["", f"us er:{PASSWORD}@"], ids=["no login", "login"])
def test_a_socks_proxy_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: Served, scheme: str, login: str
) -> None:
    """SOCKS proxies carry what is sent as HTTP proxies do; socks5h leaves it to the proxy to find the host."""
    with socks_proxy(vendor.server.server_port, wants_login=bool(login)) as (place, given):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{login}{place}")
        with client_of(VENDOR, tmp_path, fault_deadline_s=0.0) as client:
            if scheme == "socks5":
                with pytest.raises(VendorUnavailable, match="host name is not found"):
                    client.send(ask())
                return
            assert client.send(ask()).data == {"ok": True}
            client.send(Request("replay", "/x", method="POST", is_once=True))
        assert b"vendor.invalid" in given[-1]
        if login:
            assert PASSWORD.encode() in given[0]
        assert len(vendor.asked) == 2


@pytest.mark.parametrize("password", [PASSWORD, "a:b", "%2F", "ü"], ids=str)
def test_a_login_for_the_proxy_is_used_and_never_shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    vendor: Served,
    password: str,
) -> None:
    """Its password may hold any character; where the proxy refuses it, that is said without it and not tried again."""
    caplog.set_level("DEBUG")
    expected = base64.b64encode(f"user:{password.replace('%2F', '/')}".encode())
    accepts = [True]

    def say(connection: socket.socket, number: int) -> bool:
        if accepts[0]:
            return tunnel_to(vendor.server.server_port)(connection, number)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return False

    with talking(say) as (proxy, talk):
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("http://", f"http://user:{password}@"))
        with client_of(VENDOR, tmp_path) as client:
            assert client.send(ask()).data == {"ok": True}
        assert b"proxy-authorization: basic " + expected.lower() in talk.asked[0].lower()
        accepts[0] = False
        http_request = len(talk.asked)
        with client_of(VENDOR, tmp_path) as client:
            with pytest.raises(ConfigurationError, match=rf"proxy {proxy}.*407.*HTTPS_PROXY") as caught:
                client.send(ask())
            assert len(talk.asked) == http_request + 1
    text = str(caught.value) + caplog.text + repr(proxy_for(parsed(VENDOR)))
    assert password not in text
    assert KEY not in text


def test_a_proxy_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: Served) -> None:
    """A proxy that is dead, unknown, silent or refuses to connect is told from the vendor, without its login."""

    def refuse(connection: socket.socket, _: int) -> bool:
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        return False

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        socket.create_server(("127.0.0.1", 0)) as closed,
        talking(refuse) as (refusing, _),
    ):
        dead = f"127.0.0.1:{closed.getsockname()[1]}"
        closed.close()
        for place, reason in (
            (f"http://user:{PASSWORD}@{dead}", rf"proxy http://{dead} failed: the connection was refused"),
            (f"socks5h://user:{PASSWORD}@{dead}", rf"proxy socks5h://{dead} failed"),
            (
                f"http://user:{PASSWORD}@proxy.invalid:1",
                r"proxy http://proxy\.invalid:1 failed: its host name",
            ),
            (f"http://127.0.0.1:{silent.getsockname()[1]}", r"proxy .* failed: no connection within 0\.2 s"),
            (refusing, r"proxy .* failed: it does not connect to the vendor"),
        ):
            monkeypatch.setenv("HTTPS_PROXY", place)
            with (
                client_of(VENDOR, tmp_path, fault_deadline_s=0.0, timeout_s=0.2) as client,
                pytest.raises(VendorUnavailable, match=reason) as caught,
            ):
                # Nothing reached the vendor: it is known that nothing was done.
                client.send(Request("replay", "/x", method="POST", is_once=True))
            assert not isinstance(caught.value, Unconfirmed)
            assert "Sup3r" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (f"ftp://user:{PASSWORD}@proxy:21", "not supported: use http://"),
        (f"gopher+x://user:{PASSWORD}@proxy", "not supported: use http://"),
        (f"http://user:{PASSWORD}@", "no address"),
        (f"http://user:{PASSWORD}@pro xy:1", "no address"),
        ("http://proxy:99999999", "no address"),
        (f"http://user:{PASSWORD}@proxy:99999", "no address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_setting_to_correct(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, reason: str
) -> None:
    """Of another kind, or no address: one sentence before anything is sent, without the login."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", place)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        client_of(VENDOR, tmp_path)
    assert "HTTPS_PROXY" in str(caught.value)
    assert "Sup3r" not in str(caught.value)
    with serving(lambda *_: GOOD) as served, client_of(served.url, tmp_path) as client:
        # Nothing on this machine is asked through a proxy.
        client.send(ask())


def test_what_never_got_a_connection_was_not_sent(tmp_path: Path) -> None:
    """A server that accepts and then says nothing of TLS has got nothing: even what has effects is tried again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with (
            client_of(url, tmp_path, timeout_s=0.1, fault_deadline_s=0.2) as client,
            pytest.raises(VendorUnavailable, match=r"no connection within 0\.1 s"),
        ):
            client.send(Request("replay", "/x", method="POST", is_once=True))
        assert client.stats.retries > 0


def test_who_asks_no_vendor_starts_without_what_speaks_http() -> None:
    """Commands that only read the warehouse do not pay for importing it."""
    words = (
        "import sys, task_history.client.client; sys.exit(bool({'httpx', 'pyreqwest'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", words], check=True)


def _copy(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while piece := here.recv(65536):
            there.sendall(piece)
        there.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://Vendor.Example", "https://vendor.example", "/"),
        ("HTTPS://vendor.example:443/a b".replace(" ", "%20"), "https://vendor.example", "/a%20b"),
        ("https://vendor.example:8443/é", "https://vendor.example:8443", "/%C3%A9"),
        ("https://bücher.example/", "https://xn--bcher-kva.example", "/"),
        ("https://faß.example/", "https://xn--fa-hia.example", "/"),
        ("http://[::1]:80/x", "http://[::1]", "/x"),
        ("http://LOCALHOST:1/x", "http://localhost:1", "/x"),
    ],
)
def test_addresses_are_taken_apart(url: str, origin: str, target: str) -> None:
    """Scheme and host in the one form in which they are compared, what is asked as it is sent."""
    address = parsed(url)
    check_base(address)
    assert (address.origin, address.target) == (origin, target)


@pytest.mark.parametrize(
    "url",
    [
        "https://vendor.example\\@evil.example",
        "https://vendor.example\t.evil.example",
        "https://vendor.example:99999",
        "https://vendor.example:x",
        "https://[::1",
        "https://[vendor]",
        "https://a%2eb",
        "https://-a-",
        " https://vendor.example",
    ],
)
def test_addresses_that_may_be_read_otherwise_are_none(url: str) -> None:
    """What another parser may take for another host is refused."""
    with pytest.raises((ValueError, ConfigurationError)):
        check_base(parsed(url))


@pytest.mark.parametrize(
    ("location", "origin"),
    [
        ("/there", "https://vendor.example"),
        ("there?x=1", "https://vendor.example"),
        ("//evil.example/x", "https://evil.example"),
        ("https://vendor.example@evil.example/", "https://evil.example"),
        ("http://vendor.example/", "http://vendor.example"),
        ("https://vendor.example:444/", "https://vendor.example:444"),
    ],
)
def test_where_a_redirect_leads(location: str, origin: str) -> None:
    """The origin that decides whether it is followed."""
    assert joined("https://vendor.example/a/b?c=d", location).origin == origin


def test_a_redirect_to_no_address_is_said_to_be_one(tmp_path: Path) -> None:
    """A header Location that no two would read alike ends it with what to check."""
    with (
        serving(lambda *_: (302, {"Location": "http:\\\\evil.example"}, b"")) as served,
        client_of(served.url, tmp_path) as client,
        pytest.raises(UnexpectedResponse, match="base_url"),
    ):
        client.send(ask())


def test_what_failed_is_closed_at_once() -> None:
    """An answer that cannot be read leaves no connection open, also while its error is still looked at."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(b"HTTP/2 200 OK\r\n\r\n")
        return True

    with talking(say) as (url, talk):
        transport = Transport(parsed(url), timeout_s=5.0, max_idle_connections=1, answer_max_bytes=1000)
        with pytest.raises(Lost):
            transport.exchange("GET", "/", {}, None, is_fresh=False)
        _wait_until(lambda: bool(talk.ended))
        transport.close()


def test_no_text_of_reqwest_is_told(tmp_path: Path) -> None:
    """Its errors hold the whole address, with what is asked: none of it is in the error or what caused it."""
    with client_of("http://127.0.0.1:9", tmp_path, fault_deadline_s=0.0) as client:
        with pytest.raises(VendorUnavailable) as caught:
            client.send(Request("list", "/x", params=(("q", "hidden"),)))
        error: BaseException | None = caught.value
        while error is not None:
            assert "hidden" not in repr(error)
            error = error.__cause__ or error.__context__


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"])
def test_logins_of_proxies_are_encoded_for_libraries(variable: str) -> None:
    """They get an address that they understand, and its password is known, to be printed nowhere."""
    password = "Sup3r/S@c r#t?%:"
    environ = {variable: f"ftp://user:{password}@proxy:1", "NO_PROXY": "user:x@host", "PATH": "a@b"}
    assert encode_logins(environ)[0] == password
    encoded = environ[variable]
    assert encoded == f"ftp://user:{quote(password, safe='')}@proxy:1"
    assert (environ["NO_PROXY"], environ["PATH"]) == ("user:x@host", "a@b")
    assert unquote(encode_logins(environ)[1]) == password
    assert environ[variable] == encoded
