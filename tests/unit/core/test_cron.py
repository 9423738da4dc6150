"""Schedules of five cron fields: which are taken, and what is said of others."""

from __future__ import annotations

import re

import pytest

from task_history.core.cron import check_cron

TAKEN = (
    "0 * * * *",
    "*/15 6-18 * * mon-fri",
    "0,5,10-20/2 * * JAN,7 *",
    "5/10 22-2 * * fri-mon",
    "0 0 L * ?",
    "0 0 31 1-12/2 *",
    "0 0 29 2 *",
    "0 0 31 4 1",
    "0 0 * * 1#2",
    "00 05 1 * 7",
)


@pytest.mark.parametrize("schedule", TAKEN)
def test_a_schedule_of_five_fields_is_taken(schedule: str) -> None:
    """Numbers, names, lists, ranges, steps, the last day of a month and the second Monday."""
    check_cron(schedule)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("whenever", "1 fields instead of 5"),
        ("@hourly", "1 fields instead of 5"),
        ("0 0 * * * *", "6 fields instead of 5"),
        ("60 * * * *", "minute '60' is not from 0 to 59"),
        ("0 24 * * *", "hour '24' is not from 0 to 23"),
        ("0 0 0 * *", "day '0' is not from 1 to 31"),
        ("0 0 * 13 *", "month '13' is not from 1 to 12"),
        ("0 0 * * 8", "weekday '8' is not from 0 to 7"),
        ("0 0 * mon *", "month 'mon' is not from 1 to 12"),
        ("0 0 * * monday", "weekday 'monday' is not from 0 to 7"),
        ("*/0 * * * *", "step 0"),
        ("1,,2 * * * *", "minute '' has not the form"),
        ("-5 * * * *", "minute '-5' has not the form"),
        ("*-5 * * * *", "minute '*-5' has not the form"),
        ("\u0663 * * * *", "is not from 0 to 59"),
        ("0 0 1#2 * *", "day '1#2' has not the form"),
        ("0 0 30 2 *", "no such month has a day 30"),
        ("0 0 31 4,6 *", "no such month has a day 31"),
    ],
)
def test_another_schedule_is_refused_with_the_reason(schedule: str, reason: str) -> None:
    """What is no cron, what no scheduler understands, and what never comes."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        check_cron(schedule)
