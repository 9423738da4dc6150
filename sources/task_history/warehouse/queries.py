"""What the warehouse is asked: it is the memory of what is open and what still lacks details.

SQL that DuckDB and BigQuery both understand, values bound as ``%s``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.models import Row, Scope, Selection, Table, Window
from ..systems.protocol import System
from .backlog import Backlog, Open, Wanted
from .coverage import Day, midnight, read_windows
from .rates import Rates
from .status_history import StoredStatus
from .tables import COVERAGE, RUNS

Query = Callable[..., tuple[list[str], list[tuple[Any, ...]]]]
"""Runs SQL with the values for its ``%s``; gives the columns' names and the rows."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_IDS_PER_QUERY = 500
_GRACE = timedelta(days=7)
_ORDER = {"newest": "DESC", "oldest": "ASC"}


@dataclass(frozen=True, slots=True)
class _Where:
    """A condition, and the values that it binds."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """How tables are named in SQL."""

    qualified: Callable[[str], str]
    """A table's full name."""
    literal: Callable[[datetime], str] | None = None
    """An instant as a constant, where reading is billed by what is read; None elsewhere."""
    since: datetime | None = None
    """What began before is settled for good."""

    def __call__(self, name: str) -> str:
        return self.qualified(name)

    def recent(self, table: Table, *, day: datetime | None = None) -> str:
        """What of the table may still change or be lacking: all of it where reading costs nothing.

        ``day`` narrows it to that one.
        """
        name = self.qualified(table.name)
        if self.literal is None or table.partition is None:
            return name
        column, since = table.partition, self.literal(self.since or _EVER)
        if day is not None:
            start = midnight(day)
            end = self.literal(start + timedelta(days=1))
            return f"(SELECT * FROM {name} WHERE {column} >= {self.literal(start)} AND {column} < {end})"
        return f"(SELECT * FROM {name} WHERE {column} >= {since} OR {column} IS NULL)"


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
        """The same warehouse, where reading is billed read only as far back as something may still change.

        That is the vendor's retention, as it was when the last sync came to its end, and a week.
        """
        if self._name.literal is None or retention is None:
            return self
        last = _utc(
            self._value(
                f"SELECT max(started_at) FROM {self._name(RUNS.name)} WHERE command = 'sync' AND outcome = 'complete'"
            )
        )
        since = None if last is None else last - retention - _GRACE
        return Warehouse(
            self._query, replace(self._name, since=since), self._system, selection=self._selection
        )

    @property
    def since(self) -> datetime:
        """How far back is looked for what may still change."""
        return self._name.since or _EVER

    def within(self, selection: Selection) -> Warehouse:
        """The same warehouse, of which only these executions are looked at."""
        return Warehouse(self._query, self._name, self._system, selection=selection)

    def of(self, system: System) -> Warehouse:
        """The same dataset, as another list of its account sees it."""
        return Warehouse(self._query, self._name, system)

    def count(self, window: Window) -> int:
        """Executions that began in the window and that the vendor still had when last asked."""
        where = self._held(window)
        return self._number(f"SELECT count(*) FROM {self._all} AS e WHERE {where.sql}", *where.values)

    def counts(self, windows: Sequence[Window]) -> list[int]:
        """The same for each of these windows, asked at once."""
        if not windows:
            return []
        cases = ", ".join(
            [f"sum(CASE WHEN e.{self._start} >= %s AND e.{self._start} < %s THEN 1 ELSE 0 END)"]
            * len(windows)
        )
        where = self._held(Window(min(windows).start, max(window.end for window in windows)))
        bounds = [instant for window in windows for instant in (window.start, window.end)]
        rows = self._rows(f"SELECT {cases} FROM {self._all} AS e WHERE {where.sql}", *bounds, *where.values)
        return [int(value or 0) for value in rows[0]] if rows else [0] * len(windows)

    def ids(self, window: Window) -> set[str]:
        """Their ids."""
        where = self._held(window)
        rows = self._rows(f"SELECT e.id FROM {self._all} AS e WHERE {where.sql}", *where.values)
        return {str(row[0]) for row in rows}

    def seen(self, window: Window) -> dict[str, StoredStatus]:
        """In which state those that began in the window are stored, by id, purged ones too."""
        rows = self._records(
            f"SELECT id, status, status_seen_at, fetched_at, read_by, run_id FROM {self._all} "
            f"WHERE {self._start} >= %s AND {self._start} < %s",
            window.start,
            window.end,
        )
        return {str(row["id"]): seen for row in rows if (seen := StoredStatus.in_row(row)) is not None}

    def by_partition(self, window: Window) -> dict[str, dict[str, datetime]]:
        """When those that began in the window did, by partition and id; without purged ones."""
        where = self._held(window)
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, {self._partition('e')} FROM {self._all} AS e WHERE {where.sql}",
            *where.values,
        )
        starts: dict[str, dict[str, datetime]] = {}
        for identity, start, partition in rows:
            starts.setdefault(str(partition or ""), {})[str(identity)] = _always(start)
        return starts

    def stats_read_until(self, granularity: str) -> datetime | None:
        """The first bucket of the vendor's statistics that is to be asked for again; None before the first."""
        assert self._system.statistics is not None  # noqa: S101 - nothing is read otherwise
        rows = self._rows(
            "SELECT min(CASE WHEN is_closed THEN NULL ELSE bucket_start END), max(bucket_end) "
            f"FROM {self._name(self._system.statistics.tables[0].name)} WHERE granularity = %s",
            granularity,
        )
        return _utc(rows[0][0]) or _utc(rows[0][1]) if rows else None

    def newest_start(self) -> datetime | None:
        """When the newest execution began."""
        return _utc(self._value(f"SELECT max(e.{self._start}) FROM {self._executions} AS e"))

    def open_executions(self, *, not_read_by: str) -> list[Open]:
        """All that were open when last read, but those that this run has read; oldest first."""
        where = self._chosen("e")
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, e.status, e.status_seen_at, e.fetched_at, e.read_by, e.run_id, "
            f"{self._partition('e')} FROM {self._executions} AS e WHERE e.is_open AND e.run_id <> %s AND {where.sql} "
            f"ORDER BY e.{self._start}",
            not_read_by,
            *where.values,
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
        """The places that their instants take among all executions since the oldest of them, by their starts."""
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
        """The executions' rows by id, by the names of the warehouse's columns."""
        rows_by_id: dict[str, Row] = {}
        for at in range(0, len(ids), _MAX_IDS_PER_QUERY):
            part = ids[at : at + _MAX_IDS_PER_QUERY]
            marks = ", ".join(["%s"] * len(part))
            rows = self._records(f"SELECT e.* FROM {self._executions} AS e WHERE e.id IN ({marks})", *part)
            rows_by_id |= {str(row["id"]): row for row in rows}
        return rows_by_id

    def details_wanted(self, scope: Scope, limit: int) -> list[Wanted]:
        """Settled executions in scope whose steps were not asked for: failed ones first."""
        if scope.steps == "none":
            return []
        where = self._details_wanted(scope)
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, e.status, {self._partition('e')} FROM {where.sql} "
            f"ORDER BY {self._failed('e')} DESC, e.{self._start} {_ORDER[scope.first]}, e.id LIMIT {int(limit)}",
            *where.values,
        )
        return [Wanted(str(row[0]), _utc(row[1]), status=row[2], partition=str(row[3] or "")) for row in rows]

    def payloads_wanted(self, scope: Scope, limit: int) -> list[Wanted]:
        """Steps in scope whose payload was not asked for."""
        if scope.payloads == "none" or self._system.payloads is None:
            return []
        where = self._payloads_wanted(scope)
        rows = self._rows(
            f"SELECT s.workflow_execution_id, s.execution_date_started, s.id FROM {where.sql} "
            f"ORDER BY s.execution_date_started {_ORDER[scope.first]}, s.id LIMIT {int(limit)}",
            *where.values,
        )
        return [Wanted(str(row[0]), _utc(row[1]), str(row[2])) for row in rows]

    def left(self, scope: Scope) -> Backlog:
        """What is open, and what of the scope is wanted and not loaded, asked at once."""
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
        """What is known of workflows, by id; those without an entry have None."""
        if self._system.integrations is None:
            return {}
        table = self._name(self._system.integrations.table.name)
        column = self._system.workflow_column
        rows = self._records(f"SELECT w.* FROM {table} AS w WHERE w.workflow_id IS NOT NULL")
        known: dict[str, Row] = {str(row["workflow_id"]): row for row in rows}
        seen = self._rows(
            f"SELECT DISTINCT e.{column} FROM {self._executions} AS e WHERE e.{column} IS NOT NULL"
        )
        return {str(value): known.get(str(value), {}) for (value,) in seen}

    def rates(self) -> Rates:
        """What is known of the executions that are held."""
        name = self._name
        system = self._system
        failed = self._failed("e")
        whole = self._rows(
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
        numbers = [int(value or 0) for rows in (whole, detailed, payloads) for value in (rows or [()])[0]]
        return Rates(*numbers) if len(numbers) == 10 else Rates()

    def coverage(self) -> list[Day]:
        """Which windows are loaded."""
        rows = self._rows(
            "SELECT day, lane, filters, windows, executions, api_total, is_verified, checked_at "
            f"FROM {self._name(COVERAGE.name)} WHERE windows IS NOT NULL"
        )
        return [
            Day(
                _always(day),
                str(lane),
                str(filters or ""),
                read_windows(windows),
                int(executions or 0),
                total,
                bool(is_verified),
                _always(checked_at),
            )
            for day, lane, filters, windows, executions, total, is_verified, checked_at in rows
        ]

    def unfinished_runs(self, commands: Sequence[str]) -> list[Row]:
        """Runs of these commands that say that they are running."""
        marks = ", ".join(["%s"] * len(commands))
        return self._records(
            f"SELECT * FROM {self._name(RUNS.name)} WHERE outcome = 'running' AND command IN ({marks})",
            *commands,
        )

    def _held(self, window: Window) -> _Where:
        where = self._chosen("e")
        sql = f"e.{self._start} >= %s AND e.{self._start} < %s AND e.purged_at_source IS NULL AND {where.sql}"
        return _Where(sql, (window.start, window.end, *where.values))

    def _chosen(self, alias: str) -> _Where:
        """The selection as a condition on rows of executions."""
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
        where = self._chosen("e")
        return _Where(
            f"{self._executions} AS e LEFT JOIN {self._name.recent(self._system.details.log)} AS x ON x.id = e.id "
            # Run again under the same id, it has a start of its own, and other steps.
            f"WHERE (x.id IS NULL OR x.outcome = 'again' OR x.date_started IS DISTINCT FROM e.{self._start}) "
            f"AND NOT e.is_open AND e.purged_at_source IS NULL{only} AND {where.sql}",
            where.values,
        )

    def _payloads_wanted(self, scope: Scope) -> _Where:
        assert self._system.payloads is not None  # noqa: S101 - nothing is wanted otherwise
        only = f" AND {self._failed('s')} = 1" if scope.payloads == "failed" else ""
        where = self._chosen("e")
        return _Where(
            f"{self._name.recent(self._system.details.steps)} AS s "
            f"LEFT JOIN {self._name.recent(self._system.payloads.table)} AS p ON p.step_execution_id = s.id "
            f"JOIN {self._executions} AS e ON e.id = s.workflow_execution_id "
            f"WHERE p.step_execution_id IS NULL{only} AND {where.sql}",
            where.values,
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
        """Rows by the names of their columns, without dlt's own."""
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


def _utc(value: Any) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def _always(value: Any) -> datetime:
    return _utc(value) or datetime.fromtimestamp(0, UTC)
