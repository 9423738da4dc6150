"""What idle syncs cost on BigQuery: open executions read one by one, lists that are read again, statistics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
        place = BigQueryPlaceWithoutViews(
            tmp_path / "place", sandbox, recorder, steps="none", payloads="none", integrations=None
        )
        place.sync()
        sandbox.advance(7200)
        place.sync()
        meter = Meter(place, sandbox)
        idle_since = datetime.now(UTC)
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


@pytest.mark.torture
@pytest.mark.parametrize("system", ["sailpoint", "twinit", "b3os"])
def test_a_list_that_is_read_again_asks_the_warehouse_little(
    recorder: Recorder, tmp_path: Path, system: str
) -> None:
    """Where the vendor does not count, an idle sync reads its newest executions: at most six query jobs and 80 MiB.

    That of b3os is also in the test of its statistics.
    """
    with SandboxProcess(system, executions=60, days=3, open_days=0.0, freeze=True, seed=11) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path / "place", sandbox, recorder, system=system, steps="none")
        place.sync()
        # What began within the lookback is written again.
        sandbox.advance(4 * 3600)
        place.sync()
        result, bill = Meter(place, sandbox).sync()
        assert result["executions"] == 0
        assert bill.jobs <= 6
        assert bill.mib <= 80


def test_a_list_that_is_read_again_is_not_written_again(recorder: Recorder, tmp_path: Path) -> None:
    """Neither its open executions that did not change nor statistics that count the same.

    A sync that writes none of them, and reads the newest executions of a vendor that does not count, asks the
    warehouse little.
    """
    with SandboxProcess("b3os", executions=40, days=3, open_days=2.0, freeze=True, seed=11) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path / "place", sandbox, recorder, system="b3os", steps="none")
        opens = "SELECT id, status, fetched_at FROM b3os.executions WHERE is_open ORDER BY id"
        place.sync()
        place.sync()
        written, meter = place.query(opens), Meter(place, sandbox)
        assert len(written) > 10
        _, bill = meter.sync()
        assert bill.jobs <= 6
        assert bill.mib <= 80
        assert place.query(opens) == written
        assert not [name for name in bill.loads if "stats" in name]


@pytest.mark.torture
@pytest.mark.parametrize("system", ["twinit", "b3os"])
def test_open_executions_on_the_pages_of_a_list_are_not_written_again(
    recorder: Recorder, tmp_path: Path, system: str
) -> None:
    """Those that did not change; one that does is, and its history says when it was last seen as it was."""
    with SandboxProcess(system, executions=60, days=3, open_days=2.0, freeze=True, seed=11) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path / "place", sandbox, recorder, system=system, steps="none")
        table = {"twinit": "twinit.workflow_runs", "b3os": "b3os.executions"}[system]
        opens = f"SELECT id, status, fetched_at FROM {table} WHERE is_open ORDER BY id"
        place.sync()
        place.sync()
        written, meter, idle_since = place.query(opens), Meter(place, sandbox), datetime.now(UTC)
        assert len(written) > 10
        _, bill = meter.sync()
        assert bill.jobs <= 6
        assert bill.mib <= 80
        assert place.query(opens) == written
        idle_until = datetime.now(UTC)

        sandbox.advance(40 * 3600)
        place.sync()
        still_open = {identity for identity, _, _ in place.query(opens)}
        truth = {row.get("id") or row["_id"]: row for row in sandbox.truth()}
        assert place.query(f"SELECT count(*) FROM {table}") == [(len(truth),)]
        ended = {identity for identity, _, _ in written} - still_open
        assert len(ended) > 10
        dataset = table.partition(".")[0]
        states = place.query(f"SELECT execution_id, last_seen_at FROM {dataset}.execution_states")
        seen = {identity: at for identity, at in states if identity in ended}
        assert seen.keys() == ended
        assert all(idle_since < at < idle_until for at in seen.values())


@pytest.mark.torture
def test_statistics_that_count_the_same_are_not_written_again(recorder: Recorder, tmp_path: Path) -> None:
    """Not in the hours after the last execution, which get their rows with the next write, within a day.

    They are written again where a stored bucket is missing. A sync that writes none, and reads the newest executions of
    a vendor that does not count, asks the warehouse little.
    """
    with SandboxProcess("b3os", executions=60, days=3, open_days=0.0, freeze=True, seed=11) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path / "place", sandbox, recorder, system="b3os", steps="none")
        meter = Meter(place, sandbox)

        def merged() -> set[str]:
            """The tables of statistics that an hour later were written."""
            sandbox.advance(3600)
            result, bill = meter.sync()
            if not (tables := {name for name in bill.loads if "stats" in name}):
                assert result["executions"] == 0
                assert bill.jobs <= 6
                assert bill.mib <= 80
            return tables

        place.sync()
        # The hours of the last executions close within the lookback.
        sandbox.advance(4 * 3600)
        assert merged()
        opens = "FROM b3os.execution_stats WHERE NOT is_closed"
        place.client.query_and_wait(
            f"DELETE FROM b3os.execution_stats WHERE bucket_start = (SELECT bucket_start {opens} "
            "ORDER BY bucket_start LIMIT 1 OFFSET 1)"
        )
        assert merged()
        assert not merged()

        place.client.query_and_wait(
            "UPDATE b3os.execution_stats SET fetched_at = TIMESTAMP_SUB(fetched_at, INTERVAL 24 HOUR) WHERE true"
        )
        extent = "SELECT count(*), min(bucket_start), max(bucket_end), sum(total) FROM b3os.execution_stats"
        [(_, _, former_end, _)] = place.query(extent)
        assert merged()
        [(buckets, first, end, counted)] = place.query(extent)
        assert end - former_end == timedelta(hours=2)
        assert buckets * 3600 == (end - first).total_seconds()
        assert counted == len(sandbox.truth())
