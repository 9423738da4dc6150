"""Renamed columns: copies the values that an earlier version wrote under the former name, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..core.models import Table

_COPIED_COLUMNS = "x-task-history-copied-columns"
"""The hint of a table that lists the former columns whose values are copied."""
FormerColumns = dict[str, dict[str, str]]
"""Present column names by table and former column name."""


def not_copied(own: Iterable[Table], stored: Mapping[str, Any]) -> FormerColumns:
    """Columns that stored tables have under a former name and whose values are not copied yet."""
    former: FormerColumns = {}
    for table in own:
        copied = stored[table.name].get(_COPIED_COLUMNS, ())
        for column in table.columns:
            before = column.former_name
            if before is not None and before in stored[table.name]["columns"] and before not in copied:
                former.setdefault(table.name, {})[before] = column.name
    return former


def statements(former: FormerColumns, qualified: Callable[[str], str]) -> Iterator[str]:
    """SQL statements that copy the values; running them again changes nothing."""
    for name, renamed in former.items():
        for before, column in renamed.items():
            yield (
                f"UPDATE {qualified(name)} SET {column} = {before} "
                f"WHERE {column} IS NULL AND {before} IS NOT NULL"
            )


def marked_copied(schema: Any, former: FormerColumns) -> Any:
    """A copy of dlt's schema in which these columns are marked as copied."""
    schema = schema.clone()
    for name, renamed in former.items():
        copied = schema.tables[name].get(_COPIED_COLUMNS, ())
        schema.tables[name][_COPIED_COLUMNS] = sorted({*copied, *renamed})
    return schema
