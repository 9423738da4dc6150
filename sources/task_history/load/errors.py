"""Converts failures of the warehouse into errors that say what is wrong and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from dlt.common.destination.exceptions import DestinationException
from dlt.destinations.exceptions import DatabaseException
from dlt.pipeline.exceptions import PipelineStepFailed

from ..core.errors import Stopped, TaskHistoryError, WarehouseLoginRefused, WarehouseUnavailable
from ..warehouse.duckdb_file import OTHER_VERSION
from .dlt_internals import SqlClientBase
from .dlt_setting_errors import configuration_error


@contextmanager
def warehouse_errors() -> Iterator[None]:
    """Context manager: converts failures of the warehouse into WarehouseUnavailable, and keeps this project's errors.

    Raises ConfigurationError where dlt refuses one of its settings.
    """
    try:
        yield
    except Exception as error:
        for cause in causes(error):
            if isinstance(cause, TaskHistoryError | Stopped):
                raise cause from None
            if (refused := configuration_error(cause)) is not None:
                raise refused from None
        known = isinstance(error, PipelineStepFailed | DatabaseException | DestinationException | OSError)
        # dlt lets through what a driver says when it connects, and what a cloud's client says.
        if not (
            known or SqlClientBase.is_dbapi_exception(error) or type(error).__module__.startswith("google.")
        ):
            raise
        if is_login_refused(error):
            raise WarehouseLoginRefused(explanation(error)) from error
        raise WarehouseUnavailable(explanation(error)) from error


def causes(error: BaseException | None, *, until: BaseException | None = None) -> Iterator[BaseException]:
    """The error, then the causes that Python and dlt chain to it, without ``until`` and what follows that."""
    seen = {id(until)}
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


_LOCKED = ("conflicting lock", "could not set lock")


def is_locked(error: BaseException) -> bool:
    """Whether another process has the DuckDB file open."""
    return any(mark in str(cause).lower() for cause in causes(error) for mark in _LOCKED)


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


_NOT_LET_IN = ("password authentication failed", "no pg_hba.conf entry", 'fatal: role "', 'fatal: database "')
_GOOGLE_REFUSES = (
    "invalid_grant",
    "refresherror",
    "account not found",
    "invalid jwt",
    "reauthentication is needed",
)
_MOTHERDUCK_REFUSES = ("check your motherduck token", "motherduck token is invalid")
"""What MotherDuck's extension says of a token that is wrong, expired or revoked."""
_NO_GOOGLE_CREDENTIALS = ("default credentials were not found", "defaultcredentialserror")


def is_login_refused(error: BaseException) -> bool:
    """Whether the warehouse does not take the credentials, or there are none."""
    signs = (*_NOT_LET_IN, *_GOOGLE_REFUSES, *_MOTHERDUCK_REFUSES, *_NO_GOOGLE_CREDENTIALS)
    return any(sign in words for words in map(_words, causes(error)) for sign in signs)


def _words(error: BaseException) -> str:
    """What the error says, in small letters, with single spaces."""
    return " ".join(str(error).lower().split())


_ADVICE = (
    (
        _LOCKED,
        "The DuckDB file is open in another process: close it there (a DuckDB shell, a notebook, a dashboard), "
        "or let it open the file read-only after this run.",
    ),
    (
        _MOTHERDUCK_REFUSES,
        "MotherDuck does not take this token: it may be wrong, expired or revoked. Make a new one there, and put it into "
        "destination.motherduck.credentials.password or MOTHERDUCK_TOKEN.",
    ),
    (
        ('download extension "motherduck"', "supported by motherduck", "api.motherduck.com"),
        "DuckDB cannot load its extension for MotherDuck: this machine does not reach extensions.duckdb.org and "
        "api.motherduck.com, or MotherDuck takes no clients of this version of DuckDB. Nothing was written, and what was "
        "fetched is kept: let it reach them, or install another version of duckdb.",
    ),
    (
        ("no database/share named",),
        "MotherDuck has no such database: make it there with CREATE DATABASE, or name another one in "
        "destination.motherduck.credentials.database.",
    ),
    (
        ("unable to connect to proxy", "proxyerror", "proxy url had", "tunnel connection failed"),
        "The proxy that the environment names does not connect to the warehouse: correct HTTPS_PROXY, or name its "
        "host in NO_PROXY.",
    ),
    (
        ("connection refused", "could not translate host name", "timeout expired", "no route to host"),
        "The warehouse does not answer: check that it runs, and the host and port in its credentials.",
    ),
    (
        ("quotaexceeded", "quota exceeded: your", "ratelimitexceeded", "exceeded rate limits"),
        "BigQuery's quota is used up for now: wait, or sync less often. What was fetched is kept.",
    ),
    (
        _NOT_LET_IN,
        "The warehouse does not let this user in: check user, password and database in its credentials.",
    ),
    (
        ("bytesbilledlimitexceeded", "limit for bytes billed"),
        "BigQuery would process more than is left of maximum_bytes_billed for this run, and did not: nothing of that "
        "was billed, and what was fetched is kept. Raise destination.bigquery.maximum_bytes_billed and run the same "
        "command again.",
    ),
    (
        ("billingnotenabled", "billing has not been enabled", "billing is disabled"),
        "BigQuery refuses because the project has no billing account: without one it takes no changes of rows. Enable "
        "billing for the project, or name another one in destination.bigquery.project_id.",
    ),
    (
        ("accessnotconfigured", "has not been used in project", "it is disabled. enable it"),
        "The BigQuery API is not enabled in the project: enable it with gcloud services enable bigquery.googleapis.com.",
    ),
    (
        ("bigquery.jobs.create",),
        "BigQuery lets this account run no jobs in the project: give it roles/bigquery.jobUser there, or name the "
        "project that pays in destination.bigquery.project_id.",
    ),
    (
        ("bigquery.datasets.create",),
        "BigQuery lets this account create no dataset: create it and its staging datasets for it "
        "(see docs/how-to/bigquery.md) and "
        "give it roles/bigquery.dataEditor on them, or give it roles/bigquery.user in the project.",
    ),
    (
        ("permission bigquery.", "access denied: dataset", "access denied: table"),
        "BigQuery refuses this account something in the dataset: give it roles/bigquery.dataEditor on it.",
    ),
    (
        ("was not found in location",),
        "The dataset was deleted, or lies in another location than destination.bigquery.location says: run the same "
        "command again, which makes it again, or set the location to the dataset's, such as EU.",
    ),
    (
        _GOOGLE_REFUSES,
        "Google does not take these credentials: the key may be revoked or of a deleted account, or this machine's "
        "clock is wrong. Make a new key, and put it where destination.bigquery.credentials says.",
    ),
    (
        _NO_GOOGLE_CREDENTIALS,
        "There are no Google credentials here: set destination.bigquery.credentials, or run gcloud auth "
        "application-default login.",
    ),
    (
        ("no space left", "disk full", "out of disk", "file too large", "quota exceeded"),
        "The disk is full: make room, then run the same command again; it goes on after the last commit.",
    ),
    (
        ("permission denied for database",),
        "The role may make no schemas in the database: GRANT CREATE ON DATABASE … TO the role, or make the schemas and "
        "their staging schemas for it.",
    ),
    (
        ("permission denied for schema",),
        "The role may not use the schema: GRANT USAGE, CREATE ON SCHEMA … TO the role.",
    ),
    (
        ("in a read-only transaction",),
        "The database takes no changes: it is a standby, or default_transaction_read_only is on. Name the primary.",
    ),
    (
        ("permission denied", "read-only file system", "access denied"),
        "The warehouse may not be written: check the owner and rights of the file or dataset.",
    ),
    (
        OTHER_VERSION,
        "The file is intact, but the DuckDB installed here does not read its storage version: upgrade duckdb "
        "here, or copy the file into one that older versions read, as docs/how-to/other-warehouses.md says.",
    ),
    (
        ("not a valid duckdb database", "is not a duckdb", "corrupt"),
        "The file is no DuckDB database: name another file in DESTINATION__DUCKDB__CREDENTIALS, or move it away.",
    ),
)


def explanation(error: BaseException) -> str:
    """The innermost cause of the error, with advice what to do."""
    words = [" ".join((_answer(cause) or str(cause)).split()) for cause in causes(error)]
    everything = " ".join(words).lower()
    innermost = words[-1][:300] if words else type(error).__name__
    for signs, advice in _ADVICE:
        if any(sign in everything for sign in signs):
            return f"{advice} ({innermost})"
    return (
        f"The warehouse failed: {innermost}. Nothing of this commit was written; run the same command again, and "
        "if it fails again look at the table and column that are named."
    )


def _answer(error: BaseException) -> str | None:
    """What Google's server said of an upload that it refused; the error itself tells of status codes in Python alone."""
    if type(error).__name__ != "InvalidResponse":
        return None
    response = getattr(error, "response", None)
    try:
        return str(json.loads(response.content)["error"]["message"])  # type: ignore[union-attr]
    except (AttributeError, LookupError, TypeError, ValueError):
        return f"HTTP {getattr(response, 'status_code', '')}"
