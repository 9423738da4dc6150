"""Failures of the transport in words that hold no secret, and where in a request secrets are.

The exceptions of what speaks HTTP may hold the request with its headers: they are chained to no error.
"""

from __future__ import annotations

import base64
import binascii
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping

from ..core.errors import ConfigurationError, VendorUnavailable
from .responses import Fault


class Lost(Exception):
    """No whole answer came; the cause says why."""

    def __init__(self, *, is_unsent: bool, is_proxys: bool = False) -> None:
        super().__init__()
        self.is_unsent = is_unsent
        """Whether the request certainly never left, since there was no connection."""
        self.is_proxys = is_proxys
        """Whether the proxy failed."""


class TooSlow(Exception):
    """An answer drips in and does not end."""


def transport_fault(error: Lost | TooSlow, origin: str, timeout_s: float) -> Fault | VendorUnavailable:
    """The exception as a fault to retry, or as the error to stop with where a retry cannot help."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return VendorUnavailable(
            f"The certificate of {origin} is not trusted. If the vendor is behind a proxy or on your own "
            "premises, name the file of its certificate authority in the environment variable "
            "SSL_CERT_FILE; otherwise somebody may be reading along, and nothing was sent."
        )
    if isinstance(error, TooSlow):
        return Fault("an answer that did not end")
    if error.is_proxys:
        return Fault("the proxy failed")
    words = {
        socket.gaierror: "its host name is not found (DNS)",
        ssl.SSLError: "the TLS handshake or connection failed",
        ConnectionRefusedError: "the connection was refused",
        TimeoutError: f"no {'connection' if error.is_unsent else 'answer'} within {timeout_s:g} s",
        zlib.error: "an answer that could not be unpacked",
    }
    found = (text for kind, text in words.items() if any(isinstance(cause, kind) for cause in causes))
    return Fault(next(found, "the connection was lost"), is_unsent=error.is_unsent)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ConfigurationError when a value cannot be sent as a header; does not repeat it."""
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            raise ConfigurationError(
                f"The key cannot be sent in the header {name}: it holds a line break, a space at its end or a "
                "character beyond ASCII. Copy it again, without what stands around it."
            )


_PUBLIC_HEADERS = frozenset({"accept", "accept-encoding", "content-type", "user-agent"})


def secrets_in(headers: Mapping[str, str], form: Mapping[str, str] | None) -> Iterator[str]:
    """Every text in what is sent that may be a secret: whole values, their words, logins unpacked."""
    for name, value in headers.items():
        if name.lower() in _PUBLIC_HEADERS:
            continue
        yield value
        yield from (word for word in value.split() if len(word) >= 8)
        scheme, _, rest = value.partition(" ")
        if scheme.lower() == "basic":
            try:
                login = base64.b64decode(rest, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
            yield login
            yield from login.split(":", 1)
    yield from (form or {}).values()
