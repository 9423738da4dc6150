"""The same views over the same rows say the same on Postgres as on DuckDB, whatever is null, open or half loaded."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from psycopg2.extras import execute_values

from task_history import systems
from task_history.views import create as creating
from task_history.views.access import ViewAccess
from task_history.views.check_runner import findings
from task_history.views.sql_file_reader import views
from task_history.warehouse import common_tables
from task_history.warehouse.sql_text import sql_type
from task_history_cli.cli import main
from task_history_cli.explore import questions
from task_history_cli.explore.dataset import dataset as dataset_of_views
from task_history_cli.report.sections import sections
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
        made_warehouse.fill(local, dataset, executions=800, seed=seed, users=9, workflows=7, days=40)
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


def test_views_of_every_system_can_be_read(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the tables of all systems, as they are before their first rows."""
    local = duckdb.connect()
    with contextlib.closing(psycopg2.connect(postgres.url)) as connection, connection:
        for system in systems.names():
            made_warehouse.empty(local, system, system)
            _copy(local, connection.cursor(), system, system)
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres.url)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path))
    with opened(find_target("postgres", "task_history_views")) as remote:
        assert creating.refresh(remote).datasets == tuple(sorted(systems.names()))
        for name in views():
            remote.query(f"SELECT * FROM task_history.{name}")


def _copy(local: Any, cursor: Any, dataset: str, system: str = "paragon") -> None:
    cursor.execute(f'CREATE SCHEMA "{dataset}"')
    cursor.execute(f'CREATE TABLE "{dataset}"._dlt_loads (load_id VARCHAR)')
    for table in common_tables.of(systems.find(system)):
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


def test_a_view_has_its_descriptions(both: tuple[Any, ViewAccess]) -> None:
    """Each column has its own, in the view's order."""
    for view in views().values():
        _, described = both[1].query(
            "SELECT a.attname, col_description(a.attrelid, a.attnum) FROM pg_attribute AS a "
            f"WHERE a.attrelid = 'task_history.{view.name}'::regclass AND a.attnum > 0 ORDER BY a.attnum"
        )
        assert [tuple(row) for row in described] == [
            (column.name, column.description) for column in view.columns
        ]


def test_checks_find_the_same(both: tuple[Any, ViewAccess]) -> None:
    """What does not hold of the rows is found in both, as often."""
    local, remote = both
    found = []
    for access in (access_of(local, in_zones_with_users()), remote):
        shown = creating.datasets(access)
        found.append(list(findings(access.query, shown, access.dialect)))
    here, there = found
    assert here
    assert [(one.check.name, one.is_well) for one in there] == [(one.check.name, one.is_well) for one in here]


def test_a_report_is_made(both: tuple[Any, ViewAccess], tmp_path: Path) -> None:
    """Of a month that is loaded, in the zone that the accounts share."""
    page = tmp_path / "report.html"
    main(["report", "--month", "2026-11", "--out", str(page), "--destination", "postgres"])
    assert page.stat().st_size


def test_every_question_of_explore_has_its_rows(both: tuple[Any, ViewAccess]) -> None:
    """What the app asks: figures, reasons of failures, the executions and steps behind one, any view, and any SQL."""
    local, _ = both
    found = questions.figures("postgres", date(2026, 10, 20), date(2026, 11, 20))
    assert questions.totals(found)
    assert questions.table_rows(sections(found)[0])
    everything = questions.scope(found, questions.EVERYTHING, questions.EVERYTHING)
    (reason, *_) = questions.reasons("postgres", found, everything)
    (execution, *_) = questions.failed("postgres", found, everything, reason)
    assert questions.steps("postgres", execution)
    history = dataset_of_views("postgres")
    assert len(history.questions.fetchall()) == len(views())
    sql = "SELECT count(*) FROM {}executions"
    assert history(sql.format("")).fetchall() == local.execute(sql.format("task_history.")).fetchall()


def test_views_are_made_once(both: tuple[Any, ViewAccess]) -> None:
    """A second look finds them as they should be."""
    assert not creating.refresh(both[1]).is_new
