"""The tables ``package_days`` and ``left_days`` of BigQuery, see ``warehouse.left_days``, kept without queries.

Their rows are written by load jobs and read by the table's list of rows, neither of which is billed.
https://cloud.google.com/bigquery/pricing#free
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from dlt.common.schema import Schema
from google.cloud import bigquery
from pyarrow.parquet import read_schema

from ... import systems
from ...core.errors import UsageError
from ...core.intervals import DAY
from ...core.models import Row, Table, Window
from ...warehouse.common_tables import SYNC_RUNS
from ...warehouse.left_days import (
    EXPIRATION,
    NOTED_AGAIN_AFTER,
    PACKAGE_DAYS,
    changing_tables,
    is_of_other_version,
)
from ...warehouse.sql_text import BIGQUERY, sql_type
from ..dlt_internals import ParsedLoadJobFileName
from . import bigquery_files, bigquery_unbilled
from .base import Cost

_FOLDERS = ("new_jobs", "started_jobs", "completed_jobs", "failed_jobs")
_LOADS = "_dlt_loads"
_RUN_COLUMNS = ("version", "outcome", "started_at", "ended_at", "written_at")
_ANY_DAY_AGAIN_AFTER = timedelta(hours=1)
"""Age of a note of any day after which a commit writes another, which then counts for a day."""
_MAX_NOTES = 100_000
"""Maximum rows that are listed: more than the commits that BigQuery takes in 60 days."""
_MAX_VALUES = 5_000
"""Maximum values of one statement, of which BigQuery takes 10,000: https://cloud.google.com/bigquery/quotas#query_jobs"""


class PackageDays:
    """Notes the days of the packages that this process loads, and reads what others noted. Safe to use from threads."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._lock = Lock()
        self.runs = 0
        """How many runs have begun with this object; one that does not know of the last cannot tell its notes apart."""
        self._noted: dict[str, datetime] = {}
        """When packages were noted, by load id; any day is under the empty one."""
        self.own_notes: list[tuple[float, Window | None]] = []
        """When days were noted in this run, by the monotonic clock, and these days; None for such as are not known."""
        self.has_written = False
        """Whether this run has written packages with something of executions or workflows."""

    @property
    def run_id(self) -> str:
        """The run whose packages are noted; ``none`` for a command that is no run."""
        return self._cost.labels.get("task_history_run", "none")

    def begin(self) -> int:
        """Has a run begin, for which what was noted before is among the rows; returns its number in ``runs``."""
        with self._lock:
            self.runs += 1
            self.own_notes.clear()
            self.has_written = False
            return self.runs

    def note(self, client: Any, schema: Schema, package: Path) -> None:
        """Notes the days of the package in that folder, once in half a day; called before anything of it is merged.

        ``client`` is an SQL client that need not be open.
        """
        load_id = package.name
        with self._lock:
            if self._is_noted(load_id, NOTED_AGAIN_AFTER):
                return
            is_changing, days = _days(schema, package)
            self.has_written |= is_changing
            if days is not None:
                with client:
                    self._note(client, load_id, days)
            self._noted[load_id] = datetime.now(UTC)

    def note_any_day(self, client: Any) -> None:
        """Notes that any day may change by other means than a package; ``client`` is open."""
        with self._lock:
            self._note(client, "", ())
            self._noted[""] = datetime.now(UTC)

    def note_any_day_again(self, client: Any) -> None:
        """Does as ``note_any_day``, where that is an hour ago or more."""
        if not self._is_noted("", _ANY_DAY_AGAIN_AFTER):
            self.note_any_day(client)

    def _is_noted(self, load_id: str, renewed_after: timedelta) -> bool:
        """Whether a note was written that long ago at most; a clock that was set back does not prolong that."""
        noted_at = self._noted.get(load_id)
        return noted_at is not None and abs(datetime.now(UTC) - noted_at) < renewed_after

    def _note(self, client: Any, load_id: str, days: Collection[datetime]) -> None:
        # First here: what is asked while the days change reaches them.
        self.own_notes.append((time.monotonic(), Window(min(days), max(days) + DAY) if days else None))
        self.has_written = True
        row = {
            "load_id": load_id,
            "run_id": self.run_id,
            "first_day": min(days, default=None),
            "last_day": max(days, default=None),
            "noted_at": datetime.now(UTC),
        }
        self.write(client, PACKAGE_DAYS, row)

    def rows(self, client: Any, table: Table) -> list[Row] | None:
        """All rows of the table; none where it was not written by this version, None where they are too many."""
        if bigquery_unbilled.found_tables(client, [table.name])[table.name] is None:
            return []
        columns = [column.name for column in table.columns]
        found = bigquery_unbilled.rows_of(client, table.name, columns, most=_MAX_NOTES)
        if found is None:
            return None
        names, rows = found
        return [dict(zip(names, row, strict=True)) for row in rows] if set(names) == set(columns) else []

    def write(self, client: Any, table: Table, row: Row, *, replaces: bool = False) -> None:
        """Appends a row, or with ``replaces`` writes it over all others; makes the table with the first."""
        name = table.name
        fields = [
            bigquery.SchemaField(column.name, sql_type(column.type, BIGQUERY), description=column.description)
            for column in table.columns
        ]
        if bigquery_unbilled.found_tables(client, [name])[name] is None:
            made = bigquery.Table(client.make_qualified_table_name(name, quote=False), fields)
            made.description, made.labels = table.description, dict(self._cost.labels)
            if table.partition is not None:
                made.time_partitioning = bigquery.TimePartitioning(
                    field=table.partition, expiration_ms=int(EXPIRATION / timedelta(milliseconds=1))
                )
            client.native_connection.create_table(made, exists_ok=True)
        values = {
            key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()
        }
        job = f"{client.dataset_name}_{name}_{uuid.uuid4().hex}"
        bigquery_unbilled.load_row(client, name, values, job=job, replaced=fields if replaces else None)

    def loaded(self, client: Any, load_ids: Collection[str]) -> set[str]:
        """Those of the packages that are loaded."""
        found = bigquery_unbilled.rows_of(client, _LOADS, ("load_id",))
        if found is not None:
            return {str(load_id) for (load_id,) in found[1]} & set(load_ids)
        name, ids = client.make_qualified_table_name(_LOADS), sorted(load_ids)
        loaded: set[str] = set()
        for part in (ids[first : first + _MAX_VALUES] for first in range(0, len(ids), _MAX_VALUES)):
            marks = ", ".join(["%s"] * len(part))
            rows = client.execute_sql(f"SELECT load_id FROM {name} AS l WHERE load_id IN ({marks})", *part)
            loaded |= {str(load_id) for (load_id,) in rows or ()}
        return loaded

    def has_other_version(self, client: Any, version: str, since: datetime) -> bool:
        """Whether a run of another version has written since, or may go on to write."""
        found = bigquery_unbilled.rows_of(client, SYNC_RUNS.name, _RUN_COLUMNS)
        if found is None:
            name = client.make_qualified_table_name(SYNC_RUNS.name)
            columns = ", ".join(_RUN_COLUMNS)
            rows = client.execute_sql(
                f"SELECT {columns} FROM {name} AS r WHERE version IS DISTINCT FROM %s", version
            )
            found = list(_RUN_COLUMNS), rows or []
        names, rows = found
        runs = [dict.fromkeys(_RUN_COLUMNS) | dict(zip(names, row, strict=True)) for row in rows]
        return is_of_other_version(runs, version, since)

    def tables_state(self, client: Any, names: Iterable[str]) -> str:
        """The number of rows of each of these tables, and when it was changed last, as JSON."""
        found = bigquery_unbilled.found_tables(client, sorted(names))
        return json.dumps(
            {
                name: [int(table.num_rows or 0), str(table.modified)] if table else [0, ""]
                for name, table in found.items()
            }
        )


def _days(schema: Schema, package: Path) -> tuple[bool, set[datetime] | None]:
    """Whether a package may leave something to read, and the days of the executions of which it brings something.

    The days are none where they are not known, and None where it brings nothing of executions of which it is known when
    they began: of others each question asks.
    """
    try:
        changing = changing_tables(systems.find(schema.name))
    except UsageError:
        return True, set()
    files = [
        (file, name)
        for folder in _FOLDERS
        for file in sorted((package / folder).glob("*"))
        if file.suffix != ".exception"
        and (name := ParsedLoadJobFileName.parse(file.name).table_name) in changing
        and not bigquery_files.is_empty(file)
    ]
    parquet = {name for file, name in files if file.suffix == ".parquet"}
    days: set[datetime | None] = set()
    for file, name in files:
        if (column := changing[name]) is None or (file.suffix != ".parquet" and name in parquet):
            continue
        if file.suffix != ".parquet" or column not in read_schema(file).names:
            return True, set()
        days |= bigquery_files.days([file], column) or set()
    return bool(files), {day for day in days if day is not None} or None
