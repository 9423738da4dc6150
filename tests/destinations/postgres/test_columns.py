"""Columns of undocumented fields, and texts of an earlier version, on Postgres."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from task_history.core.columns import customer_data, customer_json
from task_history.load.migrated_texts import statements
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.postgres.server import Server
from tests.destinations.postgres.test_postgres import NOW, ON_POSTGRES, START, PostgresPlaceWithoutViews
from tests.support.altering_proxy import altering

PROSE = '[12:00] "it" began'


def test_a_field_keeps_its_column(postgres: Server, tmp_path: Path) -> None:
    """On a second machine and in another lane, where another spelling comes first."""
    fields: dict[str, Any] = {"newField": 1}

    def alter(_: str, body: bytes) -> bytes:
        data = json.loads(body)
        for row in data.get("workflowExecutions", ()):
            row.update(fields)
        return json.dumps(data).encode()

    world: dict[str, Any] = {"executions": 120, "seed": 17, "days": 40, "now": NOW, "freeze": True}
    with SandboxProcess(**world) as sandbox, altering(sandbox.base_url, alter) as url:
        settings: dict[str, Any] = {
            "start_date": START,
            "steps": "none",
            "integrations": None,
            "base_url": url,
        }
        place = PostgresPlaceWithoutViews(tmp_path, sandbox, postgres, dataset_name="kept", **settings)
        place.told("sync")
        fields.clear()
        fields |= {"new_field": 2}
        (tmp_path / "elsewhere").mkdir()
        elsewhere = PostgresPlaceWithoutViews(
            tmp_path / "elsewhere", sandbox, postgres, dataset_name="kept", **settings
        )
        elsewhere.run("backfill", "paragon", *ON_POSTGRES, "--from", "2026-09-20", "--to", "2026-10-01")
        fields |= {"newField": 3}
        place.run("backfill", "paragon", *ON_POSTGRES, "--from", "2026-10-01", "--to", "2026-10-10")
    noted = place.query(
        "SELECT column_name FROM kept.schema_changes WHERE table_name = 'workflow_executions'"
    )
    assert sorted(noted) == [("new_field",), ("new_field__v2",)]
    found = place.query("SELECT DISTINCT new_field, new_field__v2 FROM kept.workflow_executions")
    assert {(1, None), (None, 2), (3, 2)} == set(found)
    assert place.query("SELECT field, column_name FROM kept.vendor_fields ORDER BY allotted_at") == [
        ("newField", "new_field"),
        ("new_field", "new_field__v2"),
    ]


def test_texts_of_an_earlier_version(postgres: Server, tmp_path: Path) -> None:
    """They are rewritten as on DuckDB."""
    place = PostgresPlaceWithoutViews(tmp_path, None, postgres)
    place.execute("CREATE TABLE former (message varchar, result varchar)")
    texts = {
        json.dumps(PROSE): PROSE,
        '"quoted" words': '"quoted" words',
        '"no bracket"': '"no bracket"',
        "[no JSON": "[no JSON",
    }
    results = {'plain "words"': '"plain \\"words\\""', "5": "5", '{"a": 1}': '{"a": 1}'}
    for column, values in (("message", texts), ("result", results)):
        for value in values:
            quoted = value.replace("'", "''")
            place.execute(f"INSERT INTO former ({column}) VALUES ('{quoted}')")
    for one in (customer_data("message", ""), customer_json("result", "")):
        place.execute(*statements("former", one, "postgres"))
    assert set(texts.values()) == {
        text for (text,) in place.query("SELECT message FROM former WHERE message IS NOT NULL")
    }
    assert set(results.values()) == {
        text for (text,) in place.query("SELECT result FROM former WHERE result IS NOT NULL")
    }
