"""The instants at which rows are written into a DuckDB file: each is later than all that are stored in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
from dlt.destinations.exceptions import DatabaseException

from ...core.columns import LOADED_AT
from ...warehouse.common_tables import SYNC_RUNS
from ...warehouse.sql_text import quoted_name
from ..duckdb_file_server import SharedFileConnection

_COLUMNS = f"""
SELECT schema_name, table_name FROM duckdb_columns()
WHERE column_name = '{LOADED_AT.name}' AND data_type = 'TIMESTAMP WITH TIME ZONE' AND database_name = current_database()
"""
"""The tables and views with such instants."""
_OF_ALL = f"""{_COLUMNS}
AND table_oid IN (SELECT table_oid FROM duckdb_tables() WHERE database_name = current_database())
AND schema_name IN (SELECT schema_name FROM duckdb_tables() WHERE table_name = '_dlt_loads')
"""
"""Those in all datasets of the file, without views and without tables that a user made."""
_MICROSECOND = timedelta(microseconds=1)


class Instants:
    """Gives each commit its instant. What is stored is compared once each time the file is opened: while this process
    has it open, no other one writes."""

    def __init__(self) -> None:
        self._compared_on: Any = None
        """The connection on which the stored instants were compared."""
        self._last = datetime.min.replace(tzinfo=UTC)

    def next(self, client: Any, now: datetime) -> datetime:
        """The present, or the microsecond after the newest stored instant where that is later."""
        connection = client.native_connection
        shared = connection if isinstance(connection, SharedFileConnection) else None
        if shared is not None and (last := shared.begin_writing()) is not None:
            self._last = max(self._last, last)
        elif shared is not None or connection is not self._compared_on:
            self._last = max(self._last, _newest_from(client, now))
            self._compared_on = connection
        self._last = max(now, self._last + _MICROSECOND)
        if shared is not None:
            shared.note_instant(self._last)
        return self._last


def _newest_from(client: Any, now: datetime) -> datetime:
    """The newest stored instant that is not before ``now``; long ago where there is none.

    DuckDB knows of each block of rows its newest instant: none of them is read unless the clock was set back.
    """
    datasets = client.execute_sql(
        "SELECT schema_name FROM duckdb_tables() WHERE table_name = '_dlt_loads' "
        "AND database_name = current_database()"
    )
    own = client.execute_sql(f"{_COLUMNS} AND schema_name = %s", client.dataset_name) or ()
    # Every commit writes a row of its run: in other datasets no table has a newer one.
    runs = [(name, SYNC_RUNS.name) for (name,) in datasets or () if name != client.dataset_name]
    try:
        return _newest(client, [*own, *runs], now)
    except (DatabaseException, duckdb.Error):
        # An earlier version wrote one of the other datasets, or something was dropped by hand.
        return _newest(client, client.execute_sql(_OF_ALL) or (), now)


def _newest(client: Any, tables: Iterable[tuple[str, str]], now: datetime) -> datetime:
    later = " UNION ALL ".join(
        f"SELECT {LOADED_AT.name} FROM {quoted_name(schema, table)} "
        f"WHERE {LOADED_AT.name} >= TIMESTAMPTZ '{now.isoformat()}'"
        for schema, table in tables
    )
    newest = client.execute_sql(f"SELECT max({LOADED_AT.name}) FROM ({later})")[0][0] if later else None
    return datetime.min.replace(tzinfo=UTC) if newest is None else newest.astimezone(UTC)
