"""When a list whose rows swap positions was read often enough."""

from __future__ import annotations

from task_history.extract.evidence import COUNT, REPEAT, unverified
from task_history.extract.repeated_readings import RepeatedReadings


def test_rows_that_swap_are_believed_once_as_many_were_seen_as_are_counted() -> None:
    """Readings of one instant add up while they agree on the number of rows; what was seen before it changed does not."""
    readings = RepeatedReadings()
    assert readings.add({"a", "b"}, positions=3, count=3) is None
    assert readings.add({"b", "c"}, positions=3, count=3) == COUNT
    readings = RepeatedReadings()
    assert readings.add({"a", "b"}, positions=3, count=3) is None
    assert readings.add({"b", "c"}, positions=4, count=4) is None
    assert readings.add({"c", "d"}, positions=4, count=4) is None
    assert readings.add({"b", "e"}, positions=4, count=4) == COUNT


def test_rows_that_swap_without_a_count_are_believed_once_a_whole_reading_is_repeated() -> None:
    """Two readings of as many rows in a row, in which as many distinct rows were seen; never a reading that broke off."""
    readings = RepeatedReadings()
    assert readings.add({"a", "b", "c"}, positions=3, count=None) is None
    assert readings.add({"a", "b", "c"}, positions=3, count=None) == REPEAT
    readings = RepeatedReadings()
    assert readings.add({"a", "b"}, positions=2, count=None, reason="too deep") is None
    assert readings.add({"a", "b"}, positions=2, count=None, reason="too deep") == unverified("too deep")


def test_a_count_that_no_row_meets_ends_the_readings() -> None:
    """Where no row swaps and the count is too high, a second reading is the last one: it would be read for ever."""
    readings = RepeatedReadings()
    assert readings.add({"a", "b"}, positions=2, count=5) is None
    ended = readings.add({"a", "b"}, positions=2, count=5)
    assert ended == unverified("5 rows of one instant, of which 2 were seen")
