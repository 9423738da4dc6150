"""The report's figures, queried from the views. Payloads and error examples are never queried."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from task_history import systems
from task_history.core.models import Window
from task_history.views import create
from task_history.views.access import ViewAccess
from task_history.views.dialects import DATASET, named, rendered
from task_history.views.relations import relations
from task_history.views.sql_file_reader import views
from task_history.warehouse.sql_text import quoted_name

from . import queries
from .period import Period, utc_days

Rows = list[dict[str, Any]]
Scope = tuple[str | None, str | None, str | None]
"""System, instance and integration whose executions count; None for all, an empty integration where it is not known."""

QUIET = timedelta(days=7)
"""Minimum age of the data for a user to count as quiet."""
BEFORE = timedelta(days=30)
"""A user who ran something in this span before, and nothing since, counts as quiet."""
ALL: Scope = (None, None, None)
NEW_VIEWS = ("incidents",)
"""Views that warehouses of an earlier version lack until their next sync."""
_DISTINCT = ("users", "users_affected", "workflows")


_NONE: Mapping[str, Any] = {"executions": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one report."""

    period: Period
    made_at: datetime
    usage: Rows
    """By day, account and integration, of the period."""
    usage_before: Rows
    """The same of the period before; without rows where that is not loaded."""
    totals: Mapping[Scope, Mapping[str, Any]]
    """The figures of each scope; distinct users and workflows too, which cannot be summed."""
    totals_before: Mapping[Scope, Mapping[str, Any]]
    """The same of the period before; empty where it is not compared."""
    workflows: Rows
    reasons: Rows
    incidents: Rows
    """Spans in which a workflow's or an integration's failures stood out; the ones that go on come first."""
    users_affected: Rows
    still_failing: Mapping[Scope, int]
    """Of each scope that has some: users of an integration that had no success since their last failure in it."""
    steps: Rows
    steps_before: Rows
    quiet_users: Rows
    stuck_executions: Rows
    coverage: Rows
    freshness: Rows
    caveats: list[str]
    """Caveat: the vendors' task counts are not an invoice."""
    is_compared: bool
    """Whether all of the period before is loaded, so that its figures can be compared."""

    @property
    def scopes(self) -> list[Scope]:
        """All that can be shown by itself: everything, each account, each integration, and each of both."""
        return list(self.totals)

    def only(self, scope: Scope) -> Report:
        """The report on a scope alone. Users that went quiet have no integration: those of its account."""
        own: dict[str, Any] = {
            item.name: [row for row in rows if _is_in(row, scope)]
            for item in fields(self)
            if isinstance(rows := getattr(self, item.name), list) and item.name != "caveats"
        }
        totals = self.totals.get(scope) or {**summed(()), **dict.fromkeys(_DISTINCT, 0)}
        before = self.totals_before.get(scope)
        narrow = {found: values for found, values in self.totals.items() if found[2] is not None}
        narrow_before = {
            found: values for found, values in self.totals_before.items() if found[2] is not None
        }
        return replace(
            self,
            **own,
            totals={**narrow, ALL: totals},
            totals_before={**narrow_before, **({ALL: before} if before else {})},
            still_failing={ALL: self.still_failing.get(scope, 0)},
        )

    @property
    def days(self) -> Rows:
        """The figures of each day, from the first of the period to the last that is loaded."""
        found, found_before = _by(self.usage, "day"), _by(self.usage_before, "day")
        days_before = dict(zip(self.period.days, self.period.days_before, strict=False))
        rows = []
        for day in self.period.days:
            if day > self._last_day:
                break
            before = summed(found_before.get((days_before[day],), ())) if day in days_before else {}
            executions_before = before.get("executions") if self.is_compared else None
            rows.append({"day": day, **summed(found.get((day,), ())), "executions_before": executions_before})
        return rows

    @property
    def days_of_incidents(self) -> list[tuple[date, dict[str, Any]]]:
        """Each day of the period with each incident that was on it."""
        zone = ZoneInfo(self.period.zone)
        return [
            (day, row)
            for row in self.incidents
            for day in self.period.days
            if row["started_at"].astimezone(zone).date()
            <= day
            <= row["last_failed_at"].astimezone(zone).date()
        ]

    @property
    def integrations(self) -> Rows:
        """The figures of each integration of each account, the most used first."""
        rows = []
        for key in _by(self.usage, "system", "instance", "integration"):
            system, instance, integration = key
            scope = (system, instance, integration or "")
            before = self.totals_before.get(scope, _NONE if self.is_compared else {})
            rows.append(
                {
                    "system": system,
                    "instance": instance,
                    "integration": integration,
                    **self.totals[scope],
                    "executions_before": before.get("executions"),
                    "failure_rate_before": before.get("failure_rate"),
                }
            )
        return sorted(rows, key=lambda row: (-row["executions"], row["integration"] or ""))

    @property
    def _last_day(self) -> date:
        loaded = [row["day"] for row in self.coverage if row["state"] != "missing"]
        return max([*loaded, *(row["day"] for row in self.usage)], default=date.min)


def summed(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Executions, failures, tasks and open executions of the rows together, and the failure rate."""
    found: dict[str, Any] = dict.fromkeys(("executions", "failures", "tasks", "open_executions"), 0)
    for row in rows:
        for name in found:
            found[name] += row[name]
    return {**found, "failure_rate": found["failures"] / found["executions"] if found["executions"] else None}


def _is_in(row: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a row is of the scope's account and integration, as far as it says."""
    system, instance, integration = scope
    of_account = system is None or (row["system"], row["instance"]) == (system, instance)
    return of_account and (
        integration is None or "integration" not in row or (row["integration"] or "") == integration
    )


def _by(rows: Rows, *names: str) -> dict[tuple[Any, ...], Rows]:
    """The rows by the values of columns."""
    found: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def _totals(usage: Rows, people: Rows) -> dict[Scope, Mapping[str, Any]]:
    found: dict[Scope, Rows] = {}
    for row in usage:
        system, instance, integration = row["system"], row["instance"], row["integration"] or ""
        for scope in (
            ALL,
            (system, instance, None),
            (None, None, integration),
            (system, instance, integration),
        ):
            found.setdefault(scope, []).append(row)
    distinct = {_scope_of(row): {name: row[name] for name in _DISTINCT} for row in people}
    return {
        scope: summed(found.get(scope, ())) | distinct.get(scope, dict.fromkeys(_DISTINCT, 0))
        for scope in [ALL, *(scope for scope in found if scope != ALL)]
    }


def _scope_of(row: Mapping[str, Any]) -> Scope:
    account = (row["system"], row["instance"]) if "system" in row["scope"] else (None, None)
    return (*account, (row["integration"] or "") if "integration" in row["scope"] else None)


def report(access: ViewAccess, period: Period, *, now: datetime) -> Report:
    """Queries all figures. Raises WarehouseUnavailable."""
    ask = _asking(access)
    freshness = ask(queries.FRESHNESS)
    loaded = [row["loaded_until"] for row in freshness if row["loaded_until"]]
    period = period.compared(min([now, *loaded]))
    values = _values(period, now)
    is_compared = _is_loaded(period, ask, freshness)
    rows = {name: ask(sql, **values) for name, sql in (("usage", queries.USAGE), ("people", queries.PEOPLE))}
    current = {name: [row for row in found if row["is_current"]] for name, found in rows.items()}
    former = {name: [row for row in found if not row["is_current"]] for name, found in rows.items()}
    days = utc_days(period.window)
    return Report(
        period=period,
        made_at=now,
        usage=current["usage"],
        usage_before=former["usage"] if is_compared else [],
        totals=_totals(**current),
        totals_before=_totals(**former) if is_compared else {},
        workflows=ask(queries.WORKFLOWS, **values),
        reasons=ask(queries.REASONS, **values),
        incidents=ask(queries.INCIDENTS, **values),
        users_affected=ask(queries.USERS_AFFECTED, **values),
        still_failing={_scope_of(row): row["users"] for row in ask(queries.STILL_FAILING, **values)},
        steps=_steps(access, period.window, top=queries.TOP),
        steps_before=_steps(access, period.before, top=10_000) if is_compared and period.before else [],
        quiet_users=ask(queries.QUIET_USERS, **values),
        stuck_executions=ask(queries.STUCK_EXECUTIONS),
        coverage=ask(queries.COVERAGE, first=_day(days[0]), last=_day(days[-1])),
        freshness=freshness,
        caveats=[row["caveat"] for row in ask(queries.CAVEATS)],
        is_compared=is_compared,
    )


def _is_loaded(period: Period, ask: Callable[..., Rows], freshness: Rows) -> bool:
    """Whether each account has every day of the period before: UTC days, by which coverage is noted."""
    if period.before is None:
        return False
    days = utc_days(period.before)
    states = ask(queries.COVERAGE, first=_day(days[0]), last=_day(days[-1]))
    loaded = {
        (row["system"], row["instance"], row["day"])
        for row in states
        if row["state"] in ("verified", "unverified")
    }
    accounts = [(row["system"], row["instance"]) for row in freshness]
    return bool(accounts) and all((*account, day) in loaded for account in accounts for day in days)


def _values(period: Period, now: datetime) -> dict[str, str]:
    """What the queries have in braces. Without a period before, its bounds hold nothing."""
    window, before = period.window, period.before or Window(period.window.start, period.window.start)
    quiet = min(window.end, now) - QUIET
    return {
        "since": _instant(window.start),
        "until": _instant(window.end),
        "before": _instant(before.start),
        "before_until": _instant(before.end),
        "quiet": _instant(quiet),
        "quiet_from": _instant(quiet - BEFORE),
        "zone": period.zone,
    }


def _asking(access: ViewAccess) -> Callable[..., Rows]:
    """A function that queries the views.

    Columns that views of an earlier version lack are NULL, and views that it did not have yet have no rows.
    """
    lacking = create.lacking_columns(access)
    missing = [name for name, columns in lacking.items() if len(columns) == len(views()[name].columns)]
    completed = {
        name: f"(SELECT *, {', '.join(f'NULL AS {column}' for column in columns)} FROM {name})"
        for name, columns in lacking.items()
        if name not in missing
    }

    def ask(sql: str, **values: str) -> Rows:
        if any(re.search(rf"\bFROM {name}\b", sql) for name in missing if name in NEW_VIEWS):
            return []
        sql = sql.format(**values)
        for name, view in completed.items():
            sql = re.sub(rf"\bFROM {name}\b(?! AS)", f"FROM {view} AS {name}", sql)
            sql = sql.replace(f"FROM {name} AS", f"FROM {view} AS")
        text = rendered(sql, access.dialect, relations={}, views=views().keys(), project=access.project)
        return _rows(access, text)

    return ask


def _steps(access: ViewAccess, window: Window, *, top: int) -> Rows:
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

    def cut_relation(name: str, columns: Collection[str] | None) -> str:
        return cut(name, shown[name](None if columns is None else {*columns, *starts.values()}))

    shown = relations(create.datasets(access), views().values())
    measured = named(
        views()["step_performance"].sql,
        {name: partial(cut_relation, name) for name in shown},
        views().keys(),
        inserted,
    )
    sql = queries.STEPS.format(waits=_waits(), top=top)
    sql = sql.replace("FROM measured_steps", f"FROM (\n{measured}\n) AS measured_steps")
    return _rows(access, rendered(sql, access.dialect, relations={}, views=(), project=access.project))


def _waits() -> str:
    """The condition of steps that wait on purpose."""
    shown = {name: system.views for name in systems.names() if (system := systems.find(name)).views}
    cases = " ".join(f"WHEN '{name}' THEN {own.is_waiting_step}" for name, own in shown.items())
    return f"CASE system {cases} ELSE FALSE END"


def _rows(access: ViewAccess, sql: str) -> Rows:
    names, rows = access.query(sql)
    return [dict(zip(names, map(_plain, row), strict=True)) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _instant(value: datetime) -> str:
    return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"


def _day(value: date) -> str:
    return f"DATE '{value.isoformat()}'"
