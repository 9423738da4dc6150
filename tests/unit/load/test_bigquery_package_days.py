"""What BigQuery's notes about days hold of a package, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dlt.common.schema import Schema
from pyarrow.parquet import write_table

from task_history.load.destinations import bigquery, bigquery_package_days, bigquery_unbilled
from task_history.load.destinations.base import Cost
from task_history.load.destinations.bigquery_package_days import PackageDays
from task_history.warehouse.left_days import LEFT_DAYS

DAY = datetime(2026, 11, 20, tzinfo=UTC)


class Client:
    """An SQL client that only keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def make_qualified_table_name(self, name: str) -> str:
        return f"paragon.{name}"

    def execute_sql(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        self.asked.append((sql, values))
        return [(values[-1], "complete", DAY, DAY, DAY)] if "version" in sql else [(values[0],)]


class Notes(PackageDays):
    """Notes of which the rows are kept here."""

    def __init__(self) -> None:
        super().__init__(Cost())
        self.written: list[Mapping[str, Any]] = []

    def write(self, client: Any, table: Any, row: Any, *, replaces: bool = False) -> None:
        del client, table, replaces
        self.written.append(row)


class Clock(datetime):
    """A clock that tests move."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) + cls.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Clock]]:
    monkeypatch.setattr(bigquery_package_days, "datetime", Clock)
    yield Clock
    Clock.ahead = timedelta()


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the lists of rows of tables give, by table; None for a table that is too large."""
    answers: dict[str, Any] = {}
    monkeypatch.setattr(bigquery_unbilled, "rows_of", lambda _, name, __, **___: answers[name])
    monkeypatch.setattr(bigquery_unbilled, "found_tables", lambda _, names: dict.fromkeys(names, "there"))
    return answers


def write(package: Path, table: str, **columns: Sequence[Any]) -> None:
    """A Parquet file of the package."""
    folder = package / "started_jobs"
    folder.mkdir(parents=True, exist_ok=True)
    write_table(pa.table(dict(columns)), folder / f"{table}.0123456789.0.parquet")


def noted(tmp_path: Path, schema: str = "paragon") -> tuple[list[tuple[Any, Any]], bool]:
    """First and last day that are noted of the package, and whether it counts as written."""
    notes = Notes()
    notes.note(Client(), Schema(schema), tmp_path / "1")
    return [(row["first_day"], row["last_day"]) for row in notes.written], notes.has_written


def test_days_are_those_of_this_connectors_tables(tmp_path: Path) -> None:
    """The columns of days come from the tables that this connector declares; here dlt's stored schema names none."""
    hour = timedelta(hours=7)
    write(tmp_path / "1", "workflow_executions", id=["a"], date_started=[DAY + hour])
    write(tmp_path / "1", "step_executions", id=["s"], execution_date_started=[DAY + timedelta(2)])
    assert noted(tmp_path) == ([(DAY, DAY + timedelta(2))], True)


def test_a_file_without_the_column_of_days(tmp_path: Path) -> None:
    """Any day may change."""
    write(tmp_path / "1", "workflow_executions", id=["a"])
    assert noted(tmp_path) == ([(None, None)], True)


def test_what_dlt_says_of_a_failed_job_is_no_file_of_rows(tmp_path: Path) -> None:
    """With ``load.raise_on_failed_jobs = false`` dlt writes the reason beside the file."""
    write(tmp_path / "1", "workflow_executions", id=["a"], date_started=[DAY])
    failed = tmp_path / "1" / "failed_jobs"
    failed.mkdir()
    (failed / "step_executions.0123456789.0.parquet.exception").write_text("refused")
    assert noted(tmp_path) == ([(DAY, DAY)], True)


def test_a_schema_that_is_of_no_system(tmp_path: Path) -> None:
    """Any day may change."""
    write(tmp_path / "1", "workflow_executions", id=["a"], date_started=[DAY])
    assert noted(tmp_path, "other") == ([(None, None)], True)


def test_statistics_are_not_noted(tmp_path: Path) -> None:
    """They leave nothing to read, though they are partitioned by days."""
    write(tmp_path / "1", "execution_stats", bucket_start=[DAY])
    assert noted(tmp_path, "b3os") == ([], False)


def test_workflows_are_not_noted(tmp_path: Path) -> None:
    """They have no day; but the run has changed a table of which the state is compared."""
    write(tmp_path / "1", "workflows", workflow_id=["w"])
    assert noted(tmp_path) == ([], True)


def test_a_package_is_noted_again_where_it_is_merged_late(tmp_path: Path, clock: type[Clock]) -> None:
    """As after a day in which the machine slept, or its clock was set back; and else once."""
    write(tmp_path / "1", "workflow_executions", id=["a"], date_started=[DAY])
    notes, numbers = Notes(), []
    for ahead in (0, 1, 13, 14, -30):
        clock.ahead = timedelta(hours=ahead)
        notes.note(Client(), Schema("paragon"), tmp_path / "1")
        numbers.append(len(notes.written))
    assert numbers == [1, 1, 2, 2, 3]


def test_any_day_is_noted_again_by_commits(clock: type[Clock]) -> None:
    """Each commit of dlt's own client may change any day, and a note counts for a day."""
    notes, numbers = Notes(), []
    for minutes in (0, 30, 61, 90, 122):
        clock.ahead = timedelta(minutes=minutes)
        notes.note_any_day_again(Client())
        numbers.append(len(notes.written))
    assert numbers == [1, 1, 2, 2, 3]


def test_commits_by_dlts_own_client_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each of them; where this connector's client merges, packages are noted by themselves."""
    notes = Notes()
    monkeypatch.setattr(bigquery, "PackageDays", lambda _: notes)
    own, dlts = (bigquery.BigQueryBackend(which) for which in (bigquery.BigQuery(), object()))
    own.begin_commit(Client())
    assert notes.written == []
    dlts.begin_commit(Client())
    assert [(row["load_id"], row["first_day"]) for row in notes.written] == [("", None)]


def test_packages_are_looked_for_in_parts(listing: dict[str, Any]) -> None:
    """Of a table that is too long to be listed no statement has more values than BigQuery takes."""
    listing["_dlt_loads"] = None
    client, ids = Client(), {f"{number:06}" for number in range(12_001)}
    assert Notes().loaded(client, ids) == {"000000", "005000", "010000"}
    assert [len(values) for _, values in client.asked] == [5_000, 5_000, 2_001]
    listing["_dlt_loads"] = ["load_id"], [("000001",), ("other",)]
    assert Notes().loaded(client, ids) == {"000001"}


def test_notes_that_cannot_be_listed(listing: dict[str, Any]) -> None:
    """Too many rows are not read by a query, which would be billed; those of an earlier version tell nothing."""
    client = Client()
    listing[LEFT_DAYS.name] = None
    assert Notes().rows(client, LEFT_DAYS) is None
    listing[LEFT_DAYS.name] = ["run_id", "noted_at"], [("a", DAY)]
    assert Notes().rows(client, LEFT_DAYS) == []
    names = [column.name for column in LEFT_DAYS.columns]
    listing[LEFT_DAYS.name] = names, [tuple(names)]
    assert Notes().rows(client, LEFT_DAYS) == [dict(zip(names, names, strict=True))]
    assert client.asked == []


def test_runs_of_another_version(listing: dict[str, Any]) -> None:
    """They are found in the list of runs, and where that is too long, by a query."""
    names = ["version", "outcome", "started_at", "ended_at", "written_at"]
    listing["sync_runs"] = names, [("1.0", "complete", DAY, DAY, DAY)]
    client, before = Client(), DAY - timedelta(hours=1)
    assert Notes().has_other_version(client, "2.0", before)
    assert not Notes().has_other_version(client, "1.0", before)
    assert client.asked == []
    listing["sync_runs"] = None
    assert not Notes().has_other_version(client, "1.0", before)
    assert len(client.asked) == 1
