"""What the app asks of the warehouse: the report's figures, and from a reason of failures down to steps and ``why``."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from task_history.core import child_python
from task_history.core.models import Window
from task_history.views import create
from task_history.views.calendars import common_calendar
from task_history.views.dialects import rendered
from task_history.views.sql_file_reader import views
from task_history.warehouse.sql_text import quoted_text

from ..report import charts
from ..report.figures import ALL, Report, Rows, Scope, report
from ..report.formatting import FIGURES, UNKNOWN, account
from ..report.period import SPAN, Period
from ..report.section_parts import Section
from ..runtime.target import find_target
from ..runtime.views import asked

EVERYTHING = "all"
SHOWN = 500
"""Rows of a list, at most."""
_ACCOUNT = ("system", "instance")
"""Columns that stand last in a table of the app: most warehouses hold one account."""
_WORKFLOW = ("integration", "workflow_id", "workflow_name")
"""Columns that stand after the figures of a step."""

_REASONS = """
SELECT
    f.reason, count(*) AS failures, count(DISTINCT f.execution_id) AS executions, count(DISTINCT f.user_id) AS users,
    max(f.started_at) AS last_seen_at, f.integration, f.workflow_name, f.workflow_id, f.system, f.instance
FROM failed_steps AS f
WHERE {where}
GROUP BY f.reason, f.system, f.instance, f.integration, f.workflow_name, f.workflow_id
ORDER BY failures DESC, f.reason, f.workflow_id
LIMIT {shown}
"""
_FAILED = """
SELECT
    f.execution_id, f.system, f.instance, f.integration, f.workflow_name, f.workflow_id, f.user_id,
    f.execution_started_at, f.step_type
FROM failed_steps AS f
WHERE {where}
ORDER BY f.execution_started_at DESC, f.execution_id
LIMIT {shown}
"""
_STEPS = """
SELECT step_name, step_type, status, started_at, duration_ms, input_bytes, output_bytes, step_id, step_execution_id
FROM steps
WHERE {where}
ORDER BY started_at, step_execution_id
LIMIT {shown}
"""


def figures(destination: str | None, first: date, last: date) -> Report:
    """The report's figures of these days, the last one included, in the accounts' time zone.

    Raises:
        WarehouseUnavailable: the warehouse cannot be read.
    """
    with asked(find_target(destination, "task_history_views")) as access:
        zone = common_calendar(each.calendar for each in create.datasets(access)).timezone
        own = ZoneInfo(zone)
        start, end = (datetime.combine(day, time(), own) for day in (first, last + timedelta(days=1)))
        window = Window(start.astimezone(UTC), end.astimezone(UTC))
        period = Period(window, f"{first} to {last}", zone, SPAN)
        return report(access, period, now=datetime.now(UTC))


def accounts(found: Report) -> dict[str, tuple[str, str]]:
    """The accounts by the name that the filter shows."""
    return {account(row): (row["system"], row["instance"]) for row in found.integrations}


def integrations(found: Report) -> list[str]:
    """The integrations that the filter shows, the most used first."""
    return list(dict.fromkeys(str(row["integration"] or UNKNOWN) for row in found.integrations))


def scope(found: Report, chosen_account: str, chosen_integration: str) -> Scope:
    """What the filters chose; what is not there any more is everything."""
    system, instance = accounts(found).get(chosen_account, (None, None))
    if chosen_integration not in integrations(found):
        return (system, instance, None)
    return (system, instance, "" if chosen_integration == UNKNOWN else chosen_integration)


def totals(found: Report) -> list[tuple[str, str, str]]:
    """Name, value and value of the days before."""
    now, before = found.totals[ALL], found.totals_before.get(ALL, {})
    return [
        (
            name,
            write(now[key]) or "–",
            f"{write(before.get(key))} before" if before.get(key) is not None else "",
        )
        for name, key, write in FIGURES
    ]


def table_rows(section: Section) -> Rows:
    """The first rows of a section's data, as many as the page shows at once."""
    rows = section.data[: section.top or None]
    last = (*_WORKFLOW, *_ACCOUNT) if rows and "step_id" in rows[0] else _ACCOUNT
    columns = sorted(rows[0], key=last.__contains__) if rows else []
    return [{column: _short(row[column]) for column in columns} for row in rows]


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def chart(found: Report, name: str) -> dict[str, Any] | None:
    """A chart of the report; None where it has no rows."""
    return charts.charts(found).get(name)


def reasons(destination: str | None, found: Report, chosen: Scope) -> Rows:
    """Reasons of failed steps in executions of the period, by workflow, the commonest first."""
    return _asked(destination, _REASONS, _in_period(found, chosen))


def failed(destination: str | None, found: Report, chosen: Scope, reason: Mapping[str, Any]) -> Rows:
    """Executions of the period with a step that failed for that reason, the newest first."""
    conditions = [
        _in_period(found, chosen),
        *(_equal(f"f.{name}", reason.get(name)) for name in ("reason", "system", "instance", "workflow_id")),
    ]
    return _asked(destination, _FAILED, " AND ".join(conditions))


def steps(destination: str | None, execution: Mapping[str, Any]) -> Rows:
    """The steps of an execution, in the sequence in which they began."""
    names = ("system", "instance", "execution_id")
    return _asked(destination, _STEPS, " AND ".join(_equal(name, execution[name]) for name in names))


def why(destination: str | None, execution: Mapping[str, Any]) -> str:
    """What ``task-history why`` says of an execution; nothing is sent to the vendor."""
    words = ["why", execution["system"], execution["execution_id"]]
    words += ["--instance", execution["instance"]] if execution["instance"] else []
    words += ["--destination", destination] if destination else []
    done = subprocess.run(  # noqa: S603 - our own command # nosec B603
        child_python.command("task_history_cli.cli", *words), capture_output=True, text=True, check=False
    )
    return (done.stdout or done.stderr).strip()


def _in_period(found: Report, chosen: Scope) -> str:
    window = found.period.window
    system, instance, integration = chosen
    conditions = [
        f"f.execution_started_at >= TIMESTAMPTZ '{window.start.isoformat(sep=' ')}'",
        f"f.execution_started_at < TIMESTAMPTZ '{window.end.isoformat(sep=' ')}'",
    ]
    if system is not None:
        conditions += [_equal("f.system", system), _equal("f.instance", instance)]
    if integration is not None:
        conditions.append(_equal("f.integration", integration or None))
    return " AND ".join(conditions)


def _equal(column: str, value: Any) -> str:
    return f"{column} IS NULL" if value is None else f"{column} = {quoted_text(str(value))}"


def _asked(destination: str | None, sql: str, where: str) -> Rows:
    with asked(find_target(destination, "task_history_views")) as access:
        text = rendered(
            sql.format(where=where, shown=SHOWN),
            access.dialect,
            relations={},
            views=views().keys(),
            project=access.project,
        )
        names, rows = access.query(text)
    return [dict(zip(names, row, strict=True)) for row in rows]
