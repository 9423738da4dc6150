"""Which days of the large tables a recorded statement reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta

import duckdb
import sqlglot
from sqlglot import exp

from tests.destinations.bigquery.pruning import Use, bound, uses
from tests.destinations.bigquery.said import Statement

PARTITIONS = {
    "workflow_executions": "date_started",
    "execution_details": "date_started",
    "step_executions": "execution_date_started",
    "step_payloads": "execution_date_started",
}
"""The partition columns of Paragon's large tables."""


def reads(statement: Statement, days: Iterable[date]) -> Iterator[tuple[str, set[date], frozenset[str]]]:
    """Of each mention of a large table that is read: its name, which of ``days`` are read, the statement's columns."""
    parameters, days = deepcopy(statement.parameters), list(days)
    for tree in sqlglot.parse(statement.sql, dialect="bigquery"):
        if tree is not None:
            bound(tree, parameters)
            for use in uses(tree, _column):
                yield use.table.name.split(".")[-1], _days(use, days), use.columns


def _column(table: exp.Table) -> str | None:
    path = [part for piece in table.parts for part in piece.name.split(".")]
    if len(path) > 1 and path[-2].endswith("_staging"):
        return None
    return PARTITIONS.get(path[-1])


def _days(use: Use, days: list[date]) -> set[date]:
    if use.predicate is None:
        return set(days)
    sql = f"SELECT t.{use.column} FROM days AS t WHERE {use.predicate.sql('duckdb')}"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE days ({use.column} TIMESTAMPTZ)")
        instants = [
            (datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour),)
            for day in days
            for hour in range(24)
        ]
        connection.executemany("INSERT INTO days VALUES (?)", instants)
        return {row[0].astimezone(UTC).date() for row in connection.execute(sql).fetchall()}
