"""A connection to the Postgres that holds the state of several machines, and the schema in it.

Each connection has a number and holds the advisory lock of that number: while the lock is held, the connection's owner
is alive. Its end, however it comes, frees the lock. All instants are the server's, ``clock_timestamp()`` as seconds since
1970, because the clocks of machines differ.
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..core.dataset_names import STATE_SCHEMA as SCHEMA
from ..core.errors import ConfigurationError, StateUnavailable

if TYPE_CHECKING:
    import psycopg

VARIABLE = "TASK_HISTORY_STATE"
ANSWER_TIMEOUT_S = 5.0
"""Maximum seconds for an answer of the server, and for a connection."""
OWNERS_LOCK = 0x7461736B
"""First part of the advisory locks of connections; the second is the connection's number."""
_VERSION = 1
_KEEPALIVES: dict[str, Any] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Seconds idle before the first probe, seconds between probes, unanswered probes that end a connection: for both ends."""
_SETTINGS = {
    "search_path": SCHEMA,
    "application_name": "",
    # A process that is suspended within a transaction loses its connection instead of blocking all others.
    "idle_in_transaction_session_timeout": "3s",
    "lock_timeout": "1s",
    "statement_timeout": "4s",
    # A machine that lost its network or power is noticed within a minute.
    **{f"tcp_{name}": str(value) for name, value in _KEEPALIVES.items()},
}
_TABLES = """
CREATE TABLE version (version integer NOT NULL);
CREATE SEQUENCE owner_numbers AS integer CYCLE;
CREATE SEQUENCE slot_numbers;
CREATE TABLE budgets (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
-- A crash of the server empties these three tables; a budget without a row in notes shows that this happened.
CREATE UNLOGGED TABLE notes (
    budget integer PRIMARY KEY, written double precision NOT NULL, shift double precision NOT NULL,
    hold double precision NOT NULL, keep_s double precision NOT NULL
) WITH (fillfactor = 50);
CREATE UNLOGGED TABLE slots (
    id bigint PRIMARY KEY, budget integer NOT NULL, owner integer NOT NULL, reserved double precision NOT NULL,
    answered double precision
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX slots_answered ON slots (budget, answered);
CREATE UNLOGGED TABLE waiting (
    budget integer, owner integer, lane integer, since double precision NOT NULL, wakes double precision NOT NULL,
    PRIMARY KEY (budget, owner, lane)
);
CREATE TABLE marks (name text PRIMARY KEY, mark text NOT NULL, written double precision NOT NULL);
"""
_PERMANENT_MESSAGES = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "permission denied",
    "not permitted to log in",
    "does not support SSL",
    "certificate",
    "invalid connection option",
    "invalid port",
    "invalid sslmode",
    "Name or service not known",
    "nodename nor servname",
    "No address associated",
)
"""Messages of the server or the client library for errors that trying again does not cure."""
_OWN_CONNECTIONS = "task-history"
_TRANSIENT_SQLSTATES = ("08", "25P", "3F000", "40", "42P01", "53", "55", "57", "58", "XX")
"""Prefixes of the SQLSTATEs of errors that may pass when tried again; tables that were dropped are created again.

https://www.postgresql.org/docs/current/errcodes-appendix.html"""


@dataclass(frozen=True, slots=True)
class SharedState:
    """The Postgres at ``url``, which may hold a password."""

    url: str = field(repr=False)

    @property
    def place(self) -> str:
        """Host, port and database, without user and password."""
        parts = urlsplit(self.url)
        return f"Postgres at {parts.netloc.rpartition('@')[2] or 'the default address'}{parts.path}"

    @property
    def password(self) -> str | None:
        """The password in the address; None where it has none."""
        password = urlsplit(self.url).password
        return None if password is None else unquote(password)

    def refused(self, error: Exception | str) -> ConfigurationError:
        """The error for a wrong address, password or right, which the user has to correct."""
        return ConfigurationError(
            f"The shared state, {self.place}, cannot be used: {self.words(error)}. Correct {VARIABLE}, or the rights of "
            f"its user, who must be able to create or use the schema {SCHEMA}."
        )

    def unavailable(self, reason: str, *, tried_s: float = 0.0) -> StateUnavailable:
        """The error for a server that could not be reached in ``tried_s`` seconds of attempts."""
        tried = f" for {tried_s:,.0f} s" if tried_s else ""
        return StateUnavailable(
            f"The shared state, {self.place}, cannot be reached{tried}: {reason}. Without it nothing is sent. Check the "
            "server and the network, then run the same command again: it goes on where it stopped."
        )

    def words(self, error: Exception | str) -> str:
        """The first sentence of an error, without the password."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        text = lines[0].rpartition("connection failed: ")[2].strip().rstrip(".")
        password = self.password
        return text.replace(password, "***") if password else text


def shared_state() -> SharedState | None:
    """The state that TASK_HISTORY_STATE names; None where it names none, and the machine's files hold it.

    Raises:
        ConfigurationError: it is no address of a Postgres, or psycopg is not installed.
    """
    url = os.environ.get(VARIABLE, "").strip()
    if not url:
        return None
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"postgresql", "postgres"} and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigurationError(
            f"{VARIABLE} is no address of a Postgres: it must read postgresql://user:password@host:5432/database, with "
            "characters such as @ and / in a password written as %40 and %2F."
        )
    try:
        import psycopg
    except ImportError as error:
        raise ConfigurationError(
            f"{VARIABLE} names a Postgres, which needs psycopg: pip install 'task-history[fleet]' ({error})."
        ) from None
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        # The library's message would show the part with the password.
        raise ConfigurationError(
            f"{VARIABLE} has a part that Postgres does not know: it must read postgresql://user:password@host:5432/"
            "database, with options of https://www.postgresql.org/docs/current/libpq-connect.html after a ?."
        ) from None
    return SharedState(url)


class Unreachable(Exception):
    """The server did not answer, or the connection is lost: try again. Its text is the reason, without a password."""


class Connection:
    """One connection to the shared state, with its number; used by one thread at a time, of one process.

    ``makes_tables`` says whether the tables are made where they are missing.

    Raises:
        Unreachable: the server cannot be reached now.
        ConfigurationError: the server refuses the user, or its schema is of a newer version.
    """

    def __init__(self, state: SharedState, *, makes_tables: bool = True) -> None:
        import psycopg

        self.state = state
        self.owner = 0
        self.pid = os.getpid()
        try:
            self.connection = _bounded().connect(
                state.url,
                autocommit=True,
                prepare_threshold=2,
                connect_timeout=round(ANSWER_TIMEOUT_S),
                **_KEEPALIVES,
            )
        except psycopg.Error as error:
            raise self._answer_to(error) from None
        try:
            self._configure()
            if makes_tables:
                self._make_tables()
            self.is_empty = self._version() is None
            if not self.is_empty:
                self._check_version()
            if makes_tables:
                (self.owner,) = self.row("SELECT nextval('owner_numbers')::integer")
                self.connection.execute("SELECT pg_advisory_lock(%s, %s)", (OWNERS_LOCK, self.owner))
        except psycopg.Error as error:
            self.close()
            raise self._answer_to(error) from None
        except BaseException:
            self.close()
            raise

    def row(self, sql: str, values: tuple[object, ...] = ()) -> tuple[Any, ...]:
        """The first row of a query that has one. Raises psycopg's errors."""
        return first_row(self.connection.execute(sql, values))

    def failed(self, error: psycopg.Error) -> Exception:
        """Closes the connection after an error; what to raise for it."""
        self.close()
        return self._answer_to(error)

    def close(self) -> None:
        """Ends the connection, and with it its locks; in a forked child it does nothing."""
        if self.pid == os.getpid():
            self.connection.close()

    def _answer_to(self, error: psycopg.Error) -> Exception:
        text = self.state.words(error)
        if error.sqlstate is None:
            is_refused = any(word in text for word in _PERMANENT_MESSAGES)
        else:
            is_refused = not error.sqlstate.startswith(_TRANSIENT_SQLSTATES)
        return self.state.refused(text) if is_refused else Unreachable(text)

    def _configure(self) -> None:
        settings = {
            **_SETTINGS,
            "application_name": connection_name(),
        }
        self.connection.execute(
            f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(settings))}",
            [word for setting in settings.items() for word in setting],
        )

    def _make_tables(self) -> None:
        if self._version() is not None:
            return
        with self.connection.transaction():
            # The first process creates them; the others wait for it here.
            self.connection.execute("SET LOCAL lock_timeout = 0")
            self.connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (OWNERS_LOCK,))
            if self._version() is None:
                self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                self.connection.execute(_TABLES)
                self.connection.execute("INSERT INTO version VALUES (%s)", (_VERSION,))

    def _check_version(self) -> None:
        if (version := self._version()) != _VERSION:
            raise self.state.refused(
                f"its schema is of version {version}, and this task-history knows {_VERSION}: bring all machines to one "
                "version of task-history"
            )

    def _version(self) -> int | None:
        """The version of the tables; None where there are none."""
        # Not by to_regclass, which may not see what another connection has just made.
        (tables,) = self.row(
            "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE (nspname, relname) = (%s, 'version')",
            (SCHEMA,),
        )
        return int(self.row("SELECT version FROM version")[0]) if tables else None


def connection_name() -> str:
    """The name of this process's connections, by which others see who holds a lock, see ``described_connection``."""
    return f"{_OWN_CONNECTIONS} {socket.gethostname()[:30]} {os.getpid()}"


def described_connection(name: str) -> str:
    """The process whose connection has this name, as words in parentheses; empty where it is none of this project's."""
    words = name.split()
    return f" (process {words[2]} on {words[1]})" if len(words) == 3 and words[0] == _OWN_CONNECTIONS else ""


def first_row(cursor: psycopg.Cursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The first row of a result. Raises Unreachable where there is none."""
    row = cursor.fetchone()
    if row is None:
        raise Unreachable("a row of the shared state is missing")
    return row


@cache
def _bounded() -> type[psycopg.Connection[tuple[Any, ...]]]:
    """psycopg's connection, of which each wait is bounded; psycopg is imported only where there is a shared state."""
    import psycopg

    # What psycopg logs about lost connections is also raised as an error.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)

    class Bounded(psycopg.Connection[tuple[Any, ...]]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            return super().wait(gen, interval, ANSWER_TIMEOUT_S if timeout is None else timeout)

    return Bounded
