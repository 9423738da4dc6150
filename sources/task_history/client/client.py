"""Sends requests to one vendor: a slot of the budget, the request, its answer, and what the retry rules say.

What speaks HTTP is ``transport``, what an answer means stands in ``responses``, when it is tried again in ``retry``.
"""

from __future__ import annotations

import math
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from ..core.errors import (
    ReadFailed,
    Rejected,
    Stopped,
    UnexpectedResponse,
    VendorError,
    VendorUnavailable,
)
from ..core.models import Answer, Json, Request
from ..core.stop import StopSignal
from .credentials import Renewal, check_headers, secrets_in
from .logged_waits import Cause, LoggedWaits, Stats
from .pending_request import (
    PendingRequest,
    given_up,
    outcome_of_once,
    read_failed,
    target_of,
    too_large,
    unconfirmed,
)
from .rate_limit import Budget
from .request_threads import InFlight, is_next
from .responses import (
    Fault,
    Outcome,
    Redirect,
    ResponseReader,
    Unauthorized,
    describe,
)
from .retry import pause_s
from .retry_after import MAX_UNASKED_WAIT_S, Holds, RetryAfter
from .urls import base_address
from .vendor_clock import VendorClock

if TYPE_CHECKING:
    from .transport import Headers, RawAnswer
    from .transport_errors import Lost

_TURN_CHECK_S = 0.02


class Client:
    """Sends requests to one vendor, ``concurrency`` at a time; safe to use from many threads.

    ``authorization`` gives the headers that authenticate a request; it is asked for every attempt.
    ``refresh`` is called once when they are refused with 401; True means that they are new now.
    ``hint_for`` says what a user should check when the vendor refuses with that status, ``status_in`` which status an
    answer holds that says success and is none (None where no answer does), ``address`` which settings say where the
    vendor is.
    ``answer_max_bytes`` bounds an answer, also unpacked. Proxies and CAs are those of the environment.
    ``longest_hold_s`` is how long the vendor may ask for silence: for longer, requests fail at once.
    ``clock`` gives seconds, ``uniform`` a random number between two.

    Raises:
        ConfigurationError: ``base_url`` cannot be used, or the proxy or the CAs that the environment names.
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
        concurrency: int,
        fault_deadline_s: float = 300.0,
        timeout_s: float = 60.0,
        longest_hold_s: float = math.inf,
        answer_max_bytes: int = 64 << 20,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._base = base_address(base_url)
        self.origin = self._base.origin
        self._authorization = authorization
        self._budget = budget
        self._stop = stop
        self._fault_deadline_s = fault_deadline_s
        self._longest_hold_s = longest_hold_s
        self._clock = clock
        self._uniform = uniform
        self._address = address
        self._answer_max_bytes = answer_max_bytes
        self._reader = ResponseReader(self.origin, hint_for, status_in)
        self._waits = LoggedWaits(self.origin, clock)
        self._lock = threading.Lock()
        self._sent: Counter[str] = Counter()
        self._answered_by: Counter[tuple[str, int]] = Counter()
        self._retries = 0
        self._waiting: set[int] = set()
        """The large answers that wait for their turn, and hold a thread each."""
        self._renewal = Renewal(refresh)
        self._holds = Holds(budget.period_s if budget.limit else MAX_UNASKED_WAIT_S)
        self.vendor_clock = VendorClock()
        self._failure: VendorError | None = None
        self.meanwhile: Callable[[], AbstractContextManager[object]] = nullcontext
        """Entered while a request waits for a slot of the budget and for its answer."""
        from .transport import Transport  # commands that ask no vendor start without it

        self._transport = Transport(
            self._base,
            timeout_s=timeout_s,
            max_idle_connections=concurrency + 1,  # one more for a login amid them
            answer_max_bytes=answer_max_bytes,
        )
        self._in_flight = InFlight(self._transport, stop, concurrency=concurrency)

    def __repr__(self) -> str:
        return f"Client({self.origin})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what still waits, lets requests in flight finish for a moment, and closes all connections."""
        self._in_flight.close()

    @property
    def stats(self) -> Stats:
        """What has been done so far."""
        with self._lock:
            return Stats(dict(self._sent), dict(self._answered_by), self._retries, self._waits.seconds())

    @property
    def while_waiting(self) -> Callable[[], None]:
        """Called again and again in the thread that waits for an answer."""
        return self._in_flight.while_waiting

    @while_waiting.setter
    def while_waiting(self, callback: Callable[[], None]) -> None:
        self._in_flight.while_waiting = callback

    @property
    def requests_sent(self) -> int:
        """How many requests were sent so far; every attempt counts."""
        with self._lock:
            return self._sent.total()

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
            ReadFailed: faults beyond its ``fault_deadline_s``, where it has one.
            VendorUnavailable: faults beyond the deadline, or a certificate that is not trusted.
            Unconfirmed: it was sent, and may or may not have been carried out.
            AnswerTooLarge: an answer is larger than ``answer_max_bytes``.
            UnexpectedResponse: answers that say success and cannot be read, beyond the deadline.
            ConfigurationError: a redirect to another origin, or the budget's store cannot be used.
            StateUnavailable: the state that machines share was unreachable beyond the deadline.
        """
        target = target_of(self._base, request)
        pending = PendingRequest(request, target, form, headers, given_up=self._in_flight.is_closed)
        with self.meanwhile():
            return self._in_flight.result(pending, partial(self._answered, pending))

    def map(
        self, requests: Iterable[Request], *, is_raw: bool = False, ahead: int = 0
    ) -> Iterator[Answer | Exception]:
        """The answers in the order of the requests, of which a bounded number is drawn ahead.

        With ``is_raw`` they are for a caller that reads many at once: ``data`` is None and only ``body`` is
        given, which begins and ends as JSON does; a caller that finds it is none asks again with ``send``.
        With ``ahead`` so many are drawn ahead, at once; else a few for each that may be under way, once an
        answer is asked for.

        What ``send`` would raise comes as a value. After anything but a Rejected (a ReadFailed is one), or an
        UnexpectedResponse of a request with ``fault_deadline_s``, no request is started: those already drawn give the
        same exception, and the iterator ends.
        """
        failures: list[Exception] = []

        def one(number: int, request: Request) -> Answer | Exception:
            if failures:
                return failures[0]
            try:
                pending = PendingRequest(
                    request,
                    target_of(self._base, request),
                    None,
                    None,
                    given_up=lambda: self._in_flight.is_closed() or bool(failures),
                    is_next=partial(is_next, reference, number),
                    is_raw=is_raw,
                )
                with self.meanwhile():
                    return self._answered(pending)
            except Rejected as error:
                return error
            except UnexpectedResponse as error:
                if request.fault_deadline_s is None:
                    failures.append(error)
                return error
            except Exception as error:  # noqa: BLE001 - given to the caller in place of the answer
                failures.append(error)
                return failures[0] if isinstance(error, Stopped) else error

        works = (partial(one, number, request) for number, request in enumerate(requests))
        answers = self._in_flight.results(
            works, failures, ahead=ahead, is_held_up=lambda: bool(self._waiting)
        )
        # Weak: what is not drawn to its end is given up with its last reference.
        reference = weakref.ref(answers)
        if ahead:
            answers.submit()
        return answers

    def _answered(self, pending: PendingRequest) -> Answer:
        request = pending.request
        while True:
            outcome = self._attempt(pending)
            if request.is_once:
                outcome = self._once(pending, outcome)
            if isinstance(outcome, Answer):
                self._holds.note_answer(pending.sent_at)
                return outcome
            if isinstance(outcome, RetryAfter):
                self._hold(pending, outcome)
            elif isinstance(outcome, Redirect):
                self._failure = pending.follow(self.origin, outcome)
            elif isinstance(outcome, Unauthorized):
                self._log_in(pending, outcome)
            elif isinstance(outcome, Fault) and outcome.is_closed and pending.may_be_stale():
                pending.wants_fresh_connection = True
            elif isinstance(outcome, Fault):
                self._pause(pending, outcome)
            else:
                raise outcome

    def _once(self, pending: PendingRequest, outcome: Outcome) -> Outcome:
        """What came of a request that must not be sent twice."""
        if isinstance(outcome, RetryAfter):
            self._hold(pending, outcome)
        return outcome_of_once(self.origin, pending.request, outcome)

    def _attempt(self, pending: PendingRequest) -> Outcome:
        """Sends the request once and says what came of it."""
        from .transport_errors import Lost
        from .unpack import TooLarge

        if pending.headers is None:
            # A login that is due needs a slot of its own.
            self._authorization()
        self._stop.spend()
        with self._budget.reserve(lambda seconds: self._wait_for_slot(pending, seconds)) as slot:
            pending.generation = self._renewal.generation
            headers = self._authorization() if pending.headers is None else pending.headers
            check_headers(headers)
            self._count(pending)
            pending.sent_at = self._clock()
            try:
                status, answered, body = self._exchange(pending, headers)
            except Lost as error:
                self._count_answer(pending, 0)
                slot.done(is_answered=False)
                return self._fault(pending, error)
            except TooLarge:
                slot.done(is_answered=False)
                return too_large(self.origin, pending.request, self._answer_max_bytes)
        self._count_answer(pending, status)
        self.vendor_clock.note(answered.get("date", ""))
        return self._reader.outcome(
            pending.request,
            status,
            answered,
            body,
            secrets=secrets_in(headers, pending.form),
            is_raw=pending.is_raw,
        )

    def _fault(self, pending: PendingRequest, error: Lost) -> Fault:
        """What was lost, as a fault. Raises Stopped when this side ended it, and sending it again would be no harm."""
        if error.is_abandoned and pending.is_repeatable:
            raise Stopped(self._stop.reason or "the client was closed")
        return Fault(error.reason, is_unsent=error.is_unsent, is_closed=error.is_closed)

    def _exchange(self, pending: PendingRequest, headers: Headers) -> RawAnswer:
        """One request and its whole answer. Raises Lost, TooLarge."""
        content, content_type = pending.content()
        is_fresh = pending.wants_fresh_connection or not pending.is_repeatable
        pending.wants_fresh_connection = False
        return self._transport.exchange(
            pending.request.method,
            pending.target,
            {**content_type, **headers},
            content,
            is_fresh=is_fresh,
            when_large=partial(self._wait_for_turn, pending),
        )

    def _wait_for_turn(self, pending: PendingRequest) -> None:
        """Waits until this answer is the next to be drawn. Raises Stopped."""
        self._waiting.add(id(pending))
        try:
            while not pending.is_next():
                self._stop.wait(_TURN_CHECK_S, given_up=pending.given_up)
        finally:
            self._waiting.discard(id(pending))

    def _count(self, pending: PendingRequest) -> None:
        with self._lock:
            self._sent[pending.request.kind] += 1
            self._retries += pending.attempts > 0
        pending.attempts += 1

    def _count_answer(self, pending: PendingRequest, status: int) -> None:
        with self._lock:
            self._answered_by[pending.request.kind, status] += 1

    def _wait_for_slot(self, pending: PendingRequest, seconds: float) -> None:
        began = self._clock()
        is_asked = self._budget.hold_s > 0
        reason = self._holds.reason if is_asked else "the budget is spent"
        if is_asked and seconds > self._longest_hold_s:
            raise VendorUnavailable(
                f"{self.origin} is asked nothing for {seconds:,.0f} s more: {reason}. Try again in "
                f"{timedelta(seconds=math.ceil(seconds))}; if others use the same key, set rate_limit_requests lower."
            )
        cause: Cause = "retry_after" if is_asked else "budget"
        if self._budget.unreachable_reason:
            cause, reason = "fault", self._budget.unreachable_reason
        with self._waits.waiting(cause, seconds, reason):
            self._stop.wait(seconds, given_up=pending.given_up)
        if pending.first_fault_at is not None:
            pending.excused_s += self._clock() - began

    def _hold(self, pending: PendingRequest, asked: RetryAfter) -> None:
        """Keeps every process from sending, as ``Holds`` says.

        Raises VendorUnavailable or ReadFailed when 503 goes on beyond the deadline.
        """
        self._failure = failure = VendorUnavailable(
            f"{self.origin} {asked.says} ({describe(pending.request)}). Try again later; if others use the same key, "
            "set rate_limit_requests lower."
        )
        now = self._clock()
        seconds = self._holds.seconds_for(asked, sent_at=pending.sent_at, now=now)
        if seconds is None:
            return
        self._budget.hold(seconds)
        if pending.unavailability.is_beyond(pending.deadline_s(self._fault_deadline_s), asked, now):
            raise (
                failure
                if pending.request.fault_deadline_s is None
                else ReadFailed(str(failure), status=asked.status)
            )

    def _pause(self, pending: PendingRequest, fault: Fault) -> None:
        """Waits before the next attempt. Raises when there is none."""
        what = f"{self.origin} failed {describe(pending.request)}: {fault.reason}"
        if not pending.is_repeatable and not fault.is_unsent:
            raise unconfirmed(what, fault.status)
        now = self._clock()
        if pending.first_fault_at is None:
            pending.first_fault_at = now
        tried_s = now - pending.first_fault_at - pending.excused_s
        self._failure = given_up(what, fault, tried_s, pending.attempts, self._address)
        deadline_s = pending.deadline_s(self._fault_deadline_s)
        if tried_s >= deadline_s:
            raise (
                self._failure
                if pending.request.fault_deadline_s is None
                else read_failed(what, fault.status, tried_s, pending.attempts)
            )
        pause = pause_s(pending.faults, fault.status, self._uniform)
        pause = min(pause, deadline_s - tried_s)
        pending.faults += 1
        with self._waits.waiting("fault", pause, fault.reason):
            self._stop.wait(pause, given_up=pending.given_up)

    def _log_in(self, pending: PendingRequest, refused: Unauthorized) -> None:
        """Has new credentials made for a request that was refused, once."""
        if pending.headers is not None or pending.has_logged_in:
            raise refused.error
        pending.has_logged_in = True
        if not self._renewal.is_new(pending.generation):
            raise refused.error
