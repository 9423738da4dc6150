"""The days of ``status`` and those of the view ``loaded_days`` say the same of the same coverage."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from task_history.core.intervals import merged
from task_history.core.models import Window, iso_ms
from task_history.runs.lanes import AUDIT, BACKFILL, SYNC
from task_history.views import create as creating
from task_history.warehouse.coverage import Day
from task_history.warehouse.loaded_days import by_day, of_whole_list
from task_history.warehouse.verified_days import Completeness
from tests.support import made_warehouse
from tests.unit.views.test_views import access

DAYS = 200
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _days(rng: random.Random, parts: list[str]) -> list[Day]:
    """Coverage of many days: of each part by some lanes, of some hours, verified or not."""
    made = []
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        for part in parts:
            for lane in rng.sample([SYNC.name, BACKFILL.name, AUDIT.name], rng.randint(0, 3)):
                # Each part of a list is loaded from midnight on.
                is_one = len(parts) > 1 or rng.random() < 0.6
                starts = [0] if is_one else sorted(rng.sample(range(0, 24, 6), 2))
                length = rng.choice([6, 24]) if len(starts) == 1 else 6
                windows = merged(Window(day + at * HOUR, day + (at + length) * HOUR) for at in starts)
                is_verified = rng.random() < 0.7
                made.append(
                    Day(
                        day=day,
                        lane=lane,
                        filters=part,
                        windows=tuple(windows),
                        executions=rng.randint(0, 9),
                        api_total=rng.choice([None, 5]),
                        is_verified=is_verified,
                        checked_at=day + rng.randint(24, 200) * HOUR,
                        completeness=Completeness("count") if is_verified else Completeness("none", ("why",)),
                    )
                )
    return made


@pytest.mark.parametrize(
    ("system", "parts"), [("paragon", [""]), ("sailpoint", ["workflow=a", "workflow=b"])]
)
def test_both_say_the_same(system: str, parts: list[str]) -> None:
    """How much of each day is loaded, of how many executions, and whether they are known to be all."""
    days = _days(random.Random(14), parts)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    made_warehouse.empty(connection, system, system)
    creating.refresh(access(connection))
    for day in days:
        spans = ", ".join(f'["{iso_ms(one.start)}", "{iso_ms(one.end)}"]' for one in day.windows)
        connection.execute(
            f"INSERT INTO {system}.coverage (day, lane, filters, window_start, window_end, covered_ms, windows, "
            "executions, api_total, is_verified, reason, checked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                day.day, day.lane, day.filters, day.windows[0].start, day.windows[-1].end,
                day.covered // timedelta(milliseconds=1), f"[{spans}]", day.executions, day.api_total,
                day.is_verified, day.completeness.reason, day.checked_at,
            ],
        )  # fmt: skip
    found = connection.execute(
        "SELECT day, covered_ms, executions, api_total, is_verified FROM task_history.loaded_days "
        "WHERE state <> 'missing' ORDER BY day"
    ).fetchall()
    said = [
        (
            day.day.date(), day.covered // timedelta(milliseconds=1), day.executions, day.api_total, day.is_verified,
        )
        for day in by_day(of_whole_list(days, "workflow" if len(parts) > 1 else ""))
    ]  # fmt: skip
    assert found == said
