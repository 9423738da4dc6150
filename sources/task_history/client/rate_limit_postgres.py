"""The Postgres in which all processes of several machines count the requests of one budget.

The columns and the rule are those of the file; all instants are the server's, so that clocks of machines may differ.
An owner is a connection: its advisory lock shows that it is alive. A process that lost its connection opens another
and registers its requests under way again; other slots of the lost connection end as unanswered.

A slot costs two round trips and an answer one. The counts are in unlogged tables, which a crash of the server empties;
this is noticed, and the whole budget then counts as just used.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from ..core.log import log
from ..state.postgres import OWNERS_LOCK, Connection, SharedState, Unreachable, first_row
from . import rate_limit_store
from .rate_limit_rule import BudgetShare, Clock, RateLimitRule, answered_when_orphaned
from .rate_limit_store import BudgetChanges, BudgetReading, StoreBusy, StoreUnreachable

if TYPE_CHECKING:
    import psycopg

_RETRY_S = 1.0
"""Longest pause before an unreachable server is asked again."""
_RECONNECT_S = 60.0
"""How long after a start of the server the requests of lost connections may still be under way."""
_NOW = "extract(epoch FROM clock_timestamp())::double precision"

_NEW_BUDGET = "INSERT INTO budgets (name) VALUES (%s) ON CONFLICT DO NOTHING RETURNING id"
_NEW_NOTE = f"""
INSERT INTO notes SELECT %(budget)s, now, 0, now + %(hold_s)s, %(span_s)s FROM (SELECT {_NOW} AS now) AS clock
ON CONFLICT DO NOTHING RETURNING budget
"""
_UNDER_WAY = f"""
INSERT INTO slots (id, budget, owner, reserved)
SELECT id, %(budget)s, %(owner)s, {_NOW} FROM unnest(%(ids)s::bigint[]) AS id
ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, answered = NULL
"""
_LOCK = "SELECT FROM notes WHERE budget = %(budget)s FOR UPDATE"
# The clock is read with the row locked: only one that is set back is behind what is written, and moves all with it.
_NOTE = f"""
UPDATE notes SET written = now, shift = least(0, now - written), keep_s = greatest(keep_s, %(span_s)s),
    hold = greatest(hold + least(0, now - written), now + %(hold_s)s)
FROM (SELECT {_NOW} AS now) AS clock WHERE budget = %(budget)s
"""
_SHIFT = """
UPDATE slots SET reserved = reserved + shift, answered = answered + shift
FROM notes WHERE notes.budget = %(budget)s AND slots.budget = notes.budget AND shift < 0
"""
_DROP_LATE = """
DELETE FROM slots USING notes
WHERE slots.budget = %(budget)s AND notes.budget = %(budget)s AND answered <= written - keep_s
"""
_FINISH = """
UPDATE slots SET answered = written - age
FROM notes, unnest(%(ids)s::bigint[], %(ages)s::double precision[]) AS finished (id, age)
WHERE slots.id = finished.id AND slots.budget = %(budget)s AND notes.budget = %(budget)s
"""
_READ = """
WITH note AS (SELECT budget, {now} AS written, hold FROM notes WHERE budget = %(budget)s)
SELECT written, hold, taken,
    ARRAY(
        SELECT answered FROM slots WHERE budget = %(budget)s AND answered > written - %(span_s)s
        ORDER BY answered LIMIT greatest(0, %(owed)s + 1 - (%(limit)s - taken))
    ),
    (
        SELECT count(*) FROM waiting
        WHERE budget = %(budget)s AND wakes BETWEEN written - %(grace_s)s AND written + %(early_s)s
            AND (lane, since, owner) < (
                %(share)s,
                coalesce((
                    SELECT since FROM waiting WHERE (budget, owner, lane) = (%(budget)s, %(owner)s, %(share)s)
                ), written),
                %(owner)s
            )
    )
FROM note, LATERAL (
    SELECT count(*)::integer AS taken FROM slots
    WHERE budget = %(budget)s AND (answered IS NULL OR answered > written - %(span_s)s)
) AS used
"""
_READ_LOCKED, _READ_NOW = _READ.format(now="written"), _READ.format(now=_NOW)
_TAKE = f"""
INSERT INTO slots (id, budget, owner, reserved) VALUES (nextval('slot_numbers'), %(budget)s, %(owner)s, {_NOW})
RETURNING id
"""
_QUEUE = """
INSERT INTO waiting VALUES (%(budget)s, %(owner)s, %(share)s, %(now)s, %(wakes)s)
ON CONFLICT (budget, owner, lane) DO UPDATE SET wakes = excluded.wakes
"""
_LEAVE_QUEUE = """
DELETE FROM waiting WHERE budget = %(budget)s
    AND ((owner, lane) = (%(owner)s, %(share)s) OR wakes < %(now)s - %(kept_s)s)
"""
_ORPHANS = """
SELECT id, reserved FROM slots
WHERE budget = %(budget)s AND answered IS NULL AND NOT EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND (classid, objid, objsubid) = (%(owners)s, owner, 2) AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) AND (
    reserved > extract(epoch FROM pg_postmaster_start_time())
    OR %(now)s > extract(epoch FROM pg_postmaster_start_time()) + %(reconnect_s)s
)
"""
_SETTLE = """
UPDATE slots SET answered = settled.answered
FROM unnest(%(ids)s::bigint[], %(answered)s::double precision[]) AS settled (id, answered) WHERE slots.id = settled.id
"""


@dataclass(frozen=True, slots=True)
class _Counts:
    """What the server says of a budget at one moment of its clock."""

    now: float
    reading: BudgetReading
    ahead: int
    """How many other connections go before this one and are due: each is left a slot."""

    @classmethod
    def of(cls, rule: RateLimitRule, row: tuple[Any, ...]) -> _Counts:
        now, hold, taken, answers, ahead = row
        hold_s = max(0.0, hold - now)
        return cls(now, BudgetReading(taken, hold_s, max(hold_s, rule.free_in_s(taken, answers, now))), ahead)


class PostgresStore:
    """The budget called ``name`` in the shared state, for one ``share`` of it and its rule; one thread at a time.

    ``clock`` gives this machine's uptime, by which the ages of answers are measured.
    """

    def __init__(
        self, state: SharedState, name: str, rule: RateLimitRule, clock: Clock, *, share: BudgetShare
    ) -> None:
        self._state = state
        self._name = name
        self._rule = rule
        self._clock = clock
        self.pid = os.getpid()
        self._own: Connection | None = None
        self._under_way: set[int] = set()
        self._is_counted = False
        """Whether the budget was found or made before."""
        self._failures = 0
        self._retry_at, self._reason = 0.0, ""
        self._values: dict[str, Any] = _values(rule) | {"share": int(share)}

    def take(self, changes: BudgetChanges) -> tuple[int | None, BudgetReading]:
        """As ``RateLimitStore.take``."""
        with self._connected() as connection:
            counts = self._begin(connection, changes)
            if counts.reading.free_in_s > 0 and self._settle_orphans(connection, counts.now):
                counts = _Counts.of(self._rule, first_row(connection.execute(_READ_LOCKED, self._values)))
            reading = counts.reading
            values = {**self._values, "now": counts.now}
            taken = None
            with connection.pipeline():
                if reading.free_in_s <= 0 and self._rule.limit - reading.used > counts.ahead:
                    taken = connection.execute(_TAKE, values)
                    connection.execute(_LEAVE_QUEUE, values)
                else:
                    connection.execute(_QUEUE, {**values, "wakes": counts.now + reading.free_in_s})
                    reading = replace(reading, free_in_s=reading.free_in_s or rate_limit_store.YIELD_S)
                connection.execute("COMMIT")
            slot_id = None if taken is None else int(first_row(taken)[0])
        self._under_way.difference_update(slot for _, slot in changes.finished)
        if slot_id is not None:
            self._under_way.add(slot_id)
        return slot_id, reading

    def write(self, changes: BudgetChanges) -> None:
        """As ``RateLimitStore.write``."""
        with self._connected() as connection, connection.pipeline():
            self._write(connection, changes)
            connection.execute("COMMIT")
        self._under_way.difference_update(slot for _, slot in changes.finished)

    def look(self) -> BudgetReading:
        """As ``RateLimitStore.look``."""
        with self._connected() as connection:
            return _Counts.of(self._rule, first_row(connection.execute(_READ_NOW, self._values))).reading

    def close(self) -> None:
        """As ``RateLimitStore.close``."""
        if self._own is not None:
            self._own.close()
            self._own = None

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """The connection. An error rolls the block back. Raises StoreBusy, StoreUnreachable or ConfigurationError."""
        import psycopg

        if (pause := self._retry_at - self._clock().uptime) > 0:
            raise StoreUnreachable(self._reason, retry_in_s=pause)
        try:
            if self._own is None:
                self._own = Connection(self._state)
                self._register(self._own)
            yield self._own.connection
            self._failures = 0
        except psycopg.errors.LockNotAvailable:
            self.close()
            raise StoreBusy("another connection has the budget's row") from None
        except psycopg.Error as error:
            self._fail(error if self._own is None else self._own.failed(error))
        except Unreachable as error:
            self._fail(error)
        except BaseException:
            # A transaction may be open.
            self.close()
            raise

    def _fail(self, error: Exception) -> NoReturn:
        """Raises ConfigurationError for a permanent error of the connection, StoreUnreachable for another."""
        self._own = None
        if not isinstance(error, Unreachable):
            raise error
        # A connection that was only lost is replaced at once.
        pause = random.uniform(0.1, 1.0) * min(_RETRY_S, 0.1 * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._retry_at, self._reason = self._clock().uptime + pause, str(error)
        raise StoreUnreachable(self._reason, retry_in_s=pause) from None

    def _register(self, own: Connection) -> None:
        """Finds the budget, makes it where it is new, and says which requests are under way."""
        connection = own.connection
        with connection.transaction():
            fresh = connection.execute(_NEW_BUDGET, (self._name,)).fetchone()
            budget = fresh or own.row("SELECT id FROM budgets WHERE name = %s", (self._name,))
            self._values |= {"owner": own.owner, "budget": budget[0]}
            is_new = fresh is not None and not self._is_counted
            values = {**self._values, "hold_s": 0.0 if is_new else self._rule.span_s}
            is_noted = connection.execute(_NEW_NOTE, values).fetchone() is not None
            if self._under_way:
                connection.execute(_UNDER_WAY, {**self._values, "ids": list(self._under_way)})
        self._is_counted = True
        if is_noted and not is_new:
            reason = "the server of the shared state crashed, or its tables were dropped"
            log.warning("budget_lost", reason=reason, waits_s=self._rule.span_s)

    def _begin(self, connection: psycopg.Connection[tuple[Any, ...]], changes: BudgetChanges) -> _Counts:
        """Begins a transaction that has the budget to itself: writes the changes, and reads."""
        with connection.pipeline():
            self._write(connection, changes)
            read = connection.execute(_READ_LOCKED, self._values)
        return _Counts.of(self._rule, first_row(read))

    def _write(self, connection: psycopg.Connection[tuple[Any, ...]], changes: BudgetChanges) -> None:
        # An answer is at least that old when the server gets its age.
        now = self._clock().uptime
        values = {**self._values, "hold_s": max(-1.0, changes.held_until - now)}
        connection.execute("BEGIN")
        for statement in (_LOCK, _NOTE, _SHIFT, _DROP_LATE):
            connection.execute(statement, values)
        if changes.finished:
            ids = [slot for _, slot in changes.finished]
            ages = [now - answered for answered, _ in changes.finished]
            connection.execute(_FINISH, {**values, "ids": ids, "ages": ages})

    def _settle_orphans(self, connection: psycopg.Connection[tuple[Any, ...]], now: float) -> bool:
        """Ends the slots whose connection is gone; returns whether there were any."""
        rows = connection.execute(_ORPHANS, {**self._values, "now": now}).fetchall()
        if rows:
            answered = [answered_when_orphaned(reserved, now) for _, reserved in rows]
            connection.execute(_SETTLE, {"ids": [slot for slot, _ in rows], "answered": answered})
        return bool(rows)


def look(state: SharedState, name: str, rule: RateLimitRule) -> BudgetReading:
    """What the shared state says of a budget; makes nothing there.

    Raises:
        StateUnavailable: the server does not answer.
        ConfigurationError: it cannot be used.
    """
    import psycopg

    try:
        own = Connection(state, makes_tables=False)
    except Unreachable as error:
        raise state.unavailable(str(error)) from None
    try:
        if own.is_empty:
            return BudgetReading(0, 0.0, 0.0)
        budget = own.connection.execute("SELECT id FROM budgets WHERE name = %s", (name,)).fetchone()
        values = _values(rule) | {"share": 0, "owner": own.owner, "budget": budget and budget[0]}
        row = own.connection.execute(_READ_NOW, values).fetchone()
    except psycopg.Error as error:
        failed = own.failed(error)
        raise (state.unavailable(str(failed)) if isinstance(failed, Unreachable) else failed) from None
    finally:
        own.close()
    return BudgetReading(0, 0.0, 0.0) if row is None else _Counts.of(rule, row).reading


def _values(rule: RateLimitRule) -> dict[str, Any]:
    """The parameters of the statements that never change."""
    return {
        "span_s": rule.span_s,
        "limit": rule.limit,
        "owed": rule.owed,
        "grace_s": rate_limit_store.GRACE_S,
        "early_s": rate_limit_store.EARLY_S,
        "kept_s": rate_limit_store.WAITING_KEPT_S,
        "owners": OWNERS_LOCK,
        "reconnect_s": _RECONNECT_S,
    }
