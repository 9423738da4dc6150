"""A project folder of its own per test: its warehouse, its environment, the command as a process."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import duckdb

from task_history_cli.sandbox.process import SandboxProcess
from tests.support.forked import Forked, can_fork

ROOT = Path(__file__).parents[2]
PREFIX = "SOURCES__TASK_HISTORY__PARAGON__"
INTEGRATIONS = ["salesforce", "hubspot", "slack", "jira", "googlesheets", "custom.tasklab"]
FIELDS = {
    "id": "id",
    "user_id": "userId",
    "workflow_id": "workflowId",
    "status": "status",
    "date_started": "dateStarted",
    "date_ended": "dateEnded",
    "run_duration": "runDuration",
    "task_count": "taskCount",
}
STEP_FIELDS = {
    "id": "id",
    "workflow_execution_id": "workflowExecutionId",
    "step_id": "stepId",
    "type": "type",
    "status": "status",
    "date_started": "start",
    "date_ended": "end",
    "prev": "prev",
}


_DAYS = 45
"""How many days before the sandbox's present a sync begins."""

_READING = threading.Lock()


@cache
def _reader() -> duckdb.DuckDBPyConnection:
    """A database that files are attached to: to make one for each query takes four times as long as the query."""
    reader = duckdb.connect()
    reader.execute("SET TimeZone = 'UTC'")
    return reader


@contextlib.contextmanager
def without_checks() -> Iterator[None]:
    """Runs do not look for rows that violate what holds of the views, as they do at their end."""
    from task_history_cli.runtime import views

    with mock.patch.object(views, "findings", return_value=()):
        yield


class Place:
    """A folder with a warehouse, and the settings for one sandbox.

    Without other settings a sync asks for no integrations, and for the executions of the days that most sandboxes show:
    both take a fifth of the seconds of a first one.
    """

    LOADS_ALL: ClassVar[bool] = False
    """Whether settings are such that a sync asks for integrations and for all executions of the year."""

    makes_views = True
    """Whether commands that are started as processes make views, where they can be forked."""

    def __init__(
        self, folder: Path, sandbox: SandboxProcess | None, *, system: str = "paragon", **settings: Any
    ) -> None:
        self.folder = folder
        self.system = system
        self.file = folder / "warehouse.duckdb"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SOURCES__")},
            "PYTHONPATH": str(ROOT),
            "DLT_DATA_DIR": str(folder / "dlt"),
            "TASK_HISTORY_STATE_DIR": str(folder / "state"),
        }
        self.env["DESTINATION__DUCKDB__CREDENTIALS"] = str(self.file)
        self.set(rate_limit_requests=0, start_date="2026-01-01")
        if system == "paragon" and self.LOADS_ALL:
            self.set(integrations=INTEGRATIONS)
        if sandbox is not None:
            self.set(**sandbox.settings)
            if not (self.LOADS_ALL or "start_date" in settings):
                now = datetime.fromisoformat(sandbox.get("clock")["at"])
                self.set(start_date=f"{now - timedelta(days=_DAYS):%Y-%m-%d}")
        self.set(**settings)

    def set(self, **settings: Any) -> None:
        """Puts settings into the environment; None takes one away."""
        for name, value in settings.items():
            key = f"SOURCES__TASK_HISTORY__{self.system.upper()}__{name.upper()}"
            if value is None:
                self.env.pop(key, None)
            else:
                self.env[key] = value if isinstance(value, str) else json.dumps(value)

    def start(self, *words: str, start_new_session: bool = False) -> subprocess.Popen[str]:
        """The command as a process that runs on: a fork of one that has imported what it needs, where it can be."""
        if can_fork(self.env):
            program = "commands" if self.makes_views else "commands without views"
            return Forked(words, self.folder, self.env, start_new_session=start_new_session, program=program)
        return self.start_new(*words, start_new_session=start_new_session)

    def start_new(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """The command as a process that runs on, of an interpreter of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "task_history_cli.cli", *words],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run_process(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command as a process, run to its end."""
        process = self.start(*words)
        out, err = process.communicate(timeout=500)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def add_account(self, instance: str, sandbox: SandboxProcess, **settings: Any) -> None:
        """Configures a further account of the place's system, at that vendor."""
        system = self.system.upper()
        prefix = f"TASK_HISTORY_{system}_{instance.upper()}__SOURCES__TASK_HISTORY__{system}__"
        for name, value in {**sandbox.settings, **settings}.items():
            self.env[prefix + name.upper()] = str(value)

    def run(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """The command, run to its end with that exit code.

        Within this process: the same parts, without the seconds of a processor that a new one takes to start.
        """
        from task_history_cli.cli import main
        from task_history_cli.console import output
        from tests.support.generated import json_schemas

        out, err = io.StringIO(), io.StringIO()
        root, secrets = logging.getLogger(), list(output._SECRETS)
        handlers, level = list(root.handlers), root.level
        try:
            with self._inside(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code: Any = main(words)
        except SystemExit as end:
            code = end.code
        finally:
            root.handlers[:], output._SECRETS[:] = handlers, secrets
            root.setLevel(level)
            logging.captureWarnings(False)
        done = subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
        if "--json" in words and done.stdout.startswith("{"):
            json_schemas.check(words, json.loads(done.stdout))
        if expect is not None:
            assert code == expect, f"{words} ended with {code}:\n{done.stdout}\n{done.stderr[-3000:]}"
        return done

    def sync(self, *words: str, expect: int | None = 0) -> dict[str, Any]:
        """One sync, and what it says of itself."""
        return _told(self.run("sync", self.system, "--json", *words, expect=expect))

    def quick_sync(self) -> dict[str, Any]:
        """One sync without the command around it, views and checks, which take half of a first one's seconds."""
        from task_history import settings_reader
        from task_history_cli.commands import sync
        from task_history_cli.runtime.target import find_target

        with self._inside(), without_checks():
            found = settings_reader.load(self.system)
            return sync.sync(found, find_target(None, found.pipeline_name), has_views=True)

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        """This process in the place's folder and environment."""
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(self.env)
            with contextlib.chdir(self.folder):
                yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with self.reading() as query:
            return query(sql)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """A function that gives rows of the warehouse, for many queries."""
        with _READING:
            reader = _reader()
            reader.execute(f"ATTACH '{self.file}' AS warehouse (READ_ONLY)")
            try:
                reader.execute("USE warehouse")
                yield lambda sql: reader.execute(sql).fetchall()
            finally:
                reader.execute("USE memory")
                reader.execute("DETACH warehouse")

    def make_due(self) -> None:
        """As if so much time had passed that all that could not be read is due again."""
        from task_history import systems

        system = systems.find(self.system)
        with duckdb.connect(str(self.file)) as connection:
            for one in (system, *system.companions):
                for table in (one.details.log, *([one.payloads.table] if one.payloads else [])):
                    connection.execute(
                        f"UPDATE {self.system}.{table.name} SET next_try_at = '2020-01-01' "
                        "WHERE next_try_at IS NOT NULL"
                    )

    def executions(self, dataset: str = "paragon") -> dict[str, dict[str, Any]]:
        """The executions as the vendor would send them, by id; fails when an id is there twice."""
        return self._rows(f"{dataset}.workflow_executions", FIELDS)

    def steps(self, dataset: str = "paragon") -> dict[str, dict[str, Any]]:
        return self._rows(f"{dataset}.step_executions", STEP_FIELDS)

    def _rows(self, table: str, fields: dict[str, str]) -> dict[str, dict[str, Any]]:
        columns = [
            f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%gZ')" if name.startswith("date_") else name
            for name in fields
        ]
        rows = [
            dict(zip(fields.values(), row, strict=True))
            for row in self.query(f"SELECT {', '.join(columns)} FROM {table}")
        ]
        found = {row["id"]: row for row in rows}
        assert len(found) == len(rows), "an id is in the table twice"
        return found


def _told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    found["stderr"] = done.stderr
    return found


def truth(sandbox: SandboxProcess) -> dict[str, dict[str, Any]]:
    """What a perfect copy holds of executions."""
    return {row["id"]: {key: row.get(key) for key in FIELDS.values()} for row in sandbox.truth()}


def differences(place: Place, sandbox: SandboxProcess) -> dict[str, Any]:
    """Where the copy is not perfect; empty counts mean it is."""
    right, copy = truth(sandbox), place.executions()
    stale = [(right[key], copy[key]) for key in right.keys() & copy.keys() if right[key] != copy[key]]
    return {
        "missing": len(right.keys() - copy.keys()),
        "surplus": len(copy.keys() - right.keys()),
        "stale": stale[:3],
    }


PERFECT: dict[str, Any] = {"missing": 0, "surplus": 0, "stale": []}
