"""How long the warehouse keeps rows (``keep_days_…``): since when those of each class are kept, and which are older.

The vendor's own retention is the setting ``retention_days``, see ``Context.horizon``.

Days are kept whole: rows go once their day, UTC, is older. Executions that are still open stay until they have ended. The
rows of ``coverage`` go with the executions, so that coverage says what is there; the details log stays with its
execution, so that steps and payloads that are gone are not asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

from ..core.models import Row, Table
from ..settings_reader import Settings
from ..systems.protocol import System
from . import common_tables
from .coverage import midnight
from .sql_text import SqlCondition

CLASSES = ("executions", "steps", "payloads")


@dataclass(frozen=True, slots=True)
class KeptSince:
    """Since when rows of each class are kept, by the start of their execution; None for ever."""

    executions: datetime | None = None
    steps: datetime | None = None
    payloads: datetime | None = None

    def __or__(self, other: KeptSince) -> KeptSince:
        """The later instants of both."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return KeptSince(*(max(filter(None, pair), default=None) for pair in pairs))

    def goes_beyond(self, other: KeptSince) -> bool:
        """Whether rows are to be deleted that the other keeps."""
        return (self | other) != other

    @property
    def columns(self) -> Row:
        """The columns of ``sync_runs``."""
        return {f"{name}_kept_since": since for name, since in zip(CLASSES, astuple(self), strict=True)}

    @classmethod
    def in_rows(cls, rows: Iterable[Mapping[str, datetime | None]]) -> KeptSince:
        """The latest instants in rows of ``sync_runs``."""
        found = cls()
        for row in rows:
            found |= cls(*(row[f"{name}_kept_since"] for name in CLASSES))
        return found


def kept_since(settings: Settings, now: datetime) -> KeptSince:
    """Since when rows are kept by the settings. Steps and payloads are kept no longer than their execution."""
    values = settings.values

    def since(*days: int | None) -> datetime | None:
        least = min(filter(None, days), default=None)
        return None if least is None else midnight(now - timedelta(days=least))

    executions = values.keep_days_executions
    return KeptSince(
        since(executions),
        since(executions, values.keep_days_steps),
        since(executions, values.keep_days_payloads) if settings.system.payloads is not None else None,
    )


class KeptRows:
    """Since when rows of one dataset are kept: by the settings, and by what runs have deleted."""

    def __init__(self) -> None:
        self.by_settings: Callable[[], KeptSince] = KeptSince
        self.deleted: KeptSince | None = None
        """What runs have deleted; None before it was read."""


class OldRows:
    """Finds the rows that are no longer kept, as conditions on each table.

    ``name`` gives the qualified name of a table; ``literal`` renders an instant as an SQL constant where reading is
    billed, so that partitions are pruned, and is None elsewhere.
    """

    def __init__(
        self,
        system: System,
        since: KeptSince,
        *,
        name: Callable[[str], str],
        literal: Callable[[datetime], str] | None,
    ) -> None:
        self._listings = common_tables.listings(system)
        self._since = since
        self._name = name
        self._literal = literal

    def conditions(self) -> Iterator[tuple[str, SqlCondition]]:
        """The tables with the conditions on their old rows, ``x``; executions come last."""
        if self._since.payloads is not None:
            tables_ = [one.payloads.table for one in self._listings if one.payloads is not None]
            yield from self._by_partition(tables_, self._since.payloads)
        if self._since.steps is not None:
            for one in self._listings:
                yield from self._by_partition((one.details.steps, *one.details.children), self._since.steps)
        if self._since.executions is not None:
            yield from self._with_executions(self._since.executions)

    def _with_executions(self, since: datetime) -> Iterator[tuple[str, SqlCondition]]:
        """The executions that began before and all that belongs to them, except where an execution is still open."""
        states = common_tables.EXECUTION_STATES.name, self._older("seen_at", since, otherwise="last_seen_at")
        for one in self._listings:
            log = one.details.log
            for table, condition in self._by_partition((log,), since):
                yield table, condition & self._is_not_open(one, since, "x.id")
            states = states[0], states[1] & self._is_not_open(one, since, "x.execution_id")
            for statistics in one.statistics.tables if one.statistics is not None else ():
                if any(column.name == one.started_column for column in statistics.columns):
                    yield statistics.name, self._older(one.started_column, since)
        yield states
        yield common_tables.REJECTED_ROWS.name, self._older("near_at", since)
        yield common_tables.COVERAGE.name, self._older("day", since, otherwise="day")
        for one in self._listings:
            yield one.executions.name, self._older(one.started_column, since) & SqlCondition("NOT is_open")

    def _by_partition(self, of: Iterable[Table], since: datetime) -> Iterator[tuple[str, SqlCondition]]:
        for table in of:
            if table.partition is not None:
                yield table.name, self._older(table.partition, since)

    def _is_not_open(self, listing: System, since: datetime, column: str) -> SqlCondition:
        """The condition that the execution of that id did not begin before, and is open."""
        old = self._older(listing.started_column, since)
        executions = self._name(listing.executions.name)
        sql = (
            f"NOT EXISTS (SELECT 1 FROM {executions} AS o WHERE o.is_open AND {old.sql} AND o.id = {column})"
        )
        return SqlCondition(sql, old.values)

    def _older(self, column: str, since: datetime, *, otherwise: str = "fetched_at") -> SqlCondition:
        """The condition that the instant in a column is earlier; where it is empty, that in another one."""
        at, values = ("%s", (since, since)) if self._literal is None else (self._literal(since), ())
        return SqlCondition(f"({column} < {at} OR ({column} IS NULL AND {otherwise} < {at}))", values)
