"""BigQuery: tables that somebody dropped are filled again."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.place import BigQueryPlaceWithoutViews
from tests.destinations.bigquery.recorder import Recorder
from tests.support.dropped_tables import check_dropped, check_dropped_staging
from tests.support.place import PERFECT, differences


def test_what_was_dropped_is_filled_again(recorder: Recorder, tmp_path: Path) -> None:
    """Tables of executions and of steps, a column and a table of the staging dataset: the next sync brings all."""
    with SandboxProcess(executions=30, seed=8, days=5, future_hours=40, freeze=True) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder, integrations=None, payloads="none")
        assert place.sync()["complete"]
        assert place.steps()
        for dropped in (
            "TABLE paragon.workflow_executions",
            "TABLE paragon.step_executions",
            "TABLE paragon_staging.workflows",
        ):
            place.query(f"DROP {dropped}")
        place.query("ALTER TABLE paragon_staging.workflow_executions DROP COLUMN status")
        sandbox.advance(30 * 3600)
        result = place.sync()
        assert result["complete"]
        assert differences(place, sandbox) == PERFECT
        assert place.different_steps(sandbox) == set()
        for said in ("workflow_executions.status", "details_deleted", "coverage_deleted"):
            assert said in result["stderr"]


@pytest.mark.torture
def test_what_was_dropped_is_asked_again_within_the_retention(recorder: Recorder, tmp_path: Path) -> None:
    """As on DuckDB: each row is back that the vendor still has, and of the others it is said that they are lost."""
    check_dropped(
        lambda sandbox: BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder),
        lambda place, sql: place.query(sql),
        at_once=True,
    )


@pytest.mark.torture
def test_what_was_dropped_of_staging_is_made_again(recorder: Recorder, tmp_path: Path) -> None:
    """A column and a table of the staging dataset: the next sync stages and loads all."""
    check_dropped_staging(
        lambda sandbox: BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder),
        lambda place, sql: place.query(sql),
    )
