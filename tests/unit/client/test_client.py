"""What the client does with answers, faults and waits, against a real server on this machine."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from task_history.client.client import Client
from task_history.client.rate_limit import Budget
from task_history.client.unpack import LARGE_BYTES
from task_history.core.errors import (
    AuthenticationError,
    ConfigurationError,
    Rejected,
    Stopped,
    UnexpectedResponse,
    VendorUnavailable,
)
from task_history.core.models import Answer, Request
from task_history.core.stop import StopSignal

KEY = "very-secret-key-0123"
Reply = tuple[int, dict[str, str], bytes]
Script = Callable[[int, str], Reply]
"""The answer to the n-th request, of that path."""
GOOD: Reply = (200, {}, b'{"ok": true}')


class Served:
    """A server that answers by a script and keeps what it was asked."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[tuple[str, str, float]] = []
        self.lock = threading.Lock()
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                with served.lock:
                    served.asked.append((self.path, self.headers.get("Authorization", ""), time.monotonic()))
                    number = len(served.asked)
                status, headers, body = served.script(number, self.path)
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _any

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(script: Script) -> Iterator[Served]:
    served = Served(script)
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.server.shutdown()
        served.server.server_close()


@dataclass(frozen=True)
class Certificates:
    """The certificate of a CA and the one that it made for a server, each in a file."""

    authority: Path
    """Named as OpenSSL looks for it in a folder."""
    server: Path
    """With its key."""


def certificates(folder: Path, host: str = "127.0.0.1", *, is_server_ca: bool = False) -> Certificates:
    """A CA of its own in ``folder/ca``, and a certificate of that CA for the host."""
    now = datetime.now(UTC)
    pem = serialization.Encoding.PEM

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def made(subject: str, key: ec.EllipticCurvePrivateKey, *, is_ca: bool) -> x509.Certificate:
        meant = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("Test CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if key is not ca_key:
            builder = builder.add_extension(x509.SubjectAlternativeName([meant]), critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    # As OpenSSL finds it in a folder: by the hash of the subject, without the header of the whole.
    canonical = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test ca")])
    subject = int.from_bytes(hashlib.sha1(canonical.public_bytes()[2:]).digest()[:4], "little")
    authority = folder / "ca" / f"{subject:08x}.0"
    authority.parent.mkdir()
    authority.write_bytes(made("Test CA", ca_key, is_ca=True).public_bytes(pem))
    server = folder / "server.pem"
    server.write_bytes(
        made(host, key, is_ca=is_server_ca).public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificates(authority, server)


@contextmanager
def serving_tls(script: Script, certificate: Path) -> Iterator[Served]:
    """The same over TLS; its address begins with https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(script) as served:
        served.server.socket = context.wrap_socket(served.server.socket, server_side=True)
        served.url = served.url.replace("http:", "https:")
        yield served


def client_of(url: str, folder: Path, **options: Any) -> Client:
    settings: dict[str, Any] = {
        "base_url": url,
        "authorization": lambda: {"Authorization": f"Bearer {KEY}"},
        "budget": Budget(0, 1.0, origin=url, key=KEY, state_dir=folder),
        "stop": StopSignal(),
        "concurrency": 8,
        "fault_deadline_s": 20.0,
        "timeout_s": 5.0,
        "uniform": lambda low, high: min(0.02, high),
        "hint_for": lambda status: f"hint {status}",
    }
    return Client(**{**settings, **options})


def ask(path: str = "/x", method: str = "GET") -> Request:
    return Request("list", path, method=method)


PASSING: dict[str, Reply] = {
    "500": (500, {}, b"{}"),
    "502 in html": (502, {"Content-Type": "text/html"}, b"<html>"),
    "503": (503, {}, b""),
    "542": (542, {}, b"{}"),
    "408": (408, {}, b""),
    "not json": (200, {}, b"<html>"),
    "nothing": (200, {}, b""),
}


@pytest.mark.parametrize("name", PASSING, ids=str)
def test_a_fault_that_passes_is_tried_again(tmp_path: Path, name: str) -> None:
    """After a few faults the answer comes; each attempt counts."""
    with (
        serving(lambda number, _: PASSING[name] if number < 4 else GOOD) as served,
        client_of(served.url, tmp_path) as client,
    ):
        assert client.send(ask()).data == {"ok": True}
        assert client.stats.sent == {"list": 4}
        assert client.stats.retries == 3


@pytest.mark.parametrize("name", PASSING, ids=str)
def test_a_fault_that_stays_ends_at_the_deadline(tmp_path: Path, name: str) -> None:
    """The deadline, not a count of attempts, ends it, with what to do and without the key."""
    with (
        serving(lambda *_: PASSING[name]) as served,
        client_of(served.url, tmp_path, fault_deadline_s=0.3) as client,
    ):
        expected = UnexpectedResponse if PASSING[name][0] == 200 else VendorUnavailable
        with pytest.raises(expected) as caught:
            client.send(ask())
        assert len(served.asked) > 3
        whole = "".join(traceback.format_exception(caught.value))
        assert KEY not in whole
        assert "Check" in str(caught.value)


def _told(form: str) -> Reply:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    if form == "seconds":
        return 429, {"Retry-After": "1"}, b""
    if form == "date":
        at = format_datetime(past + timedelta(seconds=1), usegmt=True)
        return 429, {"Retry-After": at, "Date": format_datetime(past, usegmt=True)}, b""
    return 429, {}, b""


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_being_told_to_wait_fails_nothing(tmp_path: Path, form: str) -> None:
    """A 429 in any form makes every request wait, also beyond the fault deadline, and then go on."""
    with (
        serving(lambda number, _: _told(form) if number < 3 else GOOD) as served,
        client_of(served.url, tmp_path, fault_deadline_s=0.01) as client,
    ):
        assert client.send(ask()).data == {"ok": True}
        first, second, _ = (at for _, _, at in served.asked)
        assert second - first >= 1.0
        assert client.stats.waited_s["retry_after"] > 0


YEAR_S = 31_536_000
YEARS: dict[str, Callable[[], dict[str, str]]] = {
    "seconds": lambda: {"Retry-After": str(YEAR_S)},
    "many_digits": lambda: {"Retry-After": "9" * 18},
    "date": lambda: {
        "Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=YEAR_S), usegmt=True)
    },
}


@pytest.mark.parametrize("form", YEARS)
def test_a_year_of_retry_after_is_said_and_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    """The log says why a run waits and for how long; a run that may take minutes ends at once."""
    with (
        serving(lambda *_: (429, YEARS[form](), b"")) as served,
        client_of(served.url, tmp_path, stop=StopSignal(max_s=600)) as client,
    ):
        with pytest.raises(Stopped, match="--max-minutes reached"):
            client.send(ask())
        assert len(served.asked) == 1
    waits = [one.getMessage() for one in caplog.records if "waiting cause=retry_after" in one.getMessage()]
    assert len(waits) == 1
    assert re.search(r"HTTP 429 and asks to wait for [0-9,]{9,} s, and is asked again after a day", waits[0])
    assert "seconds=86400" in waits[0] or "seconds=86399" in waits[0]


def test_somebody_who_waits_is_told_at_once(tmp_path: Path) -> None:
    """Where a person waits, a long silence is an error that names it, also when another client was asked for it."""
    with serving(lambda *_: (429, {"Retry-After": str(YEAR_S)}, b"")) as served:
        budget = Budget(10, 1.0, origin=served.url, key=KEY, state_dir=tmp_path)
        for reason in (f"HTTP 429 and asks to wait for {YEAR_S:,} s", "another process was asked to"):
            with client_of(
                served.url,
                tmp_path,
                budget=Budget(10, 1.0, origin=served.url, key=KEY, state_dir=tmp_path),
                longest_hold_s=10.0,
            ) as client:
                with pytest.raises(VendorUnavailable, match=reason) as caught:
                    client.send(ask())
                assert "Try again in 1 day" in str(caught.value) or "Try again in 23:59" in str(caught.value)
        assert len(served.asked) == 1
        budget.close()


def test_503_that_always_asks_to_wait_ends_at_the_deadline(tmp_path: Path) -> None:
    """It ends ``fault_deadline_s`` beyond what it asked for, as a fault does; 429 is waited for as long as it comes."""
    for status in (503, 429):
        now = [0.0]

        def later(number: int, _: str, now: list[float] = now, status: int = status) -> Reply:
            now[0] += 10
            return (status, {"Retry-After": "0.01"}, b"") if number < 50 else GOOD

        (tmp_path / str(status)).mkdir()
        with (
            serving(later) as served,
            client_of(
                served.url, tmp_path / str(status), fault_deadline_s=100.0, clock=lambda now=now: now[0]
            ) as client,
        ):
            if status == 429:
                assert client.send(ask()).data == {"ok": True}
            else:
                with pytest.raises(VendorUnavailable, match="HTTP 503 and asks to wait"):
                    client.send(ask())
                assert len(served.asked) == 12


def test_answers_come_in_order_and_a_bounded_number_ahead(tmp_path: Path) -> None:
    """``map`` keeps the order of its requests whatever each takes, and draws few ahead."""

    def slow(number: int, path: str) -> Reply:
        time.sleep(0.02 if number % 3 else 0.1)
        return 200, {}, json.dumps(path).encode()

    drawn = []

    def requests() -> Iterator[Request]:
        for number in range(60):
            drawn.append(number)
            yield ask(f"/{number}")

    with serving(slow) as served, client_of(served.url, tmp_path, concurrency=4) as client:
        found = []
        for number, answer in enumerate(client.map(requests())):
            assert isinstance(answer, Answer)
            found.append(answer.data)
            assert len(drawn) <= number + 1 + 8
        assert found == [f"/{number}" for number in range(60)]


PAGE = b' {"rows": [{"n": 123456789012345678901234567890}]}\n'


def test_raw_answers_are_given_unread(tmp_path: Path) -> None:
    """Whoever reads many at once gets the bytes; what cannot be JSON is a fault as ever, a refusal is one too."""
    replies: dict[str, list[Reply]] = {
        "/page": [(200, {}, PAGE)],
        "/broken": [(200, {}, b'{"rows": [}')],
        "/list": [(200, {}, b"[]")],
        "/cut": [(200, {}, b'{"rows": ['), (200, {}, PAGE)],
        "/html": [(200, {}, b"<html></html>"), (200, {}, b""), (200, {}, PAGE)],
        "/gone": [(404, {}, b'{"message":"gone"}')],
        "/word": [(200, {}, b'"text"')],
    }
    with (
        serving(lambda _, path: replies[path].pop(0)) as served,
        client_of(served.url, tmp_path, concurrency=2) as client,
    ):
        answers = list(client.map([ask(path) for path in replies], is_raw=True))
        page, broken, empty, cut, html, gone, word = answers
        for answer in (page, cut, html):
            assert isinstance(answer, Answer)
            assert (answer.data, answer.body) == (None, PAGE)
        assert isinstance(broken, Answer)
        assert broken.body == b'{"rows": [}'
        assert isinstance(empty, Answer)
        assert empty.body == b"[]"
        assert isinstance(gone, Rejected)
        assert isinstance(word, Answer)
        assert word.data == "text"
        assert not any(replies.values())


def test_an_answer_that_may_hold_a_refusal_is_read_all_the_same(tmp_path: Path) -> None:
    """Where a success may hold an error, no answer is given before that was looked at."""
    with (
        serving(lambda *_: (200, {}, b'{"errorResult":{"status":404}}')) as served,
        client_of(served.url, tmp_path, status_in=lambda data: data["errorResult"]["status"]) as client,
    ):
        (answer,) = client.map([ask()], is_raw=True)
        assert isinstance(answer, Rejected)
        assert answer.status == 404


def test_one_refused_request_stops_no_other(tmp_path: Path) -> None:
    """A 404 is a value among the answers; after a refused key no request is started."""
    with (
        serving(lambda _, path: (404, {}, b'{"message":"gone"}') if path == "/3" else GOOD) as served,
        client_of(served.url, tmp_path) as client,
    ):
        answers = list(client.map(ask(f"/{number}") for number in range(6)))
        kinds = [type(answer).__name__ for answer in answers]
        assert kinds == ["Answer"] * 3 + ["Rejected"] + ["Answer"] * 2
        assert isinstance(answers[3], Rejected)
        assert answers[3].status == 404
        assert "gone" in str(answers[3])
    with (
        serving(lambda *_: (403, {}, b"")) as served,
        client_of(served.url, tmp_path, concurrency=2) as client,
    ):
        answers = list(client.map(ask(f"/{number}") for number in range(200)))
        assert all(isinstance(answer, AuthenticationError) for answer in answers)
        assert len(served.asked) <= 6


def test_a_login_is_renewed_once_for_all(tmp_path: Path) -> None:
    """Many requests refused at once make one new login, and then all go well."""
    token = {"now": "old"}
    logins = []

    def refresh() -> bool:
        logins.append(1)
        time.sleep(0.05)
        token["now"] = "new"
        return True

    with serving(lambda *_: GOOD) as served:
        served.script = lambda number, _: (
            GOOD if served.asked[number - 1][1] == "Bearer new" else (401, {}, b"")
        )
        with (
            client_of(
                served.url,
                tmp_path,
                authorization=lambda: {"Authorization": f"Bearer {token['now']}"},
                refresh=refresh,
            ) as client,
            ThreadPoolExecutor(8) as pool,
        ):
            answers = list(pool.map(lambda _: client.send(ask()).data, range(8)))
        assert answers == [{"ok": True}] * 8
        assert len(logins) == 1


def test_a_refused_key_says_what_to_check(tmp_path: Path) -> None:
    """A 401 without a way to renew ends at once with the vendor's hint."""
    with serving(lambda *_: (401, {}, b"")) as served, client_of(served.url, tmp_path) as client:
        with pytest.raises(AuthenticationError, match="hint 401"):
            client.send(ask())
        assert len(served.asked) == 1


def test_redirects_elsewhere_are_not_followed(tmp_path: Path) -> None:
    """Another origin never hears from us; the same one does."""
    with (
        serving(lambda *_: GOOD) as other,
        serving(lambda *_: GOOD) as served,
        client_of(served.url, tmp_path) as client,
    ):
        served.script = lambda number, path: (302, {"Location": "/there"}, b"") if path == "/x" else GOOD
        assert client.send(ask()).data == {"ok": True}
        served.script = lambda *_: (302, {"Location": f"{other.url}/x"}, b"")
        with pytest.raises(ConfigurationError, match="base_url"):
            client.send(ask())
        assert other.asked == []


def test_limits_of_a_run_are_exact(tmp_path: Path) -> None:
    """With eight threads no request more than ``max_requests`` is sent."""
    with (
        serving(lambda *_: GOOD) as served,
        client_of(served.url, tmp_path, stop=StopSignal(max_requests=25)) as client,
    ):
        answers = list(client.map(ask() for _ in range(100)))
        assert sum(isinstance(answer, Answer) for answer in answers) == 25
        assert isinstance(answers[-1], Stopped)
        assert len(served.asked) == 25


def test_a_stop_wakes_whoever_waits(tmp_path: Path) -> None:
    """A request that waits for minutes ends at once when the run is asked to end."""
    stop = StopSignal()
    with (
        serving(lambda *_: (429, {"Retry-After": "600"}, b"")) as served,
        client_of(served.url, tmp_path, stop=stop) as client,
    ):
        threading.Timer(0.3, stop.request, ["SIGTERM"]).start()
        began = time.monotonic()
        with pytest.raises(Stopped, match="SIGTERM"):
            client.send(ask())
        assert time.monotonic() - began < 600 / 10


def test_the_key_is_in_no_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At debug level, through faults and refusals that repeat it, the key is never written."""
    caplog.set_level(logging.DEBUG)
    replies: list[Reply] = [
        (500, {}, b""),
        (429, {}, b""),
        (400, {}, json.dumps({"message": f"bad key {KEY}"}).encode()),
    ]
    with (
        serving(lambda number, _: replies[number - 1]) as served,
        client_of(served.url, tmp_path) as client,
    ):
        with pytest.raises(Rejected) as caught:
            client.send(ask())
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert KEY not in repr(client)
    assert KEY not in caplog.text


def test_a_post_is_not_repeated(tmp_path: Path) -> None:
    """What may have been carried out is not sent again."""
    with serving(lambda *_: (500, {}, b"")) as served, client_of(served.url, tmp_path) as client:
        with pytest.raises(VendorUnavailable, match="may or may not"):
            client.send(ask(method="POST"))
        assert len(served.asked) == 1


def test_the_vendors_clock_is_known(tmp_path: Path) -> None:
    """The header Date tells how far the vendor's clock is ahead."""
    ahead = format_datetime(datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5), usegmt=True)
    with (
        serving(lambda *_: (200, {"Date": ahead}, b"{}")) as served,
        client_of(served.url, tmp_path) as client,
    ):
        assert client.vendor_clock.offset_s is None
        client.send(ask())
        assert client.vendor_clock.offset_s == pytest.approx(5 * 3600, abs=3)


def test_long_integers_stay_exact(tmp_path: Path) -> None:
    """Numbers beyond 64 bits arrive digit by digit; broken text loses no answer."""
    body = b'{"n": 123456789012345678901234567890, "t": "\\ud800x"}'
    with serving(lambda *_: (200, {}, body)) as served, client_of(served.url, tmp_path) as client:
        assert client.send(ask()).data == {"n": 123456789012345678901234567890, "t": "\ufffdx"}


@pytest.mark.parametrize(
    "url", ["http://example.com", "https://user:word@example.com", "ftp://x", "nothing", "https://x/?k=1"]
)
def test_addresses_that_would_show_the_key_are_refused(tmp_path: Path, url: str) -> None:
    """Unencrypted, with a login in it, or no address at all: refused before anything is sent, login not repeated."""
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        client_of(url, tmp_path)
    assert "word" not in str(caught.value)


CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


@pytest.mark.parametrize("variable", [*CA_VARIABLES, "REQUESTS_CA_BUNDLE as a folder"])
def test_own_cas_are_trusted_where_the_environment_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """SSL_CERT_FILE, SSL_CERT_DIR and REQUESTS_CA_BUNDLE name CAs to trust, on this machine as elsewhere."""
    own = certificates(tmp_path)
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with serving_tls(lambda *_: GOOD, own.server) as served:
        with (
            client_of(served.url, tmp_path) as client,
            pytest.raises(VendorUnavailable, match="SSL_CERT_FILE"),
        ):
            client.send(ask())
        is_folder = variable == "SSL_CERT_DIR" or variable.endswith("folder")
        monkeypatch.setenv(
            variable.split(maxsplit=1)[0], str(own.authority.parent if is_folder else own.authority)
        )
        with client_of(served.url, tmp_path) as client:
            assert client.send(ask()).data == {"ok": True}


def test_a_ca_that_stands_for_a_server_is_told_from_one_that_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may not use a CA's own certificate (RFC 5280); the error says what to do instead."""
    own = certificates(tmp_path, is_server_ca=True)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(own.authority))
    with (
        serving_tls(lambda *_: GOOD, own.server) as served,
        client_of(served.url, tmp_path) as client,
        pytest.raises(VendorUnavailable, match="let the CA issue one"),
    ):
        client.send(ask())
    assert served.asked == []


@pytest.mark.parametrize("what", ["nothing", "a folder", "a letter"])
def test_certificates_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A wrong SSL_CERT_FILE or SSL_CERT_DIR is a setting to correct; where nothing is encrypted it does not matter."""
    path = tmp_path / "certificates"
    if what == "a folder":
        path.mkdir()
    elif what == "a letter":
        path.write_text("Dear Sir")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ConfigurationError, match=r"certificates.*SSL_CERT_FILE"):
        client_of("https://127.0.0.1:9", tmp_path)
    with client_of("http://127.0.0.1:9", tmp_path):
        pass
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"none.*SSL_CERT_DIR"):
        client_of("https://127.0.0.1:9", tmp_path)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_large_answers_do_not_hold_up_what_is_asked_meanwhile(tmp_path: Path, concurrency: int) -> None:
    """Requests made while large answers of others wait for their turn are answered, as many as there are threads."""
    large = b'{"text": "' + b"x" * (2 * LARGE_BYTES) + b'"}'
    got: list[tuple[Answer | Exception, ...]] = []

    def read() -> None:
        for answer in client.map(ask(f"/large/{number}") for number in range(9)):
            inner = list(client.map(ask(f"/small/{number}") for number in range(2)))
            got.append((answer, *inner))

    with (
        serving(lambda _, path: (200, {}, large if "large" in path else b"{}")) as served,
        client_of(served.url, tmp_path, concurrency=concurrency, timeout_s=60.0) as client,
    ):
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), "the requests wait for each other"
    assert len(got) == 9
    assert all(isinstance(answer, Answer) for answers in got for answer in answers)
