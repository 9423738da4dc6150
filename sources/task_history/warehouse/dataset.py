"""The tables of one dataset and how they are named in SQL: what every query of the warehouse needs.

SQL that DuckDB and BigQuery both understand, values bound as ``%s``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..core.models import Row, Selection
from ..systems.protocol import System
from .backlog import MissingDetail
from .column_rules import ColumnRules
from .query_cache import AnswerCache, StatementCollector
from .sql_text import Query, SqlCondition
from .table_names import Names


class Dataset:
    """The tables of one system's dataset, seen by one of its lists.

    ``selection`` narrows everything that is asked about executions, but for single ones and the newest.

    Raises, from every method: WarehouseUnavailable.
    """

    def __init__(
        self,
        query: Query,
        names: Names,
        system: System,
        *,
        selection: Selection | None = None,
    ) -> None:
        self._query = query
        self._name = names
        self._system = system
        self._selection = selection or Selection()
        self._all = names(system.executions.name)
        self._executions = names.recent(system.executions)
        self._start = system.started_column

    def _chosen(self, alias: str, *, start: str | None = None) -> SqlCondition:
        """The selection as an SQL condition on executions; ``start`` is the column of their start."""
        parts: list[str] = ["TRUE"]
        values: list[Any] = []
        window = self._selection.window
        if window is not None:
            # Of which it is not known when they began, they may lie in it.
            start = f"{alias}.{start or self._start}"
            parts.append(f"({start} IS NULL OR ({start} >= %s AND {start} < %s))")
            values += [window.start, window.end]
        columns = {filter_.name: filter_.column for filter_ in self._system.listing.filters}
        for name, value in sorted(self._selection.filters.items()):
            if (column := columns[name]) is not None:
                rules = self._name.rules.of(self._system.executions.name)
                if rules.action(column) == "hash":
                    # Rows from before the rule have the value itself.
                    parts.append(f"{alias}.{column} IN (%s, %s)")
                    values.append(rules.hashed(value))
                else:
                    parts.append(f"{alias}.{column} = %s")
            elif self._system.integrations is not None:
                workflows = self._name(self._system.integrations.table.name)
                parts.append(
                    f"{alias}.{self._system.workflow_column} IN "
                    f"(SELECT workflow_id FROM {workflows} AS w WHERE {name} = %s)"
                )
            values.append(value)
        return SqlCondition(" AND ".join(parts), tuple(values))

    def recorded(self, filters: Mapping[str, str]) -> dict[str, str]:
        """The filters of a run as they may be written, see ``ColumnRules.recorded``."""
        return self._name.rules.recorded(self._system, filters)

    @property
    def rules(self) -> ColumnRules:
        """Which columns are excluded or hashed."""
        return self._name.rules

    def _partition(self, alias: str) -> str:
        return f"{alias}.{self._partition_column}" if self._partition_column else "NULL"

    def partition_of(self, row: Row) -> str:
        """The partition of a stored execution; empty where one listing shows all executions."""
        return str(row.get(self._partition_column) or "") if self._partition_column else ""

    @property
    def _partition_column(self) -> str:
        """The column that names the partition of an execution; empty where one listing shows all executions."""
        columns = {filter_.name: filter_.column or "" for filter_ in self._system.listing.filters}
        return columns.get(self._system.listing.partitioned_by, "")

    def _failed(self, alias: str) -> str:
        names = ", ".join(f"'{name}'" for name in self._system.failed_statuses) or "''"
        return f"CASE WHEN {alias}.status IN ({names}) THEN 1 ELSE 0 END"

    def _records(self, sql: str, *values: Any) -> list[Row]:
        """Rows as mappings by column name, without dlt's own columns."""
        return self._as_records(*self._query(sql, *values))

    def _whole(self, table: str, column: str) -> list[Row]:
        """The rows of a small table in which that column is not empty, without a query where one would be billed."""
        if (rows := self._listed(table)) is not None:
            return [row for row in rows if row[column] is not None]
        return self._records(f"SELECT t.* FROM {self._name(table)} AS t WHERE t.{column} IS NOT NULL")

    def _listed(self, table: str, columns: Collection[str] = ()) -> list[Row] | None:
        """The rows of a small table, with these columns or all, without a query; None where there is no such way."""
        found = None if self._name.rows_of is None else self._name.rows_of(table, columns)
        return None if found is None else self._as_records(*found)

    def _as_records(self, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[Row]:
        return [
            {
                name: utc(value) if isinstance(value, datetime) else value
                for name, value in zip(names, row, strict=True)
                if not name.startswith("_dlt_")
            }
            for row in rows
        ]

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._query(sql, *values)[1]

    def _kept_rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows whose instants may be texts, from a former answer where answers are kept; its columns have names."""
        query = self._query
        return (
            query.rows(sql, *values)
            if isinstance(query, AnswerCache | StatementCollector)
            else query(sql, *values)[1]
        )

    def _number(self, sql: str, *values: Any) -> int:
        return int(self._value(sql, *values) or 0)

    def _value(self, sql: str, *values: Any) -> Any:
        rows = self._rows(sql, *values)
        return rows[0][0] if rows else None


def utc(value: Any) -> datetime | None:
    """The instant in UTC, which may be a text; None where there is none."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def utc_or_epoch(value: Any) -> datetime:
    """The instant in UTC; 1970 where there is none."""
    return utc(value) or datetime.fromtimestamp(0, UTC)


def missing_detail(row: Sequence[Any]) -> MissingDetail:
    """Builds a MissingDetail from a row of id, start, status and partition."""
    return MissingDetail(str(row[0]), utc(row[1]), status=row[2], partition=str(row[3] or ""))
