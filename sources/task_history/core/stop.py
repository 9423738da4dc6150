"""Stopping a run: by a signal, or by its limit of requests or time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .errors import Stopped

_MAX_SLEEP_S = 1.0
"""Maximum seconds of one sleep: after the machine wakes from suspend, threads notice it within this time."""

_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def uptime_s() -> float:
    """Seconds since the machine started, time asleep included where the platform counts it; never set back."""
    return time.monotonic() if _CLOCK_ID is None else time.clock_gettime(_CLOCK_ID)


class StopSignal:
    """The stop flag and limits of a run, shared by all its threads that wait or send requests.

    ``max_requests`` is how many requests may be sent (None: any number), ``max_s`` how many seconds
    from now the run may take (None: any). ``clock`` gives seconds that are never set back.
    """

    def __init__(
        self,
        *,
        max_requests: int | None = None,
        max_s: float | None = None,
        clock: Callable[[], float] = uptime_s,
    ) -> None:
        self._clock = clock
        self._reason: str | None = None
        self._is_interrupted = False
        # Re-entrant: request() may run in a signal handler on top of a wait() of the same thread.
        self._asked = threading.Condition(threading.RLock())
        self._max_requests = max_requests
        self._spent = 0
        self._deadline = None if max_s is None else clock() + max_s

    @property
    def reason(self) -> str | None:
        """The reason to stop; None while the run may go on."""
        if self._reason is None and self._deadline is not None and self._clock() >= self._deadline:
            self._end("--max-minutes reached")
        return self._reason

    @property
    def is_interrupted(self) -> bool:
        """Whether ``request`` was called, as opposed to a limit being reached."""
        return self._is_interrupted

    def request(self, reason: str) -> None:
        """Requests the stop; the first reason given stays.

        Safe to call from a signal handler and from any thread.
        """
        self._is_interrupted = True
        self._end(reason)

    def _end(self, reason: str) -> None:
        with self._asked:
            self._reason = self._reason or reason
            self._asked.notify_all()

    def check(self) -> None:
        """Raises Stopped when the run must end."""
        reason = self.reason
        if reason is not None:
            raise Stopped(reason)

    def spend(self) -> None:
        """Counts one request. Raises Stopped when the run must end or may send no more."""
        self.check()
        with self._asked:
            if self._max_requests is None or self._spent < self._max_requests:
                self._spent += 1
                return
        self._end("--max-requests reached")
        self.check()

    def wait(self, seconds: float, *, given_up: Callable[[], bool] = lambda: False) -> None:
        """Sleeps. Raises Stopped as soon as the run must end, and at once if its time limit comes before waking.

        ``given_up`` is called about once a second; when it returns true, the sleep ends early.
        """
        end = self._clock() + seconds
        if self._deadline is not None and end > self._deadline:
            self._end("--max-minutes reached")
        while True:
            self.check()
            if given_up():
                raise Stopped("the wait was given up")
            seconds_left = end - self._clock()
            if seconds_left <= 0:
                return
            with self._asked:
                if self._reason is None:
                    self._asked.wait(min(seconds_left, _MAX_SLEEP_S))
