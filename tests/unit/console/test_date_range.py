"""Ranges of time as people write them, and the half-open windows in UTC that they mean."""

from __future__ import annotations

import pytest

from task_history.core.errors import UsageError
from task_history_cli.console.date_range import around


@pytest.mark.parametrize(
    ("text", "zone", "start", "end"),
    [
        ("2026-09-01", "UTC", "2026-09-01T00:00:00.000Z", "2026-09-02T00:00:00.000Z"),
        ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"),
        ("2026-10-25", "Europe/Berlin", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00.000Z", "2026-10-25T00:30:00.001Z"),
        ("2026-09-01T12:00:00.1239+02:00", "UTC", "2026-09-01T10:00:00.123Z", "2026-09-01T10:00:00.124Z"),
    ],
    ids=["a day", "a day of 23 hours", "a day of 25 hours", "an hour that is there twice", "an instant"],
)
def test_a_day_or_instant_is_a_window(text: str, zone: str, start: str, end: str) -> None:
    """A day reaches from midnight to midnight of its zone, an instant over its millisecond."""
    assert str(around(text, zone)) == f"[{start}, {end})"


@pytest.mark.parametrize(
    "text", ["now", "2026-02-30", "", "0001-01-01T00:00:00+01:00", "9999-12-31", "2026-09-01T25:00"]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    """The error names the option and the value; the ends of time are no days either."""
    with pytest.raises(UsageError, match=f"--around {text[:4]}"):
        around(text, "Europe/Berlin")


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berlinn", "Did you mean Europe/Berlin"),
        ("../etc/passwd", "must be a name"),
        ("", "must be a name"),
    ],
)
def test_an_unknown_zone_is_refused(zone: str, hint: str) -> None:
    """The error names zones that look alike."""
    with pytest.raises(UsageError, match=hint):
        around("2026-09-01", zone)
