"""The file in which all processes of a machine count the requests of one budget.

SQLite without waiting for the disk: it survives the death of any process at any instant;
a power failure may lose it, and then the vendor's 429 is what is left. All instants in it are
uptimes of one start of the machine, see ``rate_limit_rule.shift_s``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..core import files, lock_timeouts
from ..core.errors import ConfigurationError
from ..core.log import log
from . import rate_limit_store
from .rate_limit_rule import BudgetShare, Clock, Instant, RateLimitRule, answered_when_orphaned, shift_s
from .rate_limit_store import BudgetChanges, BudgetReading, StoreBusy

_SCHEMA = """
CREATE TABLE IF NOT EXISTS slots (
    id INTEGER PRIMARY KEY, pid INTEGER, born TEXT, reserved REAL, answered REAL
);
CREATE INDEX IF NOT EXISTS slots_answered ON slots (answered);
CREATE TABLE IF NOT EXISTS waiting (
    pid INTEGER, born TEXT, lane INTEGER, since REAL, wakes REAL, PRIMARY KEY (pid, born, lane)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS note (
    only INTEGER PRIMARY KEY CHECK (only = 1), boot TEXT, uptime REAL, wall REAL, hold REAL, keep_s REAL
);
"""
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, distinguished from a later one with the same number by its start."""

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> Owner | None:
        """The process with that number; None when there is none."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except OSError:
            pass  # it is alive and belongs to another user
        try:
            # The name, second of the fields, may hold spaces and brackets; the start time is the 22nd.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return cls(pid, "")
        # A zombie sends nothing any more.
        return None if fields[0] in "ZX" else cls(pid, fields[19])

    @property
    def is_alive(self) -> bool:
        now = Owner.of(self.pid)
        return now is not None and (now.born == self.born or not (now.born and self.born))


class FileStore:
    """The file at ``path``, for one ``share`` of the budget and its rule; one thread at a time."""

    def __init__(self, path: Path, rule: RateLimitRule, clock: Clock, *, share: BudgetShare) -> None:
        self._path = path
        self._rule = rule
        self._share = share
        self._clock = clock
        self.pid = os.getpid()
        self._owner = Owner.of(self.pid) or Owner(self.pid, "")
        self._me = (self._owner.pid, self._owner.born)
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def take(self, changes: BudgetChanges) -> tuple[int | None, BudgetReading]:
        """Writes the changes and reserves a slot: its number, or None when all are taken.

        Raises:
            StoreBusy: nothing was done, neither written nor reserved.
            ConfigurationError: the file cannot be written.
        """
        with self._transaction(changes) as (connection, now):
            reading = read(connection, self._rule, now, shift=0.0)
            if reading.free_in_s > 0 and self._settle_orphans(connection, now):
                reading = read(connection, self._rule, now, shift=0.0)
            if reading.free_in_s <= 0:
                if self._rule.limit - reading.used > self._ahead(connection, now):
                    return self._insert(connection, now), reading
                self._queue(connection, since=now.uptime, wakes=now.uptime)
                return None, replace(reading, free_in_s=rate_limit_store.YIELD_S)
            self._queue(connection, since=now.uptime, wakes=now.uptime + reading.free_in_s)
            return None, reading

    def write(self, changes: BudgetChanges) -> None:
        """Writes the changes. Raises as ``take`` does."""
        with self._transaction(changes):
            pass

    def look(self) -> BudgetReading:
        """What the file says now, unchanged. Raises ConfigurationError when it is unreadable."""
        return look(self._path, self._rule, self._clock())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, changes: BudgetChanges) -> Iterator[tuple[sqlite3.Connection, Instant]]:
        try:
            connection = self._connect()
            connection.execute("BEGIN IMMEDIATE")
            # The clock is read with the lock held, so that what is written down never runs backwards.
            now = self._clock()
            self._bring_up_to(connection, now)
            connection.executemany("UPDATE slots SET answered = ? WHERE id = ?", changes.finished)
            if changes.held_until > now.uptime:
                connection.execute("UPDATE note SET hold = max(hold, ?)", (changes.held_until,))
            yield connection, now
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._answer_to(error) from error
        finally:
            if self._connection is not None and self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")

    def _connect(self) -> sqlite3.Connection:
        inode = _inode(self._path)
        if self._connection is not None and inode == self._inode:
            return self._connection
        self.close()
        if inode is None and self._inode is not None:
            self._replace("was deleted")
        self._connection = _open(self._path)
        self._inode = _inode(self._path)
        return self._connection

    def _replace(self, what: str) -> None:
        """Starts the file again; what it counted is unknown, so the whole budget counts as just used."""
        log.warning("budget_file_replaced", path=self._path, reason=f"it {what}", waits_s=self._rule.span_s)
        # The journal goes last: SQLite takes a journal without its database for nothing.
        for suffix in ("", "-journal"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        connection = _open(self._path)
        try:
            now = self._clock()
            connection.execute("BEGIN IMMEDIATE")
            self._bring_up_to(connection, now)
            connection.execute("UPDATE note SET hold = max(hold, ?)", (now.uptime + self._rule.span_s,))
            connection.execute("COMMIT")
        finally:
            connection.close()
        self._inode = _inode(self._path)

    def _bring_up_to(self, connection: sqlite3.Connection, now: Instant) -> None:
        """Moves what another start of the machine wrote to this one, and deletes what no longer counts."""
        note = _note(connection)
        if note is None:
            connection.execute(
                "INSERT INTO note VALUES (1, ?, ?, ?, ?, ?)",
                (now.boot, now.uptime, now.wall, now.uptime, self._rule.span_s),
            )
            return
        written, _, kept_s = note
        keep_s = max(kept_s, self._rule.span_s)
        shift = shift_s(written, now)
        if shift:
            connection.execute("DELETE FROM waiting")
            connection.execute(
                "UPDATE slots SET reserved = reserved + ?, answered = answered + ?", (shift, shift)
            )
        connection.execute(
            "UPDATE note SET boot = ?, uptime = ?, wall = ?, hold = hold + ?, keep_s = ?",
            (now.boot, now.uptime, now.wall, shift, keep_s),
        )
        connection.execute("DELETE FROM slots WHERE answered <= ?", (now.uptime - keep_s,))

    def _ahead(self, connection: sqlite3.Connection, now: Instant) -> int:
        """How many other processes go before this one and are due: each is left a slot.

        That is the foreground before the background, then who waits longer. Without it a process of many
        threads takes all that comes free at one moment, every time.
        """
        if not _has_rows(connection, "waiting"):
            return 0
        mine = connection.execute(
            "SELECT since FROM waiting WHERE (pid, born, lane) = (?, ?, ?)", (*self._me, self._share)
        ).fetchone()
        connection.execute(
            "DELETE FROM waiting WHERE wakes < ?", (now.uptime - rate_limit_store.WAITING_KEPT_S,)
        )
        count: int = connection.execute(
            "SELECT count(*) FROM waiting WHERE (lane, since, pid) < (?, ?, ?) AND wakes BETWEEN ? AND ?",
            (
                self._share,
                mine[0] if mine else now.uptime,
                self.pid,
                now.uptime - rate_limit_store.GRACE_S,
                now.uptime + rate_limit_store.EARLY_S,
            ),
        ).fetchone()[0]
        return count

    def _queue(self, connection: sqlite3.Connection, *, since: float, wakes: float) -> None:
        """Notes that this process waits, from ``since`` unless it did before, and is due at ``wakes``."""
        connection.execute(
            "INSERT INTO waiting VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (pid, born, lane) DO UPDATE SET wakes = excluded.wakes",
            (*self._me, self._share, since, wakes),
        )

    def _insert(self, connection: sqlite3.Connection, now: Instant) -> int | None:
        if _has_rows(connection, "waiting"):
            connection.execute(
                "DELETE FROM waiting WHERE (pid, born, lane) = (?, ?, ?)", (*self._me, self._share)
            )
        return connection.execute(
            "INSERT INTO slots (pid, born, reserved) VALUES (?, ?, ?)", (*self._me, now.uptime)
        ).lastrowid

    def _settle_orphans(self, connection: sqlite3.Connection, now: Instant) -> bool:
        """Ends the slots whose process died before its answer; returns whether there were any."""
        owners = connection.execute("SELECT DISTINCT pid, born FROM slots WHERE answered IS NULL").fetchall()
        dead = [
            owner for owner in (Owner(*row) for row in owners) if owner != self._owner and not owner.is_alive
        ]
        for owner in dead:
            rows = connection.execute(
                "SELECT reserved, id FROM slots WHERE answered IS NULL AND pid = ? AND born = ?",
                (owner.pid, owner.born),
            ).fetchall()
            connection.executemany(
                "UPDATE slots SET answered = ? WHERE id = ?",
                [(answered_when_orphaned(reserved, now.uptime), slot_id) for reserved, slot_id in rows],
            )
        return bool(dead)

    def _answer_to(self, error: sqlite3.Error) -> Exception:
        """The error to raise for one of SQLite's; a damaged file is replaced first."""
        if _code(error) in _CORRUPT:
            self.close()
            self._replace("is damaged")
            return StoreBusy()
        if _code(error) in _BUSY or error.sqlite_errorcode == sqlite3.SQLITE_READONLY_DBMOVED:
            return StoreBusy()
        return ConfigurationError(
            f"The budget's file {self._path} cannot be used ({error}): free space or repair its folder, or "
            "name another one in the environment variable TASK_HISTORY_STATE_DIR."
        )


def look(path: Path, rule: RateLimitRule, now: Instant) -> BudgetReading:
    """What the file at ``path`` says, unchanged. Raises ConfigurationError when it is unreadable."""
    _check(files.check_own, path)
    if not path.exists():
        return BudgetReading(0, 0.0, 0.0)
    try:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=lock_timeouts.BUDGET_FILE_WAIT_S
        )
        try:
            if not _has_tables(connection):
                return BudgetReading(0, 0.0, 0.0)
            note = _note(connection)
            return read(connection, rule, now, shift_s(note[0], now) if note else 0.0)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ConfigurationError(f"The budget's file {path} cannot be read ({error}).") from error


def read(connection: sqlite3.Connection, rule: RateLimitRule, now: Instant, shift: float) -> BudgetReading:
    """What the file says now, with ``shift`` added to every instant in it."""
    here = now.uptime - shift
    since = here - rule.span_s
    # All but those that count no longer: SQLite counts a whole table without looking at its rows.
    taken: int = connection.execute(
        "SELECT (SELECT count(*) FROM slots) - (SELECT count(*) FROM slots WHERE answered <= ?)", (since,)
    ).fetchone()[0]
    decisive = rule.decisive(taken)
    rows = (
        connection.execute(
            "SELECT answered FROM slots WHERE answered > ? ORDER BY answered LIMIT ?", (since, decisive)
        )
        if decisive
        else ()
    )
    free_in_s = rule.free_in_s(taken, [answered for (answered,) in rows], here)
    note = _note(connection)
    hold_s = max(0.0, note[1] - here) if note else 0.0
    return BudgetReading(taken, hold_s, max(hold_s, free_in_s))


def _note(connection: sqlite3.Connection) -> tuple[Instant, float, float] | None:
    """When the file was last written, until when no request is sent, and how long answers are kept."""
    row = connection.execute("SELECT uptime, wall, boot, hold, keep_s FROM note").fetchone()
    return None if row is None else (Instant(*row[:3]), row[3], row[4])


def _check(check: Callable[[Path], None], path: Path) -> None:
    """Raises ConfigurationError when the file is not this user's own, or cannot be made."""
    try:
        check(path)
    except OSError as error:
        raise ConfigurationError(
            f"The budget's file {path} cannot be used ({error.strerror}): remove it, or name a folder of your own in "
            "the environment variable TASK_HISTORY_STATE_DIR."
        ) from error


def _open(path: Path) -> sqlite3.Connection:
    _check(files.make_own, path)
    connection = sqlite3.connect(
        path,
        timeout=lock_timeouts.BUDGET_FILE_WAIT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=32,
    )
    try:
        # The journal stays on disk, unlike with MEMORY: a process killed in the middle breaks nothing.
        connection.execute("PRAGMA journal_mode = PERSIST")
        connection.execute("PRAGMA synchronous = OFF")
        if not _has_tables(connection):
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


def _has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file has its tables: it exists a moment before they do."""
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'note'").fetchone()
    return bool(found[0])


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _code(error: sqlite3.Error) -> int:
    """The primary result code; the upper bits say more than is needed here."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
