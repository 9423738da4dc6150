"""The headers that authenticate requests, with a token that is made, renewed and kept in memory only."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from ..core.errors import AuthenticationError, ConfigurationError, Rejected
from ..core.models import Answer
from ..redaction.own_secrets import OwnSecrets
from ..systems.common_settings import SystemSettings
from ..systems.protocol import Login, System, Token

Send = Callable[[Login], Answer]

_EARLY_SHARE, _EARLY_S = 0.1, 60.0
"""How long before its end a token is renewed: a tenth of its life, a minute at most."""


class Credentials:
    """Gives ``headers``; where the vendor wants a token, it logs in first and again before it expires.

    Safe to use from many threads: one of them logs in. ``send`` sends a login; ``clock`` gives seconds. Tokens are
    added to ``secrets``.
    """

    def __init__(
        self,
        system: System,
        values: SystemSettings,
        *,
        secrets: OwnSecrets | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secrets = secrets or OwnSecrets()
        self._system = system
        self._values = values
        self._clock = clock
        self._lock = threading.RLock()
        self._token: Token | None = None
        self._renew_at = 0.0
        self.send: Send | None = None

    def headers(self) -> Mapping[str, str]:
        """The headers of a request that is sent now.

        Raises:
            AuthenticationError: the login was refused.
            VendorError: it could not be had.
        """
        login = self._system.access.login(self._values)
        if login is None:
            return self._system.access.headers(self._values, "")
        with self._lock:
            if self._token is None or self._clock() >= self._renew_at:
                self._log_in(login)
            assert self._token is not None  # noqa: S101 - made just now
            return self._system.access.headers(self._values, self._token.value)

    def renew(self) -> bool:
        """A new token instead of one that was refused; False where there is none to be had. Raises as ``headers``."""
        login = self._system.access.login(self._values)
        if login is None:
            return False
        with self._lock:
            self._log_in(login)
        return True

    def _log_in(self, login: Login) -> None:
        assert self.send is not None  # noqa: S101 - set before the first request
        try:
            answer = self.send(login)
        except Rejected as error:
            # 400 says no more than 401 here: the credentials are not known.
            hint = self._system.access.hint(404 if error.status == 404 else 401)
            raise AuthenticationError(f"{error} So there is no token. {hint}", status=error.status) from None
        assert self._system.access.read_login is not None  # noqa: S101 - states both or none
        self._token = self._system.access.read_login(answer.data)
        self._secrets.add(self._token.value)
        life = self._token.expires_in_s
        early = 0.0 if life is None else min(_EARLY_S, life * _EARLY_SHARE)
        self._renew_at = float("inf") if life is None else self._clock() + life - early


class Renewal:
    """Makes new credentials, once for all requests that were refused with the same ones.

    ``refresh`` makes them and says whether they are new; None where there are no others. Safe to use from many threads.
    """

    def __init__(self, refresh: Callable[[], bool] | None) -> None:
        self._refresh = refresh
        self._lock = threading.Lock()
        self._refused = -1
        self.generation = 0
        """Number of the credentials in use: how often new ones were made."""

    def is_new(self, refused: int) -> bool:
        """Whether there are other credentials than those of that generation, which were refused; makes them if not."""
        if self._refresh is None:
            return False
        with self._lock:
            if self.generation != refused:
                return True
            if self._refused == refused or not self._refresh():
                self._refused = refused
                return False
            self.generation += 1
            return True


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
