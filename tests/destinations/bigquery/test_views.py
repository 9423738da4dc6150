"""The same views over the same rows say the same on BigQuery as on DuckDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from google.cloud.bigquery import Client, LoadJobConfig, SchemaField, Table, TimePartitioning
from google.oauth2 import service_account

from task_history import systems
from task_history.settings_accounts import Account
from task_history.views import create as creating
from task_history.views.access import ViewAccess
from task_history.views.check_runner import findings
from task_history.views.sql_file_reader import views
from task_history.warehouse import common_tables
from task_history_cli.runtime.target import find_target
from task_history_cli.runtime.views import opened
from tests.destinations.bigquery.emulator import PROJECT, Emulator
from tests.destinations.bigquery.recorder import Recorder
from tests.support import made_warehouse
from tests.unit.views.test_calendars import access_of, in_zones_with_users
from tests.unit.views.test_query_page import blocks
from tests.unit.views.test_views import access as file_access

TYPES = {
    "text": "STRING",
    "bigint": "INTEGER",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "double": "FLOAT",
}
PARTITIONED = {
    "workflow_executions": "date_started",
    "step_executions": "execution_date_started",
    "step_payloads": "execution_date_started",
}
OF_NOW = {"open_ms", "times_p99", "lag_s", "fingerprint"}
"""Columns that differ between two moments, or by what the views were made for."""


@pytest.fixture(scope="module")
def both(
    bigquery: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, ViewAccess, Any]]:
    """The same rows in DuckDB and in BigQuery, and the views over both, made as the command makes them."""
    local = duckdb.connect()
    local.execute("SET TimeZone = 'UTC'")
    for at, dataset in enumerate(("paragon", "paragon_eu")):
        made_warehouse.empty(local, dataset)
        made_warehouse.fill(local, dataset, executions=400, seed=at, users=9, workflows=7)
        made_warehouse.fill_history(local, dataset)
    with Recorder(bigquery.url, PROJECT) as recorder, pytest.MonkeyPatch.context() as patch:
        recorder.reset()
        for name, value in {**recorder.environment(), **in_zones_with_users()}.items():
            patch.setenv(name, value)
        patch.setenv("DLT_DATA_DIR", str(tmp_path_factory.mktemp("dlt")))
        creating.refresh(access_of(local, in_zones_with_users()))
        client = _client(recorder)
        for dataset in ("paragon", "paragon_eu"):
            _copy(local, client, dataset)
        with opened(find_target("bigquery", "task_history_views")) as remote:
            made = creating.refresh(remote)
            assert (made.is_new, made.datasets) == (True, ("paragon", "paragon_eu"))
            yield local, remote, client


def _client(recorder: Recorder) -> Client:
    found = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        json.loads(recorder.service_account), scopes=["https://www.googleapis.com/auth/bigquery"]
    )
    return Client(project=recorder.project, credentials=found)


def _copy(local: Any, client: Client, dataset: str) -> None:
    """The dataset's tables, partitioned as the loader has them, with their rows."""
    client.create_dataset(dataset)
    client.create_table(Table(f"{PROJECT}.{dataset}._dlt_loads", [SchemaField("load_id", "STRING")]))
    for table in common_tables.of(systems.find("paragon")):
        schema = [SchemaField(column.name, TYPES[column.type]) for column in table.columns]
        made = Table(f"{PROJECT}.{dataset}.{table.name}", schema)
        if table.name in PARTITIONED:
            made.time_partitioning = TimePartitioning(field=PARTITIONED[table.name])
        client.create_table(made)
        names = [column.name for column in table.columns]
        columns = ", ".join(f'"{name}"' for name in names)
        rows = local.execute(f'SELECT {columns} FROM "{dataset}"."{table.name}"').fetchall()
        if rows:
            found = [
                {
                    name: value.isoformat() if isinstance(value, datetime) else value
                    for name, value in zip(names, row, strict=True)
                    if value is not None
                }
                for row in rows
            ]
            client.load_table_from_json(found, made, job_config=LoadJobConfig(schema=schema)).result()


def plain(value: Any) -> Any:
    """A value as both say it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float):
        return round(value, 9)
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    return value


@pytest.mark.parametrize("name", views())
def test_both_say_the_same(both: tuple[Any, ViewAccess, Any], name: str) -> None:
    """The same rows in the same types, whatever is null, open, unknown or broken in the raw ones."""
    local, remote, _ = both
    view = views()[name]
    columns = [column for column in view.columns if column.name not in OF_NOW]
    names, condition = ", ".join(column.name for column in columns), made_warehouse.ENDED.get(name, "")
    sql = f"SELECT {names} FROM task_history.{name}{condition}"

    def shown(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return sorted((tuple(map(plain, row)) for row in rows), key=str)

    # DuckDB gives JSON as text, BigQuery's client as what it stands for.
    is_json = [column.type == "json" for column in columns]
    here = shown(
        [
            tuple(
                json.loads(value) if decode and value is not None else value
                for value, decode in zip(row, is_json, strict=True)
            )
            for row in local.execute(sql).fetchall()
        ]
    )
    assert here, "there is nothing to compare"
    assert shown(remote.query(sql)[1]) == here


def test_columns_are_described(both: tuple[Any, ViewAccess, Any]) -> None:
    """Each view and column has its sentence, and the type of its header."""
    client = both[2]
    for view in views().values():
        table = client.get_table(f"{PROJECT}.task_history.{view.name}")
        assert table.description == view.grain
        assert {field.name: field.description for field in table.schema} == {
            column.name: column.description for column in view.columns
        }


def test_the_readme_runs_here_too(both: tuple[Any, ViewAccess, Any]) -> None:
    """The three short queries, word for word, say the same as in DuckDB."""
    local, remote, _ = both
    for sql in blocks("sql"):
        here, there = local.execute(sql).fetchall(), remote.query(sql)[1]
        assert sorted(there, key=str) == sorted(here, key=str)


def test_views_are_made_once(both: tuple[Any, ViewAccess, Any]) -> None:
    """A second look finds them as they should be."""
    assert not creating.refresh(both[1]).is_new


def test_views_show_the_accounts_of_all_configurations(both: tuple[Any, ViewAccess, Any]) -> None:
    """One that names neither of the datasets leaves both in the views, and in the registry with their accounts."""
    _, remote, client = both
    elsewhere = replace(remote, owners={"west": Account(systems.find("b3os"), None)})
    made = creating.refresh(elsewhere)
    assert (made.is_new, made.datasets) == (False, ("paragon", "paragon_eu"))
    sql = "SELECT dataset, system, instance FROM task_history.accounts ORDER BY 1"
    rows = [("paragon", "paragon", ""), ("paragon_eu", "paragon", "eu")]
    assert [tuple(row.values()) for row in client.query_and_wait(sql)] == rows


@pytest.mark.torture
def test_checks_say_the_same(both: tuple[Any, ViewAccess, Any]) -> None:
    """What holds on one holds on the other."""
    local, remote, _ = both
    own = creating.datasets(remote)
    assert [one.name for one in own] == ["paragon", "paragon_eu"]
    assert [
        (one.check.name, one.is_well) for one in findings(remote.query, own, "bigquery", project=PROJECT)
    ] == [(one.check.name, one.is_well) for one in findings(file_access(local).query, own, "duckdb")]
