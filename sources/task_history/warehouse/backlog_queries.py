"""Queries for the backlog: steps and payloads that are not loaded, and what could not be read."""

from __future__ import annotations

from datetime import datetime

from ..core.models import Scope, Table
from .backlog import Backlog, MissingDetail, UnreadableCounts
from .common_tables import SYNC_RUNS
from .dataset import Dataset, missing_detail, utc
from .keep_days import KeptRows, KeptSince
from .sql_text import SqlCondition
from .table_names import EVER

_ORDER = {"newest": "DESC", "oldest": "ASC"}


class BacklogQueries(Dataset):
    """Queries for missing steps and payloads. Raises, from every method: WarehouseUnavailable."""

    counts_all_open = False
    """Whether a run notes since when something is left, see ``left_days``, for which it asks for all open executions."""

    def missing_details(self, scope: Scope, limit: int, *, now: datetime) -> list[MissingDetail]:
        """Settled executions in scope whose steps are due by ``now``: failed ones first, those with failed attempts last.

        The query itself is the same at any instant, so that its answer can be kept.
        """
        if scope.steps == "none":
            return []
        condition = self._details_wanted(scope)
        rows = self._kept_rows(
            f"SELECT e.id, e.{self._start} AS started_at, e.status, {self._partition('e')} AS part, "
            f"coalesce(x.tries, 0) AS tries, x.next_try_at FROM {condition.sql} "
            f"ORDER BY CASE WHEN x.next_try_at IS NULL THEN 0 ELSE 1 END, x.next_try_at, {self._failed('e')} DESC, "
            f"e.{self._start} {_ORDER[scope.first]}, e.id LIMIT {int(limit)}",
            *condition.values,
        )
        return [
            MissingDetail(
                str(row[0]), utc(row[1]), status=row[2], partition=str(row[3] or ""), tries=int(row[4])
            )
            for row in rows
            if _is_due(row[5], now)
        ]

    def missing_payloads(self, scope: Scope, limit: int, *, now: datetime) -> list[MissingDetail]:
        """Steps in scope whose payload is due; those with failed attempts come last."""
        if scope.payloads == "none" or self._system.payloads is None:
            return []
        condition = self._payloads_wanted(scope)
        rows = self._kept_rows(
            "SELECT s.workflow_execution_id, s.execution_date_started, s.id, coalesce(p.tries, 0) AS tries, "
            f"p.next_try_at FROM {condition.sql} "
            f"ORDER BY CASE WHEN p.next_try_at IS NULL THEN 0 ELSE 1 END, p.next_try_at, "
            f"s.execution_date_started {_ORDER[scope.first]}, s.id LIMIT {int(limit)}",
            *condition.values,
        )
        wanted = [
            MissingDetail(str(row[0]), utc(row[1]), str(row[2]), tries=int(row[3]))
            for row in rows
            if _is_due(row[4], now)
        ]
        # Steps of an execution that have the same id have one payload.
        return list({item.key: item for item in wanted}.values())

    def readable(self, limit: int) -> list[MissingDetail]:
        """Settled executions that the vendor is known to hold: those whose steps were read, then others, newest first."""
        rows = self._rows(
            f"SELECT e.id, e.{self._start}, e.status, {self._partition('e')} FROM {self._executions} AS e "
            f"LEFT JOIN {self._name.recent(self._system.details.log)} AS x ON x.id = e.id "
            "WHERE NOT e.is_open AND e.purged_at_source IS NULL AND (x.id IS NULL OR x.outcome = 'loaded') "
            f"ORDER BY CASE WHEN x.id IS NULL THEN 1 ELSE 0 END, e.{self._start} DESC, e.id LIMIT {int(limit)}"
        )
        return list(map(missing_detail, rows))

    def unreadable(self) -> UnreadableCounts:
        """Numbers of executions and payloads that could not be read."""
        tables = [self._system.details.log, *([self._system.payloads.table] if self._system.payloads else [])]
        answers = [
            self._kept_rows(
                "SELECT count(next_try_at) AS due, sum(CASE WHEN next_try_at IS NULL THEN 1 ELSE 0 END) AS never, "
                f"min(next_try_at) AS next_try_at, min(CASE WHEN next_try_at IS NOT NULL THEN {table.partition} END) "
                f"AS oldest FROM {self._name.left(table)} AS x "
                "WHERE outcome = 'unreadable' OR next_try_at IS NOT NULL"
            )
            for table in tables
        ]
        details, *payloads = [rows[0] if rows else (0, 0, None, None) for rows in answers]
        due = [at for row in (details, *payloads) if (at := utc(row[2])) is not None]
        starts = [start for row in (details, *payloads) if (start := utc(row[3])) is not None]
        return UnreadableCounts(
            int(details[0] or 0),
            sum(int(row[0] or 0) for row in payloads),
            sum(int(row[1] or 0) for row in (details, *payloads)),
            min(due, default=None),
            min(starts, default=None),
        )

    def oldest_open(self) -> datetime | None:
        """When the earliest open execution of the account began, also outside of the selection; None without any."""
        executions = self._name.left(self._system.executions)
        rows = self._kept_rows(
            f"SELECT min(e.{self._start}) AS oldest FROM {executions} AS e WHERE e.is_open"
        )
        return utc(rows[0][0]) if rows else None

    def left(self, scope: Scope) -> Backlog:
        """The backlog of the scope."""
        chosen = self._chosen("e")
        counts = [
            SqlCondition(
                f"SELECT count(*) AS missing, 0 AS failed FROM {self._part(self._system.executions)} AS e "
                f"WHERE e.is_open AND {chosen.sql}",
                chosen.values,
            )
        ]
        for which, where, alias, column in (
            (scope.steps, self._details_wanted, "e", self._start),
            (
                scope.payloads if self._system.payloads else "none",
                self._payloads_wanted,
                "s",
                "execution_date_started",
            ),
        ):
            condition = SqlCondition("") if which == "none" else where(scope)
            counted = (
                f"SELECT count(*) AS missing, sum({self._failed(alias)}) AS failed, min({alias}.{column}) AS oldest "
                f"FROM {condition.sql}"
            )
            counts.append(SqlCondition(counted if condition.sql else "", condition.values))
        rows = [self._kept_rows(count.sql, *count.values) if count.sql else [] for count in counts]
        opens, details, payloads = [answer[0] if answer else (0, 0, None) for answer in rows]
        starts = [start for row in (details, payloads) if (start := utc(row[2])) is not None]
        return Backlog(
            int(opens[0] or 0),
            int(details[0] or 0),
            int(details[1] or 0),
            int(payloads[0] or 0),
            min(starts, default=None),
        )

    def _details_wanted(self, scope: Scope) -> SqlCondition:
        """Executions whose steps are not loaded."""
        only = f" AND {self._failed('e')} = 1" if scope.steps == "failed" else ""
        kept = self._is_kept(f"e.{self._start}", self.kept_since().steps)
        condition = self._chosen("e")
        return SqlCondition(
            f"{self._part(self._system.executions)} AS e LEFT JOIN {self._part(self._system.details.log)} AS x "
            "ON x.id = e.id "
            # Run again under the same id, it has a start of its own, and other steps.
            f"WHERE (x.id IS NULL OR x.outcome = 'again' OR x.date_started IS DISTINCT FROM e.{self._start} "
            f"OR x.next_try_at IS NOT NULL) AND NOT e.is_open AND e.purged_at_source IS NULL{only} "
            f"AND {condition.sql} AND {kept.sql}",
            (*condition.values, *kept.values),
        )

    def _payloads_wanted(self, scope: Scope) -> SqlCondition:
        """Steps whose payload is not loaded."""
        assert self._system.payloads is not None  # noqa: S101 - nothing is wanted otherwise
        only = f" AND {self._failed('s')} = 1" if scope.payloads == "failed" else ""
        kept = self._is_kept("s.execution_date_started", self.kept_since().payloads)
        start = "execution_date_started"
        # A step knows when its execution began; of other columns the execution's row has to be asked.
        has_filters = bool(self._selection.filters)
        condition = self._chosen("e") if has_filters else self._chosen("s", start=start)
        executions = (
            f"JOIN {self._part(self._system.executions)} AS e ON e.id = s.workflow_execution_id "
            if has_filters
            else ""
        )
        return SqlCondition(
            f"{self._part(self._system.details.steps)} AS s "
            f"LEFT JOIN {self._part(self._system.payloads.table)} AS p "
            "ON p.step_execution_id = s.id AND p.workflow_execution_id = s.workflow_execution_id "
            f"{executions}WHERE (p.step_execution_id IS NULL OR p.next_try_at IS NOT NULL){only} "
            f"AND {condition.sql} AND {kept.sql}",
            (*condition.values, *kept.values),
        )

    def _part(self, table: Table) -> str:
        """The part of the table with what may be left to read of the selected executions."""
        window = self._selection.window
        # What other executions match the filters may have changed.
        if self._selection.filters:
            return self._name.recent(table, window)
        return self._name.left(table, window, selected_since=EVER if window is None else window.start)

    @property
    def kept(self) -> KeptRows:
        """Since when rows are kept."""
        return self._name.kept

    def kept_since(self) -> KeptSince:
        """Since when rows are kept, by the settings and by what runs have deleted, which is asked once."""
        if self.kept.deleted is None:
            rows = self._records(
                f"SELECT * FROM {self._name(SYNC_RUNS.name)} AS r WHERE deleted_rows IS NOT NULL"
            )
            self.kept.deleted = KeptSince.in_rows(rows)
        return self.kept.deleted | self.kept.by_settings()

    def _is_kept(self, column: str, since: datetime | None) -> SqlCondition:
        """The SQL condition that rows of executions that began then are kept."""
        if since is None:
            return SqlCondition("TRUE")
        return SqlCondition(f"({column} IS NULL OR {column} >= %s)", (since,))


def _is_due(next_try_at: object, now: datetime) -> bool:
    """Whether something is read by ``now``: it was not tried in vain, or is tried again by then."""
    at = utc(next_try_at)
    return at is None or at <= now
