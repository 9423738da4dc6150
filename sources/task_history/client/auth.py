"""The headers that authenticate requests, with a token that is made, renewed and kept in memory only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from ..core.errors import AuthenticationError, Rejected
from ..core.models import Answer
from ..redaction.own_secrets import OwnSecrets
from ..systems.protocol import Login, System, Token, Values
from .responses import named

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
        values: Values,
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
            # 400 and 404 say no more than 401 here: who asks is not known, or not there.
            raise AuthenticationError(
                f"{error} The vendor gave no token for {named(login.request)}. {self._system.access.hint(401)}",
                status=error.status,
            ) from None
        assert self._system.access.read_login is not None  # noqa: S101 - states both or none
        self._token = self._system.access.read_login(answer.data)
        self._secrets.add(self._token.value)
        life = self._token.expires_in_s
        early = 0.0 if life is None else min(_EARLY_S, life * _EARLY_SHARE)
        self._renew_at = float("inf") if life is None else self._clock() + life - early
