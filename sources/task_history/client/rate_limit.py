"""The sliding budget: never more than ``limit`` requests arrive in any ``period_s`` seconds.

Every process of this user and machine that uses the same key at the same origin takes its slots
from the same store: a file, or the Postgres that several machines share. ``rate_limit_rule`` holds the rule,
``rate_limit_store`` what a store does; this module waits for slots and places the file outside of HOME, because
the budget is the machine's.

A process has one of two shares (``BudgetShare``): the foreground goes first, the background takes all the rest.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..core import folders
from ..core.errors import ConfigurationError
from ..core.log import log
from ..state.postgres import shared_state
from .rate_limit_file import FileStore, look
from .rate_limit_rule import BudgetShare, Clock, RateLimitRule, counts_from_s, machine_clock
from .rate_limit_store import BudgetChanges, BudgetReading, RateLimitStore, StoreBusy, StoreUnreachable

Wait = Callable[[float], None]
"""Sleeps for that many seconds, or raises Stopped."""

_BUSY_S = 0.02
_BUSY_WARNING_S = 10.0
_FOR_EVER = math.inf


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of a budget at one moment."""

    limit: int
    """Requests in a period; 0 for unlimited."""
    used: int
    """Requests that count against the limit: in flight, or answered less than a period ago."""
    hold_s: float
    """Seconds for which no request is sent, because the vendor asked for it."""
    next_free_in_s: float
    """Seconds until a request may be sent with the share that was asked for; 0 when one may be now."""

    @property
    def left(self) -> int | None:
        """Free slots, of which the background leaves some to the foreground; None for any number."""
        return None if self.limit == 0 else max(0, self.limit - self.used)


class Slot:
    """One reserved request; as a context manager it ends with its block."""

    __slots__ = ("_budget", "_id")

    def __init__(self, budget: Budget, slot_id: int | None) -> None:
        self._budget = budget
        self._id = slot_id

    def done(self, *, is_answered: bool = True) -> None:
        """The answer came, or is no longer waited for; only the first call counts."""
        slot_id, self._id = self._id, None
        if slot_id is not None:
            self._budget._finish(slot_id, counts_from_s(is_answered=is_answered))

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done(is_answered=error is None)


class Budget:
    """``limit`` requests in any ``period_s`` seconds; ``limit`` 0 is unlimited and touches no file.

    ``key`` only distinguishes budgets; it is neither kept nor written. In the background, ``reserved_share``
    of the limit is left to the foreground, see ``rate_limit_rule.owed``. ``state_dir`` is the folder of the file, see
    ``budget_path``; without it the requests are counted in the Postgres that TASK_HISTORY_STATE names, where it does.
    ``fault_deadline_s`` is how long that may be unreachable. ``clock`` gives the time.
    """

    def __init__(
        self,
        limit: int,
        period_s: float,
        *,
        origin: str,
        key: str,
        share: BudgetShare = BudgetShare.FOREGROUND,
        reserved_share: float = 0.1,
        state_dir: Path | None = None,
        fault_deadline_s: float = 300.0,
        clock: Clock = machine_clock,
    ) -> None:
        if limit < 0 or not (0 < period_s < _FOR_EVER):
            raise ConfigurationError(
                f"rate_limit_requests must be 0 (unlimited) or more and rate_limit_period_s above 0: "
                f"found {limit} and {period_s}."
            )
        self.limit = limit
        self.period_s = period_s
        self._clock = clock
        self._share = share
        self._rule = RateLimitRule.of(share, limit, period_s, reserved_share=reserved_share)
        self._shared = None if state_dir or not limit else shared_state()
        self._path = budget_path(origin, key, state_dir)
        self._fault_deadline_s = fault_deadline_s
        self._lock = threading.Lock()
        self._store: RateLimitStore | None = None
        self._busy_since: float | None = None
        self._unreachable_since: float | None = None
        self.unreachable_reason = ""
        """Why the shared state cannot be reached; empty while it can."""
        self._finished: deque[tuple[float, int]] = deque()
        # Until when (uptime) it is known that nothing is free: waiting threads do not ask the file again.
        self._full_until = -_FOR_EVER
        self._held_until = -_FOR_EVER

    def __repr__(self) -> str:
        return f"Budget(limit={self.limit}, period_s={self.period_s:g}, share={self._share.name})"

    def reserve(self, wait: Wait) -> Slot:
        """Takes a slot for one request as soon as there is one; ``wait`` gets the seconds until then.

        Raises, with no slot taken:
            Stopped: ``wait`` raised it.
            ConfigurationError: the store cannot be written.
            StateUnavailable: it was unreachable for ``fault_deadline_s``.
        """
        slot_id = None
        while True:
            pause = self._full_until - self._clock().uptime
            if pause <= 0:
                with self._lock:
                    # Another thread may have found out while this one waited for the lock.
                    pause = self._full_until - self._clock().uptime
                    if pause <= 0:
                        slot_id, pause = self._take()
            if pause <= 0:
                return Slot(self, slot_id)
            wait(pause)

    def hold(self, seconds: float) -> None:
        """Lets no process send for that many seconds from now, as the vendor asked."""
        until = self._clock().uptime + seconds
        with self._lock:
            self._held_until = max(self._held_until, until)
            self._full_until = max(self._full_until, until)
        self._write()

    @property
    def hold_s(self) -> float:
        """Seconds of silence that are left, as far as this process knows; costs nothing."""
        return max(0.0, self._held_until - self._clock().uptime)

    @property
    def path(self) -> Path | None:
        """The file in which the requests are counted, which need not be there; None where it is no file."""
        return None if self._shared else self._path

    def usage(self) -> Usage:
        """How much is used now, over all processes. Raises ConfigurationError, StateUnavailable."""
        if self.limit == 0:
            return Usage(0, 0, self.hold_s, self.hold_s)
        self._write()
        if self._shared is None:
            return _usage(self._rule, look(self._path, self._rule, self._clock()))
        try:
            with self._lock:
                return _usage(self._rule, self._open().look())
        except StoreBusy as busy:
            raise self._shared.unavailable(str(busy)) from None

    def close(self) -> None:
        """Writes what is not yet written and lets the file go; it is opened again when needed."""
        self._write()
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    def _take(self) -> tuple[int | None, float]:
        """A slot and 0, or None and the seconds after which to ask again."""
        if self.limit == 0:
            return None, 0.0
        changes = self._changes()
        try:
            slot_id, reading = self._open().take(changes)
        except StoreUnreachable as error:
            return None, self._pause_when_unreachable(error)
        except StoreBusy:
            return None, self._pause_when_busy()
        self._written(changes)
        if slot_id is not None:
            return slot_id, 0.0
        now = self._clock().uptime
        self._full_until = now + reading.free_in_s
        self._held_until = now + reading.hold_s
        return None, reading.free_in_s

    def _finish(self, slot_id: int, late_s: float) -> None:
        self._finished.append((self._clock().uptime + late_s, slot_id))
        self._write()

    def _write(self) -> None:
        """Writes the changes now if that is possible, otherwise with the next reservation."""
        if self.limit == 0:
            return
        with self._lock:
            changes = self._changes()
            if self._store is None and not changes.finished and not self.hold_s:
                return
            with suppress(StoreBusy, ConfigurationError):
                self._open().write(changes)
                self._written(changes)

    def _changes(self) -> BudgetChanges:
        return BudgetChanges(tuple(self._finished), self._held_until)

    def _written(self, changes: BudgetChanges) -> None:
        for _ in changes.finished:
            self._finished.popleft()
        self._busy_since = self._unreachable_since = None
        self.unreachable_reason = ""

    def _open(self) -> RateLimitStore:
        # A forked child must not use its parent's connection.
        if self._store is None or self._store.pid != os.getpid():
            self._store = self._make_store()
        return self._store

    def _make_store(self) -> RateLimitStore:
        if self._shared is None:
            folders.make_state_folder(self._path.parent)
            return FileStore(self._path, self._rule, self._clock, share=self._share)
        from .rate_limit_postgres import PostgresStore

        return PostgresStore(self._shared, self._path.stem, self._rule, self._clock, share=self._share)

    def _pause_when_unreachable(self, error: StoreUnreachable) -> float:
        """The pause before an unreachable store is asked again. Raises StateUnavailable after ``fault_deadline_s``."""
        now = self._clock().uptime
        if self._unreachable_since is None:
            self._unreachable_since = now
        unreachable_s = now - self._unreachable_since
        if self._shared is not None and unreachable_s >= self._fault_deadline_s:
            raise self._shared.unavailable(str(error), tried_s=unreachable_s)
        self.unreachable_reason = f"the shared state cannot be reached: {error}"
        self._full_until = now + error.retry_in_s
        return error.retry_in_s

    def _pause_when_busy(self) -> float:
        now = self._clock().uptime
        if self._busy_since is None:
            self._busy_since = now
        elif now - self._busy_since > _BUSY_WARNING_S:
            self._busy_since = now
            log.warning("budget_locked", path=self.path, by="another process, perhaps one that is suspended")
        # A random pause: a process that lost once must not lose every time.
        return random.uniform(0.1, 1.0) * _BUSY_S


def usage(
    limit: int,
    period_s: float,
    *,
    origin: str,
    key: str,
    state_dir: Path | None = None,
    clock: Clock = machine_clock,
) -> Usage:
    """How much of a budget is used now, as the foreground sees it; makes nothing and waits for nothing.

    Raises:
        ConfigurationError: the budget's file is there and cannot be read, or the shared state cannot be used.
        StateUnavailable: the shared state does not answer.
    """
    if limit == 0:
        return Usage(0, 0, 0.0, 0.0)
    rule, path = RateLimitRule(limit, period_s), budget_path(origin, key, state_dir)
    shared = None if state_dir else shared_state()
    if shared is None:
        return _usage(rule, look(path, rule, clock()))
    from . import rate_limit_postgres

    return _usage(rule, rate_limit_postgres.look(shared, path.stem, rule))


def _usage(rule: RateLimitRule, reading: BudgetReading) -> Usage:
    return Usage(rule.limit, reading.used, reading.hold_s, reading.free_in_s)


def budget_path(origin: str, key: str, state_dir: Path | None = None) -> Path:
    """The file of the budget of that key at that origin; neither can be told from its name.

    It is in ``state_dir``, else in the folder of what processes share.
    """
    name = hashlib.sha256(f"{origin}\0{key}".encode()).hexdigest()[:16]
    return (state_dir or folders.state_folder(os.environ)) / f"requests-{name}.sqlite"
