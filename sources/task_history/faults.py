"""Failures of the transport in words that hold no secret, and where in a request secrets are.

The exceptions of httpx hold the request with its headers: they are chained to no error. They are told
apart by the names of their classes, https://www.python-httpx.org/exceptions/, since only ``client``
imports httpx.
"""

from __future__ import annotations

import base64
import binascii
import socket
import ssl
from collections.abc import Iterator, Mapping

from .deciphering import Fault
from .errors import ConfigurationError, VendorUnavailable


class TooSlow(Exception):
    """An answer drips in and does not end."""


def transport_fault(error: Exception, origin: str, timeout_s: float) -> Fault | VendorUnavailable:
    """The exception as a fault to retry, or as the error to stop with where a retry cannot help."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return VendorUnavailable(
            f"The certificate of {origin} is not trusted. If the vendor is behind a proxy or on your own "
            "premises, name the file of its certificate authority in the environment variable "
            "SSL_CERT_FILE; otherwise somebody may be reading along, and nothing was sent."
        )
    classes = {known.__name__ for known in type(error).__mro__}
    is_unsent = bool(classes & {"ConnectError", "ConnectTimeout"})
    return Fault(_kind(classes, causes, timeout_s), is_unsent=is_unsent)


def _kind(classes: set[str], causes: list[BaseException], timeout_s: float) -> str:
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "its host name is not found (DNS)"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "the TLS handshake or connection failed"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "the connection was refused"
    words = {
        "ConnectTimeout": f"no connection within {timeout_s:g} s",
        "TimeoutException": f"no answer within {timeout_s:g} s",
        "TooSlow": "an answer that did not end",
        "DecodingError": "an answer that could not be unpacked",
        "ProxyError": "the proxy failed",
    }
    return next((text for name, text in words.items() if name in classes), "the connection was lost")


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


def secrets_in(headers: Mapping[str, str], form: Mapping[str, str] | None) -> list[str]:
    """Every text in what is sent that may be a secret: whole values, their words, logins unpacked."""
    found: list[str] = []
    for value in headers.values():
        found += [value, *(word for word in value.split() if len(word) >= 8)]
        scheme, _, rest = value.partition(" ")
        if scheme.lower() == "basic":
            try:
                login = base64.b64decode(rest, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
            found += [login, *login.split(":", 1)]
    return found + list((form or {}).values())
