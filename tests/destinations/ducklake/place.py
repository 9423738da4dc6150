"""A place of one's own whose warehouse is a DuckLake: a catalog, and data in a folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.environments import ducklake_python
from tests.support.forked import Forked
from tests.support.place import Place

ON_DUCKLAKE = ("--destination", "ducklake")
_INSTALL = """
import duckdb
from duckdb_extensions import import_extension
connection = duckdb.connect()
for name in ("ducklake", "postgres", "sqlite"):
    import_extension(name, con=connection)
"""
_TRUSTING = """
import sys, warnings
import duckdb
warnings.simplefilter("ignore")
connect = duckdb.connect

def trusting(*values, config=None, **options):
    return connect(*values, config={**(config or {}), "allow_unsigned_extensions": True}, **options)

duckdb.connect = trusting
"""
"""DuckDB checks the signatures of its extensions with each connection, which takes 20 times as long as all else of it."""
_COMMAND = f"""{_TRUSTING}
from task_history_cli.cli import main
sys.exit(main(sys.argv[1:]))
"""
_QUERY = f"""{_TRUSTING}
import json
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute("ATTACH 'ducklake:" + sys.argv[1] + "' AS lake (" + sys.argv[2] + ")")
connection.execute("USE lake")
print(json.dumps(connection.execute(sys.argv[3]).fetchall(), default=str))
"""


def install_extensions(home: Path) -> None:
    """Installs the extensions that the environment's packages hold for the user with that home."""
    home.mkdir(parents=True, exist_ok=True)
    done = _run([_INSTALL], home, {"HOME": str(home)})
    assert done.returncode == 0, done.stderr


def _run(words: Sequence[str], folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A script with its words in a fork of a process of the environment that has DuckLake, run to its end."""
    process = Forked(words, folder, env, program="scripts", python=ducklake_python())
    out, err = process.communicate(timeout=500)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


class DuckLakePlace(Place):
    """The commands run as processes of the environment that has DuckLake."""

    LOADS_ALL = True

    def __init__(
        self, folder: Path, sandbox: SandboxProcess, *, home: Path, catalog: str, **settings: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, sandbox, **settings)
        self.catalog = catalog
        del self.env["DESTINATION__DUCKDB__CREDENTIALS"], self.env["PYTHONPATH"]
        self.env["HOME"] = str(home)
        prefix = "DESTINATION__DUCKLAKE__CREDENTIALS__"
        self.env[f"{prefix}CATALOG"] = catalog
        self.env[f"{prefix}DUCKLAKE_NAME"] = "lake"
        # Of a sync with two threads DuckDB's threads take a third of the processor's time for waiting.
        self.env[f"{prefix}GLOBAL_CONFIG"] = '{"threads": 1}'
        self.set_data(folder / "data")

    def set_data(self, data: Path) -> None:
        """Names the folder of the lake's files."""
        self.data = data
        self.env["DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL"] = data.as_uri()

    def run(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = _run([_COMMAND, *words], self.folder, self.env)
        if expect is not None:
            assert done.returncode == expect, f"{words} ended with {done.returncode}:\n{done.stderr[-3000:]}"
        return done

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the lake; instants are texts."""
        options = f"DATA_PATH '{self.data}'"
        place = self.catalog.removeprefix("sqlite:///")
        if place == self.catalog:
            place, options = f"postgres:{place}", f"{options}, METADATA_SCHEMA 'lake'"
        else:
            options = f"{options}, META_TYPE 'sqlite'"
        done = _run([_QUERY, place, options, sql], self.folder, self.env)
        assert done.returncode == 0, done.stderr
        return [tuple(row) for row in json.loads(done.stdout)]
