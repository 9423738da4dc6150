"""A request that has effects leaves this machine at most once, whatever comes back or does not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from task_history.core.errors import (
    AuthenticationError,
    Rejected,
    Stopped,
    TaskHistoryError,
    Unconfirmed,
    VendorUnavailable,
)
from task_history.core.models import Request
from task_history.core.stop import StopSignal
from tests.unit.client.test_client import GOOD, KEY, Reply, client_of, serving

ONCE = Request("replay", "/x/replay", method="POST", is_once=True)
ANSWERS: dict[str, tuple[Reply, type[TaskHistoryError], int | None]] = {
    "429 in seconds": ((429, {"Retry-After": "1"}, b""), Rejected, 429),
    "429 without a word": ((429, {}, b""), Rejected, 429),
    "404": ((404, {}, b'{"message":"not found"}'), Rejected, 404),
    "409": ((409, {}, b'{"message":"conflict"}'), Rejected, 409),
    "401": ((401, {}, b""), AuthenticationError, 401),
    "403": ((403, {}, b""), AuthenticationError, 403),
    "503 told to wait": ((503, {"Retry-After": "1"}, b""), Unconfirmed, 503),
    "503": ((503, {}, b""), Unconfirmed, 503),
    "500": ((500, {}, b"{}"), Unconfirmed, 500),
    "542": ((542, {}, b"{}"), Unconfirmed, 542),
    "408": ((408, {}, b""), Unconfirmed, 408),
    "redirect within": ((302, {"Location": "/there"}, b""), Unconfirmed, 302),
    "redirect that keeps the method": ((307, {"Location": "/x/replay"}, b""), Unconfirmed, 307),
    "redirect elsewhere": ((308, {"Location": "https://example.com/"}, b""), Unconfirmed, 308),
    "redirect to nowhere": ((302, {}, b""), Unconfirmed, None),
    "not json": ((201, {}, b"<html>"), Unconfirmed, 201),
    "nothing": ((201, {}, b""), Unconfirmed, 201),
}


@pytest.mark.parametrize("name", ANSWERS, ids=str)
def test_no_answer_makes_it_go_out_again(tmp_path: Path, name: str) -> None:
    """Whatever the vendor answers, it was asked once; what may have been carried out is told from what was refused."""
    reply, error, status = ANSWERS[name]
    with (
        serving(lambda number, _: reply if number == 1 else GOOD) as served,
        client_of(served.url, tmp_path, refresh=lambda: True) as client,
    ):
        with pytest.raises(error) as caught:
            client.send(ONCE)
        assert len(served.asked) == 1
        assert getattr(caught.value, "status", None) == status
        assert ("may or may not" in str(caught.value)) == (error is Unconfirmed)
        assert KEY not in str(caught.value)


@contextmanager
def breaking(how: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads each request and does that instead of answering; the requests it got."""
    got: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                got.append(connection.recv(65536))
                how(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", got
    finally:
        listener.close()


HALF = b"HTTP/1.1 201 Created\r\nContent-Length: 200\r\n\r\n" + b'{"id": "half'
LOST: dict[str, Callable[[socket.socket], None]] = {
    "reset": lambda connection: connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
    ),
    "closed": lambda connection: None,
    "stalled": lambda connection: time.sleep(1.5),
    "truncated": lambda connection: connection.sendall(HALF),
    "no http": lambda connection: connection.sendall(b"what?\r\n\r\n"),
}


@pytest.mark.parametrize("name", LOST, ids=str)
def test_a_lost_answer_is_not_asked_for_again(tmp_path: Path, name: str) -> None:
    """A connection that breaks, stalls or ends in the middle of the answer: sent once, and said to be uncertain."""
    with breaking(LOST[name]) as (url, got), client_of(url, tmp_path, timeout_s=0.5) as client:
        with pytest.raises(Unconfirmed, match="may or may not"):
            client.send(ONCE)
        assert len(got) == 1
        assert client.stats.sent == {"replay": 1}


def test_what_was_never_sent_is_tried_until_the_deadline(tmp_path: Path) -> None:
    """Where nobody listens nothing left this machine: it is tried again, and its failure is a certain one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with client_of(url, tmp_path, fault_deadline_s=0.2) as client:
        with pytest.raises(VendorUnavailable) as caught:
            client.send(ONCE)
        assert not isinstance(caught.value, Unconfirmed)
        assert client.stats.retries > 1


def test_after_being_told_to_wait_the_next_one_waits(tmp_path: Path) -> None:
    """The hold that came with a refusal is kept by what is sent next; a stop in it sends nothing."""
    stop = StopSignal()
    with (
        serving(lambda *_: (429, {"Retry-After": "30"}, b"")) as served,
        client_of(served.url, tmp_path, stop=stop) as client,
    ):
        with pytest.raises(Rejected):
            client.send(ONCE)
        threading.Timer(0.2, stop.request, ["SIGINT"]).start()
        with pytest.raises(Stopped):
            client.send(ONCE)
        assert len(served.asked) == 1
