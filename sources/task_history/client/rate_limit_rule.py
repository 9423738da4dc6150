"""The rule of the sliding budget: when a request may be sent. Pure; every instant is an argument.

A request arrives at the vendor somewhere between its sending and its answer. Its slot is taken before it is sent and
stays taken until one period after the answer. Take any ``limit + 1`` requests: when the last of them was reserved, at
least one of the others no longer held its slot, so it had been answered, and had arrived, more than a whole period
before. So no sliding period ever sees more than ``limit`` arrive,
however long the network takes. The price is ``latency / period`` of the use.

Two shares of the budget take the slots. The foreground may take every free one. The background takes one only
while enough others are free, or come free soon enough one after the other, for a request of the
foreground that begins at this moment. That needs no slot to lie idle: what the background takes it spreads over
the period, and so it comes back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import chain, repeat
from operator import sub
from pathlib import Path

from ..core.stop import uptime_s

_GUARD = 0.001
"""Part of a period by which the vendor's clock may run faster than ours."""
_UNANSWERED_S = 1.0
"""How long after its process gave up or died a request may still arrive."""
_MAX_FLIGHT_S = 60.0
"""How long after its reservation a request may leave the process at the latest."""
_TIMES = 5
"""How often in a period the foreground can have the reserve."""
_HORIZON = 0.95
"""Part of a period over which the background spreads what it owes. A whole one would end where the slot of
a request in flight may come free at the earliest, and to wait for that would be to ask all the time."""


class BudgetShare(IntEnum):
    """Which part of the rate limit a process may use."""

    FOREGROUND = 0
    """What a person or a schedule waits for: a sync, a check."""
    BACKGROUND = 1
    """What takes all the rest: a backfill."""


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
class RateLimitRule:
    """At most ``limit`` requests in any ``period_s`` seconds.

    Whoever goes by it leaves ``owed`` slots to others: free, or to come free one every ``turn_s``.
    """

    limit: int
    period_s: float
    owed: int = 0

    @classmethod
    def of(cls, share: BudgetShare, limit: int, period_s: float, *, reserved_share: float) -> RateLimitRule:
        """The rule of that share, where ``reserved_share`` of the limit is the foreground's."""
        return cls(limit, period_s, owed(limit, reserved_share) if share is BudgetShare.BACKGROUND else 0)

    @property
    def span_s(self) -> float:
        """How long after its answer a request still counts."""
        return self.period_s * (1 + _GUARD)

    @property
    def turn_s(self) -> float:
        """Longest time between two slots that come free of those that are owed."""
        return _HORIZON * self.period_s / self.owed if self.owed else 0.0

    def decisive(self, taken: int) -> int:
        """How many of the taken slots, the earliest answered first, decide when the next may be taken."""
        return max(0, self.owed + 1 - (self.limit - taken))

    def free_in_s(self, taken: int, answers: Sequence[float], now: float) -> float:
        """Seconds until a slot may be taken, if no other process takes one before; 0 when one may be now.

        ``answers`` are those of the ``decisive`` slots, the earliest first; the ones that are missing
        at its end are still waited for and cannot come before now.
        """
        decisive = self.decisive(taken)
        if not decisive:
            return 0.0
        free = self.limit - taken
        # Each comes free after those before it, and one of the free ones is taken: so it is for this turn.
        turns_s = _turns_s(self.owed, self.turn_s)[max(0, free) :]
        due: Iterator[float] = map(
            sub, [*answers, now][:decisive], chain(repeat(0.0, max(0, -free)), turns_s)
        )
        return max(0.0, max(due) + self.span_s - now)


@cache
def _turns_s(owed: int, turn_s: float) -> tuple[float, ...]:
    """After how long each turn is."""
    return tuple(turn * turn_s for turn in range(owed + 1))


def owed(limit: int, reserved_share: float) -> int:
    """How many slots of every period the background leaves free or spreads.

    Enough for the reserve to be had ``_TIMES`` times a period. But what must be spread cannot be taken as
    it comes, which costs use where answers are slow; so no more than half of the limit, unless the reserve
    itself is more.
    """
    reserve = min(max(0, limit - 1), math.ceil(round(limit * reserved_share, 6)))
    return max(reserve, min(_TIMES * reserve, limit // 2))


def counts_from_s(*, is_answered: bool) -> float:
    """How long after it ended a request arrived at the latest: its period begins then."""
    return 0.0 if is_answered else _UNANSWERED_S


def answered_when_orphaned(reserved: float, noticed: float) -> float:
    """The latest moment at which a request may have arrived whose process was found dead at ``noticed``."""
    return min(noticed, reserved + _MAX_FLIGHT_S) + _UNANSWERED_S


def shift_s(written: Instant, now: Instant) -> float:
    """What to add to uptimes written down at ``written`` so that they count from this start of the machine.

    Within one start it is 0, also where the wall clock was set. From another start only the wall clock
    tells how long ago ``written`` was; set back, it is taken as just now: nothing waits longer for it than
    it had to wait then.
    """
    if written.boot == now.boot and written.uptime <= now.uptime:
        return 0.0
    return now.uptime - max(0.0, now.wall - written.wall) - written.uptime
