"""A place of one's own whose warehouse is a DuckLake: a catalog, and data in a folder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.environments import ducklake_python
from tests.support.place import Place

ON_DUCKLAKE = ("--destination", "ducklake")
_INSTALL = """
import duckdb
from duckdb_extensions import import_extension
connection = duckdb.connect()
for name in ("ducklake", "postgres", "sqlite"):
    import_extension(name, con=connection)
"""
_QUERY = """
import json, sys
import duckdb
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute(f"ATTACH 'ducklake:{sys.argv[1]}' AS lake ({sys.argv[2]})")
connection.execute("USE lake")
print(json.dumps(connection.execute(sys.argv[3]).fetchall(), default=str))
"""


def install_extensions(home: Path) -> None:
    """Installs the extensions that the environment's packages hold for the user with that home."""
    home.mkdir(parents=True, exist_ok=True)
    words = [str(ducklake_python()), "-c", _INSTALL]
    subprocess.run(words, check=True, capture_output=True, timeout=100, env={"HOME": str(home)})


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
        command = [str(ducklake_python()), "-m", "task_history_cli.cli", *words]
        done = subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=500,
        )
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
        words = [str(ducklake_python()), "-c", _QUERY, place, options, sql]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=100, env=self.env)
        assert done.returncode == 0, done.stderr
        return [tuple(row) for row in json.loads(done.stdout)]
