"""The kinds of a warehouse's errors, by its driver's words: locked, disconnected, in conflict, login refused."""

from __future__ import annotations

from collections.abc import Iterator

from ..warehouse.duckdb_file_reader import LOCKED


def causes(error: BaseException | None, *, until: BaseException | None = None) -> Iterator[BaseException]:
    """The error, then the causes that Python and dlt chain to it, without ``until`` and what follows that."""
    seen = {id(until)}
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def is_locked(error: BaseException) -> bool:
    """Whether another process has the DuckDB file open."""
    return any(mark in str(cause).lower() for cause in causes(error) for mark in LOCKED)


_DISCONNECTED = (
    "server closed the connection",
    "terminating connection",
    "connection already closed",
    "connection not open",
    "no connection to the server",
    "connection refused",
    "connection reset",
    "could not receive data from server",
    "could not send data to server",
    "ssl connection has been closed",
    "the database system is ",
)
"""What libpq and psycopg2 say where a server stops, is away, or starts again."""


def is_disconnected(error: BaseException) -> bool:
    """Whether the database ended the connection, or does not take one now."""
    return any(mark in str(cause).lower() for cause in causes(error) for mark in _DISCONNECTED)


_CONFLICT_STATES = frozenset({"40001", "40P01", "42701", "42710", "42P06", "42P07"})
"""SQLSTATEs of Postgres where another session was first: serialization failure, deadlock, and a column, object, schema or
table that is already there. https://www.postgresql.org/docs/current/errcodes-appendix.html"""
_INTERNAL_STATE = "XX000"
_CONFLICTS_WITHIN = ("concurrently", "cache lookup failed", "could not open relation with oid")
"""What Postgres says with the SQLSTATE of an internal error where another session changed the same object."""
_CONFLICTS = (
    # https://cloud.google.com/bigquery/docs/error-messages
    "already exists",
    "concurrent update",
    "could not serialize access",
    "concurrent transaction",
    "precondition failed",
    "precondition check failed",
    # MotherDuck as DuckDB, and DuckLake, whose catalog several processes change
    "conflict on tuple deletion",
    "conflict on update",
    "another transaction has altered",
    "write-write conflict",
    "transaction conflict",
    "failed to commit ducklake transaction",
)
"""What other databases say where another process was first."""


def is_conflict(error: BaseException, *, handled: BaseException | None = None) -> bool:
    """Whether another process changed the same thing at the same time, so that trying again may succeed.

    An error that ``refused_packages`` counts as a refusal of the rows is never tried again, even if it is a conflict.

    What failed left nothing behind: each of these errors rolls its statement or transaction back. ``handled`` is the
    error that was being handled when the statement was sent, which Python chains to its own.
    """
    chain = list(causes(error, until=handled))
    of_postgres = [cause for cause in chain if getattr(cause, "pgcode", None) is not None]
    if of_postgres:
        # More certain than words.
        return any(map(_is_conflict_in_postgres, of_postgres))
    return any(mark in words for words in map(_words, chain) for mark in _CONFLICTS)


def _is_conflict_in_postgres(error: BaseException) -> bool:
    state = getattr(error, "pgcode", None)
    if state == _INTERNAL_STATE:
        return any(mark in _words(error) for mark in _CONFLICTS_WITHIN)
    # The same name in the system's own tables: two sessions made the same schema or table at once.
    is_in_catalog = getattr(getattr(error, "diag", None), "schema_name", None) == "pg_catalog"
    return state in _CONFLICT_STATES or is_in_catalog


NOT_LET_IN = ("password authentication failed", "no pg_hba.conf entry", 'fatal: role "', 'fatal: database "')
"""What Postgres says of a user, password or database that it does not take."""
GOOGLE_REFUSES = (
    "invalid_grant",
    "refresherror",
    "account not found",
    "invalid jwt",
    "reauthentication is needed",
)
"""What Google says of credentials that it does not take."""
MOTHERDUCK_REFUSES = ("check your motherduck token", "motherduck token is invalid")
"""What MotherDuck's extension says of a token that is wrong, expired or revoked."""
NO_GOOGLE_CREDENTIALS = ("default credentials were not found", "defaultcredentialserror")
"""What google-auth says where no credentials are found."""


def is_login_refused(error: BaseException) -> bool:
    """Whether the warehouse does not take the credentials, or there are none."""
    signs = (*NOT_LET_IN, *GOOGLE_REFUSES, *MOTHERDUCK_REFUSES, *NO_GOOGLE_CREDENTIALS)
    return any(sign in words for words in map(_words, causes(error)) for sign in signs)


def _words(error: BaseException) -> str:
    """What the error says, in small letters, with single spaces."""
    return " ".join(str(error).lower().split())
