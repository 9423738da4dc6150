"""The messages for failures of the warehouse, each with what to do; the first whose signs fit is used."""

from __future__ import annotations

import json

from ..warehouse.duckdb_file_reader import LOCKED, OTHER_VERSION
from .error_kinds import GOOGLE_REFUSES, MOTHERDUCK_REFUSES, NO_GOOGLE_CREDENTIALS, NOT_LET_IN, causes

_ADVICE = (
    (
        LOCKED,
        "The DuckDB file is open in another process: close it there (a DuckDB shell, a notebook, a dashboard), "
        "or let it open the file read-only after this run.",
    ),
    (
        MOTHERDUCK_REFUSES,
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
        NOT_LET_IN,
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
        GOOGLE_REFUSES,
        "Google does not take these credentials: the key may be revoked or of a deleted account, or this machine's "
        "clock is wrong. Make a new key, and put it where destination.bigquery.credentials says.",
    ),
    (
        NO_GOOGLE_CREDENTIALS,
        "There are no Google credentials here: set destination.bigquery.credentials, or run gcloud auth "
        "application-default login.",
    ),
    (
        ("no space left", "disk full", "out of disk", "file too large", "disk quota exceeded"),
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


def message_with_advice(error: BaseException) -> str:
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
