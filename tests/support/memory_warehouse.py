"""A warehouse in memory that takes a run's batches at once: DuckDB without dlt, for what is tested by the thousand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from task_history.core.batch import Batch
from task_history.core.models import Column, Json, Row, Table
from task_history.systems.parsing import instant
from task_history.systems.protocol import System
from task_history.warehouse import common_tables
from task_history.warehouse.queries import Warehouse
from task_history.warehouse.table_names import Names
from tests.support.made_warehouse import TYPES

_ARROW = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}


_UNASKED = frozenset(
    {common_tables.SYNC_RUNS.name, common_tables.WINDOW_READS.name, common_tables.EXECUTION_STATES.name}
)
"""Tables that stay empty: no run asks what stands in them."""


class MemoryWarehouse:
    """The tables of one system's dataset, which ``clear`` empties."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._connection = duckdb.connect(":memory:", config={"threads": "1"})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._tables = {table.name: table for table in common_tables.of(system)}
        for table in self._tables.values():
            columns = ", ".join(f'"{column.name}" {TYPES[column.type]}' for column in table.columns)
            self._connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
        self._filled: set[str] = set()

    def clear(self) -> None:
        """Takes all rows out."""
        for name in self._filled:
            self._connection.execute(f'DELETE FROM "{name}"')
        self._filled.clear()

    @property
    def queries(self) -> Warehouse:
        """What a run asks of it."""
        return Warehouse(self.query, Names(lambda name: f'"{name}"'), self._system)

    def query(self, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Columns' names and rows."""
        cursor = self._connection.cursor().execute(sql.replace("%s", "?"), list(values))
        return [name for name, *_ in cursor.description or ()], cursor.fetchall()

    def take(self, batch: Batch) -> None:
        """Writes the batch: of rows with one key the last one stays."""
        for name, table in self._tables.items():
            rows = list(batch.rows.get(name, ()))
            for part in batch.columnar.get(name, ()):
                columns = {
                    key: values if isinstance(values, list) else values.to_pylist()
                    for key, values in part.arrays().items()
                }
                rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            if rows and name not in _UNASKED:
                self._put(table, [_converted(table, row) for row in rows])

    def _put(self, table: Table, rows: list[Row]) -> None:
        by_key = {tuple(row[name] for name in table.primary_key): row for row in rows}
        schema = pa.schema([(column.name, _ARROW[column.type]) for column in table.columns])
        arrived = pa.Table.from_pylist(list(by_key.values()), schema)
        self._connection.register("arrived", arrived)
        if table.name in self._filled:
            same = " AND ".join(f't."{name}" = a."{name}"' for name in table.primary_key)
            self._connection.execute(f'DELETE FROM "{table.name}" AS t USING arrived AS a WHERE {same}')
        self._connection.execute(f'INSERT INTO "{table.name}" SELECT * FROM arrived')
        self._filled.add(table.name)
        self._connection.unregister("arrived")


def _converted(table: Table, row: Row) -> Row:
    return {column.name: _value(column, row.get(column.source or column.name)) for column in table.columns}


def _value(column: Column, value: Json) -> Json:
    if column.type == "timestamp":
        return instant(value)
    if column.type == "text" and value is not None and not isinstance(value, str):
        return value.isoformat() if isinstance(value, datetime) else str(value)
    return value
