"""Queries of the warehouse: open executions, missing details, coverage, counts and ids.

SQL that DuckDB and BigQuery both understand, values bound as ``%s``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.models import Row, Scope, Selection, Window
from ..systems.protocol import System
from .backlog import Backlog, Open, StepCount, Wanted
from .coverage import Day, stored_day
from .names import EVER, Names
from .rates import Rates
from .status_history import StoredStatus
from .tables import COVERAGE, SYNC_RUNS

Query = Callable[..., tuple[list[str], list[tuple[Any, ...]]]]
"""Runs SQL with values for its ``%s``; returns the columns' names and the rows."""
_MAX_IDS_PER_QUERY = 500
_GRACE = timedelta(days=7)
_ORDER = {"newest": "DESC", "oldest": "ASC"}


@dataclass(frozen=True, slots=True)
class _Where:
    """An SQL condition and its bound values."""

    sql: str
    values: tuple[Any, ...] = ()


class Warehouse:
    """The tables of one dataset.

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

    def reaching(self, retention: timedelta | None) -> Warehouse:
        """This warehouse, limited to executions that may still change where reading is billed.

        That is the vendor's retention, as it was when the last sync came to its end, and a week.
        """
        if self._name.literal is None or retention is None:
            return self
        last_complete = _utc(
            self._value(
                f"SELECT max(started_at) FROM {self._name(SYNC_RUNS.name)} "
                "WHERE command = 'sync' AND outcome = 'complete'"
            )
        )
        since = None if last_complete is None else last_complete - retention - _GRACE
        return Warehouse(
            self._query, replace(self._name, since=since), self._system, selection=self._selection
        )

    @property
    def since(self) -> datetime:
        """The instant from which rows may still change; None without a limit."""
        return self._name.since or EVER

    def within(self, selection: Selection) -> Warehouse:
        """This warehouse, limited to a selection of executions."""
        return Warehouse(self._query, self._name, self._system, selection=selection)

    def of(self, system: System) -> Warehouse:
        """This dataset, seen as another list of its account."""
        return Warehouse(self._query, self._name, system)

    def count(self, window: Window) -> int:
        """Number of executions that began in the window, without purged ones."""
        condition = self._held(window)
        return self._number(f"SELECT count(*) FROM {self._all} AS e WHERE {condition.sql}", *condition.values)

    def counts(self, windows: Sequence[Window]) -> list[int]:
        """Numbers of executions that began in each window, without purged ones, by one query."""
        if not windows:
            return []
        cases = ", ".join(
            [f"sum(CASE WHEN e.{self._start} >= %s AND e.{self._start} < %s THEN 1 ELSE 0 END)"]
            * len(windows)
        )
        condition = self._held(Window(min(windows).start, max(window.end for window in windows)))
        bounds = [instant for window in windows for instant in (window.start, window.end)]
        rows = self._rows(
            f"SELECT {cases} FROM {self._all} AS e WHERE {condition.sql}", *bounds, *condition.values
        )
        return [int(value or 0) for value in rows[0]] if rows else [0] * len(windows)

    def ids(self, window: Window) -> set[str]:
        """Ids of the executions that began in the window, without purged ones."""
        condition = self._held(window)
        rows = self._rows(f"SELECT e.id FROM {self._all} AS e WHERE {condition.sql}", *condition.values)
        return {str(row[0]) for row in rows}

    def seen(self, window: Window) -> dict[str, StoredStatus]:
        """Stored statuses by id of the executions that began in the window, purged ones included."""
        rows = self._records(
            f"SELECT id, status, status_seen_at, fetched_at, read_by, run_id FROM {self._all} "
            f"WHERE {self._start} >= %s AND {self._start} < %s",
            window.start,
            window.end,
        )
        return {str(row["id"]): seen for row in rows if (seen := StoredStatus.in_row(row)) is not None}

    def by_partition(self, window: Window) -> dict[str, dict[str, datetime]]:
        """Start instants by partition and id of the executions that began in the window, without purged ones."""
        condition = self._held(window)
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, {self._partition('e')} FROM {self._all} AS e WHERE {condition.sql}",
            *condition.values,
        )
        starts: dict[str, dict[str, datetime]] = {}
        for identity, start, partition in rows:
            starts.setdefault(str(partition or ""), {})[str(identity)] = _always(start)
        return starts

    def stats_read_until(self, granularity: str) -> datetime | None:
        """The first bucket of the vendor's statistics that must be read again; None before the first read."""
        assert self._system.statistics is not None  # noqa: S101 - nothing is read otherwise
        rows = self._rows(
            "SELECT min(CASE WHEN is_closed THEN NULL ELSE bucket_start END), max(bucket_end) "
            f"FROM {self._name(self._system.statistics.tables[0].name)} WHERE granularity = %s",
            granularity,
        )
        return _utc(rows[0][0]) or _utc(rows[0][1]) if rows else None

    def newest_start(self) -> datetime | None:
        """Start of the newest execution; None without any."""
        return _utc(self._value(f"SELECT max(e.{self._start}) FROM {self._executions} AS e"))

    def open_executions(self, *, not_read_by: str) -> list[Open]:
        """Executions that were open when last read, without those that this run has read; oldest first."""
        condition = self._chosen("e")
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, e.status, e.status_seen_at, e.fetched_at, e.read_by, e.run_id, "
            f"{self._partition('e')} FROM {self._executions} AS e WHERE e.is_open AND e.run_id <> %s AND {condition.sql} "
            f"ORDER BY e.{self._start}",
            not_read_by,
            *condition.values,
        )
        return [
            Open(
                str(row[0]),
                _utc(row[1]),
                str(row[2] or ""),
                StoredStatus(str(row[2] or ""), _utc(row[3]) or _utc(row[4]), _utc(row[4]), row[5], row[6]),
                str(row[7] or ""),
            )
            for row in rows
        ]

    def ranks(self, opens: Sequence[Open]) -> dict[str, tuple[int, int]]:
        """First and last rank of each open execution's start among all executions since the oldest open one."""
        oldest = min((execution.started_at for execution in opens if execution.started_at), default=None)
        if oldest is None:
            return {}
        own, ties = (
            ("", "")
            if not self._partition_column
            else (f"PARTITION BY {self._partition_column} ", f"{self._partition_column}, ")
        )
        rows = self._rows(
            "SELECT id, place, place + ties - 1 FROM (SELECT id, is_open, "
            f"rank() OVER ({own}ORDER BY {self._start}) AS place, "
            f"count(*) OVER (PARTITION BY {ties}{self._start}) AS ties "
            f"FROM {self._all} WHERE {self._start} >= %s) AS placed WHERE is_open",
            oldest,
        )
        return {str(row[0]): (int(row[1]), int(row[2])) for row in rows}

    def stored(self, ids: Sequence[str]) -> dict[str, Row]:
        """The stored rows of the executions by id, with the warehouse's column names."""
        rows_by_id: dict[str, Row] = {}
        for start in range(0, len(ids), _MAX_IDS_PER_QUERY):
            part = ids[start : start + _MAX_IDS_PER_QUERY]
            marks = ", ".join(["%s"] * len(part))
            rows = self._records(f"SELECT e.* FROM {self._executions} AS e WHERE e.id IN ({marks})", *part)
            rows_by_id |= {str(row["id"]): row for row in rows}
        return rows_by_id

    def details_wanted(self, scope: Scope, limit: int) -> list[Wanted]:
        """Settled executions in scope whose steps were not requested yet, failed ones first."""
        if scope.steps == "none":
            return []
        condition = self._details_wanted(scope)
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, e.status, {self._partition('e')} FROM {condition.sql} "
            f"ORDER BY {self._failed('e')} DESC, e.{self._start} {_ORDER[scope.first]}, e.id LIMIT {int(limit)}",
            *condition.values,
        )
        return list(map(_wanted, rows))

    def payloads_wanted(self, scope: Scope, limit: int) -> list[Wanted]:
        """Steps in scope whose payload was not requested yet."""
        if scope.payloads == "none" or self._system.payloads is None:
            return []
        condition = self._payloads_wanted(scope)
        rows = self._rows(
            f"SELECT s.workflow_execution_id, s.execution_date_started, s.id FROM {condition.sql} "
            f"ORDER BY s.execution_date_started {_ORDER[scope.first]}, s.id LIMIT {int(limit)}",
            *condition.values,
        )
        return [Wanted(str(row[0]), _utc(row[1]), str(row[2])) for row in rows]

    def left(self, scope: Scope) -> Backlog:
        """The backlog of the scope, by one query."""
        chosen = self._chosen("e")
        parts = [
            _Where(
                f"SELECT count(*) AS a, 0 AS b FROM {self._executions} AS e WHERE e.is_open AND {chosen.sql}",
                chosen.values,
            )
        ]
        for wanted, where, alias in (
            (scope.steps, self._details_wanted, "e"),
            (scope.payloads if self._system.payloads else "none", self._payloads_wanted, "s"),
        ):
            if wanted == "none":
                parts.append(_Where("SELECT 0 AS a, 0 AS b"))
                continue
            condition = where(scope)
            counted = f"SELECT count(*) AS a, sum({self._failed(alias)}) AS b FROM {condition.sql}"
            parts.append(_Where(counted, condition.values))
        rows = self._rows(
            f"SELECT o.a, x.a, x.b, y.a FROM ({parts[0].sql}) AS o CROSS JOIN ({parts[1].sql}) AS x "
            f"CROSS JOIN ({parts[2].sql}) AS y",
            *(value for part in parts for value in part.values),
        )
        return Backlog(*(int(value or 0) for value in rows[0])) if rows else Backlog(0, 0, 0, 0)

    def workflows(self) -> dict[str, Row]:
        """Rows of workflows by id; None for workflows that only executions name."""
        if self._system.integrations is None:
            return {}
        table = self._name(self._system.integrations.table.name)
        column = self._system.workflow_column
        rows = self._records(f"SELECT w.* FROM {table} AS w WHERE w.workflow_id IS NOT NULL")
        by_id: dict[str, Row] = {str(row["workflow_id"]): row for row in rows}
        seen = self._rows(
            f"SELECT DISTINCT e.{column} FROM {self._executions} AS e WHERE e.{column} IS NOT NULL"
        )
        return {str(value): by_id.get(str(value), {}) for (value,) in seen}

    def steps_miscounted(self, window: Window) -> list[StepCount]:
        """Executions that began in the window and of which other numbers of steps are stored than were read."""
        name, details, condition = self._name, self._system.details, self._held(window)
        steps = (
            "SELECT workflow_execution_id AS id, execution_date_started AS started, count(*) AS stored "
            f"FROM {name(details.steps.name)} GROUP BY 1, 2"
        )
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, e.status, {self._partition('e')}, x.steps, coalesce(s.stored, 0) "
            f"FROM {self._all} AS e JOIN {name(details.log.name)} AS x ON x.id = e.id "
            # Run again under the same id, it has a start of its own, and other steps.
            f"LEFT JOIN ({steps}) AS s ON s.id = x.id AND coalesce(s.started = x.date_started, x.date_started IS NULL) "
            f"WHERE x.outcome = 'loaded' AND x.steps <> coalesce(s.stored, 0) AND {condition.sql} ORDER BY e.id",
            *condition.values,
        )
        return [StepCount(_wanted(row), int(row[4]), int(row[5])) for row in rows]

    def details_loaded(self, ids: Sequence[str]) -> list[Wanted]:
        """Those of the executions whose steps were read."""
        loaded: list[Wanted] = []
        for start in range(0, len(ids), _MAX_IDS_PER_QUERY):
            part = ids[start : start + _MAX_IDS_PER_QUERY]
            rows = self._rows(
                f"SELECT e.id, e.{self._start}, e.status, {self._partition('e')} FROM {self._all} AS e "
                f"JOIN {self._name(self._system.details.log.name)} AS x ON x.id = e.id "
                f"WHERE x.outcome = 'loaded' AND NOT e.is_open AND e.id IN ({', '.join(['%s'] * len(part))})",
                *part,
            )
            loaded += map(_wanted, rows)
        return loaded

    def steps(self, execution_id: str) -> list[Row]:
        """The stored rows of an execution's steps, with the warehouse's column names."""
        table = self._name(self._system.details.steps.name)
        return self._records(f"SELECT s.* FROM {table} AS s WHERE s.workflow_execution_id = %s", execution_id)

    def rates(self) -> Rates:
        """Rates of steps, failures and payloads of the stored executions."""
        name = self._name
        system = self._system
        failed = self._failed("e")
        totals = self._rows(
            f"SELECT count(*), sum({failed}), sum(CASE WHEN e.is_open THEN 1 ELSE 0 END) FROM {self._executions} AS e"
        )
        detailed = self._rows(
            f"SELECT count(DISTINCT e.id), count(s.id), sum({self._failed('s')}), "
            f"count(DISTINCT CASE WHEN {failed} = 1 THEN e.id END), sum({failed}) "
            f"FROM {name.recent(system.details.steps)} AS s "
            f"JOIN {self._executions} AS e ON e.id = s.workflow_execution_id"
        )
        payloads: list[tuple[Any, ...]] = [(0, 0)]
        if system.payloads is not None:
            payloads = self._rows(
                "SELECT count(*), sum(coalesce(length(p.input), 0) + coalesce(length(p.output), 0)) "
                f"FROM {name.recent(system.payloads.table)} AS p WHERE p.outcome = 'loaded'"
            )
        numbers = [int(value or 0) for rows in (totals, detailed, payloads) for value in (rows or [()])[0]]
        return Rates(*numbers) if len(numbers) == 10 else Rates()

    def coverage(self) -> list[Day]:
        """The coverage of the dataset."""
        rows = self._rows(
            "SELECT day, lane, filters, windows, executions, api_total, is_verified, checked_at "
            f"FROM {self._name(COVERAGE.name)} WHERE windows IS NOT NULL"
        )
        return [stored_day(*row) for row in rows]

    def unfinished_runs(self, commands: Sequence[str]) -> list[Row]:
        """Runs of these commands whose outcome is ``running``."""
        marks = ", ".join(["%s"] * len(commands))
        return self._records(
            f"SELECT * FROM {self._name(SYNC_RUNS.name)} WHERE outcome = 'running' AND command IN ({marks})",
            *commands,
        )

    def _held(self, window: Window) -> _Where:
        condition = self._chosen("e")
        sql = f"e.{self._start} >= %s AND e.{self._start} < %s AND e.purged_at_source IS NULL AND {condition.sql}"
        return _Where(sql, (window.start, window.end, *condition.values))

    def _chosen(self, alias: str) -> _Where:
        """The selection as an SQL condition on executions."""
        parts: list[str] = ["TRUE"]
        values: list[Any] = []
        window = self._selection.window
        if window is not None:
            # Of which it is not known when they began, they may lie in it.
            start = f"{alias}.{self._start}"
            parts.append(f"({start} IS NULL OR ({start} >= %s AND {start} < %s))")
            values += [window.start, window.end]
        columns = {filter_.name: filter_.column for filter_ in self._system.listing.filters}
        for name, value in sorted(self._selection.filters.items()):
            if columns[name] is not None:
                parts.append(f"{alias}.{columns[name]} = %s")
            elif self._system.integrations is not None:
                workflows = self._name(self._system.integrations.table.name)
                parts.append(
                    f"{alias}.{self._system.workflow_column} IN "
                    f"(SELECT workflow_id FROM {workflows} WHERE {name} = %s)"
                )
            values.append(value)
        return _Where(" AND ".join(parts), tuple(values))

    def _details_wanted(self, scope: Scope) -> _Where:
        only = f" AND {self._failed('e')} = 1" if scope.steps == "failed" else ""
        condition = self._chosen("e")
        return _Where(
            f"{self._executions} AS e LEFT JOIN {self._name.recent(self._system.details.log)} AS x ON x.id = e.id "
            # Run again under the same id, it has a start of its own, and other steps.
            f"WHERE (x.id IS NULL OR x.outcome = 'again' OR x.date_started IS DISTINCT FROM e.{self._start}) "
            f"AND NOT e.is_open AND e.purged_at_source IS NULL{only} AND {condition.sql}",
            condition.values,
        )

    def _payloads_wanted(self, scope: Scope) -> _Where:
        assert self._system.payloads is not None  # noqa: S101 - nothing is wanted otherwise
        only = f" AND {self._failed('s')} = 1" if scope.payloads == "failed" else ""
        condition = self._chosen("e")
        return _Where(
            f"{self._name.recent(self._system.details.steps)} AS s "
            f"LEFT JOIN {self._name.recent(self._system.payloads.table)} AS p ON p.step_execution_id = s.id "
            f"JOIN {self._executions} AS e ON e.id = s.workflow_execution_id "
            f"WHERE p.step_execution_id IS NULL{only} AND {condition.sql}",
            condition.values,
        )

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
        names, rows = self._query(sql, *values)
        return [
            {
                name: _utc(value) if isinstance(value, datetime) else value
                for name, value in zip(names, row, strict=True)
                if not name.startswith("_dlt_")
            }
            for row in rows
        ]

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._query(sql, *values)[1]

    def _number(self, sql: str, *values: Any) -> int:
        return int(self._value(sql, *values) or 0)

    def _value(self, sql: str, *values: Any) -> Any:
        rows = self._rows(sql, *values)
        return rows[0][0] if rows else None


def _wanted(row: Sequence[Any]) -> Wanted:
    """The execution of a row of its id, start, status and partition."""
    return Wanted(str(row[0]), _utc(row[1]), status=row[2], partition=str(row[3] or ""))


def _utc(value: Any) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def _always(value: Any) -> datetime:
    return _utc(value) or datetime.fromtimestamp(0, UTC)
