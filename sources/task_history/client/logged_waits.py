"""Logs a line when requests begin to wait, and sums the seconds waited, by cause, for the summary of the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from ..core.log import log

Cause = Literal["fault", "retry_after", "budget"]

_QUIET_S = 30.0
"""How long nothing more is logged of a cause, unless the wait is much longer than the one logged."""


@dataclass(slots=True)
class _CauseStats:
    """One cause."""

    waiting: int = 0
    began_at: float = 0.0
    total_s: float = 0.0
    logged_at: float = float("-inf")
    logged_until: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Stats:
    """What a client has done so far."""

    sent: Mapping[str, int]
    """Requests by ``Request.kind``; every attempt counts."""
    answered: Mapping[tuple[str, int], int]
    """Answers by ``Request.kind`` and HTTP status; status 0 where no answer came."""
    retries: int
    """Attempts beyond the first of a request, redirects included."""
    waited_s: Mapping[str, float]
    """Seconds during which at least one request waited, by cause: ``fault``, ``retry_after``, ``budget``."""


class LoggedWaits:
    """Logs when requests begin to wait, and sums the seconds during which at least one did, by cause.

    ``clock`` gives seconds.
    """

    def __init__(self, origin: str, clock: Callable[[], float]) -> None:
        self._origin = origin
        self._clock = clock
        self._lock = threading.Lock()
        self._causes: dict[Cause, _CauseStats] = {
            "fault": _CauseStats(),
            "retry_after": _CauseStats(),
            "budget": _CauseStats(),
        }

    def seconds(self) -> dict[str, float]:
        """What was waited so far, by cause; waits that go on included."""
        now = self._clock()
        with self._lock:
            return {
                cause: stats.total_s + (now - stats.began_at if stats.waiting else 0.0)
                for cause, stats in self._causes.items()
            }

    @contextmanager
    def waiting(self, cause: Cause, seconds: float, reason: str) -> Iterator[None]:
        """Counts its block as a wait, and logs that it starts unless that was just said."""
        stats = self._causes[cause]
        with self._lock:
            now = self._clock()
            if stats.waiting == 0:
                stats.began_at = now
            stats.waiting += 1
            is_news = now >= stats.logged_at + _QUIET_S or now + seconds > stats.logged_until + _QUIET_S
            if is_news and (cause != "budget" or seconds >= 1.0):
                stats.logged_at, stats.logged_until = now, now + seconds
                write = log.info if cause == "budget" else log.warning
                write("waiting", cause=cause, reason=reason, seconds=seconds, origin=self._origin)
        try:
            yield
        finally:
            with self._lock:
                stats.waiting -= 1
                if stats.waiting == 0:
                    stats.total_s += self._clock() - stats.began_at
