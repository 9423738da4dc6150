"""Which proxy of the environment (see ``VARIABLES``) requests to one address go through."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from ..core.errors import ConfigurationError
from .urls import Address

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
"""The environment variables that name proxies, also in small letters."""
_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_ALIASES = {"socks": "socks5h"}
"""Desktops write ALL_PROXY=socks://…"""
_HOST_AND_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy; only ``url`` holds its login."""

    shown: str
    """Scheme, host and port, for messages."""
    url: str = field(repr=False)
    """With the login percent-encoded in it."""


def proxy_for(address: Address) -> Proxy | None:
    """The proxy that the environment names for that address; None for a direct connection.

    Nothing on this machine is asked through a proxy. The login may hold any character, also ``/`` and ``@``.

    Raises:
        ConfigurationError: the proxy is of a kind that is not supported, or has no host; the text holds no login.
    """
    if address.is_loopback:
        return None
    proxies = urllib.request.getproxies()
    named = proxies.get(address.scheme) or proxies.get("all")
    if not named or urllib.request.proxy_bypass(f"{address.host}:{address.port or 443}"):
        return None
    return _parsed(named.strip(), f"{address.scheme.upper()}_PROXY or ALL_PROXY")


def encode_logins(environ: MutableMapping[str, str]) -> tuple[str, ...]:
    """Percent-encodes the logins of the environment's proxies, as all libraries read them, and returns the passwords.

    Of a login with a ``/`` in it, Google's client for one takes a part for the port, and prints it.
    """
    passwords: list[str] = []
    for name in VARIABLES:
        for variable in (name, name.lower()):
            text = environ.get(variable, "").strip()
            scheme, login, place = _parts(text)
            if name != "NO_PROXY" and login:
                password = login.partition(":")[2]
                passwords += [password, unquote(password)]
                environ[variable] = f"{scheme}://{_encoded(login)}@{place}"
    return tuple(passwords)


def _parts(text: str) -> tuple[str, str, str]:
    """Scheme, login, and host and port of the text that names a proxy."""
    scheme, has_scheme, rest = text.partition("://")
    if not has_scheme:
        scheme, rest = "http", text
    # The last @ ends the login: a path has no meaning for a proxy.
    login, _, place = rest.rpartition("@")
    return scheme.lower(), login, place.partition("/")[0]


def _encoded(login: str) -> str:
    return ":".join(quote(unquote(part), safe="") for part in login.split(":", 1))


def _parsed(text: str, variables: str) -> Proxy:
    scheme, login, place = _parts(text)
    scheme = _ALIASES.get(scheme, scheme)
    if scheme not in _SCHEMES:
        raise ConfigurationError(
            f"The proxy in {variables} of the environment is of a kind that is not supported: use "
            f"{', '.join(f'{name}://' for name in _SCHEMES[:-1])} or {_SCHEMES[-1]}://."
        )
    parts = _HOST_AND_PORT.fullmatch(place)
    if parts is None or int(parts[1] or 1) not in range(1, 1 << 16):
        raise ConfigurationError(
            f"The proxy in {variables} of the environment is no address: it must look like http://host:port or "
            "http://user:password@host:port."
        )
    shown = f"{scheme}://{place}"
    return Proxy(shown, f"{scheme}://{_encoded(login)}@{place}" if login else shown)
