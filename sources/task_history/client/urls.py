"""Where a key may be sent: one origin, encrypted or on this machine. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from ..core.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}
_FORM = "it must look like https://host/path"
_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]*[a-z0-9.])?")
_NEVER = re.compile(r"[\x00-\x20\x7f\\]")
"""What parsers of addresses read in different ways: it stands in no address that is meant."""
_SAFE = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Address:
    """A web address in its parts; only ``parsed`` decides what is which part."""

    scheme: str
    host: str
    """In ASCII and lower case, an IPv6 one without its brackets."""
    port: int | None
    """None for the usual one."""
    path: str
    """Percent-encoded, as it is sent; empty where there is none."""
    query: str
    fragment: str
    has_login: bool

    @property
    def origin(self) -> str:
        """Scheme, host and port, the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def target(self) -> str:
        """What is asked of the origin."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parsed(url: str) -> Address:
    """The address in its parts. Raises ValueError when it is none; what it then says may hold a login."""
    if _NEVER.search(url):
        raise ValueError("a space, a backslash or a control character")
    parts = urlsplit(url)
    scheme, port = parts.scheme.lower(), parts.port
    return Address(
        scheme,
        _host(parts.hostname or ""),
        None if port == _PORTS.get(scheme) else port,
        quoted(parts.path),
        quote(parts.query, safe=_SAFE + "?"),
        parts.fragment,
        has_login="@" in parts.netloc,
    )


def without_login(url: str) -> str:
    """The address as it is shown to people: without a user or key in it."""
    try:
        address = parsed(url)
    except (ValueError, TypeError):
        return "(no web address)"
    return address.origin + address.path


def joined(url: str, location: str) -> Address:
    """Where a redirect from the address leads. Raises ValueError when that is no address."""
    return parsed(urljoin(url, location))


def quoted(path: str) -> str:
    """The path as it is sent; what is percent-encoded in it stays."""
    return quote(path, safe=_SAFE)


def base_address(base_url: str) -> Address:
    """The address in that setting. Raises ConfigurationError when it is none, or requests with a key may not go there."""
    try:
        base = parsed(base_url)
    except (ValueError, TypeError):
        raise ConfigurationError(f"base_url is no web address: {_FORM}.") from None
    check_base(base)
    return base


def check_base(base: Address) -> None:
    """Raises ConfigurationError when requests with a key may not go there; does not repeat a login in it."""
    if base.has_login:
        raise ConfigurationError(f"base_url must not hold a user or a key: {_FORM}.")
    if base.scheme not in _PORTS or not base.host:
        raise ConfigurationError(f"base_url is no web address: {_FORM}.")
    if base.query or base.fragment:
        raise ConfigurationError(f"base_url {base.origin}… must not hold ? or #: {_FORM}.")
    if base.scheme == "http" and not base.is_loopback:
        raise ConfigurationError(
            f"base_url {base.origin} would send the key unencrypted: use https://. "
            "Plain http:// is for servers on this machine (localhost) only."
        )


def _host(name: str) -> str:
    if ":" in name:
        return str(ipaddress.IPv6Address(name))
    if not name.isascii():
        import idna

        name = idna.encode(name, uts46=True).decode()
    if name and not _NAME.fullmatch(name):
        raise ValueError("no host")
    return name
