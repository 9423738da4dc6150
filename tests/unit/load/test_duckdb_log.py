"""When the rows of DuckDB's write-ahead log are moved into the file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from task_history.load.destinations import duckdb as duckdb_destination


@pytest.mark.parametrize("is_link", [False, True], ids=["file", "symbolic link"])
def test_a_long_log_is_moved_into_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_link: bool
) -> None:
    """After a commit that leaves a long log, also where the file is given by a link: DuckDB's log is beside the file."""
    monkeypatch.setattr(duckdb_destination, "_MAX_LOG_BYTES", 1)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    file = named = folder / "warehouse.duckdb"
    if is_link:
        named = tmp_path / "link.duckdb"
        named.symlink_to(file)
        duckdb.connect(str(file)).close()  # no link to nothing
    with duckdb.connect(str(named)) as connection:
        client = SimpleNamespace(
            credentials=SimpleNamespace(database=str(named)),
            native_connection=connection,
            execute_sql=lambda sql: connection.execute(sql).fetchall(),
        )
        connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(1000)")
        log = Path(f"{file}.wal")
        assert log.stat().st_size > 1
        duckdb_destination.DuckDbBackend(None).after_commit(client)
        assert not log.exists() or log.stat().st_size == 0


def test_many_small_tables_do_not_use_up_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of many small tables, whose log is short, are in the file before they fill DuckDB's memory.

    DuckDB keeps a block of memory for each column of a table whose rows are only in the log, and cannot free it.
    """
    monkeypatch.setattr(duckdb_destination, "_MAX_UNWRITTEN_BYTES", 4_000_000)
    columns = ", ".join(f"'text' AS c{number}" for number in range(20))
    file = tmp_path / "warehouse.duckdb"
    limits: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "12MB",
        "wal_autocheckpoint": "1TB",
    }
    with duckdb.connect(str(file), config=limits) as connection:
        client = SimpleNamespace(
            credentials=SimpleNamespace(database=str(file)),
            native_connection=connection,
            execute_sql=lambda sql: connection.execute(sql).fetchall(),
        )
        backend = duckdb_destination.DuckDbBackend(None)
        for number in range(300):
            connection.execute(f"CREATE TABLE t{number} AS SELECT {columns} FROM range(10)")
            backend.after_commit(client)
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(300,)]
