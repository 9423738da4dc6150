"""The wire through a proxy: httpx knows all kinds of them."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from .faults import Lost, TooSlow
from .transport import KEEP_ALIVE_S, OURS, SLOWEST, Answered, Headers
from .urls import Address

# They print whole URLs and, at DEBUG, headers.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Proxied:
    """A ``Wire`` through the proxy that the environment names."""

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext,
        timeout_s: float,
        most: int,
        clock: Callable[[], float],
    ) -> None:
        self._origin = address.origin
        self._slowest_s = SLOWEST * timeout_s
        self._clock = clock
        self._http = httpx.Client(
            verify=context,
            timeout=httpx.Timeout(timeout_s, pool=None),
            limits=httpx.Limits(
                max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEEP_ALIVE_S
            ),
            # Nothing of one answer goes into the next request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
        )

    def exchange(
        self,
        method: str,
        target: str,
        headers: Headers,
        content: bytes | None,
        *,
        is_fresh: bool,  # noqa: ARG002 - httpx keeps none that is closed
    ) -> Answered:
        began = self._clock()
        try:
            with self._http.stream(
                method, self._origin + target, content=content, headers={**OURS, **headers}
            ) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if self._clock() - began > self._slowest_s:
                        raise TooSlow
                named = {name.lower(): value for name, value in response.headers.items()}
                return response.status_code, named, bytes(body)
        except httpx.RequestError as error:
            is_unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise Lost(is_unsent=is_unsent, is_proxys=isinstance(error, httpx.ProxyError)) from error

    def close(self) -> None:
        self._http.close()
