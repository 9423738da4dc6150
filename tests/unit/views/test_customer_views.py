"""Views about customers, incidents and recovery say what Python counts from the raw rows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from task_history import systems
from task_history.core.calendars import WEEKDAYS, Calendar
from task_history.settings_accounts import Account
from task_history.views import create as creating
from tests.support import made_warehouse
from tests.unit.views.test_views import access, rows

MEANINGS = {"FAILED": "failed", "SUCCEEDED": "succeeded"}
"""The outcomes that the made warehouse has; its other statuses are none."""
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Any]:
    """Two accounts, with executions that are open, unknown, late, purged or half loaded, replays and an incident."""
    connection = duckdb.connect()
    for seed, dataset in enumerate(("paragon", "paragon_eu")):
        made_warehouse.empty(connection, dataset)
        made_warehouse.fill(connection, dataset, executions=4_000, seed=seed, users=30, workflows=5)
        made_warehouse.fill_history(connection, dataset)
    # Failures and successes at the same instants.
    connection.execute(
        "UPDATE paragon.workflow_executions SET date_started = date_trunc('day', date_started)"
    )
    creating.refresh(access(connection))
    yield connection
    connection.close()


def _raw(connection: Any, dataset: str) -> list[dict[str, Any]]:
    names = ("id", "user_id", "workflow_id", "status", "is_open", "started", "ended", "integration")
    found = connection.execute(
        "SELECT e.id, e.user_id, e.workflow_id, e.status, e.is_open, e.date_started, e.date_ended, w.integration "
        f"FROM {dataset}.workflow_executions AS e LEFT JOIN {dataset}.workflows AS w USING (workflow_id)"
    ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in found]


def _histories(connection: Any) -> Iterator[tuple[tuple[str, str | None, str | None], list[dict[str, Any]]]]:
    """Instance, user and workflow, with their executions."""
    for instance, dataset in (("", "paragon"), ("eu", "paragon_eu")):
        pairs = defaultdict(list)
        for row in _raw(connection, dataset):
            pairs[row["user_id"], row["workflow_id"]].append(row)
        for (user, workflow), executions in pairs.items():
            yield (instance, user, workflow), executions


def _outcomes(executions: list[dict[str, Any]], *, failures_first: bool) -> list[dict[str, Any]]:
    known = [row for row in executions if row["started"] and row["status"] in MEANINGS]
    return sorted(known, key=lambda row: (row["started"], (row["status"] == "FAILED") != failures_first))


def test_customer_health(warehouse: Any) -> None:
    """Whether a user's workflow is broken, since when, how often it failed in a row and when it last worked."""
    expected = []
    for pair, executions in _histories(warehouse):
        outcomes = _outcomes(executions, failures_first=True)
        streak = 0
        while streak < len(outcomes) and outcomes[-1 - streak]["status"] == "FAILED":
            streak += 1
        # At one instant the one that did not fail is the newest.
        successes = [row["started"] for row in outcomes if row["status"] == "SUCCEEDED"]
        since = outcomes[-streak:] if streak else []
        expected.append(
            (
                *pair,
                bool(streak),
                MEANINGS[outcomes[-1]["status"]] if outcomes else None,
                outcomes[-1]["started"] if outcomes else None,
                streak,
                since[0]["started"] if since else None,
                max(successes, default=None),
                max((row["id"] for row in since if row["started"] == since[-1]["started"]), default=None),
                len(executions),
                sum(row["status"] == "FAILED" for row in executions),
                sum(row["is_open"] for row in executions),
            )
        )
    shown = rows(
        warehouse,
        "SELECT instance, user_id, workflow_id, is_broken, last_outcome, last_outcome_at, failures_in_row, "
        "broken_since, last_success_at, last_failed_execution_id, executions, failures, open_executions "
        "FROM task_history.customer_health",
    )
    assert shown == sorted(expected, key=str)
    assert {row[3] for row in shown} == {True, False}
    assert max(row[6] for row in shown) > 1


def test_recovery_times(warehouse: Any) -> None:
    """Each span of failures once, with the first execution after it that did not fail."""
    expected = []
    for pair, executions in _histories(warehouse):
        span: list[datetime] = []
        for row in [*_outcomes(executions, failures_first=True), None]:
            if row is not None and row["status"] == "FAILED":
                span.append(row["started"])
            elif span:
                end = row["started"] if row else None
                expected.append(
                    (
                        *pair,
                        span[0],
                        span[-1],
                        len(span),
                        end,
                        end and (end - span[0]) // timedelta(milliseconds=1),
                    )
                )
                span = []
    assert rows(
        warehouse,
        "SELECT instance, user_id, workflow_id, broken_at, last_failed_at, failures, recovered_at, recovery_ms "
        "FROM task_history.recovery_times",
    ) == sorted(expected, key=str)
    assert warehouse.execute(
        "SELECT count(*) FROM task_history.recovery_times WHERE is_recovered <> (recovered_at IS NOT NULL)"
    ).fetchone() == (0,)


def test_usage_by_user(warehouse: Any) -> None:
    """Every execution, failure and task stands in one row."""
    sql = """
        SELECT instance, date_started::DATE AS day, user_id, integration, count(*), count(*) FILTER (status = 'FAILED'),
               round(count(*) FILTER (status = 'FAILED') / count(*), 9), count(*) FILTER (is_open),
               coalesce(sum(task_count), 0)::HUGEINT
        FROM (SELECT '' AS instance, e.*, w.integration FROM paragon.workflow_executions AS e
              LEFT JOIN paragon.workflows AS w USING (workflow_id) UNION ALL BY NAME
              SELECT 'eu' AS instance, e.*, w.integration FROM paragon_eu.workflow_executions AS e
              LEFT JOIN paragon_eu.workflows AS w USING (workflow_id)) GROUP BY ALL
    """
    assert rows(
        warehouse,
        "SELECT instance, day, user_id, integration, executions, failures, round(failure_rate, 9), open_executions, "
        "tasks FROM task_history.usage_by_user",
    ) == rows(warehouse, sql)


def _stood_out(failures: int, executions: int, rate: float) -> bool:
    expected = executions * rate
    return (
        failures >= 3
        and failures >= 2 * expected
        and failures * math.log(failures / expected) - failures + expected >= 9.21
    )


def _incidents(
    subject: list[tuple[datetime, bool]],
) -> list[tuple[datetime, datetime, bool, int, int, float]]:
    """The rule of the view's note, over the starts of a subject's executions and whether they failed."""
    hours: dict[int, list[tuple[datetime, bool]]] = defaultdict(list)
    for start, failed in subject:
        hours[int(start.timestamp()) // 3600].append((start, failed))
    days: dict[int, list[tuple[datetime, bool]]] = defaultdict(list)
    for hour, found in hours.items():
        days[hour // 24] += found
    total, failed_total = len(subject), sum(failed for _, failed in subject)
    bad: list[tuple[int, int, list[tuple[datetime, bool]], float]] = []
    for day, found in days.items():
        failures = sum(failed for _, failed in found)
        rate = (failed_total - failures + 1) / (total - len(found) + 10)
        of_day = [hour for hour in hours if hour // 24 == day]
        own = [hour for hour in of_day if _stood_out(sum(f for _, f in hours[hour]), len(hours[hour]), rate)]
        bad += [(hour, hour + 1, hours[hour], rate) for hour in own]
        if not own and _stood_out(failures, len(found), rate):
            bad.append((day * 24, day * 24 + 24, found, rate))
    spans: list[list[tuple[int, int, list[tuple[datetime, bool]], float]]] = []
    for one in sorted(bad, key=lambda one: one[0]):
        if spans and one[0] < spans[-1][-1][1] + 6:
            spans[-1].append(one)
        else:
            spans.append([one])
    return [
        (
            min(start for one in span for start, failed in one[2] if failed),
            max(start for one in span for start, failed in one[2] if failed),
            max(hours) >= span[-1][1],
            sum(len(one[2]) for one in span),
            sum(failed for one in span for _, failed in one[2]),
            round(max(one[3] for one in span), 9),
        )
        for span in spans
    ]


def test_incidents(warehouse: Any) -> None:
    """What the rule of the note finds, for workflows and integrations, with the users that each span hit."""
    expected = []
    for instance, dataset in (("", "paragon"), ("eu", "paragon_eu")):
        known = [row for row in _raw(warehouse, dataset) if row["started"] and row["status"] in MEANINGS]
        for kind, key in (("workflow", "workflow_id"), ("integration", "integration")):
            for subject in {row[key] for row in known} - ({None} if kind == "integration" else set()):
                own = [row for row in known if row[key] == subject]
                for span in _incidents([(row["started"], row["status"] == "FAILED") for row in own]):
                    hit = [
                        row
                        for row in own
                        if row["status"] == "FAILED" and span[0] <= row["started"] <= span[1]
                    ]
                    users = {row["user_id"] for row in hit} - {None}
                    first = min(row["id"] for row in hit if row["started"] == span[0])
                    expected.append((instance, kind, subject, *span, len(users), first))
    shown = rows(
        warehouse,
        "SELECT instance, kind, CASE kind WHEN 'workflow' THEN workflow_id ELSE integration END, started_at, "
        "last_failed_at, is_over, executions, failures, round(usual_failure_rate, 9), users, first_failed_execution_id "
        "FROM task_history.incidents",
    )
    assert shown == sorted(expected, key=str)
    assert {row[1] for row in shown} == {"workflow", "integration"}
    assert ("eu", True) in {(row[0], row[5]) for row in shown}


@pytest.fixture(scope="module")
def without_rows() -> Iterator[Any]:
    """Views over tables that have no rows."""
    connection = duckdb.connect()
    made_warehouse.empty(connection)
    creating.refresh(access(connection))
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("every_minutes", "failed", "found"),
    [
        pytest.param(12, lambda n: n >= 700 and n % 4 > 0, 1, id="three of four in the last hours"),
        pytest.param(480, lambda n: n >= 717, 1, id="all three of the last day"),
        pytest.param(1_440, lambda n: n >= 718, 0, id="two in a row, once a day"),
        pytest.param(12, lambda n: n in (715, 716), 0, id="two in a row"),
        pytest.param(12, lambda n: n % 10 == 0, 0, id="every tenth always"),
        pytest.param(12, lambda n: True, 0, id="always"),
    ],
)
def test_what_is_an_incident(without_rows: Any, every_minutes: int, failed: Any, found: int) -> None:
    """Few failures, and failures as always, are none; many more than usual are."""
    failures = [n for n in range(720) if failed(n)]
    without_rows.execute("DELETE FROM paragon.workflow_executions")
    without_rows.execute(
        "INSERT INTO paragon.workflow_executions (id, workflow_id, status, date_started, is_open) "
        "SELECT n, 'w', CASE WHEN n IN (SELECT unnest($1)) THEN 'FAILED' ELSE 'SUCCEEDED' END, "
        "TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * to_minutes($2), FALSE FROM range(720) AS r(n)",
        [failures, every_minutes],
    )
    shown = without_rows.execute("SELECT is_over FROM task_history.incidents").fetchall()
    assert shown == [(False,)] * found


def test_replay_outcomes(warehouse: Any) -> None:
    """Every request once, with what came of the execution that the vendor named for it."""
    expected = []
    for instance, dataset in (("", "paragon"), ("eu", "paragon_eu")):
        by_id = {row["id"]: row for row in _raw(warehouse, dataset)}
        asked = warehouse.execute(
            "SELECT replay_id, execution_id, new_execution_id, outcome, intended_at, answered_at "
            f"FROM {dataset}.replays"
        ).fetchall()
        for replay, identity, new, outcome, at, answered in asked:
            old, again = by_id[identity], by_id.get(new)
            ended = again and again["ended"] if again and again["status"] == "SUCCEEDED" else None
            recovered = None
            if again and again["status"] == "SUCCEEDED":
                recovered = True
            elif outcome in ("refused", "unsent") or (again and again["status"] in ("FAILED", "CANCELLED")):
                recovered = False
            later = [
                row["started"]
                for row in by_id.values()
                if row["status"] == "SUCCEEDED"
                and row["started"]
                and row["started"] >= at
                and row["user_id"] is not None
                and row["user_id"] == old["user_id"]
                and row["workflow_id"] is not None
                and row["workflow_id"] == old["workflow_id"]
            ]
            # Towards zero, as the warehouses divide.
            span = ended and old["ended"] and int((ended - old["ended"]) / timedelta(milliseconds=1))
            took = ended and max(0, int((ended - (answered or at)) / timedelta(milliseconds=1)))
            expected.append(
                (instance, replay, outcome, recovered, ended, took, span, min(later, default=None))
            )
    shown = rows(
        warehouse,
        "SELECT instance, replay_id, outcome, is_recovered, recovered_at, replay_ms, recovery_ms, next_success_at "
        "FROM task_history.replay_outcomes",
    )
    assert shown == sorted(expected, key=str)
    assert {row[3] for row in shown} == {True, False, None}


def test_waiting_and_running(warehouse: Any) -> None:
    """Time in which a step worked, overlaps once; the rest is waiting; neither is known before the steps are loaded."""
    warehouse.execute("BEGIN")
    warehouse.execute(
        "UPDATE paragon_eu.step_executions SET type = 'ACTION/DELAY' WHERE substr(id, 1, 1) IN ('0', '1', '2')"
    )
    steps = defaultdict(list)
    for identity, kind, start, end in warehouse.execute(
        "SELECT workflow_execution_id, type, date_started, date_ended FROM paragon_eu.step_executions"
    ).fetchall():
        if start and end and end >= start:
            steps[identity].append((start, end, kind == "ACTION/DELAY"))
    loaded = {
        row[0]
        for row in warehouse.execute(
            "SELECT id FROM paragon_eu.execution_details WHERE outcome = 'loaded'"
        ).fetchall()
    }
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for identity, status in warehouse.execute(
        "SELECT execution_id, status FROM paragon_eu.execution_states"
    ).fetchall():
        seen[identity][{"EXECUTING": "running"}.get(status, "waiting")] += 180_000
    expected = []
    for row in _raw(warehouse, "paragon_eu"):
        if row["started"] is None:
            continue
        duration = row["ended"] and (row["ended"] - row["started"]) // timedelta(milliseconds=1)
        running = delayed = None
        if duration is not None and duration >= 0 and row["id"] in loaded:
            worked, until = timedelta(), datetime.min.replace(tzinfo=UTC)
            for start, end, waits in sorted(steps[row["id"]]):
                if not waits:
                    worked += max(end - max(start, until), timedelta())
                    until = max(until, end)
            running = min(worked // timedelta(milliseconds=1), duration)
            delayed = sum((end - start for start, end, waits in steps[row["id"]] if waits), timedelta())
        expected.append(
            (
                row["id"], duration, running, None if running is None else duration - running,
                None if delayed is None else delayed // timedelta(milliseconds=1),
                seen[row["id"]].get("waiting"), seen[row["id"]].get("running"),
            )
        )  # fmt: skip
    shown = rows(
        warehouse,
        "SELECT execution_id, duration_ms, running_ms, waiting_ms, delayed_ms, seen_waiting_ms, seen_running_ms "
        "FROM task_history.waiting_and_running WHERE instance = 'eu'",
    )
    warehouse.execute("ROLLBACK")
    assert shown == sorted(expected, key=str)
    assert any(row[4] for row in shown)
    assert any(row[2] is None for row in shown)


def test_connector_runs(warehouse: Any) -> None:
    """The runs of all accounts."""
    assert rows(
        warehouse,
        "SELECT instance, run_id, command, outcome, details_left, waited_ms FROM task_history.connector_runs",
    ) == [
        ("", "run", "sync", "complete", 3, 0),
        ("eu", "run", "sync", "complete", 3, 0),
    ]


def _period(day: date, period: str, week_start: str) -> date:
    if period == "month":
        return day.replace(day=1)
    return day - timedelta(days=(day.weekday() - WEEKDAYS.index(week_start)) % 7)


def _before(start: date, period: str) -> date:
    return start - timedelta(days=7) if period == "week" else (start - timedelta(days=1)).replace(day=1)


@pytest.mark.parametrize(
    ("zone", "week_start"),
    [("UTC", "monday"), ("America/New_York", "sunday"), ("Australia/Lord_Howe", "saturday")],
)
def test_period_over_period(zone: str, week_start: str) -> None:
    """Weeks and months in the zone, each beside the one before; the present one beside as much of it as has passed."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    made_warehouse.empty(connection)
    made_warehouse.fill(connection, executions=3_000, days=75, workflows=4, now="now()")
    account = Account(systems.find("paragon"), None, Calendar(zone, week_start))
    creating.refresh(replace(access(connection), owners={"paragon": account}))
    connection.execute("BEGIN")
    ((instant,),) = connection.execute("SELECT now()").fetchall()
    raw = _raw(connection, "paragon")
    shown = connection.execute(
        "SELECT period, period_start, is_current, integration, executions, previous_executions, failures, "
        "previous_failures, previous_whole_executions FROM task_history.period_over_period"
    ).fetchall()
    connection.execute("COMMIT")
    now = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    counts: dict[tuple[str, date, bool, str | None], Counter[str]] = defaultdict(Counter)
    for row in raw:
        if row["started"] is None:
            continue
        local = row["started"].astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        figures = {"executions": 1, "failures": int(row["status"] == "FAILED")}
        for period in ("week", "month"):
            present = _period(now.date(), period, week_start)
            start = _period(local.date(), period, week_start)
            counts[period, start, start == present, row["integration"]].update(figures)
            following = (
                start + timedelta(days=7)
                if period == "week"
                else _period(start + timedelta(days=31), period, "")
            )
            if following > present:
                continue
            same_time = now - timedelta(days=7) if period == "week" else _a_month_before(now)
            # The zone's clock may read the same twice: what is compared is the instant.
            cutoff = same_time.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
            whole = {"whole": 1}
            passed = {f"previous_{name}": number for name, number in figures.items()}
            is_passed = following < present or row["started"] < cutoff
            counts[period, following, following == present, row["integration"]].update(
                whole | (passed if is_passed else {})
            )
    names = ("executions", "previous_executions", "failures", "previous_failures", "whole")
    assert {row[:4]: row[4:] for row in shown} == {
        key: tuple(found[name] for name in names) for key, found in counts.items()
    }
    assert sum(row[2] for row in shown) >= 2


def _a_month_before(now: datetime) -> datetime:
    last = now.replace(day=1) - timedelta(days=1)
    return last.replace(
        day=min(now.day, last.day),
        hour=now.hour,
        minute=now.minute,
        second=now.second,
        microsecond=now.microsecond,
    )
