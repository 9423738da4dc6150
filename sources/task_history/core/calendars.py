"""The calendar by which an account's days, weeks and months are counted: a time zone and a first day of the week."""

from __future__ import annotations

import difflib
import zoneinfo
from dataclasses import dataclass

UTC_ZONE = "UTC"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NO_ZONES = {"localtime", "Factory"}
"""What lies among the zones and is none that every warehouse knows."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A zone of the IANA database and the day with which a week begins."""

    timezone: str = UTC_ZONE
    week_start: str = WEEKDAYS[0]

    @property
    def week_start_number(self) -> int:
        """The first day of the week: 1 is Monday and 7 is Sunday, as in ISO 8601."""
        return WEEKDAYS.index(self.week_start) + 1


def check_timezone(name: str) -> None:
    """Raises ValueError, with a suggestion, for a name that is no zone of the IANA database.

    https://www.iana.org/time-zones
    """
    zones = zoneinfo.available_timezones() - _NO_ZONES
    if name in zones:
        return
    ordered = sorted(zones, reverse=True)
    known = {zone.rpartition("/")[2].lower(): zone for zone in ordered} | {
        zone.lower(): zone for zone in ordered
    }
    near = difflib.get_close_matches(name.strip().lower().replace(" ", "_"), known, n=1, cutoff=0.75)
    suggestion = f"; did you mean {known[near[0]]}?" if near else ""
    raise ValueError(f"the IANA time zones have no such name{suggestion}")
