"""Asks one vendor: spend → send → decipher → retry. What speaks HTTP is ``wire``.

Three waits are kept apart. After a *fault* a request tries again within seconds, with growing random
pauses, and fails when ``fault_deadline_s`` have passed since its first fault. *Told* to wait, every
process that shares the budget is silent for as long as the vendor says; that never fails a run.
Out of *budget*, a request waits for the next free slot.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from types import TracebackType
from urllib.parse import quote, urlencode

from ..core.concurrency import Crew, Drawn, Width
from ..core.errors import (
    ConfigurationError,
    Rejected,
    Stopped,
    Unconfirmed,
    UnexpectedResponse,
    VendorError,
    VendorUnavailable,
)
from ..core.models import Answer, Json, Request
from ..core.stop import StopSignal
from .faults import Lost, TooSlow, check_headers, secrets_in, transport_fault
from .rate_limit import Budget
from .responses import Decipherer, Fault, Login, Moved, Outcome, Told, http_date, named
from .transport import Answered, Headers, wire_to
from .urls import Address, check_base, joined, parsed, quoted
from .wait_stats import Waits

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_LONGEST_OWN_HOLD_S = 60.0
_LONGEST_HOLD_S = 86_400.0
"""However long the vendor asks for silence, after a day it is asked again."""
_MOST_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class Stats:
    """What a client has done so far."""

    sent: Mapping[str, int]
    """Requests by ``Request.kind``; every attempt counts."""
    retries: int
    """Attempts beyond the first of a request, redirects included."""
    waited_s: Mapping[str, float]
    """Seconds during which at least one request waited, by cause: ``fault``, ``told``, ``budget``."""


@dataclass(slots=True)
class _Trial:
    """One request on its way through its attempts."""

    request: Request
    target: str
    """Path and query, as they are sent."""
    form: Mapping[str, str] | None
    headers: Headers | None
    given_up: Callable[[], bool]
    is_raw: bool = False
    attempts: int = 0
    faults: int = 0
    redirects: int = 0
    sent_at: float = 0.0
    generation: int = 0
    """Which credentials the last attempt was sent with."""
    has_logged_in: bool = False
    first_fault_at: float | None = None
    excused_s: float = 0.0
    """Seconds since the first fault in which it waited for something other than the fault."""

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once. A login (a form) is."""
        is_read = self.request.method in ("GET", "HEAD")
        return not self.request.is_once and (is_read or self.form is not None)


class Client:
    """Sends requests to one vendor, ``concurrency`` at a time; safe to use from many threads.

    ``authorization`` gives the headers that authenticate a request; it is asked for every attempt.
    ``refresh`` is called once when they are refused with 401; True means that they are new now.
    ``hint_for`` says what a user should check when the vendor refuses with that status, ``status_in`` which status an
    answer holds that says success and is none (None where no answer does), ``address`` which settings say where the
    vendor is.
    Certificates are believed that SSL_CERT_FILE and SSL_CERT_DIR in the environment name, else the usual ones.
    ``longest_hold_s`` is how long the vendor may ask for silence: for longer, requests fail at once.
    ``clock`` gives seconds, ``uniform`` a random number between two.

    Raises:
        ConfigurationError: ``base_url`` cannot be used, or the certificates cannot be read.
    """

    def __init__(
        self,
        *,
        base_url: str,
        authorization: Callable[[], Headers],
        budget: Budget,
        stop: StopSignal,
        refresh: Callable[[], bool] | None = None,
        hint_for: Callable[[int], str] = lambda _: "",
        status_in: Callable[[Json], int | None] | None = None,
        address: str = "base_url",
        concurrency: int = 8,
        fault_deadline_s: float = 300.0,
        timeout_s: float = 60.0,
        longest_hold_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._base = _parsed(base_url)
        check_base(self._base)
        self.origin = self._base.origin
        self._authorization = authorization
        self._refresh = refresh
        self._budget = budget
        self._stop = stop
        self._concurrency = concurrency
        self._fault_deadline_s = fault_deadline_s
        self._timeout_s = timeout_s
        self._longest_hold_s = longest_hold_s
        self._hold_reason = "another process was asked to by the vendor"
        self._clock = clock
        self._uniform = uniform
        self._address = address
        self._decipherer = Decipherer(self.origin, hint_for, status_in)
        self._waits = Waits(self.origin, clock)
        self._lock = threading.Lock()
        self._sent: Counter[str] = Counter()
        self._retries = 0
        self._generation = 0
        self._refused_generation = -1
        self._login_lock = threading.Lock()
        self._holds = 0
        self._held_at = -1.0
        self._offset_s: float | None = None
        self._dated = ""
        self._failure: VendorError | None = None
        self.meanwhile: Callable[[], AbstractContextManager[object]] = nullcontext
        """Entered while a request waits for a slot of the budget and for its answer."""
        self._is_closed = False
        self._width = Width(concurrency)
        self._crew = Crew(concurrency, self._width)
        self._wire = wire_to(
            self._base,
            timeout_s=timeout_s,
            most=concurrency + 1,  # one more for a login amid them
            clock=clock,
        )

    def __repr__(self) -> str:
        return f"Client({self.origin})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what still waits, lets requests in flight finish, and closes all connections."""
        self._is_closed = True
        self._crew.close()
        self._wire.close()

    @property
    def stats(self) -> Stats:
        """What has been done so far."""
        with self._lock:
            return Stats(dict(self._sent), self._retries, self._waits.seconds())

    @property
    def vendor_clock_offset_s(self) -> float | None:
        """Seconds by which the vendor's clock is ahead of ours, to about one; None before an answer."""
        return self._offset_s

    @property
    def failure(self) -> VendorError | None:
        """What kept a request from its answer most recently, as the error that it would end with."""
        return self._failure

    def send(
        self, request: Request, *, form: Mapping[str, str] | None = None, headers: Headers | None = None
    ) -> Answer:
        """The vendor's answer to the request, however many attempts it takes.

        ``form`` is sent as the body, ``headers`` instead of those of ``authorization``: for logins.
        A request that is neither GET nor HEAD nor a form is never repeated once it may have arrived, and
        one that ``is_once`` not even when the vendor refused it: only where no connection was made is it
        tried again.

        Raises:
            Stopped: the run is to end; the request was not sent (again).
            AuthenticationError: 401 or 403.
            Rejected: another 4xx.
            VendorUnavailable: faults beyond the deadline, or a certificate that is not trusted.
            Unconfirmed: it was sent, and may or may not have been carried out.
            UnexpectedResponse: answers that say success and cannot be read, beyond the deadline.
            ConfigurationError: a redirect to another origin.
        """
        return self._answered(
            _Trial(request, self._target(request), form, headers, given_up=lambda: self._is_closed)
        )

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        """The answers in the order of the requests, of which a bounded number is drawn ahead.

        With ``is_raw`` they are for somebody who reads many at once: ``data`` is None and only ``body`` is
        given, which begins and ends as JSON does; who finds that it is none asks again with ``send``.
        With ``ahead`` so many are drawn ahead, at once; else a few for each that may be under way, once an
        answer is asked for.

        What ``send`` would raise comes as a value. After anything but a Rejected no request is started:
        those already drawn give the same exception, and the iterator ends.
        """
        over: list[Exception] = []

        def one(request: Request) -> Answer | Exception:
            if over:
                return over[0]
            try:
                trial = _Trial(
                    request, self._target(request), None, None, lambda: self._is_closed or bool(over), is_raw
                )
                return self._answered(trial)
            except Rejected as error:
                return error
            except Exception as error:  # noqa: BLE001 - given to whoever draws the answers
                over.append(error)
                return over[0] if isinstance(error, Stopped) else error

        works = (partial(one, request) for request in requests)
        drawn = Drawn(self._crew, works, over, most=ahead or 2 * self._concurrency)
        if ahead:
            drawn.draw()
        return drawn

    def _answered(self, trial: _Trial) -> Answer:
        with self.meanwhile():
            return self._tried(trial)

    def _tried(self, trial: _Trial) -> Answer:
        request = trial.request
        while True:
            outcome = self._attempt(trial)
            if request.is_once:
                outcome = self._once(trial, outcome)
            if isinstance(outcome, Answer):
                self._went_well(trial)
                return outcome
            if isinstance(outcome, Told):
                self._hold(trial, outcome)
            elif isinstance(outcome, Moved):
                self._follow(trial, outcome)
            elif isinstance(outcome, Login):
                self._log_in(trial, outcome)
            elif isinstance(outcome, Fault):
                self._pause(trial, outcome)
            else:
                raise outcome

    def _once(self, trial: _Trial, outcome: Outcome) -> Outcome:
        """What came of a request that left this machine and must not leave it again."""
        what = f"{self.origin} answered {named(trial.request)} with HTTP"
        if isinstance(outcome, Told):
            self._hold(trial, outcome)
            if outcome.status == 429:
                return Rejected(f"{what} 429: too many requests. It was not sent again.", status=429)
            return _unconfirmed(f"{what} {outcome.status}", outcome.status)
        if isinstance(outcome, Login):
            return outcome.error
        if isinstance(outcome, Moved):
            return _unconfirmed(f"{what} {outcome.status}, a redirect, which is not followed", outcome.status)
        if isinstance(outcome, UnexpectedResponse):
            return _unconfirmed(str(outcome).rstrip("."), None)
        return outcome

    def _attempt(self, trial: _Trial) -> Outcome:
        """Sends the request once and says what came of it."""
        if trial.headers is None:
            # A login that is due needs a slot of its own.
            self._authorization()
        self._stop.spend()
        with self._budget.reserve(lambda seconds: self._wait_for_slot(trial, seconds)) as slot:
            trial.generation = self._generation
            headers = self._authorization() if trial.headers is None else trial.headers
            check_headers(headers)
            self._count(trial)
            trial.sent_at = self._clock()
            try:
                status, answered, body = self._exchange(trial, headers)
            except (Lost, TooSlow) as error:
                slot.done(is_answered=False)
                return transport_fault(error, self.origin, self._timeout_s)
            if 200 <= status < 300:
                # A refusal comes sooner than what is asked for.
                self._width.answered_in(self._clock() - trial.sent_at)
        self._note_date(answered.get("date", ""))
        return self._decipherer.outcome(
            trial.request,
            status,
            answered,
            body,
            secrets=secrets_in(headers, trial.form),
            is_raw=trial.is_raw,
        )

    def _exchange(self, trial: _Trial, headers: Headers) -> Answered:
        """One request and its whole answer. Raises Lost, TooSlow."""
        request, content = trial.request, None
        if trial.form is not None:
            content = urlencode(trial.form).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        elif request.body is not None:
            content = json.dumps(request.body, ensure_ascii=False, allow_nan=False).encode()
            headers = {"Content-Type": "application/json", **headers}
        return self._wire.exchange(
            request.method, trial.target, headers, content, is_fresh=not trial.is_repeatable
        )

    def _count(self, trial: _Trial) -> None:
        with self._lock:
            self._sent[trial.request.kind] += 1
            self._retries += trial.attempts > 0
        trial.attempts += 1

    def _note_date(self, text: str) -> None:
        # It says whole seconds: the same one again tells nothing.
        if text == self._dated:
            return
        self._dated = text
        date = http_date(text)
        if date is not None:
            self._offset_s = (date - datetime.now(UTC)).total_seconds()

    def _went_well(self, trial: _Trial) -> None:
        with self._lock:
            if trial.sent_at > self._held_at:
                self._holds = 0

    def _wait_for_slot(self, trial: _Trial, seconds: float) -> None:
        began = self._clock()
        is_told = self._budget.hold_s > 0
        because = self._hold_reason if is_told else "the budget is spent"
        if is_told and seconds > self._longest_hold_s:
            raise VendorUnavailable(
                f"{self.origin} is asked nothing for {seconds:,.0f} s more: {because}. Try again in "
                f"{timedelta(seconds=math.ceil(seconds))}; if others use the same key, set rate_limit_requests lower."
            )
        with self._waits.waiting("told" if is_told else "budget", seconds, because):
            self._stop.wait(seconds, given_up=trial.given_up)
        if trial.first_fault_at is not None:
            trial.excused_s += self._clock() - began

    def _hold(self, trial: _Trial, told: Told) -> None:
        """Keeps every process from sending as long as the vendor says; if it says nothing, longer each time.

        Several requests in flight are told at once: only one that was sent after the last hold began counts
        as told again.
        """
        asks = f"answered HTTP {told.status} and asks to wait"
        if told.seconds is not None:
            asks += f" for {told.seconds:,.0f} s"
        self._failure = VendorUnavailable(
            f"{self.origin} {asks} ({named(trial.request)}). Try again later; if others use the same key, set "
            "rate_limit_requests lower."
        )
        with self._lock:
            is_news = trial.sent_at > self._held_at
            if told.seconds is None and not is_news:
                return
            if is_news:
                self._held_at = self._clock()
                self._holds += 1
            longest = self._budget.period_s if self._budget.limit else _LONGEST_OWN_HOLD_S
            seconds = min(2.0 ** min(self._holds - 1, 20), longest) if told.seconds is None else told.seconds
            seconds = min(seconds, _LONGEST_HOLD_S)
            is_cut = told.seconds is not None and told.seconds > seconds
            self._hold_reason = f"the vendor {asks}" + ", and is asked again after a day" * is_cut
        self._budget.told_to_wait(seconds)

    def _pause(self, trial: _Trial, fault: Fault) -> None:
        """Waits before the next attempt. Raises when there is none."""
        what = f"{self.origin} failed {named(trial.request)}: {fault.kind}"
        if not trial.is_repeatable and not fault.is_unsent:
            raise _unconfirmed(what, fault.status)
        now = self._clock()
        if trial.first_fault_at is None:
            trial.first_fault_at = now
        tried_s = now - trial.first_fault_at - trial.excused_s
        self._failure = _given_up(what, fault, tried_s, trial.attempts, self._address)
        patience_s = trial.request.patience_s
        if patience_s is not None and fault.status is not None and tried_s >= patience_s:
            raise Rejected(f"{what}, for {tried_s:.0f} s", status=fault.status)
        if tried_s >= self._fault_deadline_s:
            raise self._failure
        pause = self._uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(trial.faults, 16)))
        pause = min(pause, self._fault_deadline_s - tried_s)
        trial.faults += 1
        with self._waits.waiting("fault", pause, fault.kind):
            self._stop.wait(pause, given_up=trial.given_up)

    def _log_in(self, trial: _Trial, login: Login) -> None:
        """Makes new credentials, once for all requests that were sent with the old ones."""
        if trial.headers is not None or trial.has_logged_in or self._refresh is None:
            raise login.error
        trial.has_logged_in = True
        with self._login_lock:
            if self._generation != trial.generation:
                return
            if self._refused_generation == self._generation or not self._refresh():
                self._refused_generation = self._generation
                raise login.error
            self._generation += 1

    def _follow(self, trial: _Trial, moved: Moved) -> None:
        what = f"{self.origin} answered {named(trial.request)} with HTTP {moved.status}"
        try:
            there = joined(self.origin + trial.target, moved.location)
        except ValueError:
            raise UnexpectedResponse(f"{what} to an address that is none. Check base_url.") from None
        if there.origin != self.origin:
            raise ConfigurationError(
                f"{what} to another origin, {there.origin}, where the key is not sent. If that is the "
                "vendor's, set base_url to it; if not, something on the way (a proxy, a login page) answers."
            )
        trial.redirects += 1
        if not trial.is_repeatable or trial.redirects > _MOST_REDIRECTS:
            raise UnexpectedResponse(f"{what} after {trial.redirects - 1} redirects. Check base_url.")
        trial.target = there.target
        self._failure = UnexpectedResponse(f"{what}, a redirect. Set base_url to the address without it.")

    def _target(self, request: Request) -> str:
        path = f"{self._base.path.rstrip('/')}/{quoted(request.path.lstrip('/'))}"
        query = "&".join(_pair(name, value) for name, value in request.params)
        return f"{path}?{query}" if query else path


@lru_cache(maxsize=1024)
def _pair(name: str, value: str) -> str:
    # Spaces as %20: some vendors take + for itself.
    return f"{quote(name, safe='')}={quote(value, safe='')}"


def _unconfirmed(what: str, status: int | None) -> Unconfirmed:
    return Unconfirmed(
        f"{what}. It may or may not have been carried out, so it was not repeated: look at the vendor's side "
        "before you send it again.",
        status=status,
    )


def _given_up(
    what: str, fault: Fault, tried_s: float, attempts: int, address: str
) -> VendorUnavailable | UnexpectedResponse:
    tried = f"{what}, for {tried_s:.0f} s in {attempts} attempts."
    if fault.is_unreadable:
        return UnexpectedResponse(
            f"{tried} Check that base_url is the API's and not a web page's; a proxy may answer in its place."
        )
    return VendorUnavailable(
        f"{tried} Check the network, {address} and the vendor's status page, then run the same command again: "
        "it goes on where it stopped."
    )


def _parsed(base_url: str) -> Address:
    try:
        return parsed(base_url)
    except (ValueError, TypeError):
        raise ConfigurationError("base_url is no web address: it must look like https://host/path.") from None
