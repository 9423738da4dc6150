"""Columns that have a new name: what an earlier version wrote under the former one is copied into them, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..core.models import Table

_COPIED_COLUMNS = "x-task-history-copied-columns"
"""The hint of a table that lists the former columns whose values are copied."""
Former = dict[str, dict[str, str]]
"""By table, the former name of each column and its name now."""


def not_copied(own: Iterable[Table], stored: Mapping[str, Any]) -> Former:
    """The columns that the stored tables have under a former name and that are not noted as copied."""
    former: Former = {}
    for table in own:
        copied = stored[table.name].get(_COPIED_COLUMNS, ())
        for column in table.columns:
            before = column.former_name
            if before is not None and before in stored[table.name]["columns"] and before not in copied:
                former.setdefault(table.name, {})[before] = column.name
    return former


def statements(former: Former, qualified: Callable[[str], str]) -> Iterator[str]:
    """The SQL that copies the values; where it runs again it changes nothing."""
    for name, renamed in former.items():
        for before, column in renamed.items():
            yield (
                f"UPDATE {qualified(name)} SET {column} = {before} "
                f"WHERE {column} IS NULL AND {before} IS NOT NULL"
            )


def noted(schema: Any, former: Former) -> Any:
    """dlt's schema with the note that these columns are copied."""
    schema = schema.clone()
    for name, renamed in former.items():
        copied = schema.tables[name].get(_COPIED_COLUMNS, ())
        schema.tables[name][_COPIED_COLUMNS] = sorted({*copied, *renamed})
    return schema
