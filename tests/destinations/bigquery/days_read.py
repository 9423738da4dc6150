"""Which days of the large tables a recorded statement reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from datetime import date
from functools import cache

import duckdb
import sqlglot
from sqlglot import exp

from tests.destinations.bigquery.pruning import Use, bound, uses
from tests.destinations.bigquery.recorded_requests import Statement

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
    instants = f"(SELECT instant AS {use.column} FROM instants) AS t"
    sql = f"SELECT DISTINCT CAST(t.{use.column} AS DATE) FROM {instants} WHERE {use.predicate.sql('duckdb')}"
    return {day for (day,) in _instants(tuple(days)).execute(sql).fetchall()}


@cache
def _instants(days: tuple[date, ...]) -> duckdb.DuckDBPyConnection:
    """A database with the hours of the days."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE TABLE instants AS SELECT CAST(day AS TIMESTAMPTZ) + to_hours(hour) AS instant "
        "FROM (SELECT unnest($1::DATE[]) AS day), range(24) AS hours(hour)",
        [list(days)],
    )
    return connection
