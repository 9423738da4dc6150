"""Rules about windows, coverage and settling, over many made-up cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from task_history.core.intervals import Starts, days, halves, is_ascending, share, uncovered
from task_history.core.models import MS, Window
from task_history.extract.settling_plan import plan
from task_history.warehouse.backlog import OpenExecution
from task_history.warehouse.coverage import Coverage, by_midnight
from task_history.warehouse.verified_days import Completeness

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(min_value=0, max_value=10**8)


def _at(ms: int) -> datetime:
    return EPOCH + ms * MS


WINDOWS = st.tuples(OFFSETS, st.integers(min_value=1, max_value=10**7)).map(
    lambda pair: Window(_at(pair[0]), _at(pair[0] + pair[1]))
)


@given(WINDOWS)
def test_halves_are_the_window(window: Window) -> None:
    """Halves touch, are not empty and cover the window; a millisecond has none."""
    parts = halves(window)
    if parts is None:
        assert window.end - window.start <= MS
        return
    left, right = parts
    assert (left.start, left.end, right.end) == (window.start, right.start, window.end)
    assert not left.is_empty
    assert not right.is_empty


@given(WINDOWS)
def test_days_are_the_window(window: Window) -> None:
    """Days touch, cover the window, and none reaches over midnight UTC."""
    parts = list(days(window))
    assert parts[0].start == window.start
    assert parts[-1].end == window.end
    assert all(one.end == two.start for one, two in pairwise(parts))
    assert all(part.start.date() == (part.end - MS).date() for part in parts)


@given(WINDOWS, st.floats(min_value=0.001, max_value=3), OFFSETS)
def test_share_is_a_beginning(window: Window, part: float, not_before: int) -> None:
    """A share begins with the window, is not empty and never longer than it."""
    found = share(window, part, not_before=_at(not_before))
    assert found.start == window.start
    assert window.start < found.end <= window.end


@given(st.dictionaries(st.integers(0, 50), st.integers(1, 20)), st.integers(0, 60))
def test_uncovered_is_the_first_hole(pages: dict[int, int], upto: int) -> None:
    """The first position that no page holds, as counting one by one finds it."""
    held = {at for offset, size in pages.items() for at in range(offset, offset + size)}
    expected = next((at for at in range(upto) if at not in held), None)
    assert uncovered(pages, upto) == expected


@given(st.lists(OFFSETS, max_size=30), WINDOWS)
def test_starts_count_what_lies_in_a_window(starts: list[int], window: Window) -> None:
    """Counting by bisection is counting one by one."""
    held = Starts({str(number): _at(at) for number, at in enumerate(starts)})
    expected = {str(number) for number, at in enumerate(starts) if _at(at) in window}
    assert held.ids(window) == expected
    assert held.count(window) == len(expected)


def test_ascending_does_not_mind_unknown_instants() -> None:
    """Rows whose start is not known stand anywhere."""
    assert is_ascending([_at(1), None, _at(1), _at(2)])
    assert not is_ascending([_at(2), None, _at(1)])


@given(
    st.lists(st.integers(1, 3 * 86_400_000), min_size=1, max_size=8),
    st.lists(st.integers(0, 2 * 10**8), max_size=40),
)
def test_coverage_adds_up_however_it_is_cut(lengths: list[int], starts: list[int]) -> None:
    """Windows that touch become one entry a day; their executions add up to all that lie in them."""
    coverage = Coverage()
    at = 0
    instants = [_at(start) for start in starts]
    for length in lengths:
        window = Window(_at(at), _at(at + length))
        inside = [instant for instant in instants if instant in window]
        coverage.add(
            window, by_midnight(inside), is_counted=True, completeness=Completeness("count"), checked_at=EPOCH
        )
        at += length
    whole = Window(_at(0), _at(at))
    rows = coverage.changed_rows("run")
    assert coverage.span == whole
    assert sum(row["executions"] for row in rows) == sum(instant in whole for instant in instants)
    assert all(row["executions"] == row["api_total"] for row in rows)
    assert len({row["day"] for row in rows}) == len(rows)
    assert coverage.changed_rows("run") == []


@given(st.sets(st.integers(1, 5_000), min_size=1, max_size=60), st.booleans())
def test_settling_costs_no_more_than_its_parts(places: set[int], by_status: bool) -> None:
    """A plan refreshes everything, and costs neither more than single reads nor more than the lists."""
    ranks = {str(place): (place, place) for place in places}
    opens = [OpenExecution(str(place), _at(place * 1000), "EXECUTING") for place in sorted(places)]
    found = plan(opens, ranks, open_statuses=("EXECUTING", "DELAYED"), page_size=100, by_status=by_status)
    assert found.requests <= len(opens)
    if by_status:
        assert found.requests <= 2
    if not found.statuses:
        covered = set(found.singles) | {
            one.id
            for one in opens
            for span in found.spans
            if one.started_at is not None and one.started_at in span
        }
        assert covered == set(ranks)


def test_late_rows_are_counted_on_their_day() -> None:
    """What became visible late raises the count of the day that it belongs to, and of no other."""
    coverage = Coverage()
    coverage.add(
        Window(EPOCH, EPOCH + timedelta(days=2)),
        {EPOCH: 1},
        is_counted=True,
        completeness=Completeness("count"),
        checked_at=EPOCH,
    )
    coverage.changed_rows("first")
    coverage.add_late([EPOCH + timedelta(days=1, hours=3)], checked_at=EPOCH)
    assert [(row["day"], row["executions"]) for row in coverage.changed_rows("second")] == [
        (EPOCH + timedelta(days=1), 1)
    ]
