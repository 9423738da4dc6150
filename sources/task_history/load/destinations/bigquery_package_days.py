"""The tables ``package_days`` and ``left_days`` of BigQuery, see ``warehouse.left_days``, kept without queries.

Their rows are appended by load jobs and read by the table's list of rows, neither of which is billed.
https://cloud.google.com/bigquery/pricing#free
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from dlt.common.schema import Schema
from google.cloud import bigquery

from ...core.intervals import DAY
from ...core.models import Row, Table, Window
from ...warehouse import tables
from ...warehouse.left_days import PACKAGE_DAYS
from ...warehouse.sql_text import BIGQUERY, sql_type
from .. import dlt_internals
from ..dlt_internals import ParsedLoadJobFileName
from . import bigquery_files, bigquery_tables
from .base import Cost

_OF_NO_EXECUTIONS = frozenset({tables.WINDOW_READS.name, tables.EXECUTION_STATES.name})
"""Tables that are partitioned by another day than that on which an execution began, and need no reading of details."""
_FOLDERS = ("new_jobs", "started_jobs", "completed_jobs", "failed_jobs")
_LOADS = "_dlt_loads"


class PackageDays:
    """Notes the days of the packages that this process loads, and reads what others noted. Safe to use from threads."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._lock = Lock()
        self._noted: set[str] = set()
        self.own: list[tuple[datetime, Window | None]] = []
        """When days were noted in this run, and these days; None for such as are not known."""

    def note(self, client: Any, schema: Schema, package: Path) -> None:
        """Notes the days of the package in that folder, once; called before anything of it is merged.

        ``client`` is an SQL client that need not be open.
        """
        load_id = package.name
        with self._lock:
            if load_id in self._noted:
                return
            if (days := _days(schema, package)) is not None:
                with client:
                    self._note(client, load_id, days)
            self._noted.add(load_id)

    def note_any_day(self, client: Any) -> None:
        """Notes that any day may change by other means than a package; ``client`` is open."""
        with self._lock:
            self._note(client, "", ())

    def _note(self, client: Any, load_id: str, days: Collection[datetime]) -> None:
        now = datetime.now(UTC)
        # First here: what is asked while the days change reaches them.
        self.own.append((now, Window(min(days), max(days) + DAY) if days else None))
        row = {
            "load_id": load_id,
            "run_id": self._cost.labels.get("task_history_run", "none"),
            "first_day": min(days, default=None),
            "last_day": max(days, default=None),
            "noted_at": now,
        }
        self.append(client, PACKAGE_DAYS, row)

    def rows(self, client: Any, table: Table) -> list[Row]:
        """All rows of the table; none where it was never written."""
        if bigquery_tables.found_tables(client, [table.name])[table.name] is None:
            return []
        columns = [column.name for column in table.columns]
        found = bigquery_tables.rows_of(client, table.name, columns)
        if found is None:
            name = client.make_qualified_table_name(table.name)
            return [
                dict(zip(columns, row, strict=True))
                for row in client.execute_sql(f"SELECT {', '.join(columns)} FROM {name} AS t")
            ]
        names, rows = found
        return [dict(zip(names, row, strict=True)) for row in rows]

    def append(self, client: Any, table: Table, row: Row) -> None:
        """Appends a row; makes the table with the first."""
        name = table.name
        if bigquery_tables.found_tables(client, [name])[name] is None:
            made = bigquery.Table(
                client.make_qualified_table_name(name, quote=False),
                [
                    bigquery.SchemaField(
                        column.name, sql_type(column.type, BIGQUERY), description=column.description
                    )
                    for column in table.columns
                ],
            )
            made.description, made.labels = table.description, dict(self._cost.labels)
            client.native_connection.create_table(made, exists_ok=True)
        values = {
            key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()
        }
        bigquery_tables.load_row(client, name, values, job=f"{client.dataset_name}_{name}_{uuid.uuid4().hex}")

    def loaded(self, client: Any, load_ids: Collection[str]) -> set[str]:
        """Those of the packages that are loaded."""
        found = bigquery_tables.rows_of(client, _LOADS, ("load_id",))
        if found is not None:
            return {str(load_id) for (load_id,) in found[1]} & set(load_ids)
        name, marks = client.make_qualified_table_name(_LOADS), ", ".join(["%s"] * len(load_ids))
        rows = client.execute_sql(f"SELECT load_id FROM {name} AS l WHERE load_id IN ({marks})", *load_ids)
        return {str(load_id) for (load_id,) in rows or ()}

    def changed(self, client: Any, names: Iterable[str]) -> str:
        """The number of rows of each of these tables, and when it was changed last, as JSON."""
        found = bigquery_tables.found_tables(client, sorted(names))
        return json.dumps(
            {
                name: [int(table.num_rows or 0), str(table.modified)] if table else [0, ""]
                for name, table in found.items()
            }
        )


def _days(schema: Schema, package: Path) -> set[datetime] | None:
    """The days of the executions of which a package brings something; none where they are not known.

    None where it brings nothing of executions of which it is known when they began: of others each question asks.
    """
    files = list(_partitioned(schema, package))
    parquet = {name for file, name, _ in files if file.suffix == ".parquet"}
    if any(file.suffix != ".parquet" and name not in parquet for file, name, _ in files):
        return set()
    found: set[datetime | None] = set()
    for file, _, column in files:
        if file.suffix == ".parquet" and not bigquery_files.is_empty(file):
            found |= bigquery_files.days([file], column) or set()
    return {day for day in found if day is not None} or None


def _partitioned(schema: Schema, package: Path) -> Iterator[tuple[Path, str, str]]:
    """The files of a package for tables that are partitioned by when executions began, with table and column."""
    for file in (file for name in _FOLDERS for file in sorted((package / name).glob("*"))):
        name = ParsedLoadJobFileName.parse(file.name).table_name
        table = schema.tables.get(name)
        column = next(iter(dlt_internals.columns_with(table, "partition")), None) if table else None
        if column is not None and name not in _OF_NO_EXECUTIONS:
            yield file, name, column
