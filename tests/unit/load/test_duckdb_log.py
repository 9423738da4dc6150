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
            execute_sql=connection.execute,
        )
        connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(1000)")
        log = Path(f"{file}.wal")
        assert log.stat().st_size > 1
        duckdb_destination.DuckDbBackend(None).after_commit(client)
        assert not log.exists() or log.stat().st_size == 0
