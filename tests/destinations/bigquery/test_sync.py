"""What a user has of BigQuery: every table equals the vendor's truth, at the cost of the days that changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from google.cloud import bigquery
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.qualify import qualify

from task_history.systems import find
from task_history.warehouse import common_tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.gates import gate_of
from tests.destinations.bigquery.place import STEP_FIELDS, BigQueryPlaceWithoutViews
from tests.destinations.bigquery.pruning import unpruned
from tests.destinations.bigquery.recorder import Recorder
from tests.destinations.bigquery.templates import template
from tests.support.place import truth

NOW = "2026-10-20T12:00:00+00:00"
PARTITIONS = {table.name: table.partition for table in common_tables.of(find("paragon")) if table.partition}
NONE: dict[str, Any] = {"missing": set(), "other": []}
OF_SYSTEM = ("--destination", "bigquery", "--json")


class SyncedWorld:
    """A vendor's changing world and the warehouse that follows it; each test goes on where the one before it ended."""

    def __init__(self, folder: Path, sandbox: SandboxProcess, recorder: Recorder) -> None:
        self.sandbox = sandbox
        self.recorder = recorder
        self.place = BigQueryPlaceWithoutViews(
            folder, sandbox, recorder, start_date="2026-10-14", retention_days=90
        )
        # With a limit each merge is estimated by a dry run, which says what it reads.
        self.place.env["DESTINATION__BIGQUERY__MAXIMUM_BYTES_BILLED"] = str(10**15)

    def differences(self, since: str = "2026-10-14") -> dict[str, Any]:
        """Where the copy of what began since then is not perfect."""
        right, copy = (
            {key: row for key, row in rows.items() if row["dateStarted"] >= since}
            for rows in (truth(self.sandbox), self.place.executions())
        )
        return {
            "missing": right.keys() - copy.keys(),
            "other": [copy[key] for key in copy if copy[key] != right[key]],
        }

    def steps_are_true(self, since: str = "2026-10-14") -> bool:
        right = {
            step["id"]: {key: step.get(key) for key in STEP_FIELDS.values()}
            for execution in self.sandbox.truth(steps=True)
            if execution.get("dateEnded") and execution["dateStarted"] >= since
            for step in execution["_steps"]
        }
        return self.place.steps() == right

    def schema(self, table: str) -> bigquery.Table:
        return self.place.client.get_table(f"{self.recorder.project}.paragon.{table}")

    def command(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.place.run(*words, *OF_SYSTEM).stdout)
        return found


@pytest.fixture(scope="module")
def world(bigquery: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncedWorld]:
    with (
        SandboxProcess(executions=160, seed=71, days=12, now=NOW, future_hours=80, freeze=True) as sandbox,
        Recorder(bigquery.url) as recorder,
    ):
        yield SyncedWorld(tmp_path_factory.mktemp("world"), sandbox, recorder)


def test_a_first_sync_equals_the_truth(world: SyncedWorld) -> None:
    """Executions, steps and payloads are what the vendor has, in columns of the right types."""
    result = world.place.sync()
    assert result["complete"]
    assert world.differences() == NONE
    assert world.steps_are_true()
    assert result["bytes"]["processed"] > 0
    assert result["bytes"]["billed"] >= result["bytes"]["processed"]
    kinds = {
        field.name: (field.field_type, field.mode) for field in world.schema("workflow_executions").schema
    }
    assert kinds["id"] == ("STRING", "REQUIRED")
    assert kinds["date_started"] == ("TIMESTAMP", "NULLABLE")
    assert kinds["run_duration"][0] == kinds["task_count"][0] == "INTEGER"
    assert kinds["is_open"][0] == "BOOLEAN"
    assert world.schema("step_payloads").schema[2].field_type == "STRING"


@pytest.mark.parametrize(
    ("table", "column", "cluster"),
    [
        ("workflow_executions", "date_started", ["workflow_id", "id"]),
        ("step_executions", "execution_date_started", ["workflow_execution_id", "id"]),
        ("step_payloads", "execution_date_started", ["workflow_execution_id", "step_execution_id"]),
        ("execution_details", "date_started", ["id"]),
    ],
)
def test_large_tables_are_partitioned_and_described(
    world: SyncedWorld, table: str, column: str, cluster: list[str]
) -> None:
    """By day of the execution's start, sorted within; table and columns have sentences, and labels say whose they are."""
    found = world.schema(table)
    assert (found.time_partitioning.type_, found.time_partitioning.field) == ("DAY", column)
    assert found.clustering_fields == cluster
    assert found.time_partitioning.expiration_ms is None
    assert found.description
    assert [field.name for field in found.schema if not field.description] == []
    assert found.labels["task_history_system"] == "paragon"
    assert found.labels["task_history_run"]


def test_an_idle_sync_is_one_commit(world: SyncedWorld) -> None:
    """When nothing changed, all there is to write is merged at once: notes, and what was open and still is."""
    before, loads = len(world.recorder.statements), len(world.recorder.loads)
    result = world.place.sync()
    assert result["requests"] <= 3
    said = world.recorder.statements[before:]
    merged = {found.sql.split("`")[5] for found in said if found.sql.startswith("MERGE")}
    assert merged <= {"coverage", "sync_runs", "window_reads", "workflow_executions"}
    assert [found.table for found in world.recorder.loads[loads:]].count("paragon._dlt_loads") == 1


def test_later_syncs_settle_and_follow(world: SyncedWorld) -> None:
    """What was open is settled, what is new is there, and the vendor's new fields and statuses with it.

    What the vendor adds is a column with a sentence and a status as it is spelled, without a change here.
    """
    world.sandbox.switches(extra_fields=True, extra_statuses=True)
    world.sandbox.advance(30 * 3600)
    result = world.place.sync()
    assert result["complete"]
    assert world.differences() == NONE
    assert world.steps_are_true()
    row = world.place.query(
        "SELECT bytes_processed, bytes_billed FROM paragon.sync_runs ORDER BY started_at DESC LIMIT 1"
    )
    assert row == [(result["bytes"]["processed"], result["bytes"]["billed"])]
    assert row[0][1] >= row[0][0] > 0
    fresh = [
        field
        for table in (find("paragon").executions, find("paragon").details.steps, find("paragon").details.log)
        for field in world.schema(table.name).schema
        if field.name not in {column.name for column in table.columns}
    ]
    assert fresh
    assert all(field.description for field in fresh)


@pytest.mark.torture
def test_a_backfill_fills_its_range_and_leaves_the_cursor(world: SyncedWorld) -> None:
    """A range before the first sync equals the truth; the live state is what it was."""
    state = "SELECT state FROM paragon._dlt_pipeline_state WHERE pipeline_name = 'task_history_paragon' ORDER BY version"
    assert world.place.sync()["complete"]
    before = world.place.query(state)
    result = world.command("backfill", "paragon", "--from", "2026-10-11", "--to", "2026-10-14")
    assert result["complete"]
    assert result["not_covered"] == []
    assert world.place.query(state) == before
    assert world.differences("2026-10-11") == NONE
    assert world.steps_are_true("2026-10-11")


def test_a_fresh_machine_goes_on(world: SyncedWorld, tmp_path: Path) -> None:
    """On a machine that never ran, the state comes from BigQuery: nothing is listed or asked for again.

    The first machine asks for the state once the other one has written it, although asking is saved where none has.
    """
    world.sandbox.advance(6 * 3600)
    other = world.place.elsewhere(tmp_path)
    world.sandbox.reset_counters()
    result = other.sync()
    assert result["complete"]
    assert result["executions"]
    assert world.sandbox.counters()["list"] <= 6
    assert world.sandbox.counters()["reads_more_than_once"] == []
    assert world.differences() == NONE
    before = len(world.recorder.statements)
    back = world.place.sync()
    assert any("_dlt_pipeline_state" in said.sql for said in world.recorder.statements[before:])
    assert back["executions"] == 0
    reached, former = (datetime.fromisoformat(str(one["covered_until"])) for one in (back, result))
    assert reached >= former
    assert world.differences() == NONE


def test_an_audit_repairs_rows_that_were_changed_by_hand(world: SyncedWorld) -> None:
    """What is missing is read again; held under another start than the vendor's, a row is found and moves to its day.

    ``status`` says how many there are.
    """
    (moved, right), (lost, started) = world.place.query(
        "SELECT id, date_started FROM paragon.workflow_executions WHERE NOT is_open "
        "AND date_started >= '2026-10-16' ORDER BY date_started LIMIT 2"
    )
    world.place.query(
        "UPDATE paragon.workflow_executions SET date_started = TIMESTAMP_SUB(date_started, INTERVAL 49 HOUR) "
        f"WHERE id = '{moved}'"
    )
    world.place.query(f"DELETE FROM paragon.workflow_executions WHERE id = '{lost}'")
    day, next_day = f"{right:%Y-%m-%d}", f"{started + timedelta(days=1):%Y-%m-%d}"
    words = ("audit", "paragon", "--from", day, "--to", next_day, "--repair", *OF_SYSTEM)
    assert json.loads(world.place.run(*words, expect=None).stdout)["missing"] == 2
    assert world.differences() == NONE
    status = world.command("status", "paragon")["systems"][0]
    assert status["loaded"]
    held = world.place.query("SELECT count(*) FROM paragon.workflow_executions")[0][0]
    assert status["rows"]["workflow_executions"] == held


def test_what_a_merge_reads_does_not_grow_with_the_table(world: SyncedWorld) -> None:
    """The last sync's merges into executions read less than a third of what is held."""
    merges = [
        found.bytes_processed
        for found in world.recorder.statements[-120:]
        if found.is_dry_run and "MERGE INTO" in found.sql and ".`workflow_executions` AS t" in found.sql
    ]
    whole = world.place.client.query(
        "SELECT * FROM paragon.workflow_executions", job_config=bigquery.QueryJobConfig(dry_run=True)
    ).total_bytes_processed
    assert merges
    assert 0 < max(merges) < whole / 3


def _unpruned(sql: str) -> list[str]:
    """What reads all days, with filters taken down to the tables where they stand around a query, as BigQuery does."""
    if not (left := unpruned(sql, PARTITIONS)) or not sql.startswith("SELECT"):
        return left
    tree = qualify(
        sqlglot.parse_one(sql, read="bigquery"), dialect="bigquery", validate_qualify_columns=False
    )
    return unpruned(pushdown_predicates(tree, dialect="bigquery").sql("bigquery"), PARTITIONS)


def test_no_statement_reads_a_large_table_whole(world: SyncedWorld) -> None:
    """Of everything that was said to BigQuery in this world, DDL aside, nothing reads beyond constant days."""
    said = [
        found
        for found in world.recorder.statements
        if not found.sql.startswith(("CREATE", "ALTER", "TRUNCATE"))
    ]
    # Of those that differ in instants, ids and numbers alone one is looked at.
    different = {template(found.sql)[0]: found.sql for found in said}.values()
    whole = [(sql, left) for sql in different if (left := _unpruned(sql))]
    assert len(said) > 100
    assert whole == []


def test_googles_analyzer_accepts_every_statement(world: SyncedWorld) -> None:
    """Everything that was said to BigQuery in this world is GoogleSQL, with the tables as they were then."""
    gate = gate_of(world.recorder.project)
    assert gate.check(world.recorder.statements) == []
    assert gate.analysed > 100


def test_jobs_are_labelled(world: SyncedWorld) -> None:
    """Every job that writes says which system and which run it was for; so do most that read."""
    said = [found.labels for found in world.recorder.statements]
    said += [found.labels for found in world.recorder.loads]
    runs = {row[0] for row in world.place.query("SELECT run_id FROM paragon.sync_runs")}
    of_runs = [labels for labels in said if labels.get("task_history_run")]
    writing = [found.labels for found in world.recorder.statements if found.sql.startswith("MERGE")]
    writing += [found.labels for found in world.recorder.loads]
    assert all(labels.get("task_history_run") for labels in writing)
    assert len(of_runs) > 0.9 * len(said)
    assert {labels["task_history_system"] for labels in of_runs} == {"paragon"}
    assert {labels["task_history_run"] for labels in of_runs} >= runs
