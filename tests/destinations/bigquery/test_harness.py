"""The emulator and the recorder in front of it do what the other tests rely on."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import dlt
import pytest
from google.api_core.exceptions import BadRequest, Forbidden
from google.cloud import bigquery
from google.oauth2 import service_account

from tests.destinations.bigquery.gates import gate_of
from tests.destinations.bigquery.pruning import unpruned
from tests.destinations.bigquery.recorder import Recorder

TABLE = """
CREATE TABLE raw.things (id STRING NOT NULL, started TIMESTAMP OPTIONS (description = 'when'), body JSON)
PARTITION BY DATE(started) CLUSTER BY id OPTIONS (description = 'all of them', labels = [('system', 'paragon')]);
INSERT INTO raw.things
SELECT CAST(n AS STRING), TIMESTAMP_ADD(TIMESTAMP '2026-01-01', INTERVAL n HOUR), JSON '{"a": 1}'
FROM UNNEST(GENERATE_ARRAY(100, 339)) AS n
"""


@pytest.fixture
def client(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> bigquery.Client:
    for name, value in recorder.environment().items():
        monkeypatch.setenv(name, value)
    key = json.loads(recorder.service_account)
    scopes = ["https://www.googleapis.com/auth/bigquery"]
    found = service_account.Credentials.from_service_account_info(key, scopes=scopes)  # type: ignore[no-untyped-call]
    return bigquery.Client(project=recorder.project, credentials=found)


def test_a_merge_of_dlt_works(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A plain merge of dlt leaves one row per key; all that it says is written down, and is analysed."""
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
    assert {found.table for found in recorder.loads} == {
        "merged_staging.things",
        "merged._dlt_pipeline_state",
    }
    assert recorder.tokens > 0
    gate = gate_of(recorder.project)
    assert gate.check(recorder.statements) == []
    assert gate.analysed > len(recorder.statements) / 2
    scanned = [found.sql for found in recorder.statements if unpruned(found.sql, {"things": "started"})]
    assert any("DELETE FROM" in sql for sql in scanned)


def test_bytes_are_those_of_the_columns_and_days(recorder: Recorder, client: bigquery.Client) -> None:
    """Dry runs and jobs tell the bytes that BigQuery would read; a limit stops what costs more."""
    client.create_dataset("raw")
    client.query_and_wait(TABLE)

    def size(sql: str, *days: str) -> int | None:
        parameters = [bigquery.ScalarQueryParameter(None, "TIMESTAMP", f"{day}T00:00:00Z") for day in days]
        config = bigquery.QueryJobConfig(dry_run=True, query_parameters=parameters)
        found: int | None = client.query(sql, job_config=config).total_bytes_processed
        return found

    text, whole = 2 + 3, 2 + 3 + 8 + 2 + len('{"a":1}')
    assert size("SELECT id FROM raw.things") == 240 * text
    assert size("SELECT * FROM raw.things") == 240 * whole
    assert size(
        "SELECT id FROM raw.things WHERE started >= ? AND started < ?", "2026-01-06", "2026-01-08"
    ) == (48 * (text + 8))
    assert size("SELECT id FROM raw.things WHERE started = TIMESTAMP '2026-01-06'") == 24 * (text + 8)
    assert (
        size("DELETE FROM raw.things WHERE id = '170' AND DATE(started) = DATE(?)", "2026-01-06")
        == 24 * whole
    )
    assert size("SELECT 1") == 0

    limited = bigquery.QueryJobConfig(maximum_bytes_billed=1 << 20, labels={"run": "7"})
    with pytest.raises(BadRequest, match="10485760 or higher required") as refused:
        client.query_and_wait("SELECT id FROM raw.things", job_config=limited)
    assert refused.value.errors[0]["reason"] == "bytesBilledLimitExceeded"
    last = recorder.statements[-1]
    assert (last.maximum_bytes_billed, last.labels, last.request.reason) == (
        1 << 20,
        {"run": "7"},
        "bytesBilledLimitExceeded",
    )
    enough = bigquery.QueryJobConfig(maximum_bytes_billed=10 << 20, labels={"run": "8"})
    job = client.query("SELECT id FROM raw.things", job_config=enough)
    job.result()
    assert (job.total_bytes_processed, job.total_bytes_billed) == (240 * text, 10 << 20)
    assert client.get_job(job.job_id).labels == {"run": "8"}

    table = client.get_table("raw.things")
    assert (table.num_rows, table.description, table.labels) == (240, "all of them", {"system": "paragon"})
    table.description, table.labels = "other", {"system": "other"}
    client.update_table(table, ["description", "labels"])
    table = client.get_table("raw.things")
    assert (table.description, table.labels) == ("other", {"system": "other"})
    assert [field.description for field in table.schema] == [None, "when", None]


def test_faults_happen_once_where_they_are_told_to(recorder: Recorder, client: bigquery.Client) -> None:
    """A request is refused, held, or loses its answer; the next one passes."""
    recorder.add(method="POST", text="SELECT 1", reason="accessDenied", message="Permission denied")
    with pytest.raises(Forbidden, match="Permission denied"):
        client.query_and_wait("SELECT 1")
    assert next(iter(client.query_and_wait("SELECT 1")))[0] == 1

    lost = recorder.add(text="SELECT 2", drops_answer=True)
    assert next(iter(client.query_and_wait("SELECT 2")))[0] == 2
    assert lost.reached.is_set()
    assert len([found for found in recorder.statements if found.sql == "SELECT 2"]) == 2

    held = recorder.add(text="SELECT 3", holds=True)
    waiting = threading.Thread(target=client.query_and_wait, args=["SELECT 3"])
    waiting.start()
    assert held.reached.wait(60)
    assert recorder.statements[-1].sql == "SELECT 2"
    held.release.set()
    waiting.join(60)
    assert recorder.statements[-1].sql == "SELECT 3"
