"""What comes over the wire in whatever form, and which connections it comes over."""

from __future__ import annotations

import gzip
import http.client
import itertools
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from task_history.client.faults import Lost
from task_history.client.transport import wire_to
from task_history.client.urls import check_base, joined, parsed
from task_history.core.errors import ConfigurationError, UnexpectedResponse, VendorUnavailable
from task_history.core.models import Request
from tests.unit.client.test_client import GOOD, KEY, ask, certificate, client_of, serving

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
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


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
    "packed twice": whole(gzip.compress(zlib.compress(BODY)), "Content-Encoding: deflate, GZIP"),
    "packing of another kind": whole(BODY, "Content-Encoding: identity"),
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
    "in the head": (b"HTTP/1.1 200 OK\r\nContent-", "lost"),
    "in the body": (whole()[:-3], "lost"),
    "in a chunk": (CHUNKED + b'c\r\n{"ok": ', "lost"),
    "between chunks": (CHUNKED + b'c\r\n{"ok": true}\r\n', "lost"),
    "packed": (whole(gzip.compress(BODY)[:-10], "Content-Encoding: gzip"), "unpacked"),
    "not packed": (whole(BODY, "Content-Encoding: gzip"), "unpacked"),
    "no http": (b"220 mail.example ESMTP\r\n", "lost"),
}


@pytest.mark.parametrize("name", BROKEN, ids=str)
def test_what_ends_too_early_is_never_an_answer(tmp_path: Path, name: str) -> None:
    """Cut anywhere, it is a fault: tried again, and told in a few words without the key."""
    reply, said = BROKEN[name]

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
                with pytest.raises(VendorUnavailable, match=said) as caught:
                    client.send(ask())
                assert KEY not in str(caught.value)


def test_an_answer_that_drips_is_given_up(tmp_path: Path) -> None:
    """However steadily the bytes come, an answer has an end: five times the longest silence."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b" ")
            time.sleep(0.02)
        return False

    with talking(say) as (url, _), client_of(url, tmp_path, timeout_s=0.1, fault_deadline_s=0.0) as client:
        began = time.monotonic()
        with pytest.raises(VendorUnavailable, match="did not end"):
            client.send(ask())
        assert time.monotonic() - began < 10


def test_a_connection_that_was_closed_meanwhile_is_not_used(tmp_path: Path) -> None:
    """A server that closes after its answer without a word costs no attempt."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(whole())
        return False

    with talking(say) as (url, talk), client_of(url, tmp_path) as client:
        for number in range(1, 6):
            assert client.send(ask()).data == {"ok": True}
            while talk.ended < number:
                time.sleep(0.001)
        assert client.stats.retries == 0


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


def test_connections_that_rested_are_not_used(tmp_path: Path) -> None:
    """After 4 s at rest another one is made: servers close theirs after 5 s."""
    now = itertools.count(0.0, 1.0)
    shift = [0.0]

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(whole())
        return True

    with (
        talking(say) as (url, talk),
        client_of(url, tmp_path, clock=lambda: next(now) * 1e-6 + shift[0]) as client,
    ):
        for pause_s, connections in ((0.0, 1), (3.9, 1), (4.1, 2), (3.9, 2)):
            shift[0] += pause_s
            client.send(ask())
            assert talk.connections == connections


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
    """The address as it was given, values percent-encoded, a body as JSON, no cookie that an answer set."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(whole(BODY, "Set-Cookie: a=b"))
        return True

    with talking(say) as (url, talk), client_of(f"{url}/base/", tmp_path) as client:
        client.send(Request("list", "/a b/%2Fc", params=(("q", "x y/+é"),)))
        client.send(Request("answer", "c", method="POST", body={"é": 1}))
        client.send(Request("token", "t", method="POST"), form={"grant": "a b"}, headers={"Accept": "*/*"})
    first, second, third = (head.decode() for head in talk.asked)
    assert first.startswith("GET /base/a%20b/%2Fc?q=x%20y%2F%2B%C3%A9 HTTP/1.1\r\n")
    assert f"\r\nAuthorization: Bearer {KEY}\r\n" in first
    assert "\r\nAccept-Encoding: gzip, deflate\r\n" in first
    assert "\r\nContent-Type: application/json\r\n" in second
    assert second.endswith('\r\n\r\n{"é": 1}')
    assert "\r\nContent-Type: application/x-www-form-urlencoded\r\n" in third
    assert third.endswith("\r\n\r\ngrant=a+b")
    assert "\r\nAccept: */*\r\n" in third
    assert "Authorization" not in third
    assert not any("cookie" in head.lower() for head in (first, second, third))


@pytest.mark.parametrize("no_proxy", ["", "vendor.invalid"], ids=["proxy", "none for it"])
def test_a_proxy_from_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    """What HTTPS_PROXY names carries what is sent, still encrypted for the vendor; NO_PROXY excepts a host."""
    own = certificate(tmp_path, "vendor.invalid")
    for name in ("ALL_PROXY", "all_proxy", "https_proxy", "no_proxy", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with serving(lambda *_: GOOD) as served:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own)
        served.server.socket = context.wrap_socket(served.server.socket, server_side=True)

        def tunnel(connection: socket.socket, _: int) -> bool:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            with socket.create_connection(("127.0.0.1", served.server.server_port)) as there:
                back = threading.Thread(target=_copy, args=(there, connection))
                back.start()
                _copy(connection, there)
                back.join()
            return False

        with talking(tunnel) as (proxy, talk):
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            with client_of("https://vendor.invalid/api", tmp_path, fault_deadline_s=0.0) as client:
                if no_proxy:
                    with pytest.raises(VendorUnavailable, match="host name is not found"):
                        client.send(ask())
                    assert talk.asked == []
                else:
                    assert client.send(ask()).data == {"ok": True}
                    assert [head.split(b"\r\n")[0] for head in talk.asked] == [
                        b"CONNECT vendor.invalid:443 HTTP/1.1"
                    ]
                    assert [path for path, _, _ in served.asked] == ["/api/x"]
                    assert KEY.encode() not in b"".join(talk.asked)


def test_a_proxy_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the proxy says is no answer of the vendor's."""

    def refuse(connection: socket.socket, _: int) -> bool:
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return False

    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with talking(refuse) as (proxy, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with (
            client_of("https://vendor.invalid", tmp_path, fault_deadline_s=0.0) as client,
            pytest.raises(VendorUnavailable, match="the proxy failed") as caught,
        ):
            client.send(ask())
        assert KEY not in str(caught.value)


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


def test_httpx_is_there_for_proxies_only() -> None:
    """To import it takes longer than a hundred requests; without a proxy nothing does."""
    words = "import sys, task_history.client; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", words], cwd=Path(__file__).parents[3], check=True)


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


def test_what_failed_is_closed_at_once(tmp_path: Path) -> None:
    """An answer that cannot be read leaves no connection open, also while its error is still looked at."""

    def say(connection: socket.socket, _: int) -> bool:
        connection.sendall(b"HTTP/2 200 OK\r\n\r\n")
        return True

    with talking(say) as (url, talk):
        wire = wire_to(parsed(url), timeout_s=5.0, most=1, clock=time.monotonic)
        with pytest.raises(Lost) as caught:
            wire.exchange("GET", "/", {}, None, is_fresh=False)
        deadline = time.monotonic() + 5
        while not talk.ended:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert isinstance(caught.value.__cause__, http.client.UnknownProtocol)
        wire.close()
