"""What syncs cost on BigQuery: jobs and bytes billed, counted from what was said on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from task_history.warehouse.bigquery_billed_bytes import IDLE_TABLES, NEWS_TABLES
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.bill import LEAST_MIB, MIB, Meter
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlace
from tests.destinations.bigquery.recorder import Recorder
from tests.support.place import PERFECT, differences


@pytest.fixture(scope="module")
def meter(bigquery: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meter]:
    with (
        SandboxProcess(
            executions=900, days=8, failed=0.2, open_days=0.05, freeze=True, future_hours=60, seed=11
        ) as sandbox,
        Recorder(bigquery.url) as recorder,
    ):
        meter = Meter(BigQueryPlace(tmp_path_factory.mktemp("bill"), sandbox, recorder), sandbox)
        meter.sync()
        yield meter


def test_an_idle_sync_costs_a_few_jobs(meter: Meter) -> None:
    """Where nothing is new: at most six query jobs and 80 MiB, also right after the first sync."""
    result, bill = meter.sync()
    assert result["executions"] == 0
    assert bill.jobs <= 6
    assert bill.mib == IDLE_TABLES * LEAST_MIB <= 80
    assert sorted(bill.loads) in ([], ["_dlt_loads"], ["_dlt_loads", "_dlt_pipeline_state"])


def test_a_hundred_new_rows_cost_little_more(meter: Meter) -> None:
    """A day's rows, with steps and payloads, open ones among them: at most 20 query jobs and 350 MiB; all is right."""
    meter.sandbox.advance(26 * 3600)
    result, bill = meter.sync()
    assert isinstance(result["executions"], int)
    assert 80 <= result["executions"] <= 120
    assert bill.jobs <= 20
    assert bill.mib <= NEWS_TABLES * LEAST_MIB == 350
    assert differences(meter.place, meter.sandbox) == PERFECT
    assert not any("length(" in said.sql.lower() for said in bill.statements), "a payload's text was read"


def test_a_plan_says_what_it_costs(meter: Meter) -> None:
    """A plan for BigQuery names the bytes billed of the backfill and of a month, by the same numbers of tables."""
    place, month = meter.place, 30 * 24 * LEAST_MIB * MIB
    words = (
        "plan",
        "paragon",
        "--from",
        "2026-11-20",
        "--to",
        "2026-11-22",
        "--destination",
        "bigquery",
        "--json",
    )
    done = place.run(*words)
    billed = json.loads(done.stdout)["billed"]
    assert (billed["month_idle"], billed["month"]) == (month * IDLE_TABLES, month * NEWS_TABLES)
    assert billed["backfill"] >= IDLE_TABLES * LEAST_MIB * MIB
