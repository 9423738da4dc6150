"""A warehouse that is only read, also while a sync writes to it; a DuckDB file quickly, without dlt."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from task_history.core import lock_timeouts
from task_history.core.errors import WarehouseUnavailable
from task_history.settings_reader import Settings
from task_history.warehouse import common_tables
from task_history.warehouse.column_rules import column_rules
from task_history.warehouse.duckdb_file_reader import is_made, open_for_reading
from task_history.warehouse.former_tables import completed
from task_history.warehouse.keep_days import kept_since
from task_history.warehouse.queries import Warehouse
from task_history.warehouse.sql_text import DUCKDB, quoted_name
from task_history.warehouse.table_names import Names

from .target import Target


class Reader(Protocol):
    """The tables of one dataset; of those that an earlier version created, see ``former_tables``."""

    @property
    def names(self) -> Names:
        """Qualified table names in SQL."""
        ...

    def query(self, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The columns' names and the rows. Raises WarehouseUnavailable."""
        ...

    def columns(self) -> set[tuple[str, str]]:
        """Columns by table."""
        ...

    @property
    def dialect(self) -> str:
        """The warehouse's SQL, as sqlglot calls it."""
        ...

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        """Number of rows by table."""
        ...


@contextmanager
def queried(target: Target, settings: Settings) -> Iterator[Reader | None]:
    """The system's dataset; None when there is none yet.

    Raises:
        WarehouseUnavailable: another process keeps it, or it is none.
        ConfigurationError: its credentials cannot be used.
    """
    if target.file is None:
        from .reader_dlt import reader

        with reader(target, settings) as found:
            yield found
    elif not is_made(target.file):
        yield None
    else:
        with _opened(target.file) as connection:
            yield _DuckDbReader(connection, settings)


@contextmanager
def files_kept_open() -> Iterator[None]:
    """Context manager: a DuckDB file that was read stays open for the next dataset, for a few seconds.

    A sync of many accounts has the file open for longer than that, and each opening waits until it closes it.
    """
    global _open_files  # noqa: PLW0603 - the next dataset finds it there
    _open_files = {}
    try:
        yield
    finally:
        opened, _open_files = _open_files, None
        for connection, _ in opened.values():
            connection.close()


_open_files: dict[Path, tuple[Any, float]] | None = None
"""The open files, and since when; None where each is closed after each use."""


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    if _open_files is None:
        with closing(open_for_reading(file)) as connection:
            yield connection
        return
    connection, since = _open_files.get(file, (None, 0.0))
    if connection is not None and time.monotonic() - since >= lock_timeouts.FILE_OPEN_OF_RUN_S:
        del _open_files[file]
        connection.close()
        # A waiting process tries that often.
        time.sleep(lock_timeouts.FILE_POLL_S[1])
        connection = None
    if connection is None:
        connection = open_for_reading(file)
        _open_files[file] = connection, time.monotonic()
    yield connection


def probed(target: Target, settings: Settings) -> list[str]:
    """The message about a warehouse before the first sync.

    Raises:
        WarehouseUnavailable: it cannot be used; says what is missing.
        ConfigurationError: its credentials cannot be used.
    """
    if target.file is None:
        from .reader_dlt import probed as probed_there

        return probed_there(target, settings)
    # Beside the file DuckDB writes its log.
    for path in (target.file.parent, target.file):
        if path.exists() and not os.access(path, os.W_OK):
            raise WarehouseUnavailable(f"{path} may not be written: check its owner and rights.")
    with queried(target, settings) as reader:
        if reader is None:
            return [f"{target.file} will be created by the first sync."]
        is_there = any(table == settings.system.executions.name for table, _ in reader.columns())
    state = "is there" if is_there else "will be created by the first sync"
    return [f"{target.file} is a warehouse, and the dataset {settings.dataset_name} {state}."]


def warehouse_of(reader: Reader, settings: Settings) -> Warehouse | None:
    """The system's tables; None when it was never synced."""
    system = settings.system
    if not any(table == system.executions.name for table, _ in reader.columns()):
        return None
    warehouse = Warehouse(reader.query, reader.names, system)
    warehouse.kept.by_settings = lambda: kept_since(settings, datetime.now(UTC))
    return warehouse


class _DuckDbReader:
    """A ``Reader`` of a dataset in a DuckDB file, without dlt."""

    def __init__(self, connection: Any, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._columns: set[tuple[str, str]] | None = None

    @property
    def names(self) -> Names:
        dataset, own = self._settings.dataset_name, common_tables.of(self._settings.system)
        names = Names(lambda table: quoted_name(dataset, table), rules=column_rules(self._settings))
        return completed(names, own, self.columns(), dialect=DUCKDB)

    def query(self, sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        import duckdb

        try:
            cursor = self._connection.execute(sql.replace("%s", "?") if values else sql, list(values))
            return [column[0] for column in cursor.description or ()], cursor.fetchall()
        except duckdb.Error as error:
            raise WarehouseUnavailable(
                f"The warehouse cannot answer: {str(error).splitlines()[0]}"
            ) from error

    dialect = DUCKDB

    def columns(self) -> set[tuple[str, str]]:
        if self._columns is None:
            _, rows = self.query(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s",
                self._settings.dataset_name,
            )
            self._columns = {(str(table), str(column)) for table, column in rows}
        return self._columns

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        names = self.names
        return {
            table: int(self.query(f"SELECT count(*) FROM {names(table)} AS x")[1][0][0]) for table in tables
        }
