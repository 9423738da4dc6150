"""Reads and writes a few rows at once, and not in a load package."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from dlt.common.destination.exceptions import DestinationException
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..core.columns import LOADED_AT
from ..core.models import Row, Table

_ROWS_PER_STATEMENT = 500
"""BigQuery takes 10,000 parameters. https://cloud.google.com/bigquery/quotas#query_jobs"""


def write(client: Any, name: str, table: Table, row: Row, *, now: str) -> None:
    """Inserts the row into the table of that qualified name, or updates these columns of the row with the same key.

    ``now`` is the instant of writing as an SQL expression.
    """
    (key,) = table.primary_key
    given = {
        column.name: row[column.name]
        for column in table.columns
        if row.get(column.name) is not None and column != LOADED_AT
    }
    written = {**dict.fromkeys(given, "%s"), LOADED_AT.name: now}
    if client.execute_sql(f"SELECT 1 FROM {name} WHERE {key} = %s", row[key]):
        assignments = ", ".join(f"{column} = {value}" for column, value in written.items())
        client.execute_sql(f"UPDATE {name} SET {assignments} WHERE {key} = %s", *given.values(), row[key])
    else:
        columns, values = ", ".join(written), ", ".join(written.values())
        client.execute_sql(f"INSERT INTO {name} ({columns}) VALUES ({values})", *given.values())


def insert(
    client: Any,
    name: str,
    table: Table,
    rows: Sequence[Row],
    *,
    now: str,
    dated: Collection[str] = (LOADED_AT.name,),
) -> None:
    """Inserts the rows into the table of that qualified name.

    ``now`` is the instant of writing as an SQL expression, the value of all columns in ``dated``.
    """
    columns = [column.name for column in table.columns]

    def placeholders(row: Row) -> str:
        # BigQuery takes no empty parameter, of which it does not know the type.
        given = ("NULL" if row[column] is None else "%s" for column in columns if column not in dated)
        return f"({', '.join(now if column in dated else next(given) for column in columns)})"

    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        some = rows[start : start + _ROWS_PER_STATEMENT]
        client.execute_sql(
            f"INSERT INTO {name} ({', '.join(columns)}) VALUES {', '.join(map(placeholders, some))}",
            *(
                row[column]
                for row in some
                for column in columns
                if column not in dated and row[column] is not None
            ),
        )


def query(client: Any, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of a query's columns, and its rows."""
    with client.execute_query(sql, *values) as cursor:
        names = [column[0] for column in cursor.description or ()]
        return names, [tuple(row) for row in cursor.fetchall()]


def is_table(client: Any, name: str) -> bool:
    """Whether there is a table of that qualified name, which dlt's schema need not know."""
    try:
        client.execute_sql(f"SELECT 1 FROM {name} AS t LIMIT 1")
    except DatabaseUndefinedRelation:
        return False
    return True


def newest_failed_run(client: Any, name: str) -> tuple[Any, ...] | None:
    """Outcome, reason, end and id of the last failed run in the table of that qualified name; None without any."""
    try:
        rows = client.execute_sql(
            f"SELECT outcome, reason, ended_at, run_id FROM {name} AS r WHERE outcome = 'failed' "
            "AND reason IS NOT NULL ORDER BY started_at DESC LIMIT 1"
        )
    except DestinationException:
        return None  # there are no tables yet
    return tuple(rows[0]) if rows else None


def write_end(client: Any, name: str, ended: tuple[Any, ...], *, now: str | None) -> None:
    """Writes what ``newest_failed_run`` gave into the run's row, where that has no end.

    ``now`` is the instant of writing as an SQL expression; None where the table does not hold it.
    """
    written = "" if now is None else f", {LOADED_AT.name} = {now}"
    client.execute_sql(
        f"UPDATE {name} SET outcome = %s, reason = %s, ended_at = %s{written} WHERE run_id = %s AND ended_at IS NULL",
        *ended,
    )
