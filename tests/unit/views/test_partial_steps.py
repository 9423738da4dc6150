"""The analysts' views while steps are loaded: a figure of steps is that of a fair sample, or empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from task_history.views import create as creating
from tests.support import made_warehouse
from tests.unit.views.test_views import access, rows

ENDED = "NOT is_open AND coalesce(status, '') NOT IN ('EXECUTING', 'DELAYED') AND date_started IS NOT NULL"
RATE = "SELECT sum(complete_failures) / sum(complete_runs) FROM task_history.step_performance"


@pytest.fixture
def warehouse() -> Iterator[Any]:
    """Executions of 30 days whose steps are not loaded, and the table ``every_step`` of all of them."""
    connection = duckdb.connect()
    made_warehouse.empty(connection)
    made_warehouse.fill(connection, executions=3_000)
    connection.execute(
        "CREATE TABLE every_step AS FROM paragon.step_executions WHERE workflow_execution_id IN "
        f"(SELECT id FROM paragon.workflow_executions WHERE {ENDED})"
    )
    connection.execute("DELETE FROM paragon.step_executions")
    connection.execute("DELETE FROM paragon.execution_details")
    creating.refresh(access(connection))
    yield connection
    connection.close()


def _load(connection: Any, where: str, outcome: str = "loaded") -> None:
    """Loads the steps of the ended executions ``where``, as a sync does."""
    connection.execute(
        "INSERT INTO paragon.execution_details (id, outcome, date_started) "
        "SELECT id, ?, date_started FROM paragon.workflow_executions AS e "
        f"WHERE {ENDED} AND ({where}) AND id NOT IN (SELECT id FROM paragon.execution_details)",
        [outcome],
    )
    connection.execute(
        "INSERT INTO paragon.step_executions FROM every_step WHERE workflow_execution_id IN "
        "(SELECT id FROM paragon.execution_details WHERE outcome = 'loaded') "
        "AND id NOT IN (SELECT id FROM paragon.step_executions)"
    )


def _rate(connection: Any) -> Any:
    return connection.execute(RATE).fetchone()[0]


def test_failures_alone_have_no_rate(warehouse: Any) -> None:
    """With the steps of failures alone no rate and no duration is shown; how many there are is."""
    # A day on which everything failed has all its steps, and says nothing of other days.
    warehouse.execute(
        f"UPDATE paragon.workflow_executions SET status = 'FAILED' WHERE {ENDED} AND date_started::DATE = '2026-11-05'"
    )
    _load(warehouse, "status = 'FAILED'")
    found = rows(
        warehouse,
        "SELECT failure_rate, p50_duration_ms, complete_days, complete_executions, runs > 0 "
        "FROM task_history.step_performance",
    )
    assert set(found) == {(None, None, 0, 0, True)}


def test_the_rate_is_that_of_complete_days(warehouse: Any) -> None:
    """With failures first, then the newest, the rate is that of the days that have all; with all, that of all steps."""
    warehouse.execute("DELETE FROM paragon.coverage")
    days = "SELECT unnest(generate_series(DATE '2026-10-21', DATE '2026-11-20', INTERVAL 1 DAY))"
    warehouse.execute(
        "INSERT INTO paragon.coverage (day, lane, filters, windows, covered_ms, checked_at, is_verified, executions) "
        f"""SELECT d, 'sync', '', '[["' || d::DATE || 'T00:00:00.000Z", "' || d::DATE || 'T23:00:00.000Z"]]', 1, d,
            TRUE, 1
        FROM ({days}) AS s(d)"""
    )
    _load(warehouse, "status = 'FAILED'")
    _load(warehouse, "date_started >= TIMESTAMPTZ '2026-11-10 12:00:00+00'")
    (biased, fair, whole) = warehouse.execute(
        "SELECT (SELECT avg((status = 'FAILED')::INT) FROM paragon.step_executions), "
        "(SELECT avg((status = 'FAILED')::INT) FROM every_step WHERE execution_date_started >= TIMESTAMPTZ "
        "'2026-11-11'), (SELECT avg((status = 'FAILED')::INT) FROM every_step)"
    ).fetchone()
    assert _rate(warehouse) == pytest.approx(fair)
    assert biased > 1.2 * fair
    (behind, own) = warehouse.execute(
        "SELECT (SELECT sum(n) FROM (SELECT any_value(complete_executions) AS n FROM task_history.step_performance "
        "GROUP BY workflow_id)), (SELECT count(*) FROM paragon.workflow_executions WHERE "
        f"{ENDED} AND date_started >= TIMESTAMPTZ '2026-11-11')"
    ).fetchone()
    assert behind == own
    _load(warehouse, "TRUE")
    assert _rate(warehouse) == pytest.approx(whole)


@pytest.mark.parametrize("outcome", ["expired", "gone", "unreadable"])
def test_a_day_with_steps_that_cannot_be_read_does_not_count(warehouse: Any, outcome: str) -> None:
    """What expired before it was read did so by whether it failed: the day is no fair sample."""
    _load(warehouse, "date_started::DATE = '2026-11-07' AND status = 'SUCCEEDED'", outcome)
    _load(warehouse, "TRUE")
    (fair,) = warehouse.execute(
        "SELECT avg((status = 'FAILED')::INT) FROM every_step WHERE execution_date_started::DATE NOT IN "
        "('2026-11-07', '2026-11-10') AND execution_date_started >= TIMESTAMPTZ '2026-10-22'"
    ).fetchone()
    assert _rate(warehouse) == pytest.approx(fair)


def test_deleted_steps_are_no_part_of_a_figure(warehouse: Any) -> None:
    """Days whose steps keep_days_steps deleted are not complete."""
    _load(warehouse, "TRUE")
    warehouse.execute(
        "DELETE FROM paragon.step_executions WHERE execution_date_started < TIMESTAMPTZ '2026-11-12'"
    )
    warehouse.execute("UPDATE paragon.sync_runs SET steps_kept_since = TIMESTAMPTZ '2026-11-12'")
    (days,) = warehouse.execute("SELECT max(complete_days) FROM task_history.step_performance").fetchone()
    assert days == 9


def test_failed_steps_of_an_execution_are_empty_until_its_steps_are_loaded(warehouse: Any) -> None:
    """replay_candidates shows no 0 where nothing is known."""
    sql = "SELECT DISTINCT failed_steps FROM task_history.replay_candidates WHERE started_at IS NOT NULL"
    assert rows(warehouse, sql) == [(None,)]
    _load(warehouse, "status = 'FAILED'")
    assert rows(warehouse, sql) == [(1,)]
