"""Changes rows that are stored already: by statements of SQL, and not by a load."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..warehouse import tables
from ..warehouse.sql_text import Statement
from .errors import warehouse_errors
from .pipeline import Loader


def change(loader: Loader, statements: Callable[[str], Iterable[Statement]]) -> None:
    """Runs statements in order, each committed for itself; they get the present instant as an SQL expression.

    Raises WarehouseUnavailable.
    """
    with warehouse_errors(), loader.opened() as client:
        now = loader.backend.begin_commit(client)
        for sql, values in statements(now):
            client.execute_sql(sql, *values)
        loader.forget_answers()


def empty_staging(loader: Loader) -> None:
    """Empties the staging tables, in which rows of the last load may still stand. Raises WarehouseUnavailable."""
    with warehouse_errors(), loader.opened() as client, client.with_staging_dataset():
        for table in tables.of(loader.system):
            with suppress(DatabaseUndefinedRelation):
                client.truncate_tables(table.name)
