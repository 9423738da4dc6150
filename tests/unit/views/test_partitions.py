"""Coverage of lists that come in parts, as the views show it."""

from __future__ import annotations

import duckdb

from task_history.views import create as creating
from tests.support import made_warehouse
from tests.unit.views.test_views import access

DAY = "2026-11-01"


def test_a_day_is_loaded_as_far_as_each_part() -> None:
    """Two workflows, one loaded whole and one half: the day is half; other filters and other lists do not count."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    made_warehouse.empty(connection, "sailpoint", "sailpoint")
    creating.refresh(access(connection))

    def note(filters: str, until: str, covered_ms: int) -> None:
        connection.execute(
            "INSERT INTO sailpoint.coverage (day, lane, filters, window_start, window_end, covered_ms, windows, "
            "executions, is_verified, checked_at) VALUES (?, 'sync', ?, ?, ?, ?, ?, 5, TRUE, '2026-11-02')",
            [DAY, filters, DAY, until, covered_ms, f'[["{DAY}T00:00:00.000Z", "{until}.000Z"]]'],
        )

    sql = "SELECT state, covered_ms, executions FROM task_history.loaded_days"
    note("workflow=a", "2026-11-02T00:00:00", 86_400_000)
    note("status=Failed&workflow=b", "2026-11-02T00:00:00", 86_400_000)
    note("list=runs", "2026-11-02T00:00:00", 86_400_000)
    assert connection.execute(sql).fetchall() == [("verified", 86_400_000, 5)]
    note("workflow=b", "2026-11-01T12:00:00", 43_200_000)
    assert connection.execute(sql).fetchall() == [("partial", 43_200_000, 10)]
    assert connection.execute("SELECT filtered_days FROM task_history.freshness").fetchall() == [(1,)]
    connection.execute(
        "INSERT INTO sailpoint.sync_runs (run_id, command, started_at, covered_until) "
        "VALUES ('r', 'sync', '2026-11-02', TIMESTAMPTZ '2026-11-01 12:00:00+00')"
    )
    assert connection.execute("SELECT loaded_until::TEXT FROM task_history.freshness").fetchall() == [
        ("2026-11-01 12:00:00+00",)
    ]
