"""A sync into BigQuery leaves the views there, and its checks find what it wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_history.views.sql_file_reader import views
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlace
from tests.destinations.bigquery.recorder import Recorder


@pytest.mark.torture
def test_a_sync_makes_views_once(bigquery: Emulator, tmp_path: Path) -> None:
    """All views after the first sync, none made anew after the second, no warning, and the rows that were loaded."""
    with SandboxProcess(executions=60, freeze=True) as sandbox, Recorder(bigquery.url) as recorder:
        place = BigQueryPlace(tmp_path, sandbox, recorder, payloads="none", steps="failed")
        said = place.sync()["stderr"]
        assert "views_created made=" in said
        assert "views_failed" not in said
        assert "level=broken" not in said
        tables = {table.table_id for table in place.client.list_tables("task_history")}
        assert tables == {*views(), "accounts"}
        rows = place.client.query("SELECT COUNT(*) FROM task_history.executions").result()
        assert [row[0] for row in rows] == [60]
        again = place.sync()["stderr"]
        assert "views_created made=" not in again
        assert "views_failed" not in again
