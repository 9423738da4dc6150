"""The SQL that merges staged rows into a table that is partitioned by day; pure text.

dlt's own merges read the whole table. Here everything that is read of it lies in the days that are named, as
constants: BigQuery prunes by nothing else (https://cloud.google.com/bigquery/docs/querying-partitioned-tables).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...warehouse.day_conditions import literal, within


@dataclass(frozen=True, slots=True)
class Merge:
    """One table and its staged rows. All names are quoted for SQL."""

    table: str
    staged: str
    columns: Sequence[str]
    keys: Sequence[str]
    newest: str | None
    """The column whose highest value wins among staged rows with the same key; None where any may win."""
    partition: str | None = None
    """The column by whose day the table is partitioned; None where it is not partitioned."""
    partition_may_change: bool = False
    """Whether a row may change its value in the partition column."""
    loaded_at: str | None = None
    """The column that holds when a row was written; None where the table has none."""

    def staged_days(self) -> str:
        """The query for the days of the staged rows."""
        return f"SELECT DISTINCT TIMESTAMP_TRUNC({self.partition}, DAY) FROM {self.staged}"

    def former_days(self, since: datetime, ids: Iterable[str] | None = None) -> str:
        """The query for the days in which the staged rows were stored before, from ``since`` on.

        ``ids`` are their keys as constants, which spares the query the staging table; None where they are too many.
        """
        stored = f"t.{self.partition}"
        if ids is None:
            matches = " AND ".join(f"s.{key} = t.{key}" for key in self.keys)
            is_staged = f"EXISTS (SELECT 1 FROM {self.staged} AS s WHERE {matches})"
        else:
            is_staged = f"t.{self.keys[0]} IN ({', '.join(ids)})"
        return (
            f"SELECT DISTINCT TIMESTAMP_TRUNC({stored}, DAY) FROM {self.table} AS t "
            f"WHERE ({stored} >= {literal(since)} OR {stored} IS NULL) AND {is_staged}"
        )

    def sql(self, days: Iterable[datetime | None] = ()) -> str:
        """The merge statement, which reads only these days of the table; None stands for rows without a day.

        A staged row of another day is not merged: its stored version would not be found, and it would be there twice.
        """
        columns = ", ".join(self.columns)
        order = f"{self.newest} DESC" if self.newest else "1"
        matches = " AND ".join(f"t.{key} = s.{key}" for key in self.keys)
        staged = self.staged
        if self.partition is not None:
            staged += f" WHERE {within(self.partition, days)}"
            # What had no day may have one now; of rows that move, ``days`` says whether there is such a one.
            days = days if self.partition_may_change else {*days, None}
            matches += f" AND {within(f't.{self.partition}', days)}"
        written = {
            name: "CURRENT_TIMESTAMP()" if name == self.loaded_at else f"s.{name}" for name in self.columns
        }
        settings = ", ".join(f"{name} = {value}" for name, value in written.items())
        values = ", ".join(written.values())
        return (
            f"MERGE INTO {self.table} AS t USING (SELECT {columns} FROM (SELECT {columns}, ROW_NUMBER() OVER "
            f"(PARTITION BY {', '.join(self.keys)} ORDER BY {order}) AS _place FROM {staged}) AS n "
            f"WHERE n._place = 1) AS s ON {matches} "
            f"WHEN MATCHED THEN UPDATE SET {settings} "
            f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
        )
