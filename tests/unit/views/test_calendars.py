"""Days and months of the views lie in the zone of the account, also where clocks change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from task_history import systems
from task_history.core.calendars import Calendar, check_timezone
from task_history.core.errors import ConfigurationError
from task_history.settings_accounts import Account
from task_history.settings_reader import datasets
from task_history.views import create as creating
from task_history.views.access import ViewAccess
from task_history.views.check_runner import findings
from tests.support import made_warehouse
from tests.support.torture import rest_as_torture
from tests.unit.views.test_views import access

SPRING, AUTUMN = "TIMESTAMPTZ '2026-04-12 12:00:00+00'", made_warehouse.NOW
ZONES = (
    ("Europe/Berlin", SPRING),
    ("Europe/Berlin", AUTUMN),
    ("America/New_York", SPRING),
    ("America/New_York", AUTUMN),
    ("Australia/Lord_Howe", SPRING),  # clocks change by half an hour
    ("Australia/Lord_Howe", "TIMESTAMPTZ '2026-10-20 12:00:00+00'"),
    ("Europe/London", SPRING),  # two days begin in one UTC day
    ("Europe/London", "TIMESTAMPTZ '2026-11-05 12:00:00+00'"),
    ("Asia/Beirut", SPRING),  # a day without midnight
    ("Asia/Beirut", "TIMESTAMPTZ '2026-11-05 12:00:00+00'"),  # clocks go back at midnight, to the day before
    ("Africa/Cairo", "TIMESTAMPTZ '2026-05-10 12:00:00+00'"),
    ("Africa/Cairo", AUTUMN),
    ("America/Sao_Paulo", "TIMESTAMPTZ '2018-03-05 12:00:00+00'"),
    ("America/Sao_Paulo", "TIMESTAMPTZ '2018-11-20 12:00:00+00'"),
    ("America/Havana", "TIMESTAMPTZ '2025-11-20 12:00:00+00'"),  # midnight comes twice
    ("Atlantic/Azores", SPRING),
    ("Atlantic/Azores", AUTUMN),
    ("Asia/Kathmandu", SPRING),
    ("Pacific/Kiritimati", AUTUMN),
    ("Pacific/Pago_Pago", AUTUMN),
    ("UTC", AUTUMN),
)
ODD_ZONES = (
    ("Australia/Lord_Howe", "TIMESTAMPTZ '2026-10-20 12:00:00+00'"),
    ("Asia/Beirut", SPRING),
    ("America/Havana", "TIMESTAMPTZ '2025-11-20 12:00:00+00'"),
)
"""Those of the zones that differ most from others in what their clocks do."""


def in_zones() -> dict[str, str]:
    """The environment of a configuration with two accounts, the second of which is in a zone of its own."""
    section = "SOURCES__TASK_HISTORY__PARAGON__"
    own = f"TASK_HISTORY_PARAGON_EU__{section}"
    return {
        f"{section}PROJECT_ID": "p",
        f"{own}PROJECT_ID": "q",
        f"{own}TIMEZONE": "Europe/Berlin",
        f"{own}WEEK_START": "sunday",
    }


def in_zones_with_users() -> dict[str, str]:
    """As ``in_zones``, and the first account has a user_map."""
    users = "SELECT 'user 1' AS user_id, 'Acme' AS customer, 'pro' AS plan, 'EU' AS region"
    return {**in_zones(), "SOURCES__TASK_HISTORY__PARAGON__USER_MAP": users}


def access_of(connection: Any, environ: dict[str, str]) -> ViewAccess:
    """The connection as it is for a configuration."""
    return replace(
        access(connection), owners=datasets({**environ, "DLT_DATA_DIR": "/nowhere"}, Path("/nowhere"))
    )


def _access(connection: Any, **calendars: Calendar) -> ViewAccess:
    """The connection as it is for a configuration with these accounts, by dataset."""
    owners = {
        dataset: Account(systems.find("paragon"), dataset.partition("_")[2] or None, calendar)
        for dataset, calendar in calendars.items()
    }
    return replace(access(connection), owners=owners)


def _made(zone: str, now: str, *, executions: int = 1_000) -> Any:
    """A warehouse whose first account is in the zone, and whose second is in UTC."""
    connection = duckdb.connect()
    for seed, dataset in enumerate(("paragon", "paragon_eu")):
        made_warehouse.empty(connection, dataset)
        made_warehouse.fill(connection, dataset, executions=executions, seed=seed, days=40, now=now)
    creating.refresh(_access(connection, paragon=Calendar(zone), paragon_eu=Calendar()))
    return connection


@pytest.fixture(scope="module")
def made() -> Callable[[str, str], Any]:
    """The same, made once for tests that change nothing in it."""
    return cache(_made)


@pytest.mark.parametrize(("zone", "now"), rest_as_torture(ZONES, ODD_ZONES))
def test_every_day_is_the_zones(made: Callable[[str, str], Any], zone: str, now: str) -> None:
    """Executions, failures and tasks of each day and month are those of Python's zones, per account."""
    connection = made(zone, now)
    for instance, dataset, name in (("", "paragon", zone), ("eu", "paragon_eu", "UTC")):
        raw = connection.execute(
            f"SELECT date_started, status, task_count FROM {dataset}.workflow_executions"
        ).fetchall()
        days: dict[date | None, Counter[str]] = {}
        months: dict[date | None, Counter[str]] = {}
        for started, status, tasks in raw:
            day = started.astimezone(ZoneInfo(name)).date() if started else None
            for counts in (
                days.setdefault(day, Counter()),
                months.setdefault(day and day.replace(day=1), Counter()),
            ):
                counts.update(executions=1, failures=status == "FAILED", tasks=tasks or 0)
        assert {
            row[0]: Counter(executions=row[1], failures=row[2], tasks=row[3])
            for row in connection.execute(
                "SELECT day, sum(executions), sum(failures), sum(tasks) FROM task_history.daily_usage "
                "WHERE instance = ? AND timezone = ? GROUP BY day HAVING sum(executions) > 0",
                [instance, name],
            ).fetchall()
        } == days
        assert {
            row[0]: (row[1], row[2])
            for row in connection.execute(
                "SELECT month, sum(executions), sum(tasks) FROM task_history.billing_tasks "
                "WHERE instance = ? AND timezone = ? GROUP BY month",
                [instance, name],
            ).fetchall()
        } == {month: (counts["executions"], counts["tasks"]) for month, counts in months.items()}
    broken = findings(access(connection).query, creating.datasets(access(connection)), "duckdb")
    assert {one.check.name: one.rows for one in broken if "totals" in one.check.name and one.rows} == {}


@pytest.mark.parametrize(("zone", "now"), rest_as_torture(ZONES, ODD_ZONES))
def test_a_day_of_the_zone_is_loaded_when_all_of_it_is(
    made: Callable[[str, str], Any], zone: str, now: str
) -> None:
    """The 10th of each month is missing in coverage, and the last day is loaded until noon UTC."""
    connection = made(zone, now)
    windows = [
        (start.astimezone(UTC), end.astimezone(UTC))
        for start, end in connection.execute(
            "SELECT window_start, window_end FROM paragon.coverage"
        ).fetchall()
    ]
    shown = connection.execute(
        "SELECT DISTINCT day, is_day_loaded FROM task_history.daily_usage WHERE instance = '' AND day IS NOT NULL"
    ).fetchall()
    assert len(shown) == len({day for day, _ in shown})
    for day, is_loaded in shown:
        start, end = (
            datetime(one.year, one.month, one.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
            for one in (day, day + timedelta(days=1))
        )
        covered = sum(
            (max(min(until, end) - max(since, start), timedelta()) for since, until in windows), timedelta()
        )
        assert is_loaded == (covered == end - start), day
    assert {is_loaded for _, is_loaded in shown} == {True, False}


def test_instants_stay_utc() -> None:
    """The zone moves no instant, and no count that has no day."""
    sql = "SELECT execution_id, started_at, ended_at, duration_ms FROM task_history.executions ORDER BY ALL"
    users = "SELECT * FROM task_history.user_activity ORDER BY ALL"
    here, there = (_made(zone, AUTUMN, executions=300) for zone in ("Asia/Tokyo", "UTC"))
    for query in (sql, users, "SELECT * FROM task_history.loaded_days ORDER BY ALL"):
        assert here.execute(query).fetchall() == there.execute(query).fetchall()


def test_views_are_made_anew_when_the_zone_changes_and_not_otherwise() -> None:
    """A configuration without the account keeps its zone; the account's own changes it, and nothing else."""
    connection = duckdb.connect()
    made_warehouse.empty(connection)
    made_warehouse.fill(connection, executions=50)
    rows = "SELECT dataset, system, instance, registered_at, timezone, week_start FROM task_history.accounts"
    berlin = _access(connection, paragon=Calendar("Europe/Berlin", "sunday"))
    assert creating.refresh(berlin).is_new
    (entered,) = connection.execute(rows).fetchall()
    assert entered[-2:] == ("Europe/Berlin", "sunday")
    another = replace(access(connection), owners={"paragon": Account(systems.find("paragon"), None)})
    for other in (access(connection), another, berlin):
        assert not creating.refresh(other).is_new
        assert creating.datasets(other)[0].calendar == Calendar("Europe/Berlin", "sunday")
    assert creating.refresh(_access(connection, paragon=Calendar())).is_new
    assert connection.execute(rows).fetchall() == [(*entered[:-2], "UTC", "monday")]
    assert connection.execute("SELECT DISTINCT timezone FROM task_history.daily_usage").fetchall() == [
        ("UTC",)
    ]


def test_a_registry_of_the_version_before_gets_the_columns() -> None:
    """Its rows stay, in UTC, and the columns are added once."""
    connection = duckdb.connect()
    made_warehouse.empty(connection)
    made_warehouse.fill(connection, executions=50)
    creating.refresh(access(connection))
    connection.execute("ALTER TABLE task_history.accounts DROP COLUMN timezone")
    connection.execute("ALTER TABLE task_history.accounts DROP COLUMN week_start")
    (before,) = connection.execute("FROM task_history.accounts").fetchall()
    assert not creating.refresh(access(connection)).is_new
    assert connection.execute("FROM task_history.accounts").fetchall() == [(*before, None, None)]
    berlin = _access(connection, paragon=Calendar("Europe/Berlin"))
    assert creating.refresh(berlin).is_new
    assert connection.execute("FROM task_history.accounts").fetchall() == [
        (*before, "Europe/Berlin", "monday")
    ]


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin?"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("new york", "did you mean America/New_York?"),
        ("UTC+2", "no such name"),
        ("localtime", "no such name"),
        ("../../etc/passwd", "no such name"),
    ],
)
def test_a_zone_that_is_none_is_refused(name: str, suggestion: str) -> None:
    """The error names what is meant."""
    with pytest.raises(ValueError, match=r"no such name") as found:
        check_timezone(name)
    assert suggestion in str(found.value)


def test_calendars_of_configured_accounts(tmp_path: Path) -> None:
    """An account's own setting wins over its system's; one that is not configured has no calendar."""
    section = "SOURCES__TASK_HISTORY__PARAGON__"
    environ = {
        f"{section}PROJECT_ID": "p",
        f"{section}TIMEZONE": "Europe/Berlin",
        f"TASK_HISTORY_PARAGON_US__{section}PROJECT_ID": "q",
        f"TASK_HISTORY_PARAGON_US__{section}TIMEZONE": "America/New_York",
        f"TASK_HISTORY_PARAGON_US__{section}WEEK_START": "sunday",
        "DLT_DATA_DIR": str(tmp_path),
    }
    found = {name: account.calendar for name, account in datasets(environ, tmp_path).items()}
    assert found["paragon"] == Calendar("Europe/Berlin")
    assert found["paragon_us"] == Calendar("America/New_York", "sunday")
    assert found["b3os"] is None
    with pytest.raises(ConfigurationError, match=r"week_start: 'noday' is not one of monday, .*WEEK_START"):
        datasets({**environ, f"{section}WEEK_START": "noday"}, tmp_path)
