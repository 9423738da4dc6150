"""The period of a report and the one before it, in a time zone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from task_history.core.models import Window, floor_ms

DAYS = 30
"""Days of the report, the last one today, where no period is named."""
MONTH, WEEK, SPAN = "month", "week", "days"


@dataclass(frozen=True, slots=True)
class Period:
    """The days of a report."""

    window: Window
    title: str
    """The period in words, such as ``2026-11``."""
    zone: str
    """The IANA time zone of its days."""
    unit: str
    """``month`` or ``week`` where it is one of the calendar; ``days`` for any other number of days."""
    before: Window | None = None
    """The period that it is compared with; while the period runs, as much of it as has passed of the period."""

    @property
    def days(self) -> list[date]:
        """Every day of the period, in its time zone."""
        return _days(self.window, self.zone)

    @property
    def days_before(self) -> list[date]:
        """Every day of the period before, as far as it is compared."""
        return _days(self.before, self.zone) if self.before else []

    @property
    def before_text(self) -> str:
        """The period before in words."""
        name = f"the {self.unit} before" if self.unit != SPAN else f"the {len(self.days)} days before"
        is_part = self.before is not None and self.before.end < self.window.start
        return f"the same part of {name}" if is_part else name

    def compared(self, until: datetime) -> Period:
        """The period with the one before it, of which as much counts as is loaded of this one: until ``until``."""
        start = self._start_before()
        passed = min(until, self.window.end) - self.window.start
        if passed <= timedelta(0):
            return self
        is_over = until >= self.window.end
        end = self.window.start if is_over else min(start + passed, self.window.start)
        return replace(self, before=Window(start, floor_ms(end)))

    def _start_before(self) -> datetime:
        zone = ZoneInfo(self.zone)
        local = self.window.start.astimezone(zone)
        if self.unit == MONTH:
            first = (local.replace(day=1) - timedelta(days=1)).replace(day=1)
            return first.astimezone(self.window.start.tzinfo)
        back = local - timedelta(days=len(self.days))  # of the wall clock: days of 23 hours are days
        return back.astimezone(self.window.start.tzinfo)


def utc_days(window: Window) -> list[date]:
    """Every UTC day of which the window has a part."""
    return _days(window, "UTC")


def _days(window: Window, zone: str) -> list[date]:
    own = ZoneInfo(zone)
    first = window.start.astimezone(own).date()
    last = (window.end - timedelta(milliseconds=1)).astimezone(own).date()
    return [first + timedelta(days=index) for index in range((last - first).days + 1)]
