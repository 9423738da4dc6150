"""A DuckDB file that is written anew is the old file or the new one, each of them whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from tests.support.place import ROOT

REWRITER = """
import sys
from pathlib import Path
import duckdb
from task_history.load.destinations.duckdb_rewrite import rewrite

class Client:
    def __init__(self, file):
        self.file = file
        self.open_connection()
    def open_connection(self):
        self.connection = duckdb.connect(str(self.file))
    def close_connection(self):
        self.connection.close()
    def execute_sql(self, sql):
        return self.connection.execute(sql).fetchall()

file = Path(sys.argv[1])
client = Client(file)
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    rewrite(client, file)
print("done", flush=True)
"""


def _rewriter(file: Path, times: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", REWRITER, str(file), str(times)],
        cwd=file.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _content(file: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(
            "SELECT count(*), sum(hash(id, name)) FROM raw.items UNION ALL SELECT count(*), 0 FROM shown.names "
            "UNION ALL SELECT count(*), 0 FROM duckdb_columns() WHERE comment = 'what it is called' ORDER BY 1, 2"
        ).fetchall()


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.torture)])
def test_it_is_whole_whenever_the_process_is_killed(tmp_path: Path, kills: int) -> None:
    """Killed at any instant, the file holds all that it held, and the next time nothing of the copy is left."""
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA shown")
        connection.execute(
            "CREATE TABLE raw.items AS SELECT i AS id, md5(i::TEXT) AS name FROM range(200000) AS t(i)"
        )
        connection.execute("COMMENT ON COLUMN raw.items.name IS 'what it is called'")
        connection.execute("CREATE VIEW shown.names AS SELECT name FROM raw.items WHERE id % 2 = 0")
    before, rng = _content(file), random.Random(3)
    for _ in range(kills):
        process = _rewriter(file, 1000)
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.communicate()
        assert _content(file) == before
    assert _rewriter(file, 1).wait() == 0
    assert _content(file) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["warehouse.duckdb"]


def test_no_byte_of_a_deleted_row_is_left(tmp_path: Path) -> None:
    """What DELETE and CHECKPOINT leave in the file is not in the new one, which has the same rights."""
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "CREATE TABLE items AS SELECT i AS id, CASE WHEN i % 100 = 7 THEN 'mary@example.com' ELSE 'x' || i % 50 END "
            "AS name FROM range(200000) AS t(i)"
        )
    file.chmod(0o640)
    with duckdb.connect(str(file)) as connection:
        connection.execute("DELETE FROM items WHERE name = 'mary@example.com'")
        connection.execute("CHECKPOINT")
    assert b"mary@example.com" in file.read_bytes()
    assert _rewriter(file, 1).wait() == 0
    assert b"mary@example.com" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o640
