"""What idle syncs cost on BigQuery where open executions are read one by one, and where a list is read again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.bill import Meter
from tests.destinations.bigquery.place import BigQueryPlaceWithoutViews
from tests.destinations.bigquery.recorder import Recorder
from tests.support.place import PERFECT, differences


def test_open_executions_that_did_not_change_are_not_written_again(
    recorder: Recorder, tmp_path: Path
) -> None:
    """Each is read at every sync, and is not written until it changes; its history says then when it was last seen."""
    # Two are open, too far from each other for one page.
    with SandboxProcess(executions=400, days=3, failed=0.05, open_days=0.01, freeze=True, seed=7) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path / "place", sandbox, recorder, payloads="none")
        place.sync()
        sandbox.advance(7200)
        place.sync()
        meter = Meter(place, sandbox)
        idle_since = datetime.now(UTC)
        for _ in range(2):
            sandbox.reset_counters()
            result, bill = meter.sync()
            singles = [sent for sent in sandbox.requests() if sent["kind"] == "execution"]
            assert (result["executions"], len(singles)) == (0, 2)
            assert bill.jobs <= 6
            assert bill.mib <= 80
            assert not any(
                "MERGE INTO" in said.sql and "`status_seen_at`" in said.sql for said in bill.statements
            )
        idle_until = datetime.now(UTC)
        written = place.query("SELECT fetched_at FROM paragon.workflow_executions WHERE is_open")
        assert len(written) == 2
        assert all(at < idle_since for (at,) in written)

        sandbox.advance(6 * 86_400)
        place.sync()
        assert differences(place, sandbox) == PERFECT
        states = place.query("SELECT status, seen_at, last_seen_at FROM paragon.execution_states")
        assert [status for status, _, _ in states] == ["DELAYED"] * 2
        assert all(first < idle_since < last < idle_until for _, first, last in states)


@pytest.mark.parametrize("system", ["sailpoint", "twinit"])
def test_a_list_that_is_read_again_asks_the_warehouse_little(
    recorder: Recorder, tmp_path: Path, system: str
) -> None:
    """Where the vendor does not count, an idle sync reads its newest executions: at most six query jobs and 80 MiB."""
    with SandboxProcess(system, executions=60, days=3, open_days=0.0, freeze=True, seed=11) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path / "place", sandbox, recorder, system=system, steps="none")
        place.sync()
        # What began within the lookback is written again.
        sandbox.advance(7200)
        place.sync()
        result, bill = Meter(place, sandbox).sync()
        assert result["executions"] == 0
        assert bill.jobs <= 6
        assert bill.mib <= 80
