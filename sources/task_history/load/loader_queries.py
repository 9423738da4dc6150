"""The part of a loader that queries the warehouse: its connection, its names in SQL, and answers that are kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import dlt

from ..core.models import Row, Window
from ..systems.protocol import System
from ..warehouse import common_tables
from ..warehouse.column_rules import ColumnRules
from ..warehouse.forgotten_people import FORGOTTEN, LeftOut, read_left_out
from ..warehouse.former_tables import completed
from ..warehouse.left_days import (
    LEFT_DAYS,
    PACKAGE_DAYS,
    KnownDays,
    LeftDays,
    changing_tables,
    known_days,
)
from ..warehouse.queries import Warehouse
from ..warehouse.query_cache import AnswerCache, BilledAnswerCache
from ..warehouse.table_names import Names
from ..warehouse.user_map import UserMap
from . import destinations, dlt_internals, rows_without_package
from .errors import warehouse_errors
from .shared_connection import SharedConnection

Result = TypeVar("Result")


class LoaderQueries:
    """Queries the warehouse of one dlt pipeline. The arguments are as for ``Loader``."""

    def __init__(
        self,
        pipeline: dlt.Pipeline,
        system: System,
        *,
        rules: ColumnRules | None,
        lock_wait_s: float,
        fault_deadline_s: float,
    ) -> None:
        self.pipeline, self.system = pipeline, system
        self.backend = destinations.of(pipeline.destination)
        self.rules = rules or ColumnRules()
        self._connection = SharedConnection(
            self._client,
            is_exclusive=self.backend.is_exclusive,
            stays_open=dlt_internals.are_used(),
            lock_wait_s=lock_wait_s,
            turns_in=Path(pipeline.pipelines_dir),
            fault_deadline_s=fault_deadline_s,
            on_unused=self.backend.unused,
        )
        self.users: dict[tuple[str, str | None, str], UserMap] = {}
        """What tables and queries of ``user_map`` gave, by system, instance and setting: each is run once."""
        self._has_forgotten: bool | None = None
        self._names: dict[str, str] = {}
        self._sql_client: Any = None
        self._cached_schema: Any = None
        self._left_days: LeftDays | None = None
        self._notes_run = 0
        """The number of this run among those that note days with this destination."""
        """The days with something left to read, as they were when this was asked for; None where that is not known."""
        self._answers = self._kept_answers()

    def _kept_answers(self) -> AnswerCache | None:
        """What keeps answers where each query is billed, or one process at a time can write; else None."""
        if self.backend.literal is not None:
            return BilledAnswerCache(self.query)
        return AnswerCache(self.query) if self.backend.is_exclusive else None

    def query(self, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Runs a query; returns the names of its columns and its rows. Raises WarehouseUnavailable."""
        with warehouse_errors():
            return self._connection.with_retries(
                lambda client: rows_without_package.query(client, sql, *values)
            )

    def execute(self, statements: Iterable[str]) -> None:
        """Runs statements that return no rows, in order. Raises WarehouseUnavailable."""
        with self.kept_open():
            for statement in statements:
                self.retried(partial(_execute, statement), is_repeatable=False)
        self.forget_answers()

    def retried(self, action: Callable[[Any], Result], *, is_repeatable: bool = True) -> Result:
        """The result of ``action`` with dlt's open SQL client, called again where another process was first.

        ``is_repeatable`` is as for ``SharedConnection.with_retries``. Raises WarehouseUnavailable.
        """
        with warehouse_errors():
            return self._connection.with_retries(action, is_repeatable=is_repeatable)

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Context manager: keeps the connection open, so that not every query opens it anew."""
        with warehouse_errors(), self.opened():
            yield

    def query_if_any(self, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Runs a query like ``query``; returns no columns and rows while the tables do not exist."""
        is_there = any(table == self.system.executions.name for table, _ in self.stored_columns())
        return self.query(sql, *values) if is_there and not self.pipeline.first_run else ([], [])

    def warehouse(self, *, is_ready: bool = True) -> Warehouse:
        """The queries on the tables; without ``is_ready`` they may not exist yet, or be those of an earlier version."""
        if is_ready:
            query = self.query if self._answers is None else self._answers
            return Warehouse(query, self.names, self.system).leaving_out(self.left_out)
        own, stored = common_tables.of(self.system), self.stored_columns()
        dialect = str(self.client.capabilities.sqlglot_dialect)
        return Warehouse(self.query_if_any, completed(self.names, own, stored, dialect=dialect), self.system)

    @cached_property
    def left_out(self) -> LeftOut | None:
        """The executions of forgotten people, as they were when this was first asked for; None where there are none."""
        if self._has_forgotten is None:
            with warehouse_errors(), self.opened() as client:
                self._has_forgotten = rows_without_package.is_table(client, self.qualified(FORGOTTEN.name))
        return read_left_out(self.query, self.qualified, self.system) if self._has_forgotten else None

    def stored_columns(self) -> set[tuple[str, str]]:
        """The stored columns, by table and column, as dlt's schema knows them."""
        return dlt_internals.stored_columns(self._schema())

    @property
    def client(self) -> Any:
        """dlt's SQL client, for properties of the warehouse; rows are read by ``query``."""
        with self._connection.lock:
            return self._client()

    @property
    def names(self) -> Names:
        """The qualified table names for SQL."""
        rows_of = self._rows_of if self.backend.tells_row_counts else None
        return Names(
            self.qualified, self.backend.literal, rows_of, left_days=self.left_days, rules=self.rules
        )

    def left_days(self) -> LeftDays | None:
        """The days with something left to read, those of this process's packages included; None where not known."""
        known, own = self._left_days, self.noted_days()
        return (
            None
            if known is None or None in own or not self._are_own_notes
            else known.joined(filter(None, own))
        )

    @property
    def _are_own_notes(self) -> bool:
        """Whether no other run began meanwhile with the same destination object, in another thread."""
        notes = self.backend.package_days
        return notes is None or notes.runs == self._notes_run

    def noted_days(self, *, since: float | None = None) -> list[Window | None]:
        """The days that this run has noted in ``package_days``, or did since an instant of the monotonic clock.

        None stands for days that are not known.
        """
        notes = self.backend.package_days
        own = [] if notes is None else notes.own_notes
        return [days for at, days in own if since is None or at >= since]

    @property
    def has_written_packages(self) -> bool:
        """Whether this run has written packages with something of executions or workflows, where that is noted."""
        notes = self.backend.package_days
        return notes is not None and bool(notes.has_written)

    def read_left_days(self, settings_hash: str, *, began_at: datetime, version: str) -> KnownDays | None:
        """Reads which days have something left of what is wanted; None where that is not kept.

        Called before anything is asked about what is left, by a sync that began then. ``version`` is the connector's.
        Raises WarehouseUnavailable.
        """
        notes = self.backend.package_days
        if notes is None:
            return None

        def read(client: Any) -> KnownDays:
            self._notes_run = notes.begin()
            return known_days(
                notes.rows(client, LEFT_DAYS) or [],
                notes.rows(client, PACKAGE_DAYS),
                own={
                    "run_id": notes.run_id,
                    "began_at": began_at,
                    "settings_hash": settings_hash,
                    "tables_state": notes.tables_state(client, changing_tables(self.system)),
                },
                loaded=partial(notes.loaded, client),
                has_other_version=partial(notes.has_other_version, client, version),
            )

        known = self.retried(read)
        self._left_days = known.days
        return known

    def note_left_days(self, row: Row) -> None:
        """Writes the row of ``left_days``. Raises WarehouseUnavailable.

        Writes none where this run has written no package and the tables are not what they were when it began, or where
        another run began with the same destination object.
        """
        notes = self.backend.package_days

        def note(client: Any) -> None:
            state = notes.tables_state(client, changing_tables(self.system))
            if self._are_own_notes and (notes.has_written or state == row["tables_state"]):
                notes.write(client, LEFT_DAYS, {**row, "tables_state": state}, replaces=True)

        self.retried(note)

    def _rows_of(
        self, table: str, columns: Collection[str] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]] | None:
        with warehouse_errors(), self.opened() as client:
            return self.backend.rows_of(client, table, columns)

    def datasets(self) -> list[str]:
        """Names of all datasets, where the warehouse must be queried dataset by dataset; else none.

        Raises WarehouseUnavailable.
        """
        with warehouse_errors(), self.opened() as client:
            return self.backend.datasets(client)

    def tables(self, dataset: str) -> list[str] | None:
        """Names of all tables and views of a dataset, where the warehouse must be queried dataset by dataset.

        None where there is no such dataset. Raises WarehouseUnavailable.
        """
        with warehouse_errors(), self.opened() as client:
            return self.backend.tables(client, dataset)

    def qualified(self, name: str) -> str:
        """The qualified name of a table in SQL."""
        if name not in self._names:
            # dlt's schema has no naming convention for a moment while a commit is written.
            with self._connection.lock:
                self._names[name] = str(self._client().make_qualified_table_name(name))
        return self._names[name]

    def opened(self) -> AbstractContextManager[Any]:
        """Context manager: dlt's SQL client, with the warehouse open."""
        return self._connection.opened()

    def close_connection(self) -> None:
        """Closes the warehouse until it is used again."""
        with self._connection.lock:
            self._connection.close()

    def released(self) -> AbstractContextManager[None]:
        """Context manager: within it a warehouse that one process at a time can open is released while unused."""
        return self._connection.released()

    def _client(self) -> Any:
        """dlt's SQL client, created once, because dlt resolves all settings anew for each."""
        self._sql_client = self._sql_client or self.pipeline.sql_client()
        return self._sql_client

    def _schema(self) -> Any:
        """The pipeline's schema, cached because dlt reads it from a file each time; None before the first load."""
        schemas: Any = self.pipeline.schemas
        if self._cached_schema is None and self.system.name in schemas:
            self._cached_schema = schemas[self.system.name]
        return self._cached_schema

    def forget_answers(self, changed: Iterable[str] | None = None) -> None:
        """Forgets the answers about these tables; None forgets all."""
        if self._answers is not None:
            self._answers.forget(None if changed is None else list(map(self.qualified, changed)))


def _execute(statement: str, client: Any) -> None:
    client.execute_sql(statement)
