"""State of a sandbox server: clock, switches, faults, rate limit and counters."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from .server import MANNERS

_MAX_LOGGED = 200_000


class Clock:
    """The world's time: runs on from where it was set, or stands still there."""

    def __init__(self, at: datetime | None = None, *, is_frozen: bool = False) -> None:
        self._at = at or datetime.now(UTC)
        self._set = time.monotonic()
        self.is_frozen = is_frozen

    def now(self) -> datetime:
        if self.is_frozen:
            return self._at
        return self._at + timedelta(seconds=time.monotonic() - self._set)

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self.now().timestamp() * 1000)

    def set(self, at: datetime, *, is_frozen: bool | None = None) -> None:
        self._at, self._set = at, time.monotonic()
        if is_frozen is not None:
            self.is_frozen = is_frozen

    @property
    def header(self) -> str:
        """As the header Date gives it."""
        return format_datetime(self.now().replace(microsecond=0), usegmt=True)


FAULTS: Mapping[str, str] = {
    **MANNERS,
    "status502_html": "502 with a web page",
    "status503_retry_after": "503 with Retry-After",
    "status429": "429 with Retry-After",
    "revoked": "401, and the key is refused from then on",
    "redirect": "302 to another origin",
    "repeat_page": "the page before is sent again",
    "not_json": "200 with a web page",
    "empty": "200 without a body",
    "wrong_key": "200 with the rows under another key",
    "null_rows": "200 with null in place of the rows",
    "array_of_strings": "200 with texts in place of objects",
}
"""The kinds of faults, and what each does."""


@dataclass(slots=True)
class Fault:
    """A rule: which requests fail, and how."""

    kind: str
    """One of ``FAULTS``; ``status500`` and the like answer with any other status."""
    on: str = "any"
    after: int = 0
    """Requests of that kind that go well first."""
    times: int | None = 1
    """How many fail; None for all."""
    share: float = 1.0


class Limit:
    """A strict sliding window over arrivals, in real time."""

    def __init__(self) -> None:
        self.requests = 0
        self.period_s = 600.0
        self.counts_rejected = False
        self.violations = 0
        self.peak = 0
        self._arrivals: deque[float] = deque()

    def set(self, requests: int, period_s: float) -> None:
        self.requests, self.period_s = requests, period_s
        self.reset()

    def reset(self) -> None:
        self.violations = self.peak = 0
        self._arrivals.clear()

    def arrive(self) -> float | None:
        """None when the request is within the limit; otherwise the seconds until one would be."""
        now = time.monotonic()
        while self._arrivals and self._arrivals[0] <= now - self.period_s:
            self._arrivals.popleft()
        is_over = bool(self.requests) and len(self._arrivals) >= self.requests
        if not is_over or self.counts_rejected:
            self._arrivals.append(now)
        self.peak = max(self.peak, len(self._arrivals) + (is_over and not self.counts_rejected))
        if not is_over:
            return None
        self.violations += 1
        return self._arrivals[0] + self.period_s - now


@dataclass(slots=True)
class State:
    """Everything that can be changed while a server runs."""

    clock: Clock
    switches: dict[str, Any]
    """By name; what they mean stands with the vendor's API."""
    seed: int = 0
    limit: Limit = field(default_factory=Limit)
    faults: list[Fault] = field(default_factory=list)
    latency_ms: float = 0.0
    counters: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    """Good answers by the id of what was read singly."""
    posts: Counter[str] = field(default_factory=Counter)
    """Requests to run an execution again that arrived, by its id, with any answer."""
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_MAX_LOGGED))
    is_revoked: bool = False
    random: random.Random = field(default_factory=random.Random)

    def single_status(self, *ids: str) -> int | None:
        """The status with which single reads of one of these ids are refused, by the switches."""
        for switch, status in (("failing", 500), ("forbidden", 403)):
            if set(ids) & set(str(self.switches[switch]).split(",")):
                return status
        return None

    def switch(self, values: Mapping[str, Any]) -> None:
        """Raises ValueError when there is no such switch."""
        unknown = sorted(set(values) - set(self.switches))
        if unknown:
            raise ValueError(f"no switch {unknown[0]!r}; there are {', '.join(sorted(self.switches))}")
        self.switches.update(values)

    def fault_for(self, kind: str) -> str | None:
        """The fault that this request meets."""
        for fault in self.faults:
            if fault.on not in ("any", kind) or fault.times == 0:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.share < 1.0 and self.random.random() >= fault.share:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault.kind
        return None

    def reset_counters(self) -> None:
        self.counters.clear()
        self.reads.clear()
        self.posts.clear()
        self.log.clear()
        self.limit.reset()
