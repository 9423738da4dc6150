"""The emulator, its recorder and the checks of what is said do what other tests rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dlt
import pytest
from google.cloud import bigquery
from google.oauth2 import service_account

from .pruning import unpruned
from .recorder import Recorder


@pytest.fixture
def client(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> bigquery.Client:
    for name, value in recorder.environment().items():
        monkeypatch.setenv(name, value)
    found = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        json.loads(recorder.service_account), scopes=["https://www.googleapis.com/auth/bigquery"]
    )
    return bigquery.Client(project=recorder.project, credentials=found)


def test_a_merge_of_dlt_works(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A plain merge of dlt leaves one row per key, and all that it said is written down."""
    for name, value in recorder.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))

    def load(rows: list[dict[str, Any]]) -> Any:
        pipeline = dlt.pipeline("merged", destination="bigquery", dataset_name="merged")
        pipeline.run(rows, table_name="things", write_disposition="merge", primary_key="id")
        with pipeline.sql_client() as sql:
            return [tuple(row) for row in sql.execute_sql("SELECT id, name FROM things ORDER BY id") or ()]

    assert load([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]) == [(1, "a"), (2, "b")]
    assert load([{"id": 2, "name": "c"}]) == [(1, "a"), (2, "c")]
    assert {found.table for found in recorder.loads} >= {
        "merged_staging.things",
        "merged._dlt_pipeline_state",
    }
    assert any("INSERT INTO" in found.sql for found in recorder.statements)
    assert recorder.tokens > 0
    assert unpruned(recorder.statements[-1].sql, {"things": "at"})
