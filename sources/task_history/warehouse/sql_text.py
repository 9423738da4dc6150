"""Parts of SQL: conditions with their values, and the quoting of identifiers and literals by each dialect's rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Answer = tuple[list[str], list[tuple[Any, ...]]]
"""The names of the columns and the rows."""
Query = Callable[..., Answer]
"""Runs SQL with values for its ``%s``; returns the columns' names and the rows."""

Statement = tuple[str, tuple[Any, ...]]
"""SQL, and the values for its ``%s``."""

DUCKDB, BIGQUERY, POSTGRES = "duckdb", "bigquery", "postgres"
_TYPES = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE PRECISION",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}
_BIGQUERY_TYPES = {
    "text": "STRING",
    "bigint": "INT64",
    "double": "FLOAT64",
    "bool": "BOOL",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
}


@dataclass(frozen=True, slots=True)
class SqlCondition:
    """An SQL condition and its bound values."""

    sql: str
    values: tuple[Any, ...] = ()

    def __and__(self, other: SqlCondition) -> SqlCondition:
        return SqlCondition(f"{self.sql} AND {other.sql}", (*self.values, *other.values))


def sql_type(kind: str, dialect: str = DUCKDB) -> str:
    """The SQL type of a column of the type ``kind``, one of dlt's; DuckDB and Postgres name them alike."""
    return (_BIGQUERY_TYPES if dialect == BIGQUERY else _TYPES)[kind]


def quoted_name(*parts: str, dialect: str = DUCKDB) -> str:
    """The parts as one quoted identifier, such as ``"paragon"."workflows"``; DuckDB and Postgres quote alike.

    https://duckdb.org/docs/stable/sql/dialect/keywords_and_identifiers
    https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#quoted_identifiers
    """
    if dialect == BIGQUERY:
        return ".".join("`" + part.replace("\\", "\\\\").replace("`", "\\`") + "`" for part in parts)
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def quoted_text(text: str, dialect: str = DUCKDB) -> str:
    """The text as a quoted literal."""
    if dialect == BIGQUERY:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    return "'" + text.replace("'", "''") + "'"
