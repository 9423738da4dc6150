"""Throttling by the vendor: for how long no process sends, with ``Retry-After`` or without, and when a run ends.

Every process that uses the key waits, by the hold of the budget (``rate_limit``); the request is then tried again. The
request that was answered so counts against the budget as any other.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .retry import Action, rule_of

MAX_HOLD_S = 86_400.0
"""However long the vendor asks for silence, after a day it is asked again."""
MAX_UNASKED_WAIT_S = 60.0
"""How long all processes wait at most where a vendor without a rate limit asks to wait and does not say how long.

Where there is a rate limit its period is the most, see ``Client``.
"""

_SECONDS = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """The vendor asks all to wait."""

    seconds: float | None
    """None when it does not say how long."""
    status: int

    @property
    def says(self) -> str:
        """What the vendor did, as part of a sentence."""
        text = f"answered HTTP {self.status} and asks to wait"
        return text if self.seconds is None else f"{text} for {self.seconds:,.0f} s"


class Holds:
    """How long no process sends a request, one answer after the other; safe to use from many threads.

    ``longest_unasked_s`` bounds the wait where the vendor does not say how long.
    """

    def __init__(self, longest_unasked_s: float) -> None:
        self._longest_unasked_s = longest_unasked_s
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._began_at = -1.0
        self.reason = "another process was asked to by the vendor"
        """Why nothing is sent, as a log line and an error say it."""

    def seconds_for(self, asked: RetryAfter, *, sent_at: float, now: float) -> float | None:
        """How long nothing is sent from ``now`` on, after the answer to a request of ``sent_at``; None for no longer.

        That is what the vendor says; where it says nothing, it is longer each time. Several requests under way are
        answered so at once: only one that was sent after the last hold began counts as asked again.
        """
        with self._lock:
            is_news = sent_at > self._began_at
            if asked.seconds is None and not is_news:
                return None
            if is_news:
                self._began_at = now
                self._in_a_row += 1
            wanted = asked.seconds
            if wanted is None:
                wanted = unasked_wait_s(self._in_a_row, longest_s=self._longest_unasked_s)
            is_cut = asked.seconds is not None and wanted > MAX_HOLD_S
            self.reason = f"the vendor {asked.says}" + ", and is asked again after a day" * is_cut
            return min(wanted, MAX_HOLD_S)

    def note_answer(self, sent_at: float) -> None:
        """Notes that a request of ``sent_at`` had its answer: the vendor asks no more."""
        with self._lock:
            if sent_at > self._began_at:
                self._in_a_row = 0


@dataclass(slots=True)
class Unavailability:
    """For how long one request has been answered with ``Action.WAIT_OR_RETRY`` and a ``Retry-After``."""

    since: float | None = None
    longest_asked_s: float = 0.0

    def is_beyond(self, deadline_s: float, asked: RetryAfter, now: float) -> bool:
        """Whether that has gone on for ``deadline_s`` beyond the longest wait that was asked for.

        Statuses of ``Action.WAIT`` never are: others use the key, which is no fault, and no deadline ends the wait.
        """
        if asked.seconds is None or rule_of(asked.status).action is Action.WAIT:
            return False
        if self.since is None:
            self.since = now
        self.longest_asked_s = max(self.longest_asked_s, asked.seconds)
        return now - self.since > deadline_s + self.longest_asked_s


def unasked_wait_s(waits: int, *, longest_s: float) -> float:
    """How long all wait when the vendor asked so many times in a row and did not say how long."""
    return min(2.0 ** min(waits - 1, 20), longest_s)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that ``Retry-After`` asks for; None when it asks for none or makes no sense.

    A date counts from the answer's own ``Date``, so that a wrong clock here does not matter.
    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        until = http_date(value)
        if until is None:
            return None
        seconds = (until - (http_date(headers.get("date", "")) or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 and math.isfinite(seconds) else None


def http_date(value: str) -> datetime | None:
    """The instant in a header; None when there is none."""
    try:
        found = parsedate_to_datetime(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
