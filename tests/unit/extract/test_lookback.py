"""The lookback begins where one rule says, whichever way a listing looks at it again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from task_history.core.models import MS, Window
from task_history.extract.lookback import LastSync, StoredSpan, earliest_start

HOUR = timedelta(hours=1)
NOW = datetime(2026, 9, 10, 12, tzinfo=UTC)
LOADED = Window(NOW - 48 * HOUR, NOW)


class _Stored:
    """An execution for each hour of what is loaded, up to the newest one."""

    def __init__(self, newest: datetime) -> None:
        self._starts = [newest - number * HOUR for number in range(200) if newest - number * HOUR in LOADED]

    def count(self, window: Window) -> int:
        """How many began in the window."""
        return sum(start in window for start in self._starts)

    def ids(self, window: Window) -> set[str]:
        """Which began in the window."""
        return {start.isoformat() for start in self._starts if start in window}

    def newest_start(self) -> datetime | None:
        """When the newest began."""
        return max(self._starts, default=None)

    def unsettled(self, starts: Mapping[str, datetime | None]) -> set[str]:
        """All are settled."""
        return set()


def _since(lookback: timedelta, horizon: datetime | None) -> LastSync:
    return LastSync(LOADED.start - HOUR, LOADED, (), lookback, horizon, None)


@pytest.mark.parametrize(
    ("lookback", "horizon", "start"),
    [
        pytest.param(6 * HOUR, None, NOW - 6 * HOUR, id="lookback"),
        pytest.param(90 * HOUR, None, LOADED.start, id="no further than what is loaded"),
        pytest.param(6 * HOUR, NOW - 2 * HOUR, NOW - 2 * HOUR, id="no further than what the vendor has"),
        pytest.param(6 * HOUR, NOW - 30 * HOUR, NOW - 6 * HOUR, id="the vendor has more"),
    ],
)
def test_both_ways_of_looking_back_begin_by_one_rule(
    lookback: timedelta, horizon: datetime | None, start: datetime
) -> None:
    """What is read again and what is compared begin at one instant where the newest execution ends what is loaded."""
    since = _since(lookback, horizon)
    assert since.start == start
    span = StoredSpan.since(since, _Stored(NOW - MS), edge=lambda: NOW)
    assert (span.start, span.newest) == (start, NOW)
    assert span.may_expire == (start in (LOADED.start, horizon))


def test_a_sorted_list_looks_back_from_its_newest_execution() -> None:
    """In a quiet account the lookback lies before the newest execution that is stored, not before the cursor."""
    newest = NOW - 20 * HOUR
    span = StoredSpan.since(_since(6 * HOUR, None), _Stored(newest), edge=lambda: NOW)
    assert (span.start, span.newest, span.count) == (newest + MS - 6 * HOUR, newest + MS, 6)
    assert earliest_start(NOW, 6 * HOUR) < span.start


def test_before_the_first_sync_there_is_no_lookback() -> None:
    """The first sync begins where it is told to, with nothing stored."""
    first = LastSync(LOADED.start, None, (), 6 * HOUR, None, None)
    span = StoredSpan.since(first, _Stored(NOW), edge=lambda: NOW)
    assert first.start == span.start == span.newest == LOADED.start
    assert span.count == 0
