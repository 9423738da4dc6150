"""The instants at which rows are written into a DuckDB file: each is later than all that are stored in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ...core.columns import LOADED_AT
from ...warehouse.sql_text import quoted_name

_TABLES = f"""
SELECT c.schema_name, c.table_name FROM duckdb_columns() AS c
WHERE c.column_name = '{LOADED_AT.name}' AND c.data_type = 'TIMESTAMP WITH TIME ZONE'
AND c.database_name = current_database()
AND c.table_oid IN (SELECT table_oid FROM duckdb_tables() WHERE database_name = current_database())
AND c.schema_name IN (SELECT schema_name FROM duckdb_tables() WHERE table_name = '_dlt_loads')
"""
"""The tables with such instants in all datasets of the file, without views and without tables that a user made."""
_MICROSECOND = timedelta(microseconds=1)


def later_than_stored(client: Any, now: datetime) -> datetime:
    """The present, or the microsecond after the newest stored instant where that is later.

    DuckDB knows of each block of rows its newest instant: none of them is read unless the clock was set back.
    """
    tables = client.execute_sql(_TABLES) or ()
    later = " UNION ALL ".join(
        f"SELECT {LOADED_AT.name} FROM {quoted_name(schema, table)} "
        f"WHERE {LOADED_AT.name} >= TIMESTAMPTZ '{now.isoformat()}'"
        for schema, table in tables
    )
    if not later:
        return now
    ((newest,),) = client.execute_sql(f"SELECT max({LOADED_AT.name}) FROM ({later})")
    return now if newest is None else newest.astimezone(UTC) + _MICROSECOND
