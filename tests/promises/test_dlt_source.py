"""The systems as dlt sources in a user's script: ``pipeline.run(paragon())`` and ``task_history.sync``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.extract import DltSource

import task_history
from task_history import paragon, systems
from task_history.core.errors import AlreadyRunning, UsageError
from task_history.core.keyed_hash import KeyedHash
from task_history.runs.run_lock import run_lock
from task_history.sync_pipeline import settings_of
from task_history.systems.protocol import System
from task_history_cli.sandbox.process import SandboxProcess
from tests.promises.test_every_system import truth
from tests.support.altering_proxy import altering
from tests.support.forked import Forked
from tests.support.place import ROOT, Place
from tests.support.torture import rest_as_torture

WORLD: dict[str, Any] = {"days": 8, "workflows": 5, "failed": 0.2, "open_days": 0.05, "freeze": True}

IN_THE_MIDDLE = {"paragon": 80, "sailpoint": 80, "b3os": 80, "twinit": 160}
"""Requests after which a sync of 120 executions has read details of some of them, and not of all."""
HEAD = """
import json, signal, sys, threading
import dlt, task_history

name, settings = sys.argv[1], json.loads(sys.argv[2])
pipeline = dlt.pipeline(f"task_history_{name}", destination="duckdb", dataset_name=name)

def source(**more):
    return getattr(task_history, name)(**(settings | more))

def show(result):
    print(json.dumps(result.as_json(), default=str), flush=True)
"""
PLAIN_RUN = HEAD + "pipeline.run(source())"
PLAIN_RUN_THEN_SYNC = PLAIN_RUN + "\nshow(task_history.sync(pipeline, source()))"
SYNC = HEAD + "show(task_history.sync(pipeline, source()))"
SYNC_IN_A_THREAD = (
    HEAD
    + """
thread = threading.Thread(target=lambda: show(task_history.sync(pipeline, source())))
thread.start()
thread.join()
"""
)
SYNC_INTERRUPTED = (
    HEAD
    + """
# A shell that starts tests in the background has SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
try:
    task_history.sync(pipeline, source())
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert handlers == [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
show(task_history.sync(pipeline, source(rate_limit_requests=0)))
"""
)


def environment(folder: Path) -> dict[str, str]:
    """An environment without settings; the folder holds what dlt and the budget keep."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SOURCES__", "RUNTIME__", "LOAD__", "DESTINATION__", "NORMALIZE__"))
    }
    own = {
        "DLT_DATA_DIR": str(folder / "data"),
        "TASK_HISTORY_STATE_DIR": str(folder / "state"),
        "PYTHONPATH": str(ROOT / "sources"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    return environ | own


def script(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in the folder with Python's warnings as errors and no setting of dlt's."""
    process = Forked([program, *words], folder, environment(folder), program="scripts")
    output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


def new_script(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The same, by an interpreter of its own, whose imports must not warn either."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *words],
        cwd=folder,
        env=environment(folder),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def query(file: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a DuckDB file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Project:
    """A user's folder with the warehouse of one system."""

    folder: Path
    system: System
    sandbox: SandboxProcess

    def words(self, **more: Any) -> list[str]:
        settings = self.sandbox.settings | {"start_date": "2020-01-01", "rate_limit_requests": 0} | more
        return [self.system.name, json.dumps(settings)]

    def run(self, program: str, by: Run = script, **more: Any) -> list[dict[str, Any]]:
        """What the program printed; fails where it wrote anything to stderr. ``more`` are settings."""
        done = by(self.folder, program, *self.words(**more))
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.folder / f"task_history_{self.system.name}.duckdb", sql)

    def held(self) -> dict[str, tuple[str, bool]]:
        """Status and openness by id; fails when an id is there twice."""
        table = f"{self.system.name}.{self.system.executions.name}"
        rows = self.query(f"SELECT id, status, is_open FROM {table}")
        found = {str(row[0]): (str(row[1]), bool(row[2])) for row in rows}
        assert len(found) == len(rows), "an id is in the table twice"
        return found

    def assert_holds_all(self) -> None:
        """Each execution is there, once, in the state that it has now, and each settled one has its details."""
        assert self.held() == truth(self.sandbox, self.system)
        for listing in self.listings:
            table, log = (
                f"{self.system.name}.{one.name}" for one in (listing.executions, listing.details.log)
            )
            ended = self.query(f"SELECT count(*), count(*) FROM {table} WHERE NOT is_open")
            assert self.query(f"SELECT count(*), count(DISTINCT id) FROM {log}") == ended

    def details_loaded(self) -> set[str]:
        """The executions whose details were read."""
        log = f"{self.system.name}.{self.system.details.log.name}"
        return {str(identity) for (identity,) in self.query(f"SELECT id FROM {log}")}

    @property
    def listings(self) -> tuple[System, ...]:
        """The system, and those of its companions."""
        return (self.system, *self.system.companions)

    def count(self, condition: str = "true") -> int:
        """How many executions there are, over all listings."""
        tables = [f"{self.system.name}.{listing.executions.name}" for listing in self.listings]
        return sum(self.query(f"SELECT count(*) FROM {table} WHERE {condition}")[0][0] for table in tables)


@pytest.mark.torture
@pytest.mark.parametrize("name", systems.names())
def test_a_plain_run_prints_no_warning(name: str, tmp_path: Path) -> None:
    """``pipeline.run`` with dlt's own settings loads what the vendor shows, and writes nothing to stderr.

    The second run brings rows into tables that are there already; ``task_history.sync`` goes on where it stopped.
    """
    with SandboxProcess(name, executions=30, seed=3, future_hours=30, **WORLD) as sandbox:
        project = Project(tmp_path, systems.find(name), sandbox)
        project.run(PLAIN_RUN, new_script)
        assert project.held() == truth(sandbox, project.system)
        sandbox.advance(26 * 3600)
        (result,) = project.run(PLAIN_RUN_THEN_SYNC)
        project.assert_holds_all()
    assert result["complete"]
    assert result["executions"] == 0


def test_a_run_in_an_interpreter_of_its_own_prints_no_warning(tmp_path: Path) -> None:
    """``pipeline.run`` loads what the vendor shows and writes nothing to stderr; ``task_history.sync`` goes on.

    Both keep rules of columns.
    """
    rules = {
        "exclude_columns": ["workflow_executions.task_count"],
        "hash_columns": ["*.user_id"],
        "hash_key": "k" * 32,
    }
    with SandboxProcess(executions=30, seed=3, **WORLD) as sandbox:
        project = Project(tmp_path, systems.find("paragon"), sandbox)
        (result,) = project.run(PLAIN_RUN_THEN_SYNC, new_script, **rules)
        project.assert_holds_all()
        users = {row["userId"] for row in sandbox.truth() if row["userId"]}
    assert (result["complete"], result["executions"]) == (True, 0)
    rows = project.query("SELECT user_id, task_count FROM paragon.workflow_executions WHERE user_id <> ''")
    assert {user for user, _ in rows} == {KeyedHash("k" * 32).of(user) for user in users}
    assert {count for _, count in rows} == {None}


@pytest.mark.parametrize("name", rest_as_torture(systems.names(), kept=["paragon"]))
def test_sync_brings_everything_in_many_commits(name: str, tmp_path: Path) -> None:
    """One call in any thread loads more than one commit holds; its result says what is in the warehouse."""
    with SandboxProcess(name, executions=350, seed=5, **WORLD) as sandbox:
        project = Project(tmp_path, systems.find(name), sandbox)
        (result,) = project.run(SYNC_IN_A_THREAD)
        project.assert_holds_all()
        requests = len(sandbox.requests())
    assert result["complete"]
    assert result["commits"] > 2
    # An unsorted listing shows some of them in two of its windows.
    assert result["executions"] >= project.count()
    assert result["requests"] == requests
    assert result["left"] == {
        "open_executions": project.count("is_open"),
        "details": 0,
        "payloads": 0,
        "unreadable": 0,
        "next_try_at": None,
        "seconds": None,
    }
    for listing in project.listings:
        rows = project.query(f"SELECT count(*) FROM {name}.{listing.details.steps.name}")
        assert rows == [(result["rows"][listing.details.steps.name],)]
    runs = project.query(f"SELECT outcome, is_complete, executions FROM {name}.sync_runs")
    assert runs == [("complete", True, result["executions"])]


@pytest.mark.torture
@pytest.mark.parametrize("name", systems.names())
def test_a_killed_sync_goes_on_with_the_next_call(name: str, tmp_path: Path) -> None:
    """SIGKILL in the middle loses at most the commit under way; the same call again brings the rest."""
    with SandboxProcess(name, executions=120, seed=5, **WORLD) as sandbox:
        project = Project(tmp_path, systems.find(name), sandbox)
        killed = interrupted(project, SYNC, signal.SIGKILL)
        assert killed.wait(60) == -signal.SIGKILL
        committed = project.details_loaded()
        (result,) = project.run(SYNC)
        project.assert_holds_all()
        again = sandbox.counters()["reads_more_than_once"]
    assert result["complete"]
    # The rest, but for what lay ready to be committed; nothing that was committed is read again.
    assert 0 < result["rows"][project.system.details.log.name] <= len(project.details_loaded() - committed)
    assert [read for read in again if any(identity in str(read) for identity in committed)] == []


def test_keyboard_interrupt_reaches_the_caller(tmp_path: Path) -> None:
    """A signal in the middle of the details: handlers are as they were, and the next call goes on with what is left."""
    main = threading.main_thread().ident
    assert main is not None
    seen = count()

    def alter(path: str, body: bytes) -> bytes:
        if re.search(r"/workflow-executions/[^/?]+$", path) and next(seen) == 20:
            signal.pthread_kill(main, signal.SIGINT)
        return body

    # A shell that starts tests in the background has SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with (
            SandboxProcess(executions=60, seed=5, **WORLD) as sandbox,
            altering(sandbox.base_url, alter) as url,
        ):
            pipeline = _pipeline(tmp_path)
            settings = sandbox.settings | {
                "start_date": "2020-01-01",
                "rate_limit_requests": 0,
                "base_url": url,
            }
            with pytest.raises(KeyboardInterrupt):
                task_history.sync(pipeline, paragon(**settings))
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            assert task_history.sync(pipeline, paragon(**settings)).is_complete
            held = query(
                tmp_path / "plain.duckdb",
                "SELECT count(*), count(DISTINCT id) FROM paragon.execution_details",
            )
            ended = sum("dateEnded" in row for row in sandbox.truth())
            assert held == [(ended, ended)]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.torture
def test_an_interrupted_sync_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    """KeyboardInterrupt reaches the caller, whose signal handlers are as they were, and the next call goes on."""
    with SandboxProcess(executions=120, seed=5, **WORLD) as sandbox:
        project = Project(tmp_path, systems.find("paragon"), sandbox)
        process = interrupted(project, SYNC_INTERRUPTED, signal.SIGINT)
        output, errors = process.communicate(timeout=300)
        project.assert_holds_all()
    assert (process.returncode, errors) == (0, "")
    told, result = output.splitlines()
    assert told == "interrupted"
    assert json.loads(result)["complete"]
    assert json.loads(result)["requests"] < project.count("NOT is_open")


def interrupted(project: Project, program: str, number: signal.Signals) -> subprocess.Popen[str]:
    """The program, sent the signal while it waits for a budget that is spent in the middle of the details."""
    words = project.words(rate_limit_requests=IN_THE_MIDDLE[project.system.name], rate_limit_period_s=3600)
    folder = project.folder
    process = Forked([program, *words], folder, environment(folder), program="scripts")
    try:
        while not _has_details(project):
            assert process.poll() is None, process.communicate()
            time.sleep(0.2)
    except BaseException:
        process.kill()
        raise
    process.send_signal(number)
    return process


def _has_details(project: Project) -> bool:
    try:
        return bool(project.details_loaded())
    except duckdb.Error:  # it is not there yet, or the run has it open
        return False


def test_a_second_sync_of_a_pipeline_is_refused(tmp_path: Path) -> None:
    """While one call is active, another one of the same pipeline raises AlreadyRunning and sends nothing."""
    with SandboxProcess(executions=10, seed=5, **WORLD) as sandbox:
        pipeline = _pipeline(tmp_path)
        with (
            run_lock(Path(pipeline.pipelines_dir) / "task_history_paragon.lock", "task_history_paragon"),
            pytest.raises(AlreadyRunning, match="task_history_paragon"),
        ):
            task_history.sync(pipeline, paragon(**sandbox.settings))
        assert len(sandbox.requests()) == 0


@dlt.resource(name="other")
def other() -> list[int]:
    return [1]


def _deselected(source: DltSource) -> Any:
    return source.with_resources("workflow_executions")


def _mapped(source: DltSource) -> Any:
    source.resources["step_executions"].add_map(lambda rows: rows)
    return source


def _limited(source: DltSource) -> Any:
    return source.add_limit(1)


def _renamed(source: DltSource) -> Any:
    return source.clone(with_name="paragon_2")


def _with_another(source: DltSource) -> Any:
    source.resources.add(other)
    return source


def _foreign(_: DltSource) -> Any:
    return DltSource(dlt.Schema("foreign"), "foreign", [other])


def _resource(source: DltSource) -> Any:
    return source.resources["workflow_executions"]


CHANGES = (_deselected, _mapped, _limited, _renamed, _with_another, _foreign, _resource)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_a_source_that_a_sync_would_not_heed_is_refused(
    change: Callable[[DltSource], Any], tmp_path: Path
) -> None:
    """A source that is another one or was changed is refused before anything is sent; a copy is not."""
    source = paragon(project_id="p", api_key="k", base_url="http://127.0.0.1:9")
    assert settings_of(source.clone()) is settings_of(source)
    with pytest.raises(UsageError, match=r"task_history\.sync"):
        task_history.sync(_pipeline(tmp_path), change(source))


@pytest.mark.torture
def test_the_command_and_sync_take_turns(tmp_path: Path) -> None:
    """Each goes on where the other one stopped, on the cursor that is in the warehouse."""
    with SandboxProcess(executions=30, seed=3, future_hours=60, **WORLD) as sandbox:
        place = Place(tmp_path, sandbox)
        pipeline = _pipeline(tmp_path, place.file)
        settings = sandbox.settings | {"start_date": "2026-01-01", "rate_limit_requests": 0}

        def by_the_function() -> bool:
            return task_history.sync(pipeline, paragon(**settings)).is_complete

        def by_the_command() -> bool:
            return bool(place.quick_sync()["complete"])

        for sync in (by_the_command, by_the_function, by_the_command):
            assert sync()
            held = place.query("SELECT id, status, is_open FROM paragon.workflow_executions")
            assert {row[0]: row[1:] for row in held} == truth(sandbox, systems.find("paragon"))
            assert len(held) == len(truth(sandbox, systems.find("paragon")))
            sandbox.advance(20 * 3600)


def test_the_command_goes_on_where_sync_stopped(tmp_path: Path) -> None:
    """On the cursor that is in the warehouse, and what it prints has the names of ``RunResult.as_json``."""
    with SandboxProcess(executions=20, seed=5, future_hours=30, **WORLD) as sandbox:
        place = Place(tmp_path, sandbox, integrations=None)
        settings = sandbox.settings | {"start_date": "2026-01-01", "rate_limit_requests": 0}
        result = task_history.sync(_pipeline(tmp_path, place.file), paragon(**settings)).as_json()
        sandbox.advance(20 * 3600)
        printed = place.sync()
        held = place.query("SELECT id, status, is_open FROM paragon.workflow_executions")
        assert {row[0]: row[1:] for row in held} == truth(sandbox, systems.find("paragon"))
        assert len(held) == len(sandbox.truth()) > result["executions"] > 0
        assert printed["executions"] < len(held)
        assert sandbox.counters()["reads_more_than_once"] == []
    where = {"destination", "place", "file"}
    assert set(result) == {name for name in printed if name in result or name in where} - where


@pytest.mark.torture
def test_a_result_holds_what_the_command_prints(tmp_path: Path) -> None:
    """``RunResult.as_json`` has the names of ``task-history sync --json``, which adds where the warehouse is."""
    with SandboxProcess(executions=5, seed=5, **WORLD) as sandbox:
        printed = Place(tmp_path, sandbox, integrations=None).sync()
        result = task_history.sync(
            _pipeline(tmp_path), paragon(**sandbox.settings, start_date="2020-01-01", rate_limit_requests=0)
        )
    told = result.as_json()
    where = {"destination", "place", "file"}
    assert set(told) == {name for name in printed if name in told or name in where} - where
    for name in ("executions", "settled", "steps", "payloads", "requests", "commits", "left", "complete"):
        assert told[name] == printed[name]


def _pipeline(folder: Path, file: Path | None = None) -> dlt.Pipeline:
    return dlt.pipeline(
        "task_history_paragon",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(file or folder / "plain.duckdb")),
        dataset_name="paragon",
    )
