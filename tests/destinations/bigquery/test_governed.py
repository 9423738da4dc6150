"""Columns that are left out or hashed, and rows deleted after their days, on BigQuery: pruned, and not more often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from task_history.core.keyed_hash import is_hash
from task_history.systems import find
from task_history.warehouse import tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.gates import gate_of_tables
from tests.destinations.bigquery.place import BigQueryPlaceWithoutViews
from tests.destinations.bigquery.pruning import unpruned
from tests.destinations.bigquery.recorder import Recorder

PARTITIONS = {table.name: table.partition for table in tables.of(find("paragon")) if table.partition}
KEY = "5f0c1a2b3c4d5e6f708192a3b4c5d6e7"


def midnight_before(days: int) -> datetime:
    day = datetime.now(UTC) - timedelta(days=days)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def test_old_rows_and_columns(bigquery: Emulator, tmp_path: Path) -> None:
    """What is due is deleted once, by statements that prune; an idle sync sends as many as without the settings."""
    start = midnight_before(12).date().isoformat()
    settings = {"start_date": start, "retention_days": 90, "payloads": "all", "integrations": None}
    with (
        SandboxProcess(executions=60, seed=72, days=11) as sandbox,
        Recorder(bigquery.url) as recorder,
    ):
        place = BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder, **settings)
        place.sync()
        before = len(recorder.statements)
        place.sync()
        idle_without = len(recorder.statements) - before
        place.set(keep_days_executions=9, keep_days_steps=6, keep_days_payloads=3)
        gate = gate_of_tables(place.query, recorder.project)
        first = before = len(recorder.statements)
        deleting = place.sync()
        said = recorder.statements[before:]
        before = len(recorder.statements)
        idle = place.sync()
        idle_with = len(recorder.statements) - before
        place.set(exclude_columns=["step_executions.step_id"], hash_columns=["*.user_id"], hash_key=KEY)
        erased = place.sync("--erase-old-values")
        users = {row[0] for row in place.query("SELECT user_id FROM paragon.workflow_executions")}
        steps = {row[0] for row in place.query("SELECT step_id FROM paragon.step_executions")}
        oldest = [
            place.query(f"SELECT min({column}) FROM paragon.{table} {where}")[0][0]
            for table, column, where in (
                ("workflow_executions", "date_started", "WHERE NOT is_open"),
                ("step_executions", "execution_date_started", ""),
                ("step_payloads", "execution_date_started", ""),
                ("coverage", "day", ""),
            )
        ]
        problems = gate.check(recorder.statements[first:])
    assert deleting["deleted_rows"] > 0
    assert deleting["complete"]
    deletes = [one.sql for one in said if one.sql.startswith("DELETE") and "staging" not in one.sql]
    assert len([sql for sql in deletes if "step_payloads" in sql]) == 1
    assert [left for sql in deletes if (left := unpruned(sql, PARTITIONS))] == []
    assert idle["deleted_rows"] is None
    assert idle["payloads"] == idle["steps"] == 0
    assert idle_with <= idle_without
    assert [at >= midnight_before(days) for at, days in zip(oldest, (9, 6, 3, 9), strict=True)] == [True] * 4
    assert erased["erased_values"]["step_executions.step_id"] > 0
    assert steps == {None}
    assert all(map(is_hash, users - {None}))
    assert problems == []
