"""Reads all facts about one execution from the warehouse, for ``why``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from task_history.core.errors import UsageError, WarehouseUnavailable
from task_history.core.intervals import gaps
from task_history.core.models import MS, Row, Scope, Selection, Window, floor_ms
from task_history.settings_reader import Settings
from task_history.warehouse.common_tables import (
    COVERAGE,
    EXECUTION_STATES,
    REPLAYS,
    SYNC_RUNS,
    WINDOW_READS,
    of,
)
from task_history.warehouse.coverage import AUDIT, SYNC, Coverage, midnight
from task_history.warehouse.forgotten_people import FORGOTTEN, read_left_out
from task_history.warehouse.keep_days import kept_since
from task_history.warehouse.queries import Warehouse

from ..runtime.reader import Reader
from .coverage import Loaded, blind, read_filters
from .present import DetailFacts, Reason, Words

_CLOCK_DIFFERENCE = timedelta(days=1)


@dataclass(slots=True)
class Facts:
    """The facts that need no request to the vendor."""

    execution_id: str
    loaded: Loaded
    row: Row | None = None
    states: list[Row] = field(default_factory=list)
    reads: list[Row] = field(default_factory=list)
    """Rows of ``window_reads`` for windows that contain its start."""
    runs: dict[str, Row] = field(default_factory=dict)
    run_then: str | None = None
    """The run that was active when it was first seen."""
    details: DetailFacts | None = None
    integrations: dict[str, str] = field(default_factory=dict)
    """Rows of workflows by id."""
    replay: Row | None = None
    """The replay that named it as the new execution."""
    replayed: list[Row] = field(default_factory=list)
    """Its own replays."""
    traces: Row | None = None
    is_left_out: bool = False
    other: Reason | None = None


def loaded(settings: Settings, now: datetime, warehouse: Warehouse | None = None) -> Loaded:
    """What is loaded, and how far syncs and the vendor reach; nothing without a warehouse."""
    days = warehouse.coverage() if warehouse else []
    horizon = None if settings.retention is None else floor_ms(now - settings.retention)
    rechecked = None
    unbroken = Coverage(days, lane=SYNC).unbroken
    if warehouse is not None and unbroken is not None:
        newest = warehouse.newest_start(
            from_day=max((day.day for day in days if day.executions), default=None)
        )
        back = min(unbroken.end, newest + MS if newest else unbroken.end) - settings.lookback
        rechecked = max(filter(None, (back, unbroken.start, horizon)))
    relevant = [day for day in days if day.lane != AUDIT]
    kept = kept_since(settings, now).executions
    return Loaded(relevant, (), settings.start(now), horizon, rechecked, kept)


class FactReader:
    """Reads facts from one dataset."""

    def __init__(self, reader: Reader, warehouse: Warehouse, settings: Settings, words: Words) -> None:
        self._reader = reader
        self._warehouse = warehouse
        self._settings = settings
        self._system = settings.system
        self._words = words

    def facts(self, execution_id: str, now: datetime) -> Facts:
        """All facts about the execution. Raises WarehouseUnavailable."""
        if not self._system.listing.is_countable:
            raise UsageError(
                f"why knows only lists that are narrowed to a time and sorted; {self._system.name}'s are not. Its rows "
                f"tell in read_by, fetched_at and run_id how they came: look at {self._system.executions.name}."
            )
        self._check()
        facts = Facts(execution_id, self._loaded(now))
        integrations = self._system.integrations
        workflows = self._records(integrations.table.name, "integration IS NOT NULL") if integrations else []
        facts.integrations = {str(row["workflow_id"]): str(row["integration"]) for row in workflows}
        facts.row = self._row(execution_id)
        if facts.row is not None:
            facts.execution_id = str(facts.row["id"])
        facts.replay = self._first(
            REPLAYS.name, "new_execution_id", facts.execution_id, order="intended_at DESC"
        )
        if facts.row is None:
            facts.traces = self._first(self._system.details.log.name, "id", execution_id)
            facts.is_left_out = self._is_left_out(execution_id)
            facts.other = self._other(execution_id)
        else:
            self._of_row(facts, facts.row)
        return facts

    def _is_left_out(self, execution_id: str) -> bool:
        if not any(table == FORGOTTEN.name for table, _ in self._reader.columns()):
            return False
        left_out = read_left_out(self._reader.query, self._reader.names, self._system)
        return left_out is not None and left_out.has_id(execution_id)

    def _of_row(self, facts: Facts, row: Row) -> None:
        started_at = row.get(self._system.started_column)
        # Nothing was seen or read of it before it began; two clocks may differ.
        since = None if started_at is None else started_at - _CLOCK_DIFFERENCE
        facts.states = self._records(
            EXECUTION_STATES.name, "execution_id = %s ORDER BY seen_at", facts.execution_id, since=since
        )
        if started_at is not None:
            condition = "window_start <= %s AND window_end > %s ORDER BY read_at"
            facts.reads = self._records(WINDOW_READS.name, condition, started_at, started_at, since=since)
        if self._system.replay is not None:
            facts.replayed = self._records(
                REPLAYS.name, "execution_id = %s ORDER BY intended_at", facts.execution_id
            )
        earliest = min(
            [state["seen_at"] for state in facts.states] + [row.get("status_seen_at") or row["fetched_at"]]
        )
        facts.run_then = self._run_at(earliest)
        facts.details = self._details(facts, row)
        ids = {run_id.get("run_id") for run_id in (row, *facts.states, *facts.reads)} | {facts.run_then}
        facts.runs = self._runs([str(run_id) for run_id in ids if run_id])

    def _check(self) -> None:
        """Raises WarehouseUnavailable where tables of an earlier version lack columns that the next sync adds."""
        names = [table.name for table in (EXECUTION_STATES, WINDOW_READS, COVERAGE)]
        columns = self._reader.columns()
        needed = {
            (name, column) for name, column in zip(names, ("seen_at", "read_at", "windows"), strict=True)
        }
        needed.add((self._system.executions.name, "status_seen_at"))
        if lacking := sorted(".".join(one) for one in needed - columns):
            raise WarehouseUnavailable(
                f"The warehouse lacks {', '.join(lacking)}: an earlier version wrote it, or they were dropped by hand. "
                f"The next sync adds them: {self._words.call('sync')}"
            )

    def _row(self, execution_id: str) -> Row | None:
        stored = self._warehouse.stored([execution_id])
        if not stored:
            # Somebody's tool may have changed the letters.
            _, same = self._reader.query(
                f"SELECT e.id FROM {self._name(self._system.executions.name)} AS e "
                "WHERE lower(e.id) = lower(%s) LIMIT 1",
                execution_id,
            )
            stored = self._warehouse.stored([str(same[0][0])]) if same else {}
        return next(iter(stored.values()), None)

    def _loaded(self, now: datetime) -> Loaded:
        runs = self._records(SYNC_RUNS.name, "lost_from IS NOT NULL AND lost_until IS NOT NULL")
        lost = [Window(run["lost_from"], run["lost_until"]) for run in runs]
        reads = self._records(
            WINDOW_READS.name, "coalesce(filters, '') = ''", columns="window_start, window_end, read_at"
        )
        windows = [(Window(read["window_start"], read["window_end"]), read["read_at"]) for read in reads]
        unseen = blind(windows, self._settings.retention)
        return replace(loaded(self._settings, now, self._warehouse), lost=lost, blind=unseen)

    def _details(self, facts: Facts, row: Row) -> DetailFacts:
        system, scope = self._system, Scope(self._settings.values.steps, self._settings.values.payloads)
        identity = facts.execution_id
        day = row.get(system.started_column)
        steps = self._records(
            system.details.steps.name, "workflow_execution_id = %s", identity, columns="id, status", day=day
        )
        payloads = []
        if system.payloads is not None:
            payloads = self._records(
                system.payloads.table.name,
                "workflow_execution_id = %s",
                identity,
                columns="step_execution_id, outcome, unreadable_reason, next_try_at",
                day=day,
            )
        loaded_steps = {payload["step_execution_id"] for payload in payloads}
        wanted = [
            step
            for step in steps
            if scope.payloads == "all"
            or (scope.payloads == "failed" and step.get("status") in system.failed_statuses)
        ]
        outcomes = [str(payload.get("outcome") or "loaded") for payload in payloads]
        remedy = self._remedy(row.get(system.started_column), facts.loaded)
        log_row = self._first(system.details.log.name, "id", identity, day=day)
        is_loaded = log_row is not None and log_row.get("outcome") == "loaded"
        return DetailFacts(
            scope,
            log_row,
            len(steps),
            {outcome: outcomes.count(outcome) for outcome in outcomes},
            sum(step["id"] not in loaded_steps for step in wanted),
            [payload for payload in payloads if payload.get("next_try_at") is not None],
            0 if is_loaded else self._missing(scope),
            remedy,
        )

    def _missing(self, scope: Scope) -> int:
        """Number of executions whose steps are wanted and not loaded."""
        return self._warehouse.reaching(self._settings.retention).left(scope).details

    def _remedy(self, started_at: datetime | None, loaded: Loaded) -> str:
        """The command that loads its details: a sync, or a backfill of its day."""
        ends = [day.windows[0].start for day in loaded.days if day.lane == SYNC]
        if started_at is None or (ends and started_at >= min(ends)):
            return self._words.call("sync")
        window = Window(started_at, started_at + MS)
        filters = next((name for name, read in loaded.by_filters.items() if not gaps(window, read)), "")
        if not gaps(window, loaded.unfiltered):
            filters = ""
        options = [
            argument for name, value in read_filters(filters).items() for argument in (f"--{name}", value)
        ]
        return self._words.days("backfill", window, *map(shlex.quote, options))

    def _other(self, identity: str) -> Reason | None:
        """Other things that have this id, such as a step or a workflow."""
        system, words = self._system, self._words
        step = self._first(system.details.steps.name, "id", identity, columns="workflow_execution_id")
        if step is not None:
            execution = str(step["workflow_execution_id"])
            return Reason(
                "is_a_step",
                f"It is a step of the execution {execution}.",
                f"Ask for that: {words.call('why', execution)}",
            )
        if self._first(system.executions.name, system.workflow_column, identity, columns="id") is not None:
            return Reason(
                "is_a_workflow",
                "It is a workflow, not one of its executions.",
                f"Its executions are the rows of {system.executions.name} with this {system.workflow_column}.",
            )
        return None

    def _run_at(self, instant: datetime) -> str | None:
        """The only run that was active then; None when there were several."""
        runs = self._records(
            SYNC_RUNS.name,
            "started_at <= %s AND coalesce(ended_at, written_at) >= %s LIMIT 2",
            instant,
            instant,
        )
        return str(runs[0]["run_id"]) if len(runs) == 1 else None

    def _runs(self, ids: Sequence[str]) -> dict[str, Row]:
        placeholders = ", ".join(["%s"] * len(ids))
        runs = self._records(SYNC_RUNS.name, f"run_id IN ({placeholders})", *ids) if ids else []
        return {str(run["run_id"]): run for run in runs}

    def _first(
        self,
        table: str,
        column: str,
        value: str,
        *,
        order: str = "1",
        columns: str = "*",
        day: datetime | None = None,
    ) -> Row | None:
        if table == REPLAYS.name and not self._system.replay is not None:
            return None
        condition = f"{column} = %s ORDER BY {order} LIMIT 1"
        rows = self._records(table, condition, value, columns=columns, day=day)
        return rows[0] if rows else None

    def _name(self, table: str, day: datetime | None = None, since: datetime | None = None) -> str:
        declared = next(candidate for candidate in of(self._system) if candidate.name == table)
        names = self._reader.names
        if day is not None:
            return names.on_days(declared, [day])
        return (names if since is None else replace(names, since=midnight(since))).recent(declared)

    def _records(
        self,
        table: str,
        condition: str,
        *values: object,
        columns: str = "*",
        day: datetime | None = None,
        since: datetime | None = None,
    ) -> list[Row]:
        """Rows of the table: of the partition of ``day``, or of those from ``since`` on, where that is known."""
        sql = f"SELECT {columns} FROM {self._name(table, day, since)} AS x WHERE {condition}"
        names, rows = self._reader.query(sql, *values)
        return [
            {
                name: value.astimezone(UTC) if isinstance(value, datetime) else value
                for name, value in zip(names, row, strict=True)
                if not name.startswith("_dlt_")
            }
            for row in rows
        ]

    def rank(self, window: Window, filters: str, started_at: datetime, execution_id: str) -> int:
        """Its position, from 0, among the stored executions of the window under the filters."""
        narrow = self._warehouse.within(Selection(window, read_filters(filters)))
        ties = sorted(narrow.ids(Window(started_at, started_at + MS)) | {execution_id})
        return narrow.count(Window(window.start, started_at)) + ties.index(execution_id)
