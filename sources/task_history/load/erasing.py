"""Erases a person's rows from the warehouse, its staging datasets, and the working folders of dlt's pipelines."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from itertools import chain
from pathlib import Path

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..warehouse.erasure import Erasure
from . import refused_packages, working_dir
from .errors import warehouse_errors
from .pipeline import Loader
from .row_changes import change


def erase_rows(loader: Loader, erasure: Erasure, ids: Collection[str], staging: Iterable[str]) -> None:
    """Erases the rows from all tables and from the datasets ``staging``; ``ids`` are those of the person's executions.

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
                try:
                    client.execute_sql(sql, *values)
                except DatabaseUndefinedRelation:
                    continue
        change(loader, lambda now: chain(erasure.notes(ids, now), erasure.deletions()))


def rewrite_warehouse(loader: Loader) -> None:
    """Removes what deleted rows left behind, where the warehouse is a file. Raises WarehouseUnavailable."""
    with warehouse_errors(), loader.opened() as client:
        loader.backend.without_deleted_rows(client)


def has_pending(folder: Path) -> bool:
    """Whether the working folder of a pipeline may hold packages that are not loaded."""
    return any(working_dir.unloaded(folder))


def clear(folder: Path) -> None:
    """Removes what the working folder of a pipeline, which has no pending package, keeps of rows."""
    for path in (*working_dir.kept_of_loads(folder), *refused_packages.kept_of_rows(folder)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
