"""A person is forgotten on BigQuery by statements that change only the days on which anything is of the person."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.gates import gate_of_tables
from tests.destinations.bigquery.place import BigQueryPlace, BigQueryPlaceWithoutViews
from tests.destinations.bigquery.pruning import unpruned
from tests.destinations.bigquery.recorder import Recorder
from tests.destinations.bigquery.test_sync import NOW, PARTITIONS

PERSON = "74174185285246519745612784512874512"
"""A user of that world with executions before the erasure and after it."""


def _runs(sandbox: SandboxProcess, user: str) -> int:
    """How many executions the vendor has of the person."""
    return sum(row["userId"] == user for row in sandbox.truth())


def _told(place: BigQueryPlace, command: str, *words: str) -> dict[str, Any]:
    done = place.run(command, "paragon", "--json", "--destination", "bigquery", *words, expect=None)
    assert done.returncode in (0, 10), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _mentions(place: BigQueryPlace, words: list[str]) -> list[str]:
    """The tables, staging ones too, of which a row holds one of the words."""
    names = [
        f"{dataset.dataset_id}.{table.table_id}"
        for dataset in place.client.list_datasets()
        for table in place.client.list_tables(dataset.dataset_id)
        if table.table_type == "TABLE"
    ]
    rows = [f"SELECT '{name}', TO_JSON_STRING(t) FROM {name} AS t" for name in names]
    return sorted(
        {name for name, row in place.query(" UNION ALL ".join(rows)) if any(word in row for word in words)}
    )


def _world() -> SandboxProcess:
    return SandboxProcess(
        executions=20, seed=6, days=2, now=NOW, failed=0.3, future_hours=40, open_days=0.05, freeze=True
    )


def _ids(place: BigQueryPlace) -> list[str]:
    """Those of the person's executions and of their steps."""
    return [
        key
        for (key,) in place.query(
            f"SELECT id FROM paragon.workflow_executions WHERE user_id = '{PERSON}' UNION ALL "
            "SELECT s.id FROM paragon.step_executions AS s JOIN paragon.workflow_executions AS e "
            f"ON e.id = s.workflow_execution_id WHERE user_id = '{PERSON}'"
        )
    ]


def test_a_forgotten_person_is_in_no_table(recorder: Recorder, tmp_path: Path) -> None:
    """After forget no table holds the id of the person or of their rows; deletions name the days that they change.

    The next sync leaves out what the vendor has of the person since.
    """
    with _world() as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder, integrations=None, retention_days=0)
        assert place.sync()["complete"]
        number, ids = _runs(sandbox, PERSON), _ids(place)
        assert len(ids) > number, "there are no steps"
        assert len(_mentions(place, [PERSON, *ids])) >= 4
        gate, said = gate_of_tables(place.query, recorder.project), len(recorder.statements)
        done = _told(place, "forget", "--user", PERSON, "--yes")
        assert done["tables"]["workflow_executions"] == number
        assert _mentions(place, [PERSON, *ids]) == []
        deleted = [
            one.sql
            for one in recorder.statements[said:]
            if re.match(r"DELETE FROM `[^`]*`\.`paragon`\.", one.sql)
        ]
        assert len(deleted) >= 4
        assert [(sql, left) for sql in deleted if (left := unpruned(sql, PARTITIONS))] == []
        assert gate.check(recorder.statements[said:]) == []

        sandbox.advance(21 * 3600)
        assert _runs(sandbox, PERSON) > number
        assert place.sync()["complete"]
        assert _mentions(place, [PERSON, *ids]) == []


@pytest.mark.torture
def test_machines_and_audits_leave_a_forgotten_person_out(recorder: Recorder, tmp_path: Path) -> None:
    """A second machine, with a working folder of its own from before, leaves the person out; no audit misses them."""
    with _world() as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder, integrations=None, retention_days=0)
        assert place.sync()["complete"]
        elsewhere = place.elsewhere(tmp_path / "elsewhere")
        assert elsewhere.sync()["complete"]
        ids = _ids(place)
        shown = _told(place, "forget", "--user", PERSON)
        assert _told(place, "forget", "--user", PERSON, "--yes")["tables"] == shown["tables"]
        sandbox.advance(21 * 3600)
        assert elsewhere.sync()["complete"]
        (start, end) = place.query("SELECT DATE(min(day)), DATE(max(day)) FROM paragon.coverage")[0]
        audit = _told(place, "audit", "--repair", "--from", str(start), "--to", str(end))
        assert audit["left_out"] > 0
        assert audit["missing"] == audit["surplus"] == 0
        assert _mentions(place, [PERSON, *ids]) == []
