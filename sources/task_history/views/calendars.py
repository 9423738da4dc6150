"""SQL about an account's calendar, in the dialect in which views are written: the day of an instant, the present."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..core.calendars import Calendar
from ..warehouse.sql_text import quoted_text


def common_calendar(calendars: Iterable[Calendar]) -> Calendar:
    """The calendar that all accounts share; that of UTC where they have several, or there is none."""
    different = set(calendars)
    return different.pop() if len(different) == 1 else Calendar()


def day_of(instant: str, calendar: Calendar) -> str:
    """The day in the calendar's zone on which an instant lies."""
    return f"CAST({instant} AT TIME ZONE {quoted_text(calendar.timezone)} AS DATE)"


def present(calendar: Calendar) -> Mapping[str, str]:
    """The zone, today in it, and the instants a week and a month ago at the same time of its day."""
    zone = quoted_text(calendar.timezone)
    now = f"CAST(CURRENT_TIMESTAMP AT TIME ZONE {zone} AS TIMESTAMP)"
    return {
        "timezone": zone,
        "week_start": f"CAST({calendar.week_start_number} AS BIGINT)",
        "today": day_of("CURRENT_TIMESTAMP", calendar),
        "same_time_last_week": f"({now} - INTERVAL 7 DAY) AT TIME ZONE {zone}",
        "same_time_last_month": f"({now} - INTERVAL 1 MONTH) AT TIME ZONE {zone}",
    }
