"""The rule of the sliding budget: when a request may be sent. Pure; every instant is an argument.

A request arrives at the vendor somewhere between its sending and its answer. Its slot is
taken before it is sent and stays taken until one period after the answer. So of any ``limit + 1``
requests, the one reserved last found the others taken, unless one of them had been answered, and
so had arrived, a whole period before: no sliding period ever sees more than ``limit`` arrive,
whatever the network does. The price is ``latency / period`` of the use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .stopping import uptime_s

_GUARD = 0.001
"""Part of a period by which the vendor's clock may run faster than ours."""
UNANSWERED_S = 1.0
"""How long after its process gave up or died a request may still arrive."""
_LONGEST_FLIGHT_S = 60.0
"""How long after its reservation a request may leave the process at the latest."""


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment as the machine's clocks show it, in seconds."""

    uptime: float
    """Since the machine started; never set back while it runs."""
    wall: float
    """Since 1970; may be set to anything."""
    boot: str
    """Which start of the machine ``uptime`` counts from; empty where the platform does not tell."""


Clock = Callable[[], Instant]


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


_BOOT = _boot_id()


def machine_clock() -> Instant:
    """Now."""
    return Instant(uptime_s(), time.time(), _BOOT)


@dataclass(frozen=True, slots=True)
class Rule:
    """At most ``limit`` requests in any ``period_s`` seconds."""

    limit: int
    period_s: float

    @property
    def span_s(self) -> float:
        """How long after its answer a request still counts."""
        return self.period_s * (1 + _GUARD)

    def free_in_s(self, taken: int, oldest_answers: float | None, now: float) -> float:
        """Seconds until a slot may be free; 0 when one is.

        ``oldest_answers`` is the answer with which the number of taken slots falls below the limit;
        None when that slot still waits for its answer, which cannot come before now.
        """
        if taken < self.limit:
            return 0.0
        return max(0.0, (now if oldest_answers is None else oldest_answers) + self.span_s - now)


def answered_when_orphaned(reserved: float, noticed: float) -> float:
    """The latest moment at which a request may have arrived whose process was found dead at ``noticed``."""
    return min(noticed, reserved + _LONGEST_FLIGHT_S) + UNANSWERED_S


def shift_s(written: Instant, now: Instant) -> float:
    """What to add to uptimes written down at ``written`` so that they count from this start of the machine.

    Within one start it is 0, whatever happened to the wall clock. From another start only the wall clock
    tells how long ago ``written`` was; set back, it is taken as just now: nothing waits longer for it than
    it had to wait then.
    """
    if written.boot == now.boot and written.uptime <= now.uptime:
        return 0.0
    return now.uptime - max(0.0, now.wall - written.wall) - written.uptime
