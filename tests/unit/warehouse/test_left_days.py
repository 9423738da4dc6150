"""Which days may have something left to read, from what runs noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from task_history import systems
from task_history.core.intervals import DAY
from task_history.core.models import FIRST_INSTANT, LAST_INSTANT, Window
from task_history.warehouse.left_days import (
    KnownDays,
    changing_tables,
    is_of_other_version,
    is_worth_noting,
    known_days,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
TABLES = json.dumps({"workflow_executions": [10, "11:59"], "execution_details": [9, "11:58"]})
CHANGED, SHORTER = TABLES.replace("11:58", "12:30"), TABLES.replace("[9,", "[8,")


def day(number: int) -> datetime:
    """A day of November."""
    return datetime(2026, 11, number, tzinfo=UTC)


def package(
    load_id: str, first: int | None, last: int | None, *, run: str = "other", minutes: float = 0
) -> dict[str, Any]:
    """A row of ``package_days``, written so many minutes after noon."""
    days = [None if number is None else day(number) for number in (first, last)]
    at = NOON + minutes * MINUTE
    return {"load_id": load_id, "run_id": run, "first_day": days[0], "last_day": days[1], "noted_at": at}


def left(**values: Any) -> dict[str, Any]:
    """The row of ``left_days`` that a sync wrote which knew of the package of noon."""
    return {
        "run_id": "sync",
        "began_at": NOON + MINUTE,
        "settings_hash": "all",
        "selected_since": day(1),
        "left_since": NOON,
        "packages_until": NOON,
        "packages": 1,
        "not_loaded": "{}",
        "tables_state": TABLES,
        "noted_at": NOON + 5 * MINUTE,
        **values,
    }


def not_loaded(load_id: str, first: int, last: int, noted_at: datetime = NOON) -> str:
    """A value of the column ``not_loaded``."""
    return json.dumps({load_id: [instant.isoformat() for instant in (day(first), day(last), noted_at)]})


FORMER = package("former", 2, 3)


def never(_: datetime) -> bool:
    """No run of another version has written since."""
    return False


def known(
    *packages: dict[str, Any],
    noted: dict[str, Any] | None = None,
    wanted: str = "all",
    state: str = TABLES,
    loaded: Collection[str] = (),
    began_at: datetime = NOON + HOUR,
    has_other_version: Callable[[datetime], bool] = never,
    run_id: str = "next sync",
) -> KnownDays:
    """What the next sync knows of these packages, of which those are loaded."""
    return known_days(
        [left() if noted is None else noted],
        packages,
        own={"run_id": run_id, "began_at": began_at, "settings_hash": wanted, "tables_state": state},
        loaded=set(loaded).intersection,
        has_other_version=has_other_version,
    )


def names_of_not_loaded(found: KnownDays) -> list[str]:
    """The packages that the next sync says are not loaded."""
    return list(json.loads(found.next["not_loaded"]))


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
    assert names_of_not_loaded(found) == ["backfill"]
    assert found.next["packages"] == 4


def test_what_a_sync_wrote_before_it_asked_is_not_counted() -> None:
    """A package that a killed process left, loaded as a sync begins: the next sync finds as many rows as that one."""
    pending = package("pending", 5, 6, run="next sync", minutes=30)
    found = known(FORMER, pending, loaded=["pending"])
    assert windows(found) == [Window(day(5), day(7)), SINCE]
    written = {**found.next, "selected_since": None, "left_since": NOON, "noted_at": NOON + 2 * HOUR}
    again = known(FORMER, pending, noted=written, began_at=NOON + 3 * HOUR, run_id="sync after")
    assert windows(again) == [SINCE]


def test_a_package_that_was_not_loaded_stays() -> None:
    """Its days are asked for until it is loaded and a sync has asked since, also where its own row is gone."""
    noted = left(not_loaded=not_loaded("former", 2, 3))
    found = known(FORMER, noted=noted)
    assert windows(found) == [Window(day(2), day(4)), SINCE]
    assert names_of_not_loaded(found) == ["former"]
    assert not is_worth_noting(found, NOON, has_written=False)
    loaded = known(FORMER, noted=noted, loaded=["former"])
    assert names_of_not_loaded(loaded) == []
    assert is_worth_noting(loaded, NOON, has_written=False)
    dropped = known(noted=noted)
    assert dropped.days is None
    assert names_of_not_loaded(dropped) == ["former"]


def test_a_package_that_is_never_loaded_is_over_after_a_week() -> None:
    """Its days are asked for once more, and the next sync no longer knows of it."""
    noted = left(not_loaded=not_loaded("former", 2, 3), began_at=NOON + 6 * DAY, noted_at=NOON + 6 * DAY)
    found = known(FORMER, noted=noted, began_at=NOON + 7 * DAY + MINUTE)
    assert windows(found) == [Window(day(2), day(4)), SINCE]
    assert names_of_not_loaded(found) == []
    assert is_worth_noting(found, NOON, has_written=False)


def test_a_package_that_was_not_loaded_explains_a_change_once_it_is_loaded() -> None:
    """And no other change: one that is never loaded hides none."""
    noted = left(not_loaded=not_loaded("former", 2, 3))
    assert known(FORMER, noted=noted, state=CHANGED).days is None
    loaded = known(FORMER, noted=noted, state=CHANGED, loaded=["former"])
    assert windows(loaded) == [Window(day(2), day(4)), SINCE]
    assert known(FORMER, noted=noted, state=SHORTER, loaded=["former"]).days is None
    old = left(not_loaded=not_loaded("former", 2, 3, NOON - 8 * DAY))
    assert known(FORMER, noted=old, state=CHANGED).days is None


def test_packages_that_expired_change_nothing() -> None:
    """Those of a week are counted, which is less than the table keeps."""
    old, before = package("old", 2, 3, minutes=-8 * 24 * 60), package("before", 2, 3, minutes=-60)
    noted = left(packages=2)
    assert windows(known(old, before, FORMER, noted=noted)) == [SINCE]
    assert windows(known(before, FORMER, noted=noted)) == [SINCE]
    weeks_later = known(old, before, FORMER, noted=noted, began_at=NOON + 20 * DAY)
    assert (weeks_later.next["packages_until"], weeks_later.next["packages"]) == (NOON + 13 * DAY, 0)


@pytest.mark.parametrize(
    "found",
    [
        known_days(
            [],
            [FORMER],
            own={"run_id": "a", "began_at": NOON, "settings_hash": "all", "tables_state": TABLES},
            loaded=set,
            has_other_version=never,
        ),
        known(FORMER, wanted="failed"),
        known(FORMER, state=CHANGED),
        known(FORMER, package("news", 8, 9, minutes=9), state=SHORTER),
        known(FORMER, package("", None, None, minutes=9)),
        known(FORMER, package("slow clock", 8, 9, minutes=-30)),
        known(),
        known(FORMER, package("news", 8, 9, minutes=9), has_other_version=lambda since: since <= NOON + HOUR),
        known(FORMER, began_at=NOON + 31 * DAY),
    ],
    ids=[
        "no sync has noted anything",
        "something else is wanted",
        "a table was changed, and no package is new",
        "a table has fewer rows",
        "days that are not known",
        "a package noted late by a slow clock",
        "the packages were dropped",
        "a run of another version",
        "a sync of a month ago",
    ],
)
def test_all_days(found: KnownDays) -> None:
    """Where it is not certain that the others have nothing left, all days have; the next sync may know more."""
    assert found.days is None
    assert is_worth_noting(found, NOON, has_written=False)


def test_more_packages_than_can_be_read() -> None:
    """All days are asked of, and nothing is noted."""
    own = {"run_id": "a", "began_at": NOON, "settings_hash": "all", "tables_state": TABLES}
    found = known_days([left()], None, own=own, loaded=set, has_other_version=never)
    assert found.days is None
    assert not is_worth_noting(found, NOON, has_written=True)


def test_a_table_that_a_new_package_changed() -> None:
    """It is no reason to ask of other days than those of the package."""
    found = known(FORMER, package("news", 8, 8, minutes=9), state=TABLES.replace("[9,", "[11,"))
    assert windows(found) == [Window(day(8), day(9)), SINCE]


def test_changes_on_any_day_may_come_later_than_their_note() -> None:
    """They count until a sync has begun a day after it; one that a sync noted itself is over with it."""
    any_day = package("", None, None)
    assert names_of_not_loaded(known(any_day)) == []
    assert known(any_day, noted=left(began_at=NOON + DAY - MINUTE), began_at=NOON + 2 * DAY).days is None
    later = left(began_at=NOON + DAY + MINUTE, noted_at=NOON + DAY)
    assert windows(known(any_day, noted=later, began_at=NOON + 2 * DAY)) == [SINCE]
    own = package("", None, None, run="sync", minutes=2)
    assert windows(known(FORMER, own)) == [SINCE]


def test_what_a_process_notes_after_its_sync_is_not_the_syncs() -> None:
    """As by a plain run of dlt after it, whose jobs still bear the sync's label."""
    later = package("later", 7, 7, run="sync", minutes=9)
    found = known(FORMER, later, package("news", 8, 8, minutes=10), state=TABLES.replace("[9,", "[11,"))
    assert windows(found) == [Window(day(7), day(9)), SINCE]
    any_day = package("", None, None, run="sync", minutes=9)
    assert known(FORMER, any_day).days is None


def test_the_first_row_of_a_warehouse() -> None:
    """Of the packages of the week before it those are named that are not loaded."""
    lost, older = package("lost", 4, 4), package("older", 4, 4, minutes=-8 * 24 * 60)
    own = {"run_id": "first", "began_at": NOON + HOUR, "settings_hash": "all", "tables_state": TABLES}
    found = known_days(
        [], [FORMER, lost, older], own=own, loaded={"former"}.intersection, has_other_version=never
    )
    packages = {"packages_until": NOON, "packages": 2, "not_loaded": not_loaded("lost", 4, 4)}
    assert found.next == own | packages


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
    assert not is_worth_noting(idle, NOON + timedelta(hours=23), has_written=False)
    assert is_worth_noting(idle, NOON + timedelta(hours=24), has_written=False)
    assert is_worth_noting(idle, NOON, has_written=True)
    assert is_worth_noting(known(FORMER, package("news", 8, 9, minutes=9)), NOON, has_written=False)
    assert is_worth_noting(known(FORMER, began_at=NOON + DAY + MINUTE), NOON, has_written=False)


@pytest.mark.parametrize(
    ("run", "is_other"),
    [
        ({}, True),
        ({"version": "2.0"}, False),
        ({"written_at": NOON - HOUR}, True),
        ({"written_at": NOON - 3 * HOUR}, False),
        ({"written_at": NOON - MINUTE, "outcome": "running"}, True),
        ({"written_at": NOON - 8 * DAY, "outcome": "running"}, False),
        ({"written_at": None, "ended_at": NOON + MINUTE}, True),
        ({"written_at": None, "ended_at": None, "started_at": NOON - 3 * HOUR}, False),
        ({"written_at": None, "ended_at": None, "started_at": None}, True),
        ({"version": None}, True),
    ],
    ids=[
        "written since",
        "the same version",
        "written before, by a clock that may be slow",
        "written before",
        "still running",
        "running no more",
        "of a version without written_at",
        "begun before",
        "without any instant",
        "without a version",
    ],
)
def test_runs_of_another_version(run: dict[str, Any], *, is_other: bool) -> None:
    """Those that have written since an instant, or may go on to write."""
    row = {"version": "1.0", "outcome": "complete", "started_at": NOON - HOUR, "ended_at": None}
    assert is_of_other_version([row | {"written_at": NOON + MINUTE} | run], "2.0", NOON) == is_other


def test_tables_that_may_leave_something_to_read() -> None:
    """Those of all lists, and no statistics; of workflows no day matters."""
    found = changing_tables(systems.find("b3os"))
    assert {name for name, column in found.items() if column} == {
        "executions",
        "execution_details",
        "execution_events",
        "runs",
        "run_details",
        "run_nodes",
    }
    paragon = changing_tables(systems.find("paragon"))
    assert (paragon["step_payloads"], paragon["workflows"]) == ("execution_date_started", None)
