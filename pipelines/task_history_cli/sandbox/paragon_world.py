"""A world of Paragon executions: what happened when, as a function of a seed and the clock."""

from __future__ import annotations

import hashlib
import random
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

DAY_MS = 86_400_000
_MINUTE_MS = 60_000
NEVER = 2**62
INTEGRATIONS = ("salesforce", "hubspot", "slack", "jira", "googlesheets", "custom.tasklab")
USERS: tuple[str | None, ...] = (
    "d1f142cd-1dfe-4d76-ab4c-8f64901a9c5c",
    "test+alias@example.com",
    "123456",
    "74174185285246519745612784512874512",
    "müller & söhne",
    None,
)
TYPES = ("ACTION/REQUEST", "ACTION/FUNCTION", "ACTION/CONDITIONAL", "ACTION/SLACK", "ACTION/SALESFORCE")
TRIGGERS = ("TRIGGER/CRON", "TRIGGER/ENDPOINT", "TRIGGER/EVENT")
_ODD = 0x5DEECE66D | 1
_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 48) - 1
_INVERSE = pow(_ODD, -1, 1 << 48)


@dataclass(frozen=True, slots=True)
class Spec:
    """What the world is like; shares are of all executions."""

    executions: int = 5_000
    seed: int = 7
    days: float = 30.0
    """How far back the executions reach from ``now``."""
    future_hours: float = 0.0
    """How far ahead they reach: those appear as the clock moves."""
    now: datetime | None = None
    ties: float = 0.15
    """Begin in the same millisecond as the one before."""
    tie_burst: int = 0
    """This many begin in one single millisecond, in the middle."""
    open_days: float = 0.03
    """Stay open for hours to days."""
    late: float = 0.02
    """Become visible ``late_s`` after they began."""
    late_s: float = 120.0
    failed: float = 0.08
    cancelled: float = 0.0
    workflows: int = 12
    retention_days: float = 90.0


class World:
    """The executions in the order of their starts; ``status`` and the like are asked at an instant in ms."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        rng = random.Random(spec.seed)
        now = spec.now or datetime.now(UTC)
        self.now_ms = int(now.timestamp() * 1000)
        first = self.now_ms - int(spec.days * DAY_MS)
        span = int(spec.days * DAY_MS + spec.future_hours * 3_600_000)
        starts = sorted(first + int(rng.random() * span) for _ in range(spec.executions))
        for index in range(1, len(starts)):
            if rng.random() < spec.ties:
                starts[index] = starts[index - 1]
        middle = len(starts) // 2
        for index in range(middle, min(middle + spec.tie_burst, len(starts))):
            starts[index] = starts[middle]
        starts.sort()
        self.starts = array("q", starts)
        self.ends = array("q", bytes(8 * len(starts)))
        self.visible = array("q", starts)
        self.finals = bytearray(len(starts))
        """0 succeeded, 1 failed, 2 cancelled."""
        self.slow: list[int] = []
        """Those that stay open for long, in order."""
        self.late: list[int] = []
        for index, start in enumerate(starts):
            if rng.random() < spec.open_days:
                self.ends[index] = start + int(rng.uniform(0.1, 5.0) * DAY_MS)
                self.slow.append(index)
            else:
                self.ends[index] = start + int(rng.uniform(100, _MINUTE_MS))
            dice = rng.random()
            self.finals[index] = 1 if dice < spec.failed else 2 if dice < spec.failed + spec.cancelled else 0
            if rng.random() < spec.late:
                self.visible[index] = start + int(spec.late_s * 1000)
                self.late.append(index)
        self.workflow_ids = [_uuid("workflow", spec.seed, index) for index in range(spec.workflows)]
        self.held_back: set[int] = set()
        """Executions that stay invisible until they are released."""
        self.gone: set[int] = set()
        """Deleted by the vendor."""
        self.unlisted: set[int] = set()
        """Shown by single reads only."""
        self.unstarted: set[int] = set()
        """Known and not begun: shown by single reads only, without a start."""
        self.like: dict[int, int] = {}
        """What began as a replay, and whose workflow and user it has."""
        self.again: dict[int, int] = {}
        """What began again under its own id, and when."""

        seed = hashlib.blake2b(f"{spec.seed}".encode(), digest_size=3).hexdigest()
        self._middle = f"4{seed[:3]}-8{seed[3:]}"

    def __len__(self) -> int:
        return len(self.starts)

    def identity(self, index: int) -> str:
        """The execution's id: a UUID from which its number can be found again."""
        mixed = ((index + 1) * _ODD) & _MASK
        word = f"{(mixed * _MIX >> 16) & _MASK:012x}"
        return f"{word[:8]}-{word[8:]}-{self._middle}-{mixed:012x}"

    def number(self, identity: str) -> int | None:
        """The execution of that id; None when there is none."""
        try:
            index = ((int(identity[-12:], 16) * _INVERSE) & _MASK) - 1
        except ValueError:
            return None
        return index if 0 <= index < len(self.starts) and self.identity(index) == identity else None

    def workflow(self, index: int) -> int:
        # Some workflows run far more often than others.
        dice = (self.like.get(index, index) * 2_654_435_761 >> 7) % 1_000
        return dice * dice * self.spec.workflows // 1_000_000

    def user(self, index: int) -> str | None:
        return USERS[(self.like.get(index, index) * 40_503 >> 5) % len(USERS)]

    def tasks(self, index: int) -> int:
        return 0 if self.finals[index] == 1 else 1 + index % 5

    def integration(self, workflow: int) -> str:
        return INTEGRATIONS[workflow % len(INTEGRATIONS)]

    def is_open(self, index: int, now_ms: int) -> bool:
        return now_ms < self.ends[index]

    def status(self, index: int, now_ms: int) -> str:
        if now_ms >= self.ends[index]:
            return ("SUCCEEDED", "FAILED", "CANCELLED")[self.finals[index]]
        start = self.again.get(index, self.starts[index])
        is_waiting = self.ends[index] - start > _MINUTE_MS and now_ms - start > 10 * _MINUTE_MS
        return "DELAYED" if is_waiting else "EXECUTING"

    def is_shown(self, index: int, now_ms: int) -> bool:
        """Whether the API shows it."""
        return (
            self.visible[index] <= now_ms
            and self.starts[index] >= now_ms - self.spec.retention_days * DAY_MS
            and index not in self.gone
        )

    def shown(self, low_ms: int, high_ms: int, now_ms: int) -> tuple[int, int, list[int]]:
        """The numbers from and to which executions began in ``[low_ms, high_ms)``, and those not shown of them."""
        low_ms = max(low_ms, int(now_ms - self.spec.retention_days * DAY_MS))
        low = bisect_left(self.starts, low_ms)
        high = max(low, bisect_left(self.starts, min(high_ms, now_ms + 1)))
        recent = bisect_left(self.starts, int(now_ms - self.spec.late_s * 1000) - 1)
        hidden = {index for index in self.gone if low <= index < high}
        hidden |= {index for index in range(max(low, recent), high) if self.visible[index] > now_ms}
        for some in (self.held_back, self.unlisted, self.unstarted):
            hidden |= {index for index in some if low <= index < high}
        return low, high, sorted(hidden)

    def open_numbers(self, low: int, high: int, now_ms: int) -> Iterator[int]:
        """The open ones of those numbers, in order."""
        quick = bisect_left(self.starts, now_ms - _MINUTE_MS - 1)
        for index in self.slow[bisect_left(self.slow, low) : bisect_left(self.slow, min(high, quick))]:
            if now_ms < self.ends[index]:
                yield index
        for index in range(max(low, quick), high):
            if now_ms < self.ends[index]:
                yield index

    def steps(self, index: int, now_ms: int) -> list[dict[str, Any]]:
        """The execution's steps as the API gives them."""
        rng = random.Random(f"{self.spec.seed}/{index}")
        number = 2 + rng.randrange(5)
        identity = self.identity(index)
        workflow = self.workflow(index)
        start = self.again.get(index, self.starts[index])
        pace = max(1, (min(self.ends[index], start + _MINUTE_MS) - start) // (number + 1))
        run = (start,) if index in self.again else ()
        ids = [_uuid("step", identity, *run, position) for position in range(number)]
        steps = []
        for position in range(number):
            began = start + 10 + position * pace
            if began > now_ms:
                break
            is_last = position == number - 1
            ended = began + max(1, pace - 5)
            if is_last and not self.is_open(index, now_ms):
                ended = self.ends[index]
            status = "FAILED" if is_last and self.finals[index] == 1 else "SUCCEEDED"
            kind = TRIGGERS[workflow % 3] if position == 0 else TYPES[(workflow + position) % len(TYPES)]
            if is_last and self.ends[index] - start > _MINUTE_MS:
                kind = "ACTION/DELAY"
            steps.append(
                {
                    "id": ids[position],
                    "stepId": _uuid("stepdef", workflow, position),
                    "workflowExecutionId": identity,
                    "status": status if ended <= now_ms else "EXECUTING",
                    "type": kind,
                    "start": iso(began),
                    "end": iso(ended) if ended <= now_ms else None,
                    "next": [] if is_last else [ids[position + 1]],
                    "prev": ids[position - 1] if position else None,
                    "inputSize": str(rng.randrange(20, 5_000)),
                    "outputSize": str(rng.randrange(20, 50_000)),
                }
            )
        return steps


@lru_cache(maxsize=4_096)
def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"


def iso(ms: int) -> str:
    """``2026-09-01T00:00:00.000Z``."""
    day, ms = divmod(ms, DAY_MS)
    seconds, ms = divmod(ms, 1000)
    return f"{_date(day)}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}Z"


def _uuid(*words: object) -> str:
    hexed = hashlib.blake2b("/".join(map(str, words)).encode(), digest_size=16).hexdigest()
    return f"{hexed[:8]}-{hexed[8:12]}-4{hexed[13:16]}-8{hexed[17:20]}-{hexed[20:32]}"


def parse(text: str) -> int:
    """An ISO 8601 instant in milliseconds; UTC when it names no zone. Raises ValueError."""
    instant = datetime.fromisoformat(text)
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    return round((instant - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def window_without(low: int, hidden: list[int], start: int, end: int) -> list[int]:
    """The numbers at the positions, counted from ``low`` without the hidden ones."""
    if not hidden:
        return list(range(low + start, low + end))
    found: list[int] = []
    index = low + start
    place = 0
    # Every hidden one at or before the start moves it by one.
    while place < len(hidden) and hidden[place] <= index:
        index += 1
        place += 1
    while len(found) < end - start:
        if place < len(hidden) and hidden[place] == index:
            place += 1
        else:
            found.append(index)
        index += 1
    return found
