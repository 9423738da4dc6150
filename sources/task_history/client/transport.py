"""The connections to one origin: a request out, its whole answer in.

A request for a page of 100 rows costs, in milliseconds of CPU with 1 thread and with 8: httpx 0.47 and 0.80, its
transport alone 0.31 and 0.61, urllib3 0.23 and 0.38, http.client 0.11 and 0.12; two thousand of them are a first
sync of 200,000 rows. So http.client speaks, and what it leaves open is here: keeping connections, unpacking
answers, and ends that come too early. What goes through a proxy takes long anyway, and httpx knows them all.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import urllib.request
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import BoundedSemaphore
from typing import Protocol

from .certificates import trusted
from .faults import Lost, TooSlow
from .heads import Response, request_head
from .urls import Address

KEEP_ALIVE_S = 4.0
"""Shorter than the 5 s after which Node servers close: a request must not meet a closing connection."""
SLOWEST = 5
"""An answer may take this many ``timeout_s`` as a whole, however steadily it drips."""
_PIECE = 1 << 18
OURS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": "task-history"}

Headers = Mapping[str, str]
Answered = tuple[int, dict[str, str], bytes]
"""Status, headers with names in lower case, and the unpacked body."""


class Wire(Protocol):
    """Connections to one origin; safe to use from many threads."""

    def exchange(
        self, method: str, target: str, headers: Headers, content: bytes | None, *, is_fresh: bool
    ) -> Answered:
        """One request and its whole answer, whatever that says; no redirect is followed, no cookie kept.

        ``is_fresh`` wants a connection of its own: one that was kept may be closed by the other side just then.

        Raises:
            Lost: no whole answer came.
            TooSlow: it drips in and does not end.
        """
        ...

    def close(self) -> None:
        """Closes all connections."""
        ...


def wire_to(address: Address, *, timeout_s: float, most: int, clock: Callable[[], float]) -> Wire:
    """A wire of at most so many connections at a time, through the proxy that the environment names for it.

    ``timeout_s`` is how long making a connection may take, and each silence after that; ``clock`` gives seconds.

    Raises:
        ConfigurationError: the certificates cannot be read.
    """
    if address.scheme != "https":
        return Direct(address, None, timeout_s, most, clock)
    if _has_proxy(address):
        # It takes longer to import than a hundred requests take.
        from .proxied import Proxied

        return Proxied(address, trusted(), timeout_s, most, clock)
    return Direct(address, trusted(), timeout_s, most, clock)


def _has_proxy(address: Address) -> bool:
    # A proxy from the environment cannot reach a server on this very machine.
    if address.is_loopback or not urllib.request.getproxies().keys() & {address.scheme, "all"}:
        return False
    return not urllib.request.proxy_bypass(f"{address.host}:{address.port or 443}")


class Direct:
    """A ``Wire`` without a proxy."""

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext | None,
        timeout_s: float,
        most: int,
        clock: Callable[[], float],
    ) -> None:
        self._address = address
        self._host = address.origin.partition("://")[2]
        self._context = context
        self._timeout_s = timeout_s
        self._clock = clock
        self._room = BoundedSemaphore(most)
        self._idle: deque[tuple[http.client.HTTPConnection, float]] = deque()
        self._is_closed = False

    def exchange(
        self, method: str, target: str, headers: Headers, content: bytes | None, *, is_fresh: bool
    ) -> Answered:
        size = None if content is None else len(content)
        head = request_head(method, target, self._host, {**OURS, **headers}, size)
        with self._room:
            connection = (None if is_fresh else self._kept()) or self._connected()
            is_kept = False
            response = Response(connection.sock, method)
            try:
                # What says early that it wants no more of a request may close it.
                with suppress(BrokenPipeError):
                    connection.sock.sendall(head if content is None else head + content)
                response.begin()
                found = _decoded(response, self._body(response))
                is_kept = not (response.will_close or self._is_closed)
            except (OSError, http.client.HTTPException, zlib.error) as error:
                raise Lost(is_unsent=False) from error
            finally:
                if is_kept:
                    self._idle.append((connection, self._clock()))
                else:
                    # What still reads from it would keep it open.
                    response.close()
                    connection.close()
            return found

    def close(self) -> None:
        self._is_closed = True
        while self._idle:
            self._idle.pop()[0].close()

    def _kept(self) -> http.client.HTTPConnection | None:
        while True:
            try:
                # The one used last: those that are not needed grow old.
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if self._clock() - since < KEEP_ALIVE_S and _is_quiet(connection.sock):
                return connection
            connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        host = self._address.host
        # Said always: without it the end of an IPv6 address is taken for one.
        port = self._address.port or (80 if self._context is None else 443)
        connection = (
            http.client.HTTPConnection(host, port, timeout=self._timeout_s)
            if self._context is None
            else http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._context)
        )
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            connection.close()
            raise Lost(is_unsent=True) from error
        return connection

    def _body(self, response: Response) -> bytes:
        began = self._clock()
        while 100 <= response.status < 200:
            # Only said in advance, as 100 and 103 are: the answer follows.
            response.begin()
            self._check_time(began)
        pieces = []
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            self._check_time(began)
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.close()
        return b"".join(pieces)

    def _check_time(self, began: float) -> None:
        if self._clock() - began > SLOWEST * self._timeout_s:
            raise TooSlow


def _is_quiet(sock: socket.socket) -> bool:
    """Whether nothing is there to be read: then the other side has neither closed it nor said too much."""
    if not hasattr(select, "poll"):
        return not select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def _decoded(response: Response, body: bytes) -> Answered:
    headers: dict[str, str] = {}
    for spelled, value in response.getheaders():
        name = spelled.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    for packing in reversed(headers.get("content-encoding", "").lower().split(",")):
        body = _unpacked(packing.strip(), body)
    return response.status, headers, body


def _unpacked(packing: str, body: bytes) -> bytes:
    if not body or packing not in ("gzip", "x-gzip", "deflate"):
        return body
    try:
        # Either header, whatever is said.
        unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
        found = unpacking.decompress(body)
    except zlib.error:
        if packing != "deflate":
            raise
        # Some servers take "deflate" for the bare format.
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        found = unpacking.decompress(body)
    if not unpacking.eof:
        raise zlib.error("it ends in the middle")
    return found
