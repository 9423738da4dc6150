"""Changes and erases rows that are stored already: by statements of SQL, and not by a load."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..core.dataset_names import VIEWS_DATASET
from ..warehouse import common_tables
from ..warehouse.erasure import Erasure
from ..warehouse.sql_text import Statement
from ..warehouse.user_map import USER_MAP
from .errors import warehouse_errors
from .pipeline import Loader


def change(loader: Loader, statements: Callable[[str], Iterable[Statement]]) -> None:
    """Runs statements in order, each committed for itself; they get the present instant as an SQL expression.

    Raises WarehouseUnavailable.
    """
    with warehouse_errors(), loader.opened() as client:
        now = loader.backend.begin_commit(client)
        for statement in statements(now):
            loader.retried(partial(_run, statement), is_repeatable=False)
        loader.forget_answers()


def _run(statement: Statement, client: Any) -> None:
    sql, values = statement
    client.execute_sql(sql, *values)


def empty_staging(loader: Loader) -> None:
    """Empties the staging tables, in which rows of the last load may still stand. Raises WarehouseUnavailable."""
    with warehouse_errors(), loader.opened() as client, client.with_staging_dataset():
        for table in common_tables.of(loader.system):
            with suppress(DatabaseUndefinedRelation):
                client.truncate_tables(table.name)


def erase_rows(loader: Loader, erasure: Erasure, ids: Collection[str], staging: Iterable[str]) -> None:
    """Erases a person's rows from all tables and from the datasets ``staging``; ``ids`` are those of their executions.

    Raises:
        WarehouseUnavailable: some rows may be erased; the same call erases the rest.
    """
    with warehouse_errors(), loader.opened() as client:
        for dataset in staging:
            with client.with_alternative_dataset_name(dataset):
                if not client.has_dataset():
                    continue
                statements = list(erasure.staged(client.make_qualified_table_name))
            for _, (sql, values) in statements:
                # A pipeline stages only the tables that it has filled.
                with suppress(DatabaseUndefinedRelation):
                    client.execute_sql(sql, *values)
        change(loader, lambda now: chain(erasure.notes(ids, now), erasure.deletions()))


def erase_mapped_user(loader: Loader, person: Collection[str]) -> int:
    """Erases what the table ``user_map`` has of the person in this dataset, and returns how many rows that were.

    Raises:
        WarehouseUnavailable: the same call goes on where this one ended.
    """
    marks = ", ".join(["%s"] * len(person))
    with warehouse_errors(), loader.opened() as client:
        with client.with_alternative_dataset_name(VIEWS_DATASET):
            name = client.make_qualified_table_name(USER_MAP.name)
        where = f"WHERE dataset = %s AND user_id IN ({marks})"
        values = (client.dataset_name, *person)
        try:
            rows = client.execute_sql(f"SELECT count(*) FROM {name} {where}", *values)
        except DatabaseUndefinedRelation:
            # It is made with the first user whom a file names.
            return 0
        number = int(rows[0][0]) if rows else 0
        if number:
            client.execute_sql(f"DELETE FROM {name} {where}", *values)
    return number


def rewrite_warehouse(loader: Loader) -> None:
    """Removes what deleted rows left behind, where the warehouse is a file. Raises WarehouseUnavailable."""
    with warehouse_errors(), loader.opened() as client:
        loader.backend.without_deleted_rows(client)
