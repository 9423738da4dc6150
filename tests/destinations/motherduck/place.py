"""A place of one's own whose warehouse is MotherDuck, for which a DuckDB file of this machine stands in."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import duckdb

from task_history_cli.runtime import views
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.forked import Forked
from tests.support.place import Place

ON_MOTHERDUCK = ("--destination", "motherduck")
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJlIjoiYUBiLmMifQ.c2VjcmV0LXRva2Vu"
DATABASE = "analytics"
_KILLED = """
import os, signal, sys, warnings
from pathlib import Path
from task_history.load.pipeline import Loader
from task_history_cli.cli import main
from tests.destinations.motherduck.place import MotherDuck

warnings.resetwarnings()
load, calls = Loader._load_package, 0

def killed(*values):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return load(*values)

Loader._load_package = killed
with MotherDuck(Path(sys.argv[1])).answering():
    main(sys.argv[3:])
"""


class MotherDuck:
    """Answers ``duckdb.connect`` for addresses of MotherDuck: each database is a file in the folder.

    As in a workspace of MotherDuck another database is attached, with tables of the same names. It takes one token.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.addresses: list[str] = []
        """The addresses that were opened."""
        self.before: Callable[[str, Any], None] | None = None
        """Called with each statement before it is run, and its connection."""
        self.is_reached = True
        """Whether DuckDB has its extension for MotherDuck."""
        self._connect = duckdb.connect
        self._other = folder / "other.duckdb"
        if not self._other.exists():
            with self._connect(str(self._other)) as other:
                other.execute("CREATE SCHEMA paragon")
                other.execute("CREATE TABLE paragon.workflow_executions (id VARCHAR, only_here VARCHAR)")
                other.execute("CREATE TABLE paragon._dlt_version (version BIGINT)")

    def file(self, database: str = DATABASE) -> Path:
        return self.folder / f"{database}.duckdb"

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Context manager: this process's ``duckdb.connect`` of an address of MotherDuck opens the file."""
        with mock.patch.object(duckdb, "connect", self.connect):
            yield

    def connect(self, database: Any = ":memory:", *values: Any, **options: Any) -> Any:
        address = str(database)
        if not address.startswith("md:"):
            return self._connect(database, *values, **options)
        self.addresses.append(address)
        if not self.is_reached:
            # DuckDB's own error, without its server.
            nowhere = {
                "custom_extension_repository": "http://127.0.0.1:9",
                "extension_directory": str(self.folder / "extensions"),
            }
            return self._connect(address, config=options.get("config", {}) | nowhere)
        place = urlsplit(address)
        (token,) = parse_qs(place.query).get("motherduck_token", [os.environ.get("MOTHERDUCK_TOKEN")])
        if token != TOKEN:
            # https://github.com/apecloud/myduckserver/issues/338
            raise duckdb.InvalidInputException(
                "Request failed: Your request is not authenticated. Please check your MotherDuck token. (Jwt is not in "
                f"the form of Header.Payload.Signature with two dots and 3 sections), opening {address}"
            )
        connection = self._connect(str(self.file(place.path)), *values, **options)
        connection.execute(f"ATTACH IF NOT EXISTS '{self._other}' AS other (READ_ONLY)")
        return connection if self.before is None else _Session(connection, self.before)


class _Session:
    """A connection that tells of each statement before it runs it."""

    def __init__(self, connection: Any, before: Callable[[str, Any], None]) -> None:
        self._connection = connection
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: Any, *values: Any) -> Any:
        self._before(str(sql), self._connection)
        return self._connection.execute(sql, *values)

    def duplicate(self) -> _Session:
        return _Session(self._connection.duplicate(), self._before)


class MotherDuckPlace(Place):
    """The commands run in this process, where the stand-in answers."""

    LOADS_ALL = True

    def __init__(
        self, folder: Path, sandbox: SandboxProcess | None, server: MotherDuck, **settings: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, sandbox, **settings)
        self.server = server
        self.file = server.file()
        del self.env["DESTINATION__DUCKDB__CREDENTIALS"]
        self.env["DESTINATION__MOTHERDUCK__CREDENTIALS__DATABASE"] = DATABASE
        self.env["DESTINATION__MOTHERDUCK__CREDENTIALS__PASSWORD"] = TOKEN
        self.outputs: list[str] = []
        """All that the commands wrote."""

    def run(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        with self.server.answering():
            done = super().run(*words, *ON_MOTHERDUCK, expect=expect)
        self.outputs += [done.stdout, done.stderr]
        return done

    def told(self, command: str, *words: str, expect: int = 0) -> dict[str, Any]:
        """What a command says of itself."""
        done = self.run(command, "paragon", "--json", *words, expect=expect)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def run_killed(self, package: int, *words: str) -> int:
        """Runs a command in a process that is killed before it loads that package; returns its exit code."""
        script = [_KILLED, str(self.server.folder), str(package), *words, *ON_MOTHERDUCK]
        process = Forked(script, self.folder, self.env, program="scripts")
        self.outputs += process.communicate(timeout=300)
        return process.returncode


class MotherDuckPlaceWithoutViews(MotherDuckPlace):
    """One whose runs within this process make no views: for tests of all else."""

    def run(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        with mock.patch.object(views, "refresh", return_value=None):
            return super().run(*words, expect=expect)
