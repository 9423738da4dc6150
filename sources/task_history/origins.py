"""Where a key may be sent: one origin, encrypted or on this machine. Pure."""

from __future__ import annotations

import ipaddress
from typing import Protocol

from .errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}
_FORM = "it must look like https://host/path"


class Url(Protocol):
    """A URL as ``client`` parses it; only one parser decides what is which part."""

    @property
    def scheme(self) -> str: ...
    @property
    def userinfo(self) -> bytes: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def query(self) -> bytes: ...
    @property
    def fragment(self) -> str: ...


def origin_of(url: Url) -> str:
    """Scheme, host and port, the port only where it is not the usual one."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    usual = _PORTS.get(url.scheme)
    return f"{url.scheme}://{host}" + (f":{url.port}" if url.port not in (None, usual) else "")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_base(url: Url) -> None:
    """Raises ConfigurationError when requests with a key may not go there; does not repeat a login in it."""
    if url.userinfo:
        raise ConfigurationError(f"base_url must not hold a user or a key: {_FORM}.")
    if url.scheme not in _PORTS or not url.host:
        raise ConfigurationError(f"base_url is no web address: {_FORM}.")
    if url.query or url.fragment:
        raise ConfigurationError(f"base_url {origin_of(url)}… must not hold ? or #: {_FORM}.")
    if url.scheme == "http" and not is_loopback(url.host):
        raise ConfigurationError(
            f"base_url {origin_of(url)} would send the key unencrypted: use https://. "
            "Plain http:// is for servers on this machine (localhost) only."
        )
