"""The same views over the same rows say the same on Postgres as on DuckDB, whatever is null, open or half loaded."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import psycopg2
import pytest
from psycopg2.extras import execute_values

from task_history import systems
from task_history.views import create as creating
from task_history.views.access import ViewAccess
from task_history.views.sql_files import views
from task_history.warehouse import tables
from task_history.warehouse.sql_text import sql_type
from task_history_cli.runtime.target import find_target
from task_history_cli.runtime.views import opened
from tests.destinations.postgres.server import Server
from tests.support import made_warehouse
from tests.unit.views.test_calendars import access_of, in_zones_with_users

OF_NOW = {"open_ms", "times_p99", "lag_s", "fingerprint"}
"""Columns that differ between two moments, or by what the views were made for."""


@pytest.fixture(scope="module")
def both(
    postgres_of_the_file: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, ViewAccess]]:
    """Two accounts, one of them in a zone of its own, and the views over both, made as the command makes them."""
    local = duckdb.connect()
    for seed, dataset in enumerate(("paragon", "paragon_eu")):
        made_warehouse.empty(local, dataset)
        made_warehouse.fill(local, dataset, executions=1_500, seed=seed, users=9, workflows=7, days=40)
        made_warehouse.fill_history(local, dataset)
    with contextlib.closing(psycopg2.connect(postgres_of_the_file.url)) as connection, connection:
        for dataset in ("paragon", "paragon_eu"):
            _copy(local, connection.cursor(), dataset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres_of_the_file.url)
        patch.setenv("DLT_DATA_DIR", str(tmp_path_factory.mktemp("dlt")))
        for name, value in in_zones_with_users().items():
            patch.setenv(name, value)
        creating.refresh(access_of(local, in_zones_with_users()))
        with opened(find_target("postgres", "task_history_views")) as remote:
            made = creating.refresh(remote)
            assert (made.is_new, made.datasets) == (True, ("paragon", "paragon_eu"))
            yield local, remote


def _copy(local: Any, cursor: Any, dataset: str) -> None:
    cursor.execute(f'CREATE SCHEMA "{dataset}"')
    cursor.execute(f'CREATE TABLE "{dataset}"._dlt_loads (load_id VARCHAR)')
    for table in tables.of(systems.find("paragon")):
        declared = ", ".join(f'"{column.name}" {sql_type(column.type)}' for column in table.columns)
        cursor.execute(f'CREATE TABLE "{dataset}"."{table.name}" ({declared})')
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        rows = local.execute(f'SELECT {names} FROM "{dataset}"."{table.name}"').fetchall()
        execute_values(cursor, f'INSERT INTO "{dataset}"."{table.name}" ({names}) VALUES %s', rows)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return round(float(value), 9) if isinstance(value, float | Decimal) else value


@pytest.mark.parametrize("name", views())
def test_both_say_the_same(both: tuple[Any, ViewAccess], name: str) -> None:
    """The same rows in both, in the zone of each account."""
    local, remote = both
    view = views()[name]
    columns = [column for column in view.columns if column.name not in OF_NOW]
    names = ", ".join(
        f"CAST({column.name} AS VARCHAR)" if column.type == "json" else column.name for column in columns
    )
    is_json = [column.type == "json" for column in columns]

    def shown(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return sorted(
            (
                tuple(
                    json.dumps(json.loads(value)) if decodes and value is not None else _plain(value)
                    for value, decodes in zip(row, is_json, strict=True)
                )
                for row in rows
            ),
            key=repr,
        )

    sql = f"SELECT {names} FROM task_history.{name}{made_warehouse.ENDED.get(name, '')}"
    here = shown(local.execute(sql).fetchall())
    assert here
    assert shown(remote.query(sql)[1]) == here


def test_views_are_made_once(both: tuple[Any, ViewAccess]) -> None:
    """A second look finds them as they should be."""
    assert not creating.refresh(both[1]).is_new
