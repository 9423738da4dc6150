"""How long requests wait and why, for the report at the end and one line in the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger("task_history")

Cause = Literal["fault", "told", "budget"]

_QUIET_S = 30.0
"""How long nothing more is logged of a cause, unless the wait is much longer than the one logged."""


@dataclass(slots=True)
class _One:
    """One cause."""

    waiting: int = 0
    began_at: float = 0.0
    total_s: float = 0.0
    logged_at: float = float("-inf")
    logged_until: float = float("-inf")


class Waits:
    """Seconds during which at least one request waited, by cause. ``clock`` gives seconds."""

    def __init__(self, origin: str, clock: Callable[[], float]) -> None:
        self._origin = origin
        self._clock = clock
        self._lock = threading.Lock()
        self._causes: dict[Cause, _One] = {"fault": _One(), "told": _One(), "budget": _One()}

    def seconds(self) -> dict[str, float]:
        """What was waited so far, by cause; waits that go on included."""
        now = self._clock()
        with self._lock:
            return {
                cause: one.total_s + (now - one.began_at if one.waiting else 0.0)
                for cause, one in self._causes.items()
            }

    @contextmanager
    def waiting(self, cause: Cause, seconds: float, because: str) -> Iterator[None]:
        """Counts its block as a wait, and logs that it starts unless that was just said."""
        one = self._causes[cause]
        with self._lock:
            now = self._clock()
            if one.waiting == 0:
                one.began_at = now
            one.waiting += 1
            is_news = now >= one.logged_at + _QUIET_S or now + seconds > one.logged_until + _QUIET_S
            if is_news and (cause != "budget" or seconds >= 1.0):
                one.logged_at, one.logged_until = now, now + seconds
                level = logging.INFO if cause == "budget" else logging.WARNING
                log.log(
                    level,
                    "waiting cause=%s because=%r seconds=%.1f origin=%s",
                    cause,
                    because,
                    seconds,
                    self._origin,
                )
        try:
            yield
        finally:
            with self._lock:
                one.waiting -= 1
                if one.waiting == 0:
                    one.total_s += self._clock() - one.began_at
