"""Queries of the warehouse: open executions, coverage, counts and ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.models import Row, Selection, Window
from ..systems.protocol import System
from .averages import Averages
from .backlog import MissingDetail, OpenExecution, StepCount, payload_key
from .common_tables import COVERAGE, REJECTED_ROWS, SYNC_RUNS, listings
from .coverage import Day, read_day
from .dataset import missing_detail, utc, utc_or_epoch
from .forgotten_people import LeftOut
from .keep_days import KeptSince
from .query_cache import BilledAnswerCache, StatementCollector
from .recent_queries import RecentQueries, batched, by_day
from .sql_text import Query
from .statistics_buckets import Buckets
from .status_history import StoredStatus
from .table_names import EVER, RETENTION_GRACE, Names

_FIRST_COLUMNS = ("command", "outcome", "started_at", "deleted_rows", *KeptSince().columns)
"""What a run that begins wants to know of former runs, of which none is without an end."""


class Warehouse(RecentQueries):
    """The tables of one dataset. Raises, from every method: WarehouseUnavailable."""

    first_runs: list[Row] | None = None
    """The rows of runs that the first query found; None once they were used."""

    def leaving_out(self, left_out: LeftOut | None) -> Warehouse:
        """This warehouse, in whose counts and ids the executions of forgotten people stand as if they were stored."""
        warehouse = self._like(self._name, self._system, self._selection)
        warehouse.left_out = left_out
        return warehouse

    def reaching(self, retention: timedelta | None) -> Warehouse:
        """This warehouse, limited to executions that may still change where reading is billed.

        That is the vendor's retention, as it was when the last complete sync began, and a week; until a first sync is
        complete, as it was when the first run began, before which nothing was loaded.
        """
        if self._name.literal is None or retention is None:
            return self
        is_complete = "command = 'sync' AND outcome = 'complete'"
        runs = self._name(SYNC_RUNS.name)
        # What is asked of the table while a run begins, at once.
        rows = self._listed(SYNC_RUNS.name, _FIRST_COLUMNS)
        if rows is None or _is_any_running(rows):
            rows = self._records(
                f"SELECT * FROM {runs} AS r WHERE outcome = 'running' OR deleted_rows IS NOT NULL OR ({is_complete} "
                f"AND started_at >= (SELECT max(started_at) FROM {runs} AS c WHERE {is_complete})) "
                f"OR started_at <= (SELECT min(started_at) FROM {runs} AS c)"
            )
        complete = [row for row in rows if (row["command"], row["outcome"]) == ("sync", "complete")]
        first_run = min((row["started_at"] for row in rows), default=datetime.now(UTC))
        last_complete = max((row["started_at"] for row in complete), default=first_run)
        since = last_complete - retention - RETENTION_GRACE
        reaching = self._like(replace(self._name, since=since), self._system, self._selection)
        reaching.first_runs = rows
        return reaching

    @property
    def is_billed(self) -> bool:
        """Whether each query is billed, so that answers are kept until a commit changes their tables."""
        return isinstance(self._query, BilledAnswerCache)

    def ask_together(self, questions: Callable[[Warehouse], object]) -> None:
        """Asks by one query what the function asks of the warehouse that it gets, where each query is billed."""
        kept = self._query
        if not isinstance(kept, BilledAnswerCache):
            return
        collector = StatementCollector(kept)
        warehouse = self._like(self._name, self._system, self._selection, query=collector)
        questions(warehouse)
        kept.ask_together(collector.statements)

    def _like(
        self, names: Names, system: System, selection: Selection | None, *, query: Query | None = None
    ) -> Warehouse:
        warehouse = Warehouse(query or self._query, names, system, selection=selection)
        warehouse.left_out, warehouse.recent_since = self.left_out, self.recent_since
        warehouse.counts_all_open = self.counts_all_open
        return warehouse

    @property
    def since(self) -> datetime:
        """The instant from which rows may still change; None without a limit."""
        return self._name.since or EVER

    def within(self, selection: Selection) -> Warehouse:
        """This warehouse, limited to a selection of executions."""
        return self._like(self._name, self._system, selection)

    def of(self, system: System) -> Warehouse:
        """This dataset, seen as another list of its account."""
        return self._like(self._name, system, None)

    def count(self, window: Window) -> int:
        """Number of executions that began in the window, without purged ones, with those that are left out."""
        if (recent := self._recent(window)) is not None:
            return len(recent.in_window(window, partition=self._chosen_partition)) + self.left_out_in(window)
        condition = self._held(window)
        stored = self._number(
            f"SELECT count(*) FROM {self._all} AS e WHERE {condition.sql}", *condition.values
        )
        return stored + self.left_out_in(window)

    def left_out_in(self, window: Window) -> int:
        """Number of executions that began in the window and are left out; 0 where a selection narrows them."""
        if self.left_out is None or self._selection.filters:
            # Of those that are left out it is not known which filters they match: a comparison reads them.
            return 0
        return self.left_out.count(self._system.executions.name, window)

    def counts(self, windows: Sequence[Window]) -> list[int]:
        """Numbers of executions, as of ``count``, that began in each window, by one query."""
        return self._count_each(windows, self._rows)

    def kept_counts(self, windows: Sequence[Window]) -> list[int]:
        """As ``counts``, from a former answer where each query is billed."""
        return self._count_each(windows, self._kept_rows)

    def _count_each(
        self, windows: Sequence[Window], rows_of: Callable[..., list[tuple[Any, ...]]]
    ) -> list[int]:
        if not windows:
            return []
        cases = ", ".join(
            f"sum(CASE WHEN e.{self._start} >= %s AND e.{self._start} < %s THEN 1 ELSE 0 END) AS count_{number}"
            for number in range(len(windows))
        )
        condition = self._held(Window(min(windows).start, max(window.end for window in windows)))
        bounds = [instant for window in windows for instant in (window.start, window.end)]
        rows = rows_of(
            f"SELECT {cases} FROM {self._all} AS e WHERE {condition.sql}", *bounds, *condition.values
        )
        stored = [int(value or 0) for value in rows[0]] if rows else [0] * len(windows)
        return [number + self.left_out_in(window) for number, window in zip(stored, windows, strict=True)]

    def ids(self, window: Window) -> set[str]:
        """Ids of the executions that began in the window, without purged ones, with those seen to be left out."""
        if (recent := self._recent(window)) is not None:
            held = recent.in_window(window, partition=self._chosen_partition)
            return {row.id for row in held} | self._seen_left_out(window)
        condition = self._held(window)
        rows = self._rows(f"SELECT e.id FROM {self._all} AS e WHERE {condition.sql}", *condition.values)
        return {str(row[0]) for row in rows} | self._seen_left_out(window)

    def statuses_in(self, window: Window) -> dict[str, StoredStatus]:
        """Stored statuses by id of the executions that began in the window, purged ones included."""
        if (recent := self._recent(window)) is not None:
            return {row.id: row.status for row in recent.in_window(window, with_purged=True)}
        rows = self._records(
            f"SELECT id, status, status_seen_at, fetched_at, read_by, run_id FROM {self._all} AS e "
            f"WHERE {self._start} >= %s AND {self._start} < %s",
            window.start,
            window.end,
        )
        return {str(row["id"]): seen for row in rows if (seen := StoredStatus.in_row(row)) is not None}

    def buckets(self, granularity: str) -> Buckets:
        """The buckets of the vendor's statistics that are stored."""
        assert self._system.statistics is not None  # noqa: S101 - nothing is read otherwise
        table, total = self._system.statistics.tables[0].name, self._system.statistics.total_column
        columns = ("granularity", "bucket_start", "bucket_end", "is_closed", total, "fetched_at")
        rows = self._listed(table, columns)
        if rows is None:
            names = ", ".join(columns)
            rows = self._records(
                f"SELECT {names} FROM {self._name(table)} AS s WHERE granularity = %s", granularity
            )
        return Buckets.read([row for row in rows if row["granularity"] == granularity], total_column=total)

    def newest_start(self, *, from_day: datetime | None = None) -> datetime | None:
        """Start of the newest execution, of those that are left out, too; None without any.

        Where reading is billed, one that began on ``from_day`` or later is looked for first.
        """
        recent = self.recent()
        stored = max((row.started_at for row in recent.rows), default=None) if recent else None
        table = self._system.executions.name
        newest = f"SELECT max(e.{self._start}) FROM"
        if stored is None and from_day is not None and self._name.literal is not None:
            is_since = f"e.{self._start} >= {self._name.literal(from_day)}"
            stored = utc(self._value(f"{newest} {self._name(table)} AS e WHERE {is_since}"))
        if stored is None:
            stored = utc(self._value(f"{newest} {self._executions} AS e"))
        left_out = None if self.left_out is None else self.left_out.newest_start(table)
        return max((start for start in (stored, left_out) if start is not None), default=None)

    def open_executions(self, *, not_read_by: str) -> list[OpenExecution]:
        """Executions that were open when last read, without those that this run has read; oldest first."""
        condition = self._chosen("e")
        log, executions = (
            self._name.left(table) for table in (self._system.details.log, self._system.executions)
        )
        rows = self._kept_rows(
            f"SELECT e.id, e.{self._start} AS started_at, e.status, e.status_seen_at, e.fetched_at, e.read_by, "
            f"e.run_id, {self._partition('e')} AS part, coalesce(x.tries, 0) AS tries, x.next_try_at "
            f"FROM {executions} AS e "
            f"LEFT JOIN {log} AS x ON x.id = e.id "
            f"WHERE e.is_open AND e.run_id <> %s AND {condition.sql} ORDER BY e.{self._start}",
            not_read_by,
            *condition.values,
        )
        if isinstance(self._query, BilledAnswerCache):
            self._query.starts |= {str(row[0]): at for row in rows if (at := utc(row[1])) is not None}
        return [
            OpenExecution(
                str(row[0]),
                utc(row[1]),
                str(row[2] or ""),
                StoredStatus(str(row[2] or ""), utc(row[3]) or utc(row[4]), utc(row[4]), row[5], row[6]),
                str(row[7] or ""),
                int(row[8]),
                utc(row[9]),
            )
            for row in rows
        ]

    def ranks(self, opens: Sequence[OpenExecution]) -> dict[str, tuple[int, int]]:
        """First and last rank of each open execution's start among all executions since the oldest open one."""
        if not any(execution.started_at for execution in opens):
            return {}
        return self.all_ranks()

    def all_ranks(self) -> dict[str, tuple[int, int]]:
        """The same of all open executions."""
        start, own, ties = f"e.{self._start}", "", ""
        executions = self._name.since_left(self._system.executions)
        if self._partition_column:
            own, ties = f"PARTITION BY {self._partition('e')} ", f"{self._partition('e')}, "
        rows = self._kept_rows(
            "SELECT id, place, place + ties - 1 AS last_place FROM (SELECT e.id, e.is_open, "
            f"rank() OVER ({own}ORDER BY {start}) AS place, count(*) OVER (PARTITION BY {ties}{start}) AS ties "
            f"FROM {executions} AS e WHERE {start} >= (SELECT min(o.{self._start}) FROM {executions} AS o "
            "WHERE o.is_open)) AS placed WHERE is_open"
        )
        return {str(row[0]): (int(row[1]), int(row[2])) for row in rows}

    def workflows(self) -> dict[str, Row]:
        """Rows of workflows by id; None for workflows that only executions name."""
        if self._system.integrations is None:
            return {}
        column = self._system.workflow_column
        rows = self._whole(self._system.integrations.table.name, "workflow_id")
        by_id: dict[str, Row] = {str(row["workflow_id"]): row for row in rows}
        executions = self._name.left(self._system.executions)
        seen = self._kept_rows(
            f"SELECT e.{column} FROM {executions} AS e WHERE e.{column} IS NOT NULL GROUP BY e.{column}"
        )
        # A complete sync has learned of all that ran before.
        known = set() if self._name.left_days() is None else by_id.keys()
        return {value: by_id.get(value, {}) for value in sorted(known | {str(value) for (value,) in seen})}

    def without_payload(self, steps: Sequence[MissingDetail]) -> list[MissingDetail]:
        """Those of the steps of which no payload is stored, nor a note that it cannot be read."""
        if not steps or self._system.payloads is None:
            return []
        ids = sorted({step.execution_id for step in steps})
        stored = set()
        table = self._name(self._system.payloads.table.name)
        for part in batched(ids):
            marks = ", ".join(["%s"] * len(part))
            rows = self._rows(
                f"SELECT p.workflow_execution_id, p.step_execution_id FROM {table} AS p "
                f"WHERE p.workflow_execution_id IN ({marks})",
                *part,
            )
            stored |= {payload_key(str(execution_id), str(step_id)) for execution_id, step_id in rows}
        return [step for step in steps if step.key not in stored]

    def users(self) -> set[str]:
        """The users for whom executions ran, of any list."""
        found: set[str] = set()
        for one in listings(self._system):
            if one.person is not None:
                column, name = one.person.column, self._name(one.executions.name)
                sql = f"SELECT DISTINCT e.{column} FROM {name} AS e WHERE e.{column} IS NOT NULL AND e.{column} <> ''"
                found |= {str(user) for (user,) in self._rows(sql)}
        return found

    def steps_miscounted(self, window: Window) -> list[StepCount]:
        """Executions that began in the window and of which other numbers of steps are stored than were read."""
        name, details, condition = self._name, self._system.details, self._held(window)
        kept = self._is_kept(f"e.{self._start}", self.kept_since().steps)
        steps = (
            "SELECT workflow_execution_id AS id, execution_date_started AS started, count(*) AS stored "
            f"FROM {name.between(details.steps, window)} GROUP BY 1, 2"
        )
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, e.status, {self._partition('e')}, x.steps, coalesce(s.stored, 0) "
            f"FROM {self._all} AS e JOIN {name.between(details.log, window)} AS x ON x.id = e.id "
            # Run again under the same id, it has a start of its own, and other steps.
            f"LEFT JOIN ({steps}) AS s ON s.id = x.id AND coalesce(s.started = x.date_started, x.date_started IS NULL) "
            f"WHERE x.outcome = 'loaded' AND x.steps <> coalesce(s.stored, 0) AND {condition.sql} AND {kept.sql} "
            "ORDER BY e.id",
            *condition.values,
            *kept.values,
        )
        return [StepCount(missing_detail(row), int(row[4]), int(row[5])) for row in rows]

    def details_loaded(self, starts: Mapping[str, datetime | None], window: Window) -> list[MissingDetail]:
        """Executions of the window whose steps were read, among those of which ``starts`` says by id when they began."""
        loaded: list[MissingDetail] = []
        kept = self._is_kept(f"e.{self._start}", self.kept_since().steps)
        inside = {key: start for key, start in starts.items() if start is not None and start in window}
        for part in by_day(inside):
            executions, log = (
                self._name.on_days(table, map(inside.get, part))
                for table in (self._system.executions, self._system.details.log)
            )
            rows = self._rows(
                f"SELECT e.id, e.{self._start}, e.status, {self._partition('e')} FROM {executions} AS e "
                f"JOIN {log} AS x ON x.id = e.id WHERE {kept.sql} "
                f"AND x.outcome = 'loaded' AND NOT e.is_open AND e.id IN ({', '.join(['%s'] * len(part))})",
                *kept.values,
                *part,
            )
            loaded += map(missing_detail, rows)
        return loaded

    def steps(self, executions: Sequence[MissingDetail]) -> dict[str, list[Row]]:
        """The stored rows of the executions' steps by execution, with the warehouse's column names."""
        starts = {item.execution_id: item.started_at for item in executions}
        by_execution: dict[str, list[Row]] = {key: [] for key in starts}
        for part in by_day(starts):
            table = self._name.on_days(self._system.details.steps, map(starts.get, part))
            marks = ", ".join(["%s"] * len(part))
            sql = f"SELECT s.* FROM {table} AS s WHERE s.workflow_execution_id IN ({marks})"
            for row in self._records(sql, *part):
                by_execution[str(row["workflow_execution_id"])].append(row)
        return by_execution

    def averages(self) -> Averages:
        """Averages of steps, failures and payloads of the stored executions."""
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
                "SELECT count(*), sum(coalesce(p.input_bytes, 0) + coalesce(p.output_bytes, 0)) "
                f"FROM {name.recent(system.payloads.table)} AS p WHERE p.outcome = 'loaded'"
            )
        numbers = [int(value or 0) for rows in (totals, detailed, payloads) for value in (rows or [()])[0]]
        return Averages(*numbers) if len(numbers) == 10 else Averages()

    def coverage(self) -> list[Day]:
        """The coverage of the dataset."""
        return list(map(read_day, self._whole(COVERAGE.name, "windows")))

    def rejected(self, filters: str) -> dict[str, datetime]:
        """The rejected rows of the list that these filters name, by ``rejected_id``: when they began."""
        names, table = self._name(REJECTED_ROWS.name), self._system.executions.name
        sql = (
            f"SELECT rejected_id, near_at FROM {names} AS r "
            "WHERE table_name = %s AND filters = %s AND near_at IS NOT NULL"
        )
        return {str(key): utc_or_epoch(near) for key, near in self._rows(sql, table, filters)}

    def rejected_ids(self, table: str, filters: str) -> set[str]:
        """The ``rejected_id`` of all rejected rows of a list: the table that it fills, and the filters that name it."""
        sql = (
            f"SELECT rejected_id FROM {self._name(REJECTED_ROWS.name)} WHERE table_name = %s AND filters = %s"
        )
        return {str(key) for (key,) in self._rows(sql, table, filters)}

    def former_column_rules(self) -> list[str]:
        """The texts of ``sync_runs.column_rules``, the one that was used last first."""
        rows = self._rows(
            f"SELECT column_rules, max(started_at) FROM {self._name(SYNC_RUNS.name)} AS r "
            "WHERE column_rules IS NOT NULL GROUP BY column_rules ORDER BY 2 DESC"
        )
        return [str(text) for text, _ in rows]

    def unfinished_runs(self) -> list[Row]:
        """Runs whose outcome is ``running``; also keeps what runs have deleted, which the same query gives."""
        rows, self.first_runs = self.first_runs, None
        if rows is None:
            rows = self._listed(SYNC_RUNS.name, _FIRST_COLUMNS)
            if rows is None or _is_any_running(rows):
                name = self._name(SYNC_RUNS.name)
                wanted = "outcome = 'running' OR deleted_rows IS NOT NULL"
                rows = self._records(f"SELECT * FROM {name} AS r WHERE {wanted}")
        self.kept.deleted = KeptSince.in_rows([row for row in rows if row["deleted_rows"] is not None])
        return [row for row in rows if row["outcome"] == "running"]


def _is_any_running(runs: Sequence[Row]) -> bool:
    return any(run["outcome"] == "running" for run in runs)
