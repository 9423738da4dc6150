"""Which days may have something left to read, from what runs noted."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from task_history.core.models import FIRST_INSTANT, LAST_INSTANT, Window
from task_history.warehouse.left_days import KnownDays, is_worth_noting, known_days

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TABLES = json.dumps({"workflow_executions": [10, "11:59"], "execution_details": [9, "11:58"]})


def day(number: int) -> datetime:
    """A day of November."""
    return datetime(2026, 11, number, tzinfo=UTC)


def package(
    load_id: str, first: int | None, last: int | None, *, run: str = "other", minutes: int = 0
) -> dict[str, Any]:
    """A row of ``package_days``, written so many minutes after noon."""
    days = [None if number is None else day(number) for number in (first, last)]
    at = NOON + timedelta(minutes=minutes)
    return {"load_id": load_id, "run_id": run, "first_day": days[0], "last_day": days[1], "noted_at": at}


def left(**values: Any) -> dict[str, Any]:
    """A row of ``left_days`` that a sync wrote which knew of the package of noon."""
    return {
        "run_id": "sync",
        "wanted": "all",
        "selected_since": day(1),
        "left_since": NOON,
        "packages_until": NOON,
        "packages": 1,
        "unloaded": "[]",
        "changed": TABLES,
        "noted_at": NOON + timedelta(minutes=5),
        **values,
    }


FORMER = package("former", 2, 3)


def known(
    *packages: dict[str, Any],
    noted: dict[str, Any] | None = None,
    wanted: str = "all",
    changed: str = TABLES,
    loaded: Collection[str] = (),
) -> KnownDays:
    """What is known of these packages, of which those are loaded."""
    rows = [noted if noted is not None else left()]
    return known_days(rows, packages, wanted=wanted, changed=changed, loaded=set(loaded).intersection)


def windows(found: KnownDays) -> list[Window]:
    """The days, of which some are known."""
    assert found.days is not None
    return found.days.windows()


SINCE = Window(day(20), LAST_INSTANT)


def test_nothing_new() -> None:
    """Only days since something is left, and the selection's start, are known from the row of a sync."""
    found = known(FORMER)
    assert windows(found) == [SINCE]
    assert found.days is not None
    assert found.days.selected_since == day(1)


def test_packages_since_then_add_their_days() -> None:
    """Those of other runs, whether they are loaded or not; those of the sync itself are in its row."""
    own = package("own", 5, 6, run="sync", minutes=1)
    late, backfill = package("late", 8, 9, minutes=2), package("backfill", 9, 10, minutes=9)
    found = known(FORMER, own, late, backfill, loaded=["late"])
    assert windows(found) == [Window(day(8), day(11)), SINCE]
    assert json.loads(found.next["unloaded"]) == ["backfill"]
    assert found.next["packages"] == 4


def test_a_package_that_was_not_loaded_stays() -> None:
    """Its days are asked for until it is loaded and a sync has asked since."""
    found = known(FORMER, noted=left(unloaded='["former"]'))
    assert windows(found) == [Window(day(2), day(4)), SINCE]
    assert json.loads(found.next["unloaded"]) == ["former"]
    assert (
        json.loads(known(FORMER, noted=left(unloaded='["former"]'), loaded=["former"]).next["unloaded"]) == []
    )


@pytest.mark.parametrize(
    "found",
    [
        known_days([], [FORMER], wanted="all", changed=TABLES, loaded=set),
        known(FORMER, wanted="failed"),
        known(FORMER, changed=TABLES.replace("11:58", "12:30")),
        known(FORMER, package("news", 8, 9, minutes=9), changed=TABLES.replace("[9,", "[8,")),
        known(FORMER, package("", None, None, minutes=9)),
        known(FORMER, package("slow clock", 8, 9, minutes=-30)),
        known(),
    ],
    ids=[
        "no sync has noted anything",
        "something else is wanted",
        "a table was changed, and no package is new",
        "a table has fewer rows",
        "days that are not known",
        "a package noted late by a slow clock",
        "the packages were dropped",
    ],
)
def test_all_days(found: KnownDays) -> None:
    """Where it is not certain that the others have nothing left, all days have."""
    assert found.days is None


def test_a_table_that_a_new_package_changed() -> None:
    """It is no reason to ask of other days than those of the package."""
    found = known(FORMER, package("news", 8, 8, minutes=9), changed=TABLES.replace("[9,", "[11,"))
    assert windows(found) == [Window(day(8), day(9)), SINCE]


def test_changes_that_no_package_brought_are_over_at_once() -> None:
    """A row without a package waits for none to be loaded."""
    assert json.loads(known(FORMER, package("", None, None, minutes=9)).next["unloaded"]) == []


def test_the_first_row_of_a_warehouse() -> None:
    """Of the packages before it those are named that are not loaded."""
    found = known_days(
        [],
        [FORMER, package("lost", 4, 4)],
        wanted="all",
        changed=TABLES,
        loaded=lambda ids: {"former"} & set(ids),
    )
    assert found.next == {"wanted": "all", "packages_until": NOON, "packages": 2, "unloaded": '["lost"]'}


def test_windows_within_a_selection() -> None:
    """Only the parts of the days that lie in the window."""
    found = known(FORMER, package("news", 8, 12, minutes=9))
    assert found.days is not None
    assert found.days.windows(Window(day(10), day(25))) == [
        Window(day(10), day(13)),
        Window(day(20), day(25)),
    ]
    assert found.days.windows(Window(FIRST_INSTANT, day(5))) == []
    assert found.days.first == day(8)


def test_when_a_row_is_written() -> None:
    """Where something was written or has to be asked again, and else once a day."""
    idle = known(FORMER)
    assert not is_worth_noting(idle, NOON + timedelta(hours=23), has_packages=False)
    assert is_worth_noting(idle, NOON + timedelta(hours=24), has_packages=False)
    assert is_worth_noting(idle, NOON, has_packages=True)
    assert is_worth_noting(known(FORMER, package("news", 8, 9, minutes=9)), NOON, has_packages=False)
    assert is_worth_noting(known(FORMER, wanted="failed"), NOON, has_packages=False)
