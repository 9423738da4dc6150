"""One request on its way: what is sent of it, the attempts that were made at it, and the errors that it may end with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, urlencode

from ..core.errors import (
    AnswerTooLarge,
    ConfigurationError,
    ReadFailed,
    Rejected,
    Unconfirmed,
    UnexpectedResponse,
    VendorUnavailable,
)
from ..core.models import Request
from .responses import Fault, Outcome, Redirect, Unauthorized, describe
from .retry import MAX_REDIRECTS
from .retry_after import RetryAfter, Unavailability
from .urls import Address, joined, quoted


@dataclass(slots=True)
class PendingRequest:
    """One request and the attempts that were made at it."""

    request: Request
    target: str
    """Path and query, as they are sent."""
    form: Mapping[str, str] | None
    headers: Mapping[str, str] | None
    given_up: Callable[[], bool]
    is_next: Callable[[], bool] = lambda: True
    """Whether its answer is waited for now: a large one is held only then."""
    is_raw: bool = False
    attempts: int = 0
    faults: int = 0
    redirects: int = 0
    sent_at: float = 0.0
    generation: int = 0
    """Which credentials the last attempt was sent with."""
    has_logged_in: bool = False
    wants_fresh_connection: bool = False
    """Whether the next attempt goes over a new connection, since a kept one was closed."""
    has_had_closed_connection: bool = False
    unavailability: Unavailability = field(default_factory=Unavailability)
    first_fault_at: float | None = None
    excused_s: float = 0.0
    """Seconds since the first fault in which it waited for something other than the fault."""

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once. A login (a form) is."""
        is_read = self.request.method in ("GET", "HEAD")
        return not self.request.is_once and (is_read or self.form is not None)

    def content(self) -> tuple[bytes | None, dict[str, str]]:
        """The body of the request and the header that says what it is; None and no header without one."""
        if self.form is not None:
            return urlencode(self.form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        if self.request.body is not None:
            text = json.dumps(self.request.body, ensure_ascii=False, allow_nan=False)
            return text.encode(), {"Content-Type": "application/json"}
        return None, {}

    def deadline_s(self, longest_s: float) -> float:
        """How many seconds faults are met with another attempt."""
        own_s = self.request.fault_deadline_s
        return longest_s if own_s is None else min(own_s, longest_s)

    def may_be_stale(self) -> bool:
        """Whether a closed connection may be a kept one that the vendor closed while it was idle: said once only."""
        if not self.is_repeatable or self.has_had_closed_connection:
            return False
        self.has_had_closed_connection = True
        return True

    def follow(self, origin: str, redirect: Redirect) -> UnexpectedResponse:
        """Takes the address of the redirect for the next attempt; the error to end with where that does not come.

        Raises:
            ConfigurationError: it leads to another origin, where the key must not go.
            UnexpectedResponse: it leads to no address, or there were too many.
        """
        what = f"{origin} answered {describe(self.request)} with HTTP {redirect.status}"
        try:
            there = joined(origin + self.target, redirect.location)
        except ValueError:
            raise UnexpectedResponse(f"{what} to an address that is none. Check base_url.") from None
        if there.origin != origin:
            raise ConfigurationError(
                f"{what} to another origin, {there.origin}, where the key is not sent. If that is the "
                "vendor's, set base_url to it; if not, something on the way (a proxy, a login page) answers."
            )
        self.redirects += 1
        if not self.is_repeatable or self.redirects > MAX_REDIRECTS:
            raise UnexpectedResponse(f"{what} after {self.redirects - 1} redirects. Check base_url.")
        self.target = there.target
        return UnexpectedResponse(f"{what}, a redirect. Set base_url to the address without it.")


def target_of(base: Address, request: Request) -> str:
    """Path and query of the request, as they are sent."""
    path = f"{base.path.rstrip('/')}/{quoted(request.path.lstrip('/'))}"
    query = "&".join(_pair(name, value) for name, value in request.params)
    return f"{path}?{query}" if query else path


@lru_cache(maxsize=1024)
def _pair(name: str, value: str) -> str:
    # Spaces as %20: some vendors take + for itself.
    return f"{quote(name, safe='')}={quote(value, safe='')}"


def outcome_of_once(origin: str, request: Request, outcome: Outcome) -> Outcome:
    """What came of a request that left this machine and must not leave it again."""
    what = f"{origin} answered {describe(request)} with HTTP"
    if isinstance(outcome, RetryAfter):
        if outcome.status == 429:
            return Rejected(f"{what} 429: too many requests. It was not sent again.", status=429)
        return unconfirmed(f"{what} {outcome.status}", outcome.status)
    if isinstance(outcome, Unauthorized):
        return outcome.error
    if isinstance(outcome, Redirect):
        return unconfirmed(f"{what} {outcome.status}, a redirect, which is not followed", outcome.status)
    if isinstance(outcome, UnexpectedResponse):
        return unconfirmed(str(outcome).rstrip("."), None)
    if isinstance(outcome, AnswerTooLarge):
        return unconfirmed(str(outcome).rstrip("."), outcome.status)
    return outcome


def unconfirmed(what: str, status: int | None) -> Unconfirmed:
    """The error for a request that must not be repeated and may have been carried out."""
    return Unconfirmed(
        f"{what}. It may or may not have been carried out, so it was not repeated: look at the vendor's side "
        "before you send it again.",
        status=status,
    )


def given_up(
    what: str, fault: Fault, tried_s: float, attempts: int, address: str
) -> VendorUnavailable | UnexpectedResponse:
    """The error for faults that went on past the deadline; ``address`` names the settings with the vendor's place."""
    tried = f"{what}, for {tried_s:.0f} s in {attempts} attempts."
    if fault.is_unreadable:
        return UnexpectedResponse(
            f"{tried} Check that base_url is the API's and not a web page's; a proxy may answer in its place."
        )
    return VendorUnavailable(
        f"{tried} Check the network, {address} and the vendor's status page, then run the same command again: "
        "it goes on where it stopped."
    )


def read_failed(what: str, status: int | None, tried_s: float, attempts: int) -> ReadFailed:
    """The error for faults of one item of many that went on past its ``fault_deadline_s``."""
    return ReadFailed(
        f"{what}, for {tried_s:.0f} s in {attempts} attempt{'s' * (attempts != 1)}.", status=status or 0
    )


def too_large(origin: str, request: Request, bound: int) -> AnswerTooLarge:
    """The error for an answer of more than ``bound`` bytes."""
    return AnswerTooLarge(
        f"{origin} answered {describe(request)} with more than {bound / (1 << 20):,.4g} MiB unpacked, the bound "
        f"that answer_max_bytes = {bound} sets. Raise answer_max_bytes if answers of that size are meant.",
        status=200,
    )
