"""Migration of renamed columns: copies the values that an earlier version wrote under the former name, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import dlt

from ..core.log import log
from ..core.models import Table
from ..systems.protocol import System
from ..warehouse import common_tables

_COPIED_COLUMNS = "x-task-history-copied-columns"
"""The hint of a table that lists the former columns whose values are copied."""
FormerColumns = dict[str, dict[str, str]]
"""Present column names by table and former column name."""


def copied(pipeline: dlt.Pipeline, schema: Any, system: System, client: Any) -> bool:
    """Copies the values of renamed columns that are not copied yet; False where there are none.

    ``client`` is an open SQL client. The columns are marked as copied after the values: a run that is killed in between
    copies them again.
    """
    former = _not_copied(common_tables.of(system), schema.tables)
    if former:
        for statement in _statements(former, client.make_qualified_table_name):
            client.execute_sql(statement)
        with pipeline.managed_state():
            pipeline.schemas.save_schema(_marked_copied(schema, former))
        pipeline.sync_schema(schema.name)
        log.info("former_columns_copied", tables=",".join(sorted(former)))
    return bool(former)


def _not_copied(own: Iterable[Table], stored: Mapping[str, Any]) -> FormerColumns:
    """Columns that stored tables have under a former name and whose values are not copied yet."""
    former: FormerColumns = {}
    for table in own:
        copied = stored[table.name].get(_COPIED_COLUMNS, ())
        for column in table.columns:
            before = column.former_name
            if before is not None and before in stored[table.name]["columns"] and before not in copied:
                former.setdefault(table.name, {})[before] = column.name
    return former


def _statements(former: FormerColumns, qualified: Callable[[str], str]) -> Iterator[str]:
    """SQL statements that copy the values; running them again changes nothing."""
    for name, renamed in former.items():
        for before, column in renamed.items():
            yield (
                f"UPDATE {qualified(name)} SET {column} = {before} "
                f"WHERE {column} IS NULL AND {before} IS NOT NULL"
            )


def _marked_copied(schema: Any, former: FormerColumns) -> Any:
    """A copy of dlt's schema in which these columns are marked as copied."""
    schema = schema.clone()
    for name, renamed in former.items():
        copied = schema.tables[name].get(_COPIED_COLUMNS, ())
        schema.tables[name][_COPIED_COLUMNS] = sorted({*copied, *renamed})
    return schema
