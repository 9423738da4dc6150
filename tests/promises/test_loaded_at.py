"""``loaded_at`` says when a row was written: who asks for what is later than the newest misses nothing."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history import systems
from task_history.core.columns import LOADED_AT
from task_history.load.dlt_internals import SWITCH
from task_history.warehouse import common_tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place, truth
from tests.support.torture import rest_as_torture

NOW = "2026-03-01T12:00:00+00:00"
RANGE = ("--from", "2026-02-10", "--to", "2026-02-25")
Connect = Callable[[], Any]


class Poll:
    """The rows that an incremental model has: each time it takes those that are later than its newest."""

    def __init__(self, table: str, key: str = "id") -> None:
        self._sql = f"SELECT {key}, loaded_at FROM {table} WHERE loaded_at > "
        self._newest = "1970-01-01"
        self.rows: dict[str, str] = {}

    def run(self, execute: Callable[[str], list[tuple[Any, ...]]]) -> None:
        new = {key: str(at) for key, at in execute(f"{self._sql}TIMESTAMPTZ '{self._newest}'")}
        self.rows |= new
        self._newest = max([self._newest, *new.values()])


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """A query function on the file, once no other process has it open."""
    while True:
        try:
            connection = duckdb.connect(str(file), read_only=True)
            break
        except duckdb.IOException:
            time.sleep(0.02)
    with connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield lambda sql: connection.execute(sql).fetchall()


def _stop_before_it_writes(process: subprocess.Popen[str], sandbox: SandboxProcess, file: Path) -> None:
    """Stops the process once it has read pages and waits for the file."""
    before = 0
    while sandbox.counters().get("list", 0) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    with _reading(file):
        while before < (before := sandbox.counters()["list"]):
            time.sleep(3)
        process.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("name", systems.names())
def test_every_table_has_the_column(name: str) -> None:
    """Each table of each system says when its rows were written."""
    assert [
        table.name for table in common_tables.of(systems.find(name)) if LOADED_AT not in table.columns
    ] == []


def test_a_poll_finds_every_row_while_syncs_and_a_backfill_commit(tmp_path: Path) -> None:
    """Of executions, steps and coverage a poll by loaded_at has every row in its last version.

    Nothing is missing, and nothing is read twice.
    """
    with SandboxProcess(executions=400, seed=5, days=30, now=NOW, freeze=True) as sandbox:
        place = Place(
            tmp_path, sandbox, start_date="2026-02-25", retention_days=0, steps="failed", payloads="none"
        )
        polls = {
            name: Poll(f"paragon.{name}", key)
            for name, key in (
                ("workflow_executions", "id"),
                ("step_executions", "id"),
                ("coverage", "concat_ws(' ', day, lane, filters)"),
            )
        }
        place.sync()
        sandbox.advance(26 * 3600)
        sandbox.reset_counters()
        sandbox.post("latency", {"ms": 1_000})
        backfill = place.start("backfill", "paragon", *RANGE)
        _stop_before_it_writes(backfill, sandbox, place.file)
        sandbox.post("latency", {"ms": 0})
        sync = place.start("sync", "paragon")
        while None in (backfill.poll(), sync.poll()):
            is_synced = sync.poll() is not None
            began = time.monotonic()
            with _reading(place.file) as execute:
                for poll in polls.values():
                    poll.run(execute)
            if is_synced:
                # What it has read is written only now.
                backfill.send_signal(signal.SIGCONT)
            # On a busy machine a poll takes seconds: the runs have the file for as long.
            time.sleep(max(0.2, time.monotonic() - began))
        assert [process.communicate()[1] for process in (backfill, sync) if process.returncode] == []
        place.sync()
        with _reading(place.file) as execute:
            for name, poll in polls.items():
                poll.run(execute)
                held = {key: str(at) for key, at in execute(poll._sql.partition(" WHERE ")[0])}
                assert len(held) > 10, name
                assert poll.rows == held, name
        right = truth(sandbox)
        assert place.executions() == {
            key: row for key, row in right.items() if "2026-02-10" <= row["dateStarted"]
        }
        assert sandbox.counters()["reads_more_than_once"] == []


def test_a_commit_is_later_than_all_that_is_stored(tmp_path: Path) -> None:
    """Also where the clock was set back, or another machine's is ahead; one commit has one instant."""
    with SandboxProcess(executions=300, seed=5, days=30, now=NOW, freeze=True) as sandbox:
        place = Place(
            tmp_path, sandbox, start_date="2026-02-25", retention_days=0, steps="none", payloads="none"
        )
        place.env[SWITCH] = "on"  # dlt's own way takes the instant at which the load package is made
        place.sync()
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "UPDATE paragon.coverage SET loaded_at = loaded_at + INTERVAL 2 DAY WHERE day = "
                "(SELECT min(day) FROM paragon.coverage)"
            )
        [(ahead,)] = place.query("SELECT max(loaded_at) FROM paragon.coverage")
        place.run("backfill", "paragon", *RANGE)
        instants = place.query(
            "SELECT DISTINCT e.loaded_at FROM paragon.workflow_executions AS e JOIN paragon.sync_runs AS r "
            "USING (run_id) WHERE r.command = 'backfill'"
        )
        assert instants
        assert all(at > ahead for (at,) in instants)
        [(of_run,)] = place.query("SELECT loaded_at FROM paragon.sync_runs WHERE command = 'backfill'")
        assert of_run > max(instants)[0]


@pytest.mark.parametrize("other", ["present", "former"])
def test_a_commit_is_later_than_what_other_accounts_stored(tmp_path: Path, other: str) -> None:
    """A poll over all accounts misses nothing; a dataset of an earlier version, without such a column, is no fault."""
    with SandboxProcess(executions=50, seed=5, days=30, now=NOW, freeze=True) as sandbox:
        place = Place(
            tmp_path, sandbox, start_date="2026-02-25", retention_days=0, steps="none", payloads="none"
        )
        place.env[SWITCH] = "on"  # dlt's own way takes the instant at which the load package is made
        place.quick_sync()
        with duckdb.connect(str(place.file)) as connection:
            connection.execute(
                "CREATE SCHEMA paragon_ahead; CREATE TABLE paragon_ahead._dlt_loads (load_id VARCHAR); "
                "CREATE TABLE paragon_ahead.sync_runs AS SELECT * FROM paragon.sync_runs; "
                "CREATE TABLE paragon_ahead.coverage AS SELECT * FROM paragon.coverage; "
                "UPDATE paragon_ahead.sync_runs SET loaded_at = loaded_at + INTERVAL 2 DAY; "
                "UPDATE paragon_ahead.coverage SET loaded_at = loaded_at + INTERVAL 1 DAY"
            )
            if other == "former":
                connection.execute("ALTER TABLE paragon_ahead.sync_runs DROP loaded_at")
        table = "sync_runs" if other == "present" else "coverage"
        [(ahead,)] = place.query(f"SELECT max(loaded_at) FROM paragon_ahead.{table}")
        sandbox.advance(3600)
        place.quick_sync()
        [(newest,)] = place.query("SELECT max(loaded_at) FROM paragon.sync_runs")
        assert newest > ahead


@pytest.mark.parametrize(
    ("name", "internals"),
    rest_as_torture([*((name, "on") for name in systems.names()), ("paragon", "off")], [("paragon", "on")]),
)
def test_every_row_has_an_instant(name: str, internals: str, tmp_path: Path) -> None:
    """In every table of every system, on dlt's own way too, and not before the row was read."""
    with SandboxProcess(name, executions=80, seed=5, days=10, now=NOW, freeze=True) as sandbox:
        place = Place(tmp_path, sandbox, system=name, start_date="2026-02-25", retention_days=0)
        place.env[SWITCH] = internals
        place.sync()
        place.run("backfill", name, "--from", "2026-02-22", "--to", "2026-02-24")
        with place.reading() as query:
            for table in common_tables.of(systems.find(name)):
                early = f" OR loaded_at < {table.newest}" if table.newest == "fetched_at" else ""
                sql = f"SELECT count(*) FILTER (WHERE loaded_at IS NULL{early}) FROM {name}.{table.name}"
                assert query(sql) == [(0,)], table.name
