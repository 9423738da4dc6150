"""What the warehouse is asked: it is the memory of what is open and what still lacks details.

SQL that DuckDB and BigQuery both understand, values bound as ``%s``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .coverage import Day
from .model import Row, Table, Window
from .systems.base import System
from .tables import COVERAGE, RUNS

Query = Callable[..., tuple[list[str], list[tuple[Any, ...]]]]
"""Runs SQL with the values for its ``%s``; gives the columns' names and the rows."""
_IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Open:
    """An execution that may still change."""

    id: str
    started_at: datetime | None
    status: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A detail or payload that is wanted."""

    execution_id: str
    started_at: datetime | None
    step_id: str = ""
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose details are wanted: ``all``, ``failed`` or ``none`` of each."""

    steps: str
    payloads: str


class Warehouse:
    """The tables of one dataset. ``qualified`` gives a table's full name in SQL.

    Raises, from every method: WarehouseUnavailable.
    """

    def __init__(self, query: Query, qualified: Callable[[str], str], system: System) -> None:
        self._query = query
        self._name = qualified
        self._system = system
        self._executions = qualified(system.executions.name)
        self._start = system.started_column

    def count(self, window: Window) -> int:
        """Executions that began in the window and that the vendor still had when last asked."""
        return self._number(f"SELECT count(*) FROM {self._in_window}", window.start, window.end)

    def ids(self, window: Window) -> set[str]:
        """Their ids."""
        return {
            str(row[0]) for row in self._rows(f"SELECT id FROM {self._in_window}", window.start, window.end)
        }

    def newest_start(self) -> datetime | None:
        """When the newest execution began."""
        return _utc(self._value(f"SELECT max({self._start}) FROM {self._executions}"))

    def open_executions(self, *, not_read_by: str) -> list[Open]:
        """All that were open when last read, but those that this run has read; oldest first."""
        rows = self._rows(
            f"SELECT id, {self._start}, status FROM {self._executions} "
            f"WHERE is_open AND run_id <> %s ORDER BY {self._start}",
            not_read_by,
        )
        return [Open(str(row[0]), _utc(row[1]), str(row[2] or "")) for row in rows]

    def ranks(self, opens: Sequence[Open]) -> dict[str, int]:
        """Their places among all executions since the oldest of them, in the order of the starts."""
        oldest = min((one.started_at for one in opens if one.started_at), default=None)
        if oldest is None:
            return {}
        rows = self._rows(
            "SELECT id, place FROM (SELECT id, is_open, row_number() OVER "
            f"(ORDER BY {self._start}, id) AS place FROM {self._executions} WHERE {self._start} >= %s) AS placed "
            "WHERE is_open",
            oldest,
        )
        return {str(row[0]): int(row[1]) for row in rows}

    def stored(self, ids: Sequence[str]) -> dict[str, Row]:
        """The executions' rows by id, by the names of the warehouse's columns."""
        found: dict[str, Row] = {}
        for at in range(0, len(ids), _IDS_AT_ONCE):
            part = ids[at : at + _IDS_AT_ONCE]
            marks = ", ".join(["%s"] * len(part))
            names, rows = self._query(f"SELECT * FROM {self._executions} WHERE id IN ({marks})", *part)
            for values in rows:
                row = {
                    name: _utc(value) if isinstance(value, datetime) else value
                    for name, value in zip(names, values, strict=True)
                    if not name.startswith("_dlt_")
                }
                found[str(row["id"])] = row
        return found

    def details_wanted(self, scope: Scope, limit: int) -> list[Wanted]:
        """Settled executions in scope whose steps were not asked for: failed ones first, then the newest."""
        if scope.steps == "none":
            return []
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, e.status FROM {self._details_wanted(scope)} "
            f"ORDER BY {self._failed('e')} DESC, e.{self._start} DESC, e.id LIMIT {int(limit)}"
        )
        return [Wanted(str(row[0]), _utc(row[1]), status=row[2]) for row in rows]

    def details_left(self, scope: Scope) -> int:
        """How many there are."""
        if scope.steps == "none":
            return 0
        return self._number(f"SELECT count(*) FROM {self._details_wanted(scope)}")

    def payloads_wanted(self, scope: Scope, limit: int) -> list[Wanted]:
        """Steps in scope whose payload was not asked for, newest first."""
        if scope.payloads == "none":
            return []
        rows = self._rows(
            f"SELECT s.workflow_execution_id, s.execution_date_started, s.id FROM {self._payloads_wanted(scope)} "
            f"ORDER BY s.execution_date_started DESC, s.id LIMIT {int(limit)}"
        )
        return [Wanted(str(row[0]), _utc(row[1]), str(row[2])) for row in rows]

    def payloads_left(self, scope: Scope) -> int:
        """How many there are."""
        if scope.payloads == "none":
            return 0
        return self._number(f"SELECT count(*) FROM {self._payloads_wanted(scope)}")

    def open_count(self) -> int:
        """Executions that were open when last read."""
        return self._number(f"SELECT count(*) FROM {self._executions} WHERE is_open")

    def workflows(self) -> dict[str, Row]:
        """What is known of workflows, by id; those without an entry have None."""
        table = self._name(self._system.workflows.name)
        column = self._system.workflow_column
        names, rows = self._query(f"SELECT w.* FROM {table} AS w WHERE w.workflow_id IS NOT NULL")
        known: dict[str, Row] = {
            str(row["workflow_id"]): row for values in rows if (row := dict(zip(names, values, strict=True)))
        }
        seen = self._rows(f"SELECT DISTINCT {column} FROM {self._executions} WHERE {column} IS NOT NULL")
        return {str(value): known.get(str(value), {}) for (value,) in seen}

    def coverage(self) -> list[Day]:
        """Which windows are loaded."""
        rows = self._rows(
            "SELECT window_start, window_end, executions, api_total, is_verified, checked_at "
            f"FROM {self._name(COVERAGE.name)} WHERE window_start IS NOT NULL AND window_end IS NOT NULL"
        )
        found = []
        for start, end, executions, total, is_verified, checked_at in rows:
            window = Window(_always(start), _always(end))
            found.append(Day(window, int(executions or 0), total, bool(is_verified), _always(checked_at)))
        return found

    def unfinished_runs(self) -> list[Row]:
        """Runs that say that they are running."""
        names, rows = self._query(f"SELECT * FROM {self._name(RUNS.name)} WHERE outcome = 'running'")
        return [
            {name: value for name, value in zip(names, values, strict=True) if not name.startswith("_dlt_")}
            for values in rows
        ]

    @property
    def _in_window(self) -> str:
        return f"{self._executions} WHERE {self._start} >= %s AND {self._start} < %s AND purged_at_source IS NULL"

    def _details_wanted(self, scope: Scope) -> str:
        only = f" AND {self._failed('e')} = 1" if scope.steps == "failed" else ""
        return (
            f"{self._executions} AS e LEFT JOIN {self._name(self._system.ledger.name)} AS d ON d.id = e.id "
            f"WHERE d.id IS NULL AND NOT e.is_open AND e.purged_at_source IS NULL{only}"
        )

    def _payloads_wanted(self, scope: Scope) -> str:
        only = f" AND {self._failed('s')} = 1" if scope.payloads == "failed" else ""
        return (
            f"{self._name(self._system.steps.name)} AS s "
            f"LEFT JOIN {self._name(self._system.payloads.name)} AS p ON p.step_execution_id = s.id "
            f"WHERE p.step_execution_id IS NULL{only}"
        )

    def _failed(self, alias: str) -> str:
        names = ", ".join(f"'{name}'" for name in self._system.failed_statuses)
        return f"CASE WHEN {alias}.status IN ({names}) THEN 1 ELSE 0 END"

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._query(sql, *values)[1]

    def _number(self, sql: str, *values: Any) -> int:
        return int(self._value(sql, *values) or 0)

    def _value(self, sql: str, *values: Any) -> Any:
        rows = self._rows(sql, *values)
        return rows[0][0] if rows else None


def described(tables: Iterable[Table]) -> dict[str, dict[str, str]]:
    """The sentence of every column, by table and column; the table's own under the empty name."""
    return {
        table.name: {"": table.description, **{column.name: column.description for column in table.columns}}
        for table in tables
    }


def _utc(value: Any) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def _always(value: Any) -> datetime:
    return _utc(value) or datetime.fromtimestamp(0, UTC)
