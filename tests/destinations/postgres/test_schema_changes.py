"""Postgres: what a vendor sends for the first time is noted once, whichever runs see it at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import ON_POSTGRES, PostgresPlaceWithoutViews
from tests.support.altering_proxy import altering, with_fields

WORLD: dict[str, Any] = {
    "executions": 40,
    "seed": 5,
    "days": 6,
    "future_hours": 40,
    "now": "2026-03-01T00:00:00Z",
    "freeze": True,
}
BACKFILL = ("backfill", "paragon", "--from", "2026-02-23", "--to", "2026-02-27", "--json")


def test_a_new_field_that_a_sync_and_a_backfill_see_at_once_is_noted_once(
    postgres: Server, tmp_path: Path
) -> None:
    """One of them tells it; status shows it, and the table has one row for each place in which it came."""
    fields: dict[str, str] = {}

    def alter(_: str, body: bytes) -> bytes:
        return with_fields(body, fields, every=True) if fields else body

    with SandboxProcess("paragon", **WORLD) as sandbox, altering(sandbox.base_url, alter) as url:
        place = PostgresPlaceWithoutViews(
            tmp_path, sandbox, postgres, base_url=url, retention_days=0, start_date="2026-02-27"
        )
        place.makes_views = False
        place.set(dataset_name="changing", integrations=None, steps="none")
        place.run("sync", "paragon", *ON_POSTGRES)
        fields["lateField"] = "true"
        sandbox.advance(30 * 3600)
        runs = [place.start(*words, *ON_POSTGRES) for words in (("sync", "paragon", "--json"), BACKFILL)]
        results = [json.loads(run.communicate(timeout=300)[0]) for run in runs]
        assert [run.returncode for run in runs] == [0, 0]
        rows = place.query("SELECT kind, table_name, column_name, type FROM changing.schema_changes")
        assert ("new_column", "workflow_executions", "late_field", "bool") in rows
        assert len(rows) == len(set(rows)) == sum(result["schema_changes"] for result in results)
        [status] = json.loads(place.run("status", "paragon", "--json", *ON_POSTGRES).stdout)["systems"]
        assert len(status["schema_changes"]) == len(rows)
