"""Every view answers quickly over a million executions with five million steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from task_history.views import create as creating
from task_history.views.sql_file_reader import views
from task_history_cli.report import figures as report_figures
from tests.commands.test_report import NOVEMBER, NOW
from tests.support import made_warehouse
from tests.unit.views.test_query_page import questions
from tests.unit.views.test_views import access

EXECUTIONS, STEPS_EACH = 1_030_000, 5
MAX_QUERY, MAX_QUESTION, MAX_REPORT = 1.5, 0.75, 11.0
"""Multiples of ``reference_seconds``: on a quiet core about 2 s for a query, 1 s for a question, 15 s for a report."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file: Path = tmp_path_factory.mktemp("large") / "warehouse.duckdb"
    with duckdb.connect(str(file), config={"threads": 2}) as connection:
        made_warehouse.empty(connection)
        made_warehouse.fill(
            connection, executions=EXECUTIONS, steps_each=STEPS_EACH, days=90, workflows=200, users=5_000
        )
        creating.refresh(access(connection))
        assert connection.execute("SELECT count(*) FROM paragon.step_executions").fetchone()[0] > 5_000_000  # type: ignore[index]
        yield connection


@pytest.mark.torture
@pytest.mark.parametrize("name", views())
def test_a_view_answers_quickly(large: Any, name: str) -> None:
    """All rows of a view that adds up, or a day and a half of one of single rows: under two seconds, of one core even."""
    # Nobody takes five million rows home: a day of them is looked at, or they are added up.
    start = {
        "executions": "started_at",
        "steps": "execution_started_at",
        "step_payloads": "execution_started_at",
        "waiting_and_running": "started_at",
    }
    where = f" WHERE {start[name]} >= TIMESTAMPTZ '2026-11-19'" if name in start else ""
    best = min(took(large, f"SELECT * FROM task_history.{name}{where}") for _ in range(3))
    assert best < MAX_QUERY * reference_seconds(large)


@pytest.mark.torture
def test_twenty_questions_are_answered_quickly(large: Any) -> None:
    """Each question of the page for analysts: half a second of two cores."""
    before = reference_seconds(large)
    times = {number: min(took(large, sql) for _ in range(3)) for number, sql in questions()}
    most = MAX_QUESTION * max(before, reference_seconds(large))
    assert {number: seconds for number, seconds in times.items() if seconds > most} == {}


@pytest.mark.torture
def test_single_rows_are_added_up_quickly(large: Any) -> None:
    """The whole of the views of single rows, grouped by what comes from another table."""
    for name in ("executions", "steps"):
        sql = f"SELECT integration, status, count(*), sum(duration_ms) FROM task_history.{name} GROUP BY ALL"
        assert min(took(large, sql) for _ in range(3)) < MAX_QUERY * reference_seconds(large), name


@pytest.mark.torture
def test_a_report_is_made_quickly(large: Any) -> None:
    """All questions of a month's report: seconds."""
    began = time.process_time()
    report_figures.report(access(large), NOVEMBER, now=NOW)
    assert time.process_time() - began < MAX_REPORT * reference_seconds(large)


def reference_seconds(connection: Any) -> float:
    """A processor's seconds for a hash of five million ids, without any view: more where other work slows the cores."""
    return took(
        connection, "SELECT count(DISTINCT hash(id)), max(md5(id::VARCHAR)) FROM paragon.step_executions"
    )


def took(connection: Any, sql: str) -> float:
    """A processor's seconds until all rows are there: what one core takes, whatever else the machine does."""
    began = time.process_time()
    connection.execute(f"CREATE OR REPLACE TEMP TABLE answer AS {sql}")
    return time.process_time() - began
