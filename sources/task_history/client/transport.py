"""Speaks HTTP to one origin: an ``httpx`` transport over ``pyreqwest`` (Rust's reqwest, hyper and rustls).

httpx gives the form: its URL, Request, Response and BaseTransport are what passes between the client and the connection,
so that any transport of httpx can take this one's place. reqwest does the work: connections, TLS, proxies, HTTP.
Requests are handed to the transport itself: what ``httpx.Client`` adds (redirects, cookies, authentication, proxies by
host) must not happen here. CPU for one page of 100 rows in ms, with 1 thread and with 8: ``httpx.Client`` 0.22 and
0.25, its own transport 0.13 and 0.16, this one 0.05 and 0.05, of which reqwest takes 0.03.

reqwest bounds what httpx's own transport does not: a handshake, a head, a chunk size or a trailer that drips. The
adaptor to httpx that comes with pyreqwest is not used: it calls a silent server a failed connection, and refuses an
answer for one header beyond ASCII.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import httpx
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import ClientClosedError, PyreqwestError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import SyncStreamRequest
from pyreqwest.response import SyncResponse, SyncResponseBodyReader

from .proxy import Proxy, proxy_for
from .transport_errors import Lost, lost
from .trust import build_client
from .unpack import ACCEPT_ENCODING, TooLarge, UnpackError, read_body
from .urls import Address

KEEP_ALIVE_S = 4.0
"""Shorter than the 5 s after which Node servers close: a request must not meet a closing connection."""
MIN_BYTES_PER_S = 100_000
"""A whole answer may take ``timeout_s``, and a second more for so many bytes that came of it."""
READ_MARGIN_S = 0.25
"""Seconds by which silence is looked for later than a connection: so it is known, on a busy machine too, which it was."""
MAX_ERROR_BODY_BYTES = 1 << 20
"""Of an answer that is no success only a message is wanted: a longer one is left unread."""

_READ_AHEAD_BYTES = 1
"""reqwest reads so much before it hands an answer over: until then closing ends it, after that its time is looked at."""
_USER_AGENT = "task-history"
_HEADERS = {"Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING}

Headers = Mapping[str, str]

# It prints whole URLs.
logging.getLogger("httpx").setLevel(logging.WARNING)


class RawAnswer(NamedTuple):
    """One answer, whole: its status, its headers with names in lower case, and the unpacked body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Transport:
    """Exchanges requests with one origin over kept connections; safe to use from many threads.

    ``timeout_s`` is how long making a connection may take, each silence after that, and a whole answer but for what
    MIN_BYTES_PER_S adds. ``answer_max_bytes`` bounds an answer as it comes and unpacked. No redirect is followed and no
    cookie kept. Trusts the CAs in SSL_CERT_FILE and SSL_CERT_DIR, else those in REQUESTS_CA_BUNDLE and the system's,
    else certifi's.

    Raises:
        ConfigurationError: the CAs or the proxy that the environment names cannot be used.
    """

    def __init__(
        self, address: Address, *, timeout_s: float, max_idle_connections: int, answer_max_bytes: int
    ) -> None:
        self._origin = address.origin
        # Parsed once: that takes httpx as long as all else that it does for a request.
        self._url = httpx.URL(address.origin)
        self._timeout_s = timeout_s
        self._answer_max_bytes = answer_max_bytes
        self._proxy = proxy_for(address)
        self._build = partial(
            _client,
            timeout_s=timeout_s,
            proxy=self._proxy,
            is_encrypted=address.scheme == "https",
        )
        self._lock = threading.Lock()
        self._kept = ReqwestTransport(self._build(max_idle=max_idle_connections))
        self._fresh: ReqwestTransport | None = None

    def exchange(
        self,
        method: str,
        target: str,
        headers: Headers,
        content: bytes | None,
        *,
        is_fresh: bool,
        when_large: Callable[[], None] = lambda: None,
    ) -> RawAnswer:
        """One request and its whole answer, of any status.

        With ``is_fresh`` it goes over a connection of its own: a kept one may be closed by the other side just then.
        ``when_large`` is called before more than LARGE_BYTES of the answer are held; what it raises is passed on.

        Raises:
            Lost: no whole answer came; it says why.
            TooLarge: a success is larger than ``answer_max_bytes``.
            VendorUnavailable: the certificate is not trusted.
            ConfigurationError: the proxy wants a login.
        """
        # reqwest states no length where there is no body, and some servers refuse a POST without one (411).
        length = {} if content or method in ("GET", "HEAD") else {"Content-Length": "0"}
        request = httpx.Request(
            method,
            self._url,
            headers={**headers, **length},
            # Not ``content``: for it httpx makes all headers anew. reqwest adds the host and the length of a body.
            stream=httpx.ByteStream(content or b""),
            extensions={"target": target.encode()},
        )
        began = time.monotonic()
        response = None
        try:
            response = (self._fresh_transport() if is_fresh else self._kept).handle_request(request)
            return self._read(response, time.monotonic() - began, when_large)
        except PyreqwestError as error:
            raise lost(
                error,
                origin=self._origin,
                proxy=None if self._proxy is None else self._proxy.shown,
                timeout_s=self._timeout_s,
                is_head_read=response is not None,
            ) from None
        except UnpackError as error:
            raise Lost(str(error)) from None
        finally:
            if response is not None:
                response.close()

    def abandon(self) -> None:
        """Ends every exchange over kept connections: each raises Lost with ``is_abandoned``.

        One that has part of a body ends when more of it comes, or when nothing does for ``timeout_s``.
        """
        self._kept.close()

    def close(self) -> None:
        """Closes all connections, and ends what is under way as ``abandon`` does."""
        self._kept.close()
        with self._lock:
            if self._fresh is not None:
                self._fresh.close()

    def _read(self, response: httpx.Response, head_s: float, when_large: Callable[[], None]) -> RawAnswer:
        headers: dict[str, str] = {}
        # As bytes: to give texts, httpx first tries which encoding all of them have.
        for raw_name, raw_value in response.headers.raw:
            name, value = raw_name.decode("ascii").lower(), raw_value.decode("ascii")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        is_success = 200 <= response.status_code < 300
        bound = self._answer_max_bytes if is_success else min(MAX_ERROR_BODY_BYTES, self._answer_max_bytes)
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 - this transport gives no other
        try:
            body = read_body(
                headers.get("content-encoding", ""),
                _in_time(stream, head_s, self._timeout_s),
                max_bytes=bound,
                when_large=when_large,
            )
        except (TooLarge, UnpackError):
            if is_success:
                raise
            # Its status says what it means.
            body = b""
        return RawAnswer(response.status_code, headers, body)

    def _fresh_transport(self) -> ReqwestTransport:
        with self._lock:
            if self._fresh is None:
                self._fresh = ReqwestTransport(self._build(max_idle=0))
            return self._fresh


class ReqwestTransport(httpx.BaseTransport):
    """An ``httpx`` transport over a client of reqwest. Raises PyreqwestError, also while the body is read.

    Path and query come in httpx's request extension ``target``.
    https://www.python-httpx.org/advanced/extensions/#target
    """

    def __init__(self, client: SyncClient) -> None:
        self._client: SyncClient | None = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The head of the answer; its body comes with the stream."""
        client = self._client
        if client is None:
            raise ClientClosedError("closed", {"causes": None})
        url = f"{request.url.scheme}://{request.url.netloc.decode()}{request.extensions['target'].decode()}"
        headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw]
        builder = client.request(request.method, url).headers(headers)
        content = request.read()
        if content:
            builder = builder.body_bytes(content)
        sent = builder.streamed_read_buffer_limit(_READ_AHEAD_BYTES).build_streamed()
        response = sent.__enter__()
        return httpx.Response(
            response.status, headers=_header_items(response), stream=_Body(self, sent, response.body_reader)
        )

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._client is None

    def close(self) -> None:
        """Closes all connections; what is under way ends, as ``Transport.abandon`` says."""
        client, self._client = self._client, None
        if client is not None:
            # Idle connections close with the last reference to it.
            client.close()


class _Body(httpx.SyncByteStream):
    """The body of an answer, piece by piece. Raises ClientClosedError once its transport is closed."""

    def __init__(
        self, transport: ReqwestTransport, sent: SyncStreamRequest, reader: SyncResponseBodyReader
    ) -> None:
        self._transport = transport
        self._sent = sent
        self._reader = reader

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._reader.read_chunk()) is not None:
            if self._transport.is_closed:
                raise ClientClosedError("closed", {"causes": None})
            yield bytes(piece)

    def close(self) -> None:
        self._sent.__exit__(None, None, None)


def _in_time(pieces: Iterable[bytes], waited_s: float, timeout_s: float) -> Iterator[bytes]:
    """The pieces of a body while they come in time; ``waited_s`` is how long its head took.

    What is done with a piece takes none of that time: a large answer may wait long for its turn.

    Raises:
        Lost: the answer takes too long.
    """
    began, size = time.monotonic() - waited_s, 0
    for piece in pieces:
        size += len(piece)
        now = time.monotonic()
        if now - began > timeout_s + size / MIN_BYTES_PER_S:
            raise Lost(f"an answer that did not end within {timeout_s:g} s")
        yield piece
        began += time.monotonic() - now


def _header_items(response: SyncResponse) -> list[tuple[str, str]]:
    """All headers but those beyond ASCII, which pyreqwest cannot give."""
    headers = response.headers
    try:
        return list(headers.items())
    except ValueError:
        items = []
        for name in set(headers.keys()):
            with suppress(ValueError):
                items += [(name, value) for value in headers.getall(name)]
        return items


def _client(*, timeout_s: float, max_idle: int, proxy: Proxy | None, is_encrypted: bool) -> SyncClient:
    def builder() -> SyncClientBuilder:
        builder = (
            SyncClientBuilder()
            .user_agent(_USER_AGENT)  # a proxy sees it
            .default_headers(_HEADERS)
            .follow_redirects(False)
            .referer(False)
            # Unpacked here, where the bytes are counted.
            .gzip(False)
            .deflate(False)
            .brotli(False)
            .zstd(False)
            .no_proxy()
            .pool_max_idle_per_host(max_idle)
            .pool_idle_timeout(timedelta(seconds=KEEP_ALIVE_S))
            .connect_timeout(timedelta(seconds=timeout_s))
            .read_timeout(timedelta(seconds=timeout_s + READ_MARGIN_S))
        )
        return builder if proxy is None else builder.proxy(ProxyBuilder.all(proxy.url))

    return build_client(builder, is_encrypted=is_encrypted)
