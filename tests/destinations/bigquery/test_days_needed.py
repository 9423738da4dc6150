"""Statements on large tables read the days that are known to be needed, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from task_history_cli.sandbox.process import SandboxProcess
from tests.destinations.bigquery.days_read import reads
from tests.destinations.bigquery.emulator import Emulator
from tests.destinations.bigquery.place import BigQueryPlaceWithoutViews
from tests.destinations.bigquery.recorder import Recorder
from tests.support.place import PERFECT, differences

ON_BIGQUERY = ("--destination", "bigquery")
DETAILS = ("step_executions", "step_payloads", "execution_details")
Reads = list[tuple[str, set[date], str]]
"""Table, days and statement."""


class SyncedTwice:
    """A place that is synced twice, and what its commands read."""

    def __init__(self, place: BigQueryPlaceWithoutViews, sandbox: SandboxProcess) -> None:
        self.place, self.sandbox = place, sandbox
        self.today = datetime.now(UTC)
        self._days = [self.day(back) for back in range(-1, 45)]

    def day(self, back: int) -> date:
        """The day so many days ago."""
        return (self.today - timedelta(days=back)).date()

    def reads(self, *words: str) -> Reads:
        """What the command reads of large tables."""
        recorder = self.place.recorder
        before = len(recorder.statements)
        self.place.run(*words, *ON_BIGQUERY)
        return [
            (table, days, statement.sql)
            for statement in recorder.statements[before:]
            if not statement.is_dry_run
            for table, days, _ in reads(statement, self._days)
        ]


@pytest.fixture(scope="module")
def synced(bigquery: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncedTwice]:
    with (
        Recorder(bigquery.url) as recorder,
        SandboxProcess(executions=60, seed=8, days=40, future_hours=3, freeze=True) as sandbox,
    ):
        place = BigQueryPlaceWithoutViews(tmp_path_factory.mktemp("days"), sandbox, recorder)
        synced = SyncedTwice(place, sandbox)
        place.set(integrations=None, steps="failed", payloads="failed", start_date=synced.day(20).isoformat())
        place.sync()
        yield synced


def test_why_reads_the_day_of_the_execution(synced: SyncedTwice) -> None:
    """Whole rows only of that day; when it began is asked of the ids and starts alone."""
    first, last = synced.day(15).isoformat(), synced.day(5).isoformat()
    row = next(row for row in synced.sandbox.truth() if first <= row["dateStarted"][:10] <= last)
    day = date.fromisoformat(row["dateStarted"][:10])
    found = synced.reads("why", "paragon", row["id"])
    whole = [days for _, days, sql in found if sql.startswith(("SELECT e.*", "SELECT *"))]
    assert len(whole) >= 2
    assert all(days == {day} for days in whole)
    last_day = date.fromisoformat(max(row["dateStarted"] for row in synced.sandbox.truth())[:10])
    newest = [(days, sql) for _, days, sql in found if sql.startswith("SELECT max(e.")]
    assert newest
    assert [sql for days, sql in newest if min(days) < last_day] == []
    of_details = [days for table, days, sql in found if table in DETAILS and "AS missing" not in sql]
    assert len(of_details) >= 3
    assert all(days == {day} for days in of_details)


def test_an_audit_of_a_sample_reads_its_range(synced: SyncedTwice) -> None:
    """Stored rows and steps are read of the days that are compared, by a few statements and not by one for each."""
    days = {synced.day(back) for back in range(8, 13)}
    window = ("--from", min(days).isoformat(), "--to", synced.day(7).isoformat(), "--sample", "5")
    found = synced.reads("audit", "paragon", *window)
    assert {table for table, _, _ in found} >= {"workflow_executions", "step_executions", "execution_details"}
    assert [(table, read - days, sql) for table, read, sql in found if not read <= days] == []
    assert sum(sql.startswith("SELECT s.*") for _, _, sql in found) <= 1


@pytest.mark.torture
def test_a_backfill_asks_of_its_range_what_is_left(synced: SyncedTwice) -> None:
    """Steps and payloads are looked for on the days of the range alone."""
    days = {synced.day(back) for back in range(22, 41)}
    found = synced.reads(
        "backfill", "paragon", "--from", min(days).isoformat(), "--to", synced.day(21).isoformat()
    )
    asked = [read for table, read, sql in found if table == "step_executions" and not sql.startswith("MERGE")]
    assert asked
    assert all(read <= days for read in asked)


@pytest.mark.torture
def test_details_that_were_deleted_by_hand_are_read_again(synced: SyncedTwice) -> None:
    """The tables have fewer rows than the last sync noted, so the next one asks of all days that the vendor keeps."""
    place = synced.place
    (identity, *loaded), *_ = place.query(
        "SELECT workflow_execution_id, COUNT(*), COUNT(DISTINCT id) FROM paragon.step_executions "
        f"WHERE execution_date_started < TIMESTAMP '{synced.day(7)}' AND execution_date_started >= "
        f"TIMESTAMP '{synced.day(19)}' GROUP BY 1 ORDER BY MIN(execution_date_started) LIMIT 1"
    )
    of_it = f"FROM paragon.step_executions WHERE workflow_execution_id = '{identity}'"
    assert place.sync()["steps"] == 0, "something was left"
    for rows in (
        of_it,
        of_it.replace("step_executions", "step_payloads"),
        f"FROM paragon.execution_details WHERE id = '{identity}'",
    ):
        place.query(f"DELETE {rows}")
    found = place.sync()
    assert [list(row) for row in place.query(f"SELECT COUNT(*), COUNT(DISTINCT id) {of_it}")] == [loaded]
    assert (found["executions"], found["steps"]) == (0, loaded[0])


@pytest.mark.torture
def test_a_first_sync_that_is_not_complete_reads_what_can_change(recorder: Recorder, tmp_path: Path) -> None:
    """Neither it nor the one that goes on reads further back than the vendor keeps executions, and a week."""
    with SandboxProcess(executions=40, seed=8, days=20, future_hours=3, freeze=True) as sandbox:
        place = BigQueryPlaceWithoutViews(tmp_path, sandbox, recorder)
        place.set(integrations=None, payloads="none")
        place.run("sync", "paragon", "--max-requests", "5", *ON_BIGQUERY)
        place.run("sync", "paragon", *ON_BIGQUERY)
        assert differences(place, sandbox) == PERFECT
    backlog = [said.sql for said in recorder.statements if "next_try_at" in said.sql and "JOIN" in said.sql]
    assert backlog
    assert [sql for sql in backlog if "TIMESTAMP '1970" in sql] == []


def _questions(found: Reads) -> list[tuple[set[date], str]]:
    """What is read to find out what is left, with the days."""
    return [(days, sql) for _, days, sql in found if "next_try_at" in sql and sql.startswith("SELECT")]


def test_an_idle_sync_asks_of_the_days_that_have_something_left(synced: SyncedTwice) -> None:
    """After a sync to its end no question reaches further back than the day on which the lookback begins."""
    synced.place.sync()
    asked = _questions(synced.reads("sync", "paragon"))
    assert asked
    assert [sql for days, sql in asked if min(days) < _lookback_day()] == []


def test_the_days_of_a_package_are_noted_before_it_is_merged(synced: SyncedTwice) -> None:
    """A machine that is lost between two merges has noted of which days the next question has to be."""
    recorder = synced.place.recorder
    numbers = {id(request): number for number, request in enumerate(recorder.requests)}
    noted = [numbers[id(load.request)] for load in recorder.loads if load.table.endswith(".package_days")]
    merged = [
        numbers[id(said.request)]
        for said in recorder.statements
        if "MERGE INTO" in said.sql and any(name in said.sql for name in ("workflow_executions", *DETAILS))
    ]
    assert noted
    assert min(noted) < min(merged)
    rows = synced.place.query("SELECT load_id, first_day, last_day FROM paragon.package_days")
    loads = {load_id for (load_id,) in synced.place.query("SELECT load_id FROM paragon._dlt_loads")}
    assert {load_id for load_id, _, _ in rows} <= loads
    assert min(first for _, first, _ in rows).date() <= synced.day(15)


def test_days_that_another_machine_noted_are_asked_of(synced: SyncedTwice) -> None:
    """Of a package that it noted and did not load; no other old day is asked for."""
    day, columns = synced.day(12), "(load_id, run_id, first_day, last_day, noted_at)"
    synced.place.query(
        f"INSERT INTO paragon.package_days {columns} VALUES "
        f"('elsewhere', 'elsewhere', TIMESTAMP '{day}', TIMESTAMP '{day}', CURRENT_TIMESTAMP())"
    )
    found = synced.reads("sync", "paragon")
    asked = _questions([(table, days, sql) for table, days, sql in found if table in DETAILS])
    reached = set().union(*(days for days, _ in asked))
    assert {one for one in reached if one < _lookback_day()} == {day}
    synced.place.query("DELETE FROM paragon.package_days WHERE load_id = 'elsewhere'")


@pytest.mark.torture
def test_what_a_lost_machine_left_is_found_by_the_days_that_it_noted(synced: SyncedTwice) -> None:
    """An execution that a machine merged, and no steps of it: they are read, and no other old day is asked for."""
    place = synced.place
    (identity, start, steps), *_ = place.query(
        "SELECT workflow_execution_id, min(execution_date_started), count(*) FROM paragon.step_executions "
        f"WHERE execution_date_started < TIMESTAMP '{synced.day(7)}' AND execution_date_started >= "
        f"TIMESTAMP '{synced.day(19)}' GROUP BY 1 ORDER BY 2 LIMIT 1"
    )
    executions = "paragon.workflow_executions"
    place.query(f"CREATE TABLE paragon.lost AS SELECT * FROM {executions} WHERE id = '{identity}'")
    for table, column in (
        ("workflow_executions", "id"),
        ("execution_details", "id"),
        ("step_executions", "workflow_execution_id"),
        ("step_payloads", "workflow_execution_id"),
    ):
        place.query(f"DELETE FROM paragon.{table} WHERE {column} = '{identity}'")
    place.sync()
    place.query(f"INSERT INTO {executions} SELECT * FROM paragon.lost")
    place.query(
        "INSERT INTO paragon.package_days (load_id, run_id, first_day, last_day, noted_at) VALUES "
        f"('lost', 'lost', TIMESTAMP '{start.date()}', TIMESTAMP '{start.date()}', CURRENT_TIMESTAMP())"
    )
    found = synced.reads("sync", "paragon")
    assert place.query(
        f"SELECT count(*) FROM paragon.step_executions WHERE workflow_execution_id = '{identity}'"
    ) == [(steps,)]
    # Of executions an open one is counted from, to guess on which page of the list it stands.
    asked = _questions([(table, days, sql) for table, days, sql in found if table in DETAILS])
    reached = set().union(*(days for days, _ in asked))
    assert {day for day in reached if day < synced.day(1)} == {start.date()}


def _reach(synced: SyncedTwice) -> date:
    """The first day of which a sync asks what is left."""
    return min(day for days, _ in _questions(synced.reads("sync", "paragon")) for day in days)


def test_one_row_is_kept_of_what_is_left_and_days_of_packages_for_a_time(synced: SyncedTwice) -> None:
    """A sync writes its row over the one before, once a day; of what was noted about packages old days expire."""
    former = (
        "UPDATE paragon.left_days SET run_id = 'former', began_at = TIMESTAMP_SUB(began_at, INTERVAL 2 DAY)"
    )
    synced.place.query(f"{former} WHERE TRUE")
    synced.place.sync()
    ((run_id,),) = synced.place.query("SELECT run_id FROM paragon.left_days")
    assert run_id != "former"
    table = synced.place.client.get_table("paragon.package_days")
    assert table.time_partitioning is not None
    kept_for = timedelta(milliseconds=table.time_partitioning.expiration_ms)
    assert (table.time_partitioning.field, kept_for) == ("noted_at", timedelta(days=60))


def _lookback_day() -> date:
    """The day on which the lookback of a day begins, by clocks that differ by two hours."""
    return (datetime.now(UTC) - timedelta(hours=26)).date()


_DROPPED = "DROP TABLE paragon.left_days"


OTHER_VERSIONS = {
    "without notes": (_DROPPED, "DROP TABLE paragon.package_days"),
    "with other notes": (
        _DROPPED,
        "CREATE TABLE paragon.left_days AS SELECT 'a' AS run_id, CURRENT_TIMESTAMP() AS noted_at",
    ),
    "that has written since": (
        "INSERT INTO paragon.sync_runs (run_id, command, outcome, started_at, ended_at, written_at, version) "
        "SELECT 'old', command, outcome, started_at, ended_at, CURRENT_TIMESTAMP(), '0.0.1' "
        "FROM paragon.sync_runs WHERE outcome = 'complete' LIMIT 1",
    ),
}
"""The statements that leave such a warehouse."""


@pytest.mark.torture
@pytest.mark.parametrize("version", OTHER_VERSIONS)
def test_a_warehouse_of_another_version(synced: SyncedTwice, version: str) -> None:
    """All days are asked of, and by the sync after it few again."""
    for statement in OTHER_VERSIONS[version]:
        synced.place.query(statement)
    assert _reach(synced) <= synced.day(20)
    # As it is two hours later, by which clocks may differ.
    synced.place.query("DELETE FROM paragon.sync_runs WHERE run_id = 'old'")
    assert _reach(synced) >= _lookback_day()


@pytest.mark.torture
def test_notes_that_cannot_be_read_end_no_sync(synced: SyncedTwice) -> None:
    """It asks of all days, and says so."""
    synced.place.query("UPDATE paragon.left_days SET not_loaded = '?' WHERE TRUE")
    done = synced.place.run("sync", "paragon", *ON_BIGQUERY)
    assert "left_days_not_read" in done.stderr
    assert _reach(synced) <= synced.day(20)
    synced.place.query(_DROPPED)
    assert _reach(synced) <= synced.day(20)
    assert _reach(synced) >= _lookback_day()


@pytest.mark.torture
def test_details_that_are_wanted_since_a_setting_changed(synced: SyncedTwice) -> None:
    """They are looked for on all days, and read."""
    place = synced.place
    before = place.query("SELECT count(*) FROM paragon.step_executions")[0][0]
    place.set(steps="all")
    assert place.sync()["steps"] > 0
    assert place.query("SELECT count(*) FROM paragon.step_executions")[0][0] > before
    assert place.sync()["left"]["details"] == 0
