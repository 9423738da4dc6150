"""Columns that are left out or hashed, and rows that are deleted after their days, in Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from task_history.core.keyed_hash import KeyedHash
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import PostgresPlaceWithoutViews

KEY = "5f0c1a2b3c4d5e6f708192a3b4c5d6e7"


def midnight_before(days: int) -> datetime:
    day = datetime.now(UTC) - timedelta(days=days)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("asks_again", [False, pytest.param(True, marks=pytest.mark.torture)])
def test_old_rows_and_columns(postgres: Server, tmp_path: Path, asks_again: bool) -> None:
    """What is older is deleted; old values are erased, new ones are never written.

    A further sync neither deletes nor asks again, and an audit finds no difference.
    """
    start = midnight_before(12).date().isoformat()
    with SandboxProcess("paragon", executions=30, seed=72, days=11) as sandbox:
        place = PostgresPlaceWithoutViews(
            tmp_path, sandbox, postgres, start_date=start, payloads="all", integrations=None
        )
        place.told("sync")
        users = {row[0] for row in place.query("SELECT user_id FROM paragon.workflow_executions")} - {None}
        place.set(keep_days_executions=9, keep_days_steps=6, keep_days_payloads=3)
        place.set(exclude_columns=["step_executions.step_id"], hash_columns=["*.user_id"], hash_key=KEY)
        deleting = place.told("sync", "--erase-old-values")
        if asks_again:
            idle = place.told("sync")
            assert idle["deleted_rows"] is None
            assert idle["steps"] == idle["payloads"] == 0
            audit = place.told("audit", "--from", start, "--to", midnight_before(1).date().isoformat())
            assert audit["clean"] is not False, audit
    hashes = {row[0] for row in place.query("SELECT user_id FROM paragon.workflow_executions")} - {None}
    assert deleting["deleted_rows"] > 0
    assert deleting["erased_values"]["workflow_executions.user_id"] > 0
    assert hashes
    assert hashes <= set(map(KeyedHash(KEY).of, users))
    for schema in ("paragon", "paragon_staging"):
        assert place.query(f"SELECT count(*) FROM {schema}.step_executions WHERE step_id IS NOT NULL") == [
            (0,)
        ]
        rows = place.query(f"SELECT user_id FROM {schema}.workflow_executions")
        assert not users & {row[0] for row in rows}
    for table, column, days in (
        ("workflow_executions", "date_started", 9),
        ("step_executions", "execution_date_started", 6),
        ("step_payloads", "execution_date_started", 3),
        ("coverage", "day", 9),
    ):
        only = "WHERE NOT is_open" if table == "workflow_executions" else ""
        assert place.query(f"SELECT min({column}) FROM paragon.{table} {only}")[0][0] >= midnight_before(days)
