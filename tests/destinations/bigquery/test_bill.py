"""What syncs cost on BigQuery: jobs and bytes billed, counted from what was said on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from task_history.warehouse.cost import IDLE_TABLES, NEWS_TABLES
from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlace
from tests.destinations.bigquery.recorder import Recorder
from tests.destinations.bigquery.said import Statement
from tests.support.place import PERFECT, differences

MIB = 2**20
LEAST_MIB = 10
"""Billed for each table that a statement reads or changes: https://cloud.google.com/bigquery/pricing."""


@dataclass(frozen=True)
class Bill:
    """What was said between two instants."""

    statements: list[Statement]
    loads: list[str]
    """The tables of the load jobs."""

    @property
    def jobs(self) -> int:
        """Query jobs; dry runs are none."""
        return sum(not said.is_dry_run for said in self.statements)

    @property
    def mib(self) -> int:
        """MiB billed: of each statement of a script ten for each of its tables, or what they hold; TRUNCATE is free."""
        return sum(
            max(LEAST_MIB * len(tables), -(-said.bytes_processed // MIB))
            for said in self.statements
            if not said.is_dry_run
            for tables in [_tables(said.sql)]
        )


def _tables(sql: str) -> set[str]:
    found: set[str] = set()
    for tree in sqlglot.parse(sql, dialect="bigquery"):
        if tree is not None and not isinstance(tree, exp.TruncateTable | exp.Create):
            ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
            found |= {
                table.sql("bigquery", comments=False).split(" AS ")[0]
                for table in tree.find_all(exp.Table)
                if table.name not in ctes
            }
    return found


class Meter:
    """Syncs a place and reads what it costs."""

    def __init__(self, place: BigQueryPlace, sandbox: SandboxProcess) -> None:
        self.place, self.sandbox = place, sandbox

    def sync(self) -> tuple[dict[str, object], Bill]:
        recorder = self.place.recorder
        statements, loads = len(recorder.statements), len(recorder.loads)
        result = self.place.sync()
        tables = [load.table.split(".")[-1] for load in recorder.loads[loads:]]
        return result, Bill(recorder.statements[statements:], tables)


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
    for _ in range(2):
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


def test_what_another_machine_wrote_is_seen(meter: Meter, tmp_path: Path) -> None:
    """The state is asked for once another machine has written it, although asking is saved where none has."""
    other = meter.place.elsewhere(tmp_path / "other")
    meter.sandbox.advance(3600)
    elsewhere = other.sync()
    result, bill = meter.sync()
    assert any("_dlt_pipeline_state" in said.sql for said in bill.statements)
    assert elsewhere["executions"]
    assert result["executions"] == 0
    reached, before = (datetime.fromisoformat(str(one["covered_until"])) for one in (result, elsewhere))
    assert reached >= before
    assert differences(meter.place, meter.sandbox) == PERFECT


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
