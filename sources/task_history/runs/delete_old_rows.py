"""Deletes the rows that a warehouse no longer keeps (``keep_days_…``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.log import log
from ..warehouse.keep_days import KeptSince, OldRows

if TYPE_CHECKING:
    from ..load.pipeline import Loader


def delete_old_rows(loader: Loader, since: KeptSince) -> dict[str, int]:
    """Deletes the rows of executions that began before ``since``; returns how many, by table.

    Raises WarehouseUnavailable.
    """
    from ..load.row_changes import change

    name = loader.qualified
    old = list(OldRows(loader.system, since, name=name, literal=loader.backend.literal).conditions())
    counts = ", ".join(
        f"(SELECT count(*) FROM {name(table)} AS x WHERE {condition.sql}) AS n{index}"
        for index, (table, condition) in enumerate(old)
    )
    values = [value for _, condition in old for value in condition.values]
    numbers = loader.query(f"SELECT {counts}", *values)[1][0]
    found = {table: int(number) for (table, _), number in zip(old, numbers, strict=True) if number}
    statements = [
        (f"DELETE FROM {name(table)} AS x WHERE {condition.sql}", condition.values)
        for table, condition in old
        if table in found
    ]
    if statements:
        change(loader, lambda _: statements)
        loader.checkpoint()
    log.info("old_rows_deleted", rows=sum(found.values()), tables=", ".join(found))
    return found
