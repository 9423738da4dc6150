"""Pools of connections to a DuckDB file that this process does not open for writing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from ...warehouse.duckdb_file_reader import open_for_reading
from .. import dlt_internals, duckdb_file_server
from ..dlt_internals import DuckDbConnectionPool, DuckDbCredentials


class ReadOnlyPool(DuckDbConnectionPool):
    """Pool of connections that can read the tables of the file and nothing else."""

    def __init__(self, credentials: DuckDbCredentials, dataset: str) -> None:
        super().__init__(credentials)
        self._file = Path(credentials.database)
        self._dataset = dataset

    def borrow_conn(
        self,
        global_config: Any = None,  # noqa: ARG002 - dlt's, for connections that write
        local_config: Any = None,  # noqa: ARG002
        pragmas: Any = None,  # noqa: ARG002
    ) -> Any:
        return dlt_internals.borrowed(self, lambda: open_for_reading(self._file))

    def move_conn(self) -> Any:
        """Hands a connection to ibis, which sets its own time zone and names views without their dataset."""
        connection = open_for_reading(self._file, is_locked=False)
        connection.execute("SET search_path = ?", [self._dataset])
        return connection


class FileServerPool(DuckDbConnectionPool):
    """Pool of connections through the process that has the file open.

    A returned connection is lent again with the same settings; all are closed once none is lent, so that the file can be.
    """

    def __init__(self, credentials: DuckDbCredentials) -> None:
        super().__init__(credentials)
        self._lent: dict[int, str] = {}
        """The settings of the connections that are lent, by the connection's identity."""
        self._idle: dict[str, list[Any]] = {}
        """Connections that were returned, by their settings."""
        self._pool_lock = threading.Lock()

    def borrow_conn(
        self,
        global_config: Any = None,  # noqa: ARG002 - set by the process that has the file open
        local_config: Any = None,
        pragmas: Any = None,
    ) -> Any:
        settings = repr((local_config, pragmas))
        with self._pool_lock:
            connection = self._idle[settings].pop() if self._idle.get(settings) else None
            if connection is not None:
                self._lent[id(connection)] = settings
                return connection
        connection = duckdb_file_server.connect(str(self.credentials.database))
        dlt_internals.with_local_config(self, connection, local_config, pragmas)
        with self._pool_lock:
            self._lent[id(connection)] = settings
        return connection

    def return_conn(self, borrowed_conn: Any) -> int:
        with self._pool_lock:
            settings = self._lent.pop(id(borrowed_conn), "")
            closed = []
            if self._lent and settings and borrowed_conn.is_clean:
                self._idle.setdefault(settings, []).append(borrowed_conn)
            else:
                closed.append(borrowed_conn)
            if not self._lent:
                closed += [connection for idle in self._idle.values() for connection in idle]
                self._idle.clear()
        for connection in closed:
            connection.close()
        return 0
