"""Schedules as five cron fields: minute, hour, day, month and weekday, as Dagster reads them.

https://docs.dagster.io/guides/automate/schedules/defining-schedules
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PART = re.compile(r"(?P<first>\w+|[*?])(-(?P<last>\w+))?(/(?P<step>[0-9]+))?(#(?P<occurrence>[1-5]))?")
_LAST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAST_DAY_OF_MONTH = "L"


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    """Names of the values from ``least`` on."""

    def values(self, text: str) -> set[int]:
        """The values that the field's text stands for. Raises ValueError."""
        return set().union(*map(self._part, text.split(",")))

    def _part(self, text: str) -> set[int]:
        if self.name == "day" and text.upper() == _LAST_DAY_OF_MONTH:
            return {28}  # every month has a last day that is at least this
        part = _PART.fullmatch(text)
        if part is None or (part["occurrence"] and self.name != "weekday"):
            raise ValueError(f"{self.name} {text!r} has not the form of a cron field")
        step = int(part["step"] or 1)
        if not step:
            raise ValueError(f"{self.name} {text!r} has the step 0")
        if part["first"] in {"*", "?"}:
            if part["last"]:
                raise ValueError(f"{self.name} {text!r} has not the form of a cron field")
            return set(range(self.least, self.most + 1, step))
        first = self._number(part["first"])
        last = self._number(part["last"]) if part["last"] else self.most if part["step"] else first
        # A range such as 22-2 or fri-mon goes on from the least value.
        ordered = (
            range(first, last + 1)
            if first <= last
            else (*range(first, self.most + 1), *range(self.least, last + 1))
        )
        return set(ordered[::step])

    def _number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.least + self.names.index(text.lower())
        if not (text.isascii() and text.isdigit() and self.least <= int(text) <= self.most):
            raise ValueError(f"{self.name} {text!r} is not from {self.least} to {self.most}")
        return int(text)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field(
        "month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    ),
    _Field("weekday", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


def check_cron(text: str) -> None:
    """Raises ValueError, with the reason, where the text is no schedule of five cron fields, or one that never comes."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"it has {len(fields)} fields instead of {len(_FIELDS)}")
    _, _, days, months, _ = (field.values(value) for field, value in zip(_FIELDS, fields, strict=True))
    if fields[4] in {"*", "?"} and min(days) > max(_LAST_DAYS[month - 1] for month in months):
        raise ValueError(f"no such month has a day {min(days)}")
