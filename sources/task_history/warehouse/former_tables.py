"""Tables that an earlier version created, as this version queries them: what they lack is NULL, a missing table empty."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..core.models import Column, Table
from .sql_text import sql_type
from .table_names import Names

_MAX_NAMED = 5


def completed(
    names: Names, own: Iterable[Table], stored: Collection[tuple[str, str]], *, dialect: str
) -> Names:
    """Names of tables that have all columns of ``own``, of which only the ``stored`` ones (table, column) exist.

    A column that has a new name is read under its former one. Tables that lack nothing keep their names, others are
    subqueries without an alias.
    """
    present: dict[str, set[str]] = {}
    for table, column in stored:
        present.setdefault(table, set()).add(column)
    sql = {
        table.name: _completed(names(table.name), table, present.get(table.name, set()), dialect)
        for table in own
        if not present.get(table.name, set()).issuperset(column.name for column in table.columns)
    }
    return replace(names, qualified=lambda name: sql.get(name) or names.qualified(name))


def lacking(own: Iterable[Table], stored: Collection[tuple[str, str]]) -> list[str]:
    """What the warehouse lacks of ``own``: names of tables, and of columns as ``table.column``."""
    present = {table for table, _ in stored}
    return [
        name
        for table in own
        for name in (
            [f"{table.name}.{one.name}" for one in table.columns if (table.name, one.name) not in stored]
            if table.name in present
            else [table.name]
        )
    ]


def lacking_text(names: Sequence[str]) -> str:
    """The names as a sentence says them, the first few of many."""
    return ", ".join(names[:_MAX_NAMED]) + (
        f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    )


def _completed(name: str, table: Table, present: Collection[str], dialect: str) -> str:
    lacking = [column for column in table.columns if column.name not in present]
    columns = ", ".join(f"{_value(column, present, dialect)} AS {column.name}" for column in lacking)
    if not present:
        return f"(SELECT {columns} FROM (SELECT 1 AS one) AS only_one WHERE FALSE)"
    return f"(SELECT stored.*, {columns} FROM {name} AS stored)"


def _value(column: Column, present: Collection[str], dialect: str) -> str:
    if column.former_name in present:
        return f"stored.{column.former_name}"
    return f"CAST(NULL AS {sql_type(column.type, dialect)})"
