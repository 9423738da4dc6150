"""Speaks HTTP to one origin: an ``httpx`` transport over ``pyreqwest`` (Rust's reqwest, hyper and rustls).

Chosen by measurement. CPU for one page of 100 rows in ms, with 1 thread and with 8: ``httpx.Client`` 0.34 and 0.51,
its own transport 0.25 and 0.26, this one 0.14 and 0.13. A first sync of 200,000 rows asks for two thousand pages.
Requests are handed to the transport itself: what ``httpx.Client`` adds (redirects, cookies, authentication,
proxies by host) must not happen here, and costs as much again.

reqwest bounds what httpx's own transport does not: one deadline for the whole answer, a handshake, a head, a chunk
size or a trailer that drips included; and closing it ends what is under way at once. The adaptor to httpx that
comes with pyreqwest is not used: it calls a silent server a failed connection, and refuses an answer for one header
beyond ASCII.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import httpx
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import ClientClosedError, PyreqwestError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.response import SyncResponse

from .proxy import Proxy, proxy_for
from .transport_errors import Lost, lost
from .trust import build_client
from .unpack import ACCEPT_ENCODING, TooLarge, UnpackError, read_body
from .urls import Address

KEEP_ALIVE_S = 4.0
"""Shorter than the 5 s after which Node servers close: a request must not meet a closing connection."""
DEADLINE_FACTOR = 5
"""A whole answer may take this many ``timeout_s``, however steadily it drips."""
READ_MARGIN_S = 0.25
"""Seconds by which silence is looked for later than a connection: so it is known, on a busy machine too, which it was."""
ERROR_BODY_MAX_BYTES = 1 << 20
"""Of an answer that is no success only a message is wanted: a longer one is left unread."""

_PIECE_BYTES = 1 << 18
_HEADERS = {"Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING, "User-Agent": "task-history"}

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

    ``timeout_s`` is how long making a connection may take, and each silence after that. ``answer_max_bytes`` bounds
    an answer as it comes and unpacked. No redirect is followed and no cookie kept. Trusts the CAs in SSL_CERT_FILE
    and SSL_CERT_DIR, else those in REQUESTS_CA_BUNDLE and the system's, else certifi's.

    Raises:
        ConfigurationError: the CAs or the proxy that the environment names cannot be used.
    """

    def __init__(
        self, address: Address, *, timeout_s: float, max_connections: int, answer_max_bytes: int
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
            max_connections=max_connections,
            proxy=self._proxy,
            is_encrypted=address.scheme == "https",
        )
        self._lock = threading.Lock()
        self._kept = ReqwestTransport(self._build(max_idle=max_connections))
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
        """One request and its whole answer, whatever that says.

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
            headers={**_HEADERS, **headers, **length},
            # Not ``content``: for it httpx makes all headers anew. reqwest adds the host and the length of a body.
            stream=httpx.ByteStream(content or b""),
            extensions={"target": target.encode()},
        )
        began = time.monotonic()
        response = None
        try:
            response = (self._fresh_transport() if is_fresh else self._kept).handle_request(request)
            return self._read(response, when_large)
        except PyreqwestError as error:
            raise lost(
                error,
                origin=self._origin,
                proxy=None if self._proxy is None else self._proxy.shown,
                timeout_s=self._timeout_s,
                is_overdue=time.monotonic() - began >= DEADLINE_FACTOR * self._timeout_s,
                is_head_read=response is not None,
            ) from None
        except UnpackError as error:
            raise Lost(str(error)) from None
        finally:
            if response is not None:
                response.close()

    def abandon(self) -> None:
        """Ends every exchange over kept connections at once: each raises Lost with ``is_abandoned``."""
        self._kept.close()

    def close(self) -> None:
        """Closes all connections, and ends what is under way as ``abandon`` does."""
        self._kept.close()
        with self._lock:
            if self._fresh is not None:
                self._fresh.close()

    def _read(self, response: httpx.Response, when_large: Callable[[], None]) -> RawAnswer:
        headers: dict[str, str] = {}
        # As bytes: to give texts, httpx first tries which encoding all of them have.
        for raw_name, raw_value in response.headers.raw:
            name, value = raw_name.decode("ascii").lower(), raw_value.decode("ascii")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        is_success = 200 <= response.status_code < 300
        bound = self._answer_max_bytes if is_success else min(ERROR_BODY_MAX_BYTES, self._answer_max_bytes)
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 - this transport gives no other
        try:
            body = read_body(
                headers.get("content-encoding", ""),
                stream,
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
        stack = ExitStack()
        response = stack.enter_context(builder.body_bytes(request.read()).build_streamed())
        return httpx.Response(response.status, headers=_header_items(response), stream=_Body(response, stack))

    def close(self) -> None:
        """Closes all connections; what is under way ends at once."""
        client, self._client = self._client, None
        if client is not None:
            # Idle connections close with the last reference to it.
            client.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: SyncResponse, stack: ExitStack) -> None:
        self._reader = response.body_reader
        self._stack = stack

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._reader.read(_PIECE_BYTES)) is not None:
            yield bytes(piece)

    def close(self) -> None:
        self._stack.close()


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


def _client(
    *, timeout_s: float, max_connections: int, max_idle: int, proxy: Proxy | None, is_encrypted: bool
) -> SyncClient:
    def builder() -> SyncClientBuilder:
        builder = (
            SyncClientBuilder()
            .user_agent(_HEADERS["User-Agent"])  # a proxy sees it
            .follow_redirects(False)
            .referer(False)
            # Unpacked here, where the bytes are counted.
            .gzip(False)
            .deflate(False)
            .brotli(False)
            .zstd(False)
            .no_proxy()
            .max_connections(max_connections)
            .pool_max_idle_per_host(max_idle)
            .pool_idle_timeout(timedelta(seconds=KEEP_ALIVE_S))
            .connect_timeout(timedelta(seconds=timeout_s))
            .read_timeout(timedelta(seconds=timeout_s + READ_MARGIN_S))
            .timeout(timedelta(seconds=DEADLINE_FACTOR * timeout_s))
        )
        return builder if proxy is None else builder.proxy(ProxyBuilder.all(proxy.url))

    return build_client(builder, is_encrypted=is_encrypted)
