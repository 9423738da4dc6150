"""A warehouse that is read through dlt's own client: any but a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from dlt.common.schema import Schema

from task_history.core.dataset_names import LANES, REPLAY, VIEWS_DATASET
from task_history.load import destinations
from task_history.load.errors import warehouse_errors
from task_history.settings_reader import Settings
from task_history.views.dialects import DIALECTS
from task_history.warehouse.column_rules import column_rules
from task_history.warehouse.common_tables import of
from task_history.warehouse.forgotten_people import FORGOTTEN
from task_history.warehouse.former_tables import completed
from task_history.warehouse.table_names import Names

from .target import Target


@contextmanager
def reader(target: Target, settings: Settings) -> Iterator[DltReader | None]:
    """The system's dataset; None when there is none yet.

    Raises:
        WarehouseUnavailable: it cannot be reached.
        ConfigurationError: its credentials cannot be used.
    """
    with _connected(target, settings) as (client, backend):
        with warehouse_errors():
            is_there = client.is_storage_initialized()
        yield DltReader(client, settings, backend) if is_there else None


def probed(target: Target, settings: Settings) -> list[str]:
    """The message about a warehouse before the first sync. Raises as ``reader`` does."""
    with _connected(target, settings) as (client, backend), warehouse_errors():
        sql = client.sql_client
        name = sql.dataset_name
        lanes = (
            "",
            *(f"{lane}_" for lane in LANES if lane != REPLAY or settings.system.replay),
        )
        with_views = [VIEWS_DATASET] if str(client.capabilities.sqlglot_dialect) in DIALECTS else []
        found = backend.probe(sql, [name, *(f"{name}_{lane}staging" for lane in lanes), *with_views])
        return [f"The warehouse is {target.place}.", *found]


@contextmanager
def _connected(target: Target, settings: Settings) -> Iterator[tuple[Any, destinations.Backend]]:
    _ = target.place  # raises what is wrong with the settings before anything is asked
    destination = target.destination()
    schema = Schema(settings.system.name)
    config = destination.spec()
    config.dataset_name = settings.dataset_name
    with warehouse_errors():
        client: Any = destination.client(schema, config)
        client.sql_client.open_connection()
    backend = destinations.of(destination)
    if backend.cost is not None:
        backend.cost.name_jobs(settings.system.name, None)
    try:
        yield client, backend
    finally:
        client.sql_client.close_connection()


class DltReader:
    """A ``Reader`` of a dataset through dlt's SQL client."""

    def __init__(self, client: Any, settings: Settings, backend: destinations.Backend) -> None:
        self._client = client
        self._backend = backend
        self._rules = column_rules(settings)
        self._tables = of(settings.system)
        self._columns: set[tuple[str, str]] | None = None

    @property
    def names(self) -> Names:
        client = self._client.sql_client
        names = Names(client.make_qualified_table_name, self._backend.literal, rules=self._rules)
        return completed(names, self._tables, self.columns(), dialect=self.dialect)

    def query(self, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        with warehouse_errors(), self._client.sql_client.execute_query(sql, *values) as cursor:
            names = [column[0] for column in cursor.description or ()]
            return names, [tuple(row) for row in cursor.fetchall()]

    @property
    def dialect(self) -> str:
        return str(self._client.sql_client.capabilities.sqlglot_dialect)

    def columns(self) -> set[tuple[str, str]]:
        if self._columns is None:
            with warehouse_errors():
                found = self._client.get_storage_tables(
                    [*(table.name for table in self._tables), FORGOTTEN.name]
                )
                self._columns = {(table, column) for table, columns in found for column in columns}
        return self._columns

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        there, wanted = {table for table, _ in self.columns()}, list(tables)
        with warehouse_errors():
            counts = self._backend.row_counts(
                self._client.sql_client, [name for name in wanted if name in there]
            )
        return {name: counts.get(name, 0) for name in wanted}
