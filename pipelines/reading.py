"""A warehouse that is only read: quickly, without dlt, also while a sync writes to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sources.task_history.errors import WarehouseUnavailable
from sources.task_history.settings import Settings
from sources.task_history.warehouse import Query, Warehouse

from .destination import Target

_PATIENCE_S = 15.0
"""A sync holds the file only while it commits or asks."""


@contextmanager
def queried(target: Target) -> Iterator[Query | None]:
    """Runs SQL in the warehouse; None when there is none yet.

    Raises:
        WarehouseUnavailable: another process keeps it, or it is none.
    """
    if not target.file.exists():
        yield None
        return
    import duckdb

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection = duckdb.connect(str(target.file), read_only=True, config={"threads": 2})
            break
        except duckdb.IOException as error:
            if "lock" not in str(error).lower() or time.monotonic() > deadline:
                raise WarehouseUnavailable(_explained(target, error)) from error
            time.sleep(0.1)
        except duckdb.Error as error:
            raise WarehouseUnavailable(_explained(target, error)) from error

    def query(sql: str, *values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        try:
            cursor = connection.execute(sql.replace("%s", "?"), list(values))
            return [column[0] for column in cursor.description or ()], cursor.fetchall()
        except duckdb.Error as error:
            raise WarehouseUnavailable(
                f"The warehouse cannot answer: {str(error).splitlines()[0]}"
            ) from error

    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield query
    finally:
        connection.close()


def _explained(target: Target, error: Exception) -> str:
    words = str(error).splitlines()[0]
    if "lock" in words.lower():
        return f"{target.file} is open for writing in another process: close it there, or wait for its end. ({words})"
    return f"{target.file} cannot be opened as a DuckDB file: name another one, or move it away. ({words})"


def warehouse(query: Query, settings: Settings) -> Warehouse | None:
    """The system's tables; None when it was never synced."""
    _, rows = query(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
        settings.dataset_name,
        settings.system.executions.name,
    )
    if not rows[0][0]:
        return None
    return Warehouse(query, lambda name: f'"{settings.dataset_name}"."{name}"', settings.system)
