"""Columns that are left out or hashed, and rows deleted after their days, on BigQuery: pruned, and not more often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from task_history.core.keyed_hash import is_hash
from task_history.systems import find
from task_history.warehouse import common_tables
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.gates import gate_of_tables
from tests.destinations.bigquery.place import BigQueryPlaceWithoutViews
from tests.destinations.bigquery.pruning import unpruned
from tests.destinations.bigquery.recorder import Recorder

PARTITIONS = {table.name: table.partition for table in common_tables.of(find("paragon")) if table.partition}
KEY = "5f0c1a2b3c4d5e6f708192a3b4c5d6e7"


def midnight_before(days: int) -> datetime:
    day = datetime.now(UTC) - timedelta(days=days)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def test_old_rows_and_columns(bigquery: Emulator, tmp_path: Path) -> None:
    """What is due is deleted once, by statements that prune; the sync after it deletes and asks of nothing again."""
    start = midnight_before(12).date().isoformat()
    settings = {"start_date": start, "retention_days": 90, "payloads": "all", "integrations": None}
    with (
        SandboxProcess(executions=40, seed=72, days=11) as sandbox,
        Recorder(bigquery.url) as recorder,
    ):
        place = BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder, **settings)
        place.sync()
        place.set(keep_days_executions=9, keep_days_steps=6, keep_days_payloads=3)
        place.set(exclude_columns=["step_executions.step_id"], hash_columns=["*.user_id"], hash_key=KEY)
        gate = gate_of_tables(place.query, recorder.project)
        before = len(recorder.statements)
        done = place.sync("--erase-old-values")
        said = recorder.statements[before:]
        idle = place.sync()
        of_idle = [one.sql for one in recorder.statements[before + len(said) :]]
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
        problems = gate.check(recorder.statements[before:])
    assert done["deleted_rows"] > 0
    assert done["complete"]
    deletes = [one.sql for one in said if one.sql.startswith("DELETE") and "staging" not in one.sql]
    assert len([sql for sql in deletes if "step_payloads" in sql]) == 1
    assert [left for sql in deletes if (left := unpruned(sql, PARTITIONS))] == []
    assert idle["deleted_rows"] is None
    assert idle["payloads"] == idle["steps"] == 0
    changing = [sql for sql in of_idle if sql.startswith(("DELETE", "UPDATE"))]
    assert [sql for sql in changing if "`sync_runs`" not in sql] == []
    assert [at >= midnight_before(days) for at, days in zip(oldest, (9, 6, 3, 9), strict=True)] == [True] * 4
    assert done["erased_values"]["step_executions.step_id"] > 0
    assert steps == {None}
    assert all(map(is_hash, users - {None}))
    assert problems == []


@pytest.mark.torture
def test_an_idle_sync_sends_as_many_statements_as_without_the_settings(
    bigquery: Emulator, tmp_path: Path
) -> None:
    """Once what was due is deleted, to delete what is old costs nothing more."""
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
        assert place.sync()["deleted_rows"] > 0
        before = len(recorder.statements)
        assert place.sync()["deleted_rows"] is None
        assert len(recorder.statements) - before <= idle_without
