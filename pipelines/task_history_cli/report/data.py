"""The report's figures, queried from the views. Payloads and error examples are never queried."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from task_history import systems
from task_history.core.models import Window
from task_history.views import create
from task_history.views.access import Access
from task_history.views.create import lacking_columns
from task_history.views.dialects import DATASET, named, rendered
from task_history.views.files import views
from task_history.views.relations import relations
from task_history.warehouse.sql_text import quoted_name

Rows = list[dict[str, Any]]

TOP = 15
QUIET = timedelta(days=7)
"""Minimum age of the data for a user to count as quiet."""
BEFORE = timedelta(days=30)
"""A user who ran something in this span before, and nothing since, counts as quiet."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one report."""

    window: Window
    made_at: datetime
    totals: Mapping[str, Any]
    days: Rows
    integrations: Rows
    workflows: Rows
    reasons: Rows
    steps: Rows
    quiet: Rows
    stuck: Rows
    stuck_total: int
    coverage: Rows
    freshness: Rows
    caveats: list[str]
    """Caveat: the vendors' task counts are not an invoice."""


def report(access: Access, window: Window, *, now: datetime) -> Report:
    """Queries all figures. Raises WarehouseUnavailable."""
    ask = _asking(access)
    days = _period(window)
    quiet_since = min(window.end, now) - QUIET
    return Report(
        window,
        now,
        ask(_TOTALS, **days)[0],
        ask(_DAYS, **days),
        ask(_INTEGRATIONS, **days),
        ask(_WORKFLOWS, **days),
        ask(_REASONS, **days),
        _steps(access, window),
        ask(_QUIET, since=_instant(quiet_since - BEFORE), quiet=_instant(quiet_since), until=days["until"]),
        ask(_STUCK),
        ask("SELECT count(*) AS found FROM stuck_executions")[0]["found"],
        ask(_COVERAGE, **days),
        ask("SELECT * FROM freshness ORDER BY system, instance"),
        sorted({row["caveat"] for row in ask("SELECT DISTINCT caveat FROM billing_tasks") if row["caveat"]}),
    )


def _asking(access: Access) -> Callable[..., Rows]:
    """A function that queries the views; columns that views of an earlier version lack are NULL."""
    completed = {
        name: f"(SELECT *, {', '.join(f'NULL AS {column}' for column in columns)} FROM {name})"
        for name, columns in lacking_columns(access).items()
    }

    def ask(sql: str, **values: str) -> Rows:
        sql = sql.format(**values)
        for name, view in completed.items():
            sql = re.sub(rf"\bFROM {name}\b(?! AS)", f"FROM {view} AS {name}", sql)
            sql = sql.replace(f"FROM {name} AS", f"FROM {view} AS")
        text = rendered(sql, access.dialect, relations={}, views=views().keys(), project=access.project)
        return _rows(access, text)

    return ask


def _steps(access: Access, window: Window) -> Rows:
    """The slowest steps, of the view ``step_performance`` as it were if the period alone were loaded."""
    since, until = _instant(window.start), _instant(window.end)
    starts = {"executions": "started_at", "steps": "execution_started_at", "details": "execution_started_at"}

    def cut(name: str, sql: str) -> str:
        if name not in starts:
            return sql
        column = starts[name]
        return f"SELECT * FROM (\n{sql}\n) AS whole WHERE {column} >= {since} AND {column} < {until}"

    def inserted(view: str) -> str:
        return cut(view, f"SELECT * FROM {quoted_name(DATASET)}.{view}")

    shown = relations(create.datasets(access), views().values())
    measured = named(
        views()["step_performance"].sql,
        {name: cut(name, sql) for name, sql in shown.items()},
        views().keys(),
        inserted,
    )
    sql = _STEPS.format(waits=_waits()).replace(
        "FROM measured_steps", f"FROM (\n{measured}\n) AS measured_steps"
    )
    return _rows(access, rendered(sql, access.dialect, relations={}, views=(), project=access.project))


def _waits() -> str:
    """The condition of steps that wait on purpose."""
    shown = {name: system.views for name in systems.names() if (system := systems.find(name)).views}
    cases = " ".join(f"WHEN '{name}' THEN {own.is_waiting_step}" for name, own in shown.items())
    return f"CASE system {cases} ELSE FALSE END"


def _rows(access: Access, sql: str) -> Rows:
    names, rows = access.query(sql)
    return [dict(zip(names, map(_plain, row), strict=True)) for row in rows]


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _period(window: Window) -> dict[str, str]:
    last = (window.end - timedelta(microseconds=1)).date()
    return {
        "since": _instant(window.start),
        "until": _instant(window.end),
        "first": _day(window.start.date()),
        "last": _day(last),
    }


def _instant(value: datetime) -> str:
    return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"


def _day(value: date) -> str:
    return f"DATE '{value.isoformat()}'"


_FIGURES = """
    CAST(sum(executions) AS BIGINT) AS executions,
    CAST(sum(failures) AS BIGINT) AS failures,
    sum(failures) / nullif(sum(executions), 0) AS failure_rate,
    CAST(sum(tasks) AS BIGINT) AS tasks
"""

_TOTALS = """
SELECT
    count(*) AS executions,
    count(CASE WHEN status = 'failed' THEN 1 END) AS failures,
    count(CASE WHEN status = 'failed' THEN 1 END) / nullif(count(*), 0) AS failure_rate,
    count(CASE WHEN is_open THEN 1 END) AS open_executions,
    coalesce(CAST(sum(task_count) AS BIGINT), 0) AS tasks,
    count(DISTINCT user_id) AS users,
    count(DISTINCT workflow_id) AS workflows
FROM executions
WHERE started_at >= {since} AND started_at < {until}
"""

_DAYS = f"""
SELECT day, {_FIGURES}
FROM daily_usage
WHERE day BETWEEN {{first}} AND {{last}}
GROUP BY day
ORDER BY day
"""

_INTEGRATIONS = f"""
SELECT integration, {_FIGURES}
FROM daily_usage
WHERE day BETWEEN {{first}} AND {{last}}
GROUP BY integration
HAVING sum(daily_usage.executions) > 0
ORDER BY 2 DESC, integration
"""

_WORKFLOWS = f"""
SELECT system, instance, integration, workflow_id, workflow_name, {_FIGURES}
FROM daily_usage
WHERE day BETWEEN {{first}} AND {{last}}
GROUP BY system, instance, integration, workflow_id, workflow_name
HAVING sum(daily_usage.failures) > 0
ORDER BY 7 DESC, workflow_id
LIMIT {TOP}
"""

# The commonest three of each workflow; counted in the executions that began in the period.
_REASONS = """
WITH counted AS (
    SELECT
        f.system, f.instance, f.workflow_id, f.reason, count(*) AS failures,
        count(DISTINCT f.execution_id) AS executions, count(DISTINCT f.user_id) AS users,
        max(f.started_at) AS last_seen_at
    FROM failed_steps AS f
    WHERE f.execution_started_at >= {since} AND f.execution_started_at < {until}
    GROUP BY f.system, f.instance, f.workflow_id, f.reason
)
SELECT system, instance, workflow_id, reason, failures, executions, users, last_seen_at
FROM counted
QUALIFY row_number() OVER (PARTITION BY system, instance, workflow_id ORDER BY failures DESC, reason) <= 3
ORDER BY failures DESC, reason
"""

_STEPS = f"""
SELECT
    system, instance, integration, workflow_id, workflow_name, step_id, step_name, step_type,
    ended_runs, complete_runs, complete_failures, p50_duration_ms, p95_duration_ms, max_duration_ms
FROM measured_steps
WHERE ended_runs > 0 AND NOT coalesce({{waits}}, FALSE)
ORDER BY CASE WHEN ended_runs >= 20 THEN 0 ELSE 1 END, p95_duration_ms DESC, step_id
LIMIT {TOP}
"""

_QUIET = f"""
SELECT
    system, instance, user_id, max(started_at) AS last_execution_at, count(*) AS executions,
    count(CASE WHEN status = 'failed' THEN 1 END) AS failures
FROM executions
WHERE started_at >= {{since}} AND started_at < {{until}} AND user_id IS NOT NULL
GROUP BY system, instance, user_id
HAVING max(executions.started_at) < {{quiet}}
ORDER BY executions DESC, user_id
LIMIT {TOP}
"""

_STUCK = f"""
SELECT
    system, instance, execution_id, integration, workflow_id, workflow_name, user_id, vendor_status, started_at,
    open_ms, p99_duration_ms, ended_executions
FROM stuck_executions
ORDER BY open_ms DESC, execution_id
LIMIT {TOP}
"""

_COVERAGE = """
SELECT system, instance, day, state, executions, api_total, reason, checked_at
FROM loaded_days
WHERE day BETWEEN {first} AND {last}
ORDER BY system, instance, day
"""
