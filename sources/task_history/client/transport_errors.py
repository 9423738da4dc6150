"""Failures of the transport: what failed, in short texts that hold no secret, and whether the request was sent."""

from __future__ import annotations

from pyreqwest.exceptions import ClientClosedError, PyreqwestError

from ..core.errors import ConfigurationError, VendorUnavailable
from . import trust

_CONNECTING = "client error (Connect)"
_CERTIFICATE = "invalid peer certificate"
_TIMED_OUT = "operation timed out"
_CLOSED = ("connection closed before message completed", "Connection reset by peer", "Broken pipe")

_REASONS = (
    ("dns error", "its host name is not found (DNS)"),
    ("error resolving", "its host name is not found (DNS)"),
    ("onnection refused", "the connection was refused"),
    ("tunnel error: unsuccessful", "it does not connect to the vendor"),
    ("received fatal alert", "the TLS handshake or connection failed"),
    ("received corrupt message", "the TLS handshake or connection failed"),
    ("handshake", "the TLS handshake or connection failed"),
    ("message head is too large", "an answer with too many or too large headers"),
    ("parsed", "an answer that is no HTTP"),
)
"""What the causes of an error of reqwest say, and what is told of it; the first that fits."""

_CERTIFICATES = (
    ("CaUsedAsEndEntity", "is that of a CA, which may not stand for a server: let the CA issue one for it"),
    ("xpired", "has expired, or the clock of this machine is wrong"),
    ("not valid for name", "is for another host"),
)


class Lost(Exception):
    """No whole answer came."""

    def __init__(
        self, reason: str, *, is_unsent: bool = False, is_closed: bool = False, is_abandoned: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_unsent = is_unsent
        """Whether the request certainly never left, since there was no connection."""
        self.is_closed = is_closed
        """Whether the connection was closed before anything of an answer came."""
        self.is_abandoned = is_abandoned
        """Whether it was ended on this side."""


def lost(
    error: PyreqwestError,
    *,
    origin: str,
    proxy: str | None,
    timeout_s: float,
    is_head_read: bool,
) -> Lost | VendorUnavailable | ConfigurationError:
    """The error of reqwest as a fault to retry, or as the error to stop with where a retry cannot help.

    ``proxy`` is the proxy in between, without its login.
    """
    if isinstance(error, ClientClosedError):
        return Lost("it was ended here", is_abandoned=True)
    causes = _causes(error)
    if _CERTIFICATE in causes:
        return _untrusted(causes, origin)
    is_unsent = not is_head_read and _CONNECTING in causes
    if proxy is not None and is_unsent:
        if "proxy authorization required" in causes:
            return ConfigurationError(
                f"The proxy {proxy} wants a login, or refuses the one that it was given (HTTP 407): write HTTPS_PROXY "
                "in the environment as http://user:password@host:port."
            )
        return Lost(f"the proxy {proxy} failed: {_reason(causes, timeout_s, is_unsent=True)}", is_unsent=True)
    return Lost(
        _reason(causes, timeout_s, is_unsent=is_unsent),
        is_unsent=is_unsent,
        is_closed=not is_head_read and any(text in causes for text in _CLOSED),
    )


def _causes(error: PyreqwestError) -> str:
    details = getattr(error, "details", None) or {}
    return "; ".join(cause["message"] for cause in details.get("causes") or ())


def _reason(causes: str, timeout_s: float, *, is_unsent: bool) -> str:
    if _TIMED_OUT in causes:
        return f"no {'connection' if is_unsent else 'answer'} within {timeout_s:g} s"
    return next((reason for text, reason in _REASONS if text in causes), "the connection was lost")


def _untrusted(causes: str, origin: str) -> VendorUnavailable:
    reason = next((reason for text, reason in _CERTIFICATES if text in causes), None)
    if reason is not None:
        return VendorUnavailable(f"The certificate of {origin} {reason}. Nothing was sent.")
    return VendorUnavailable(
        f"The certificate of {origin} is not trusted. If the vendor is behind a proxy or on your own "
        f"premises, name the file of its certificate authority in the environment variable {trust.CA_FILE_VARIABLE}; "
        "otherwise a third party may be reading along. Nothing was sent."
    )
