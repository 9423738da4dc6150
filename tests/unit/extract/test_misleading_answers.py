"""Answers that hold fewer rows than they should, or say of themselves what is not so, lose no row silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from task_history.core.errors import UnexpectedResponse
from task_history.core.intervals import Starts
from task_history.core.models import Answer, Request, Row, Window
from task_history.extract.counted_window import Pages
from task_history.extract.listing import ComparedWindow, ListedWindow
from task_history.extract.lookback import LastSync
from task_history.extract.sorted_listing import SortedListing
from task_history.systems import find
from task_history_cli.sandbox.misleading_lists import is_outside
from task_history_cli.sandbox.paragon_world import Spec
from tests.support.paragon_in_process import NOW, VALUES, Vendor

SYSTEM = find("paragon")
SECOND = timedelta(seconds=1)
WINDOW = Window(NOW - timedelta(days=31), NOW + SECOND)
ALWAYS = 1_000_000


def _vendor(executions: int, **switches: Any) -> Vendor:
    vendor = Vendor(Spec(executions=executions, days=30, seed=7, now=NOW, late=0.0), switches, seed=7)
    vendor.most_requests = 3_000
    return vendor


@dataclass(slots=True)
class Copy:
    """What is held of an account after its window was read, and what was not verified."""

    vendor: Vendor
    rows: dict[str, Row]
    pieces: list[ListedWindow]
    listing: SortedListing

    @classmethod
    def read(cls, vendor: Vendor, *, in_columns: bool = True) -> Copy:
        """Reads the whole window."""
        listing = SortedListing(Pages(vendor, SYSTEM, VALUES))
        pieces = list(listing.pieces(WINDOW, in_columns=in_columns))
        return cls(
            vendor,
            {row["id"]: row for piece in pieces for row in (*piece.rows, *piece.outside)},
            pieces,
            listing,
        )

    @property
    def missing(self) -> set[str]:
        """What the vendor has and is not held."""
        return self.vendor.shown(WINDOW) - self.rows.keys()

    @property
    def reasons(self) -> set[str]:
        """Why pieces are not verified."""
        return {str(piece.completeness.reason) for piece in self.pieces if not piece.is_verified}

    def assert_nothing_is_lost_silently(self) -> None:
        """What is missing lies in pieces that are not verified."""
        verified = [self.vendor.shown(piece.window) for piece in self.pieces if piece.is_verified]
        assert not set().union(*verified) & self.missing
        assert all(self.reasons)

    def compare_again(self) -> None:
        """Reads again what was not verified, as later runs do."""
        starts = {key: at for key, row in self.rows.items() if (at := SYSTEM.started_at(row)) is not None}
        for piece in self.pieces:
            if not piece.is_verified:
                comparison = self.listing.compare(piece.window, Starts(starts))
                assert comparison.is_verified
                self.rows |= {row["id"]: row for row in comparison.fresh}


WHOLE: dict[str, dict[str, Any]] = {
    "empty_with_a_link": {"total": "absent", "empty_at": 40, "misled_says": "link"},
    "empty_and_silent": {"total": "absent", "empty_at": 40, "misled_says": "list"},
    "empty_and_ended": {"total": "absent", "empty_at": 40, "misled_says": "end"},
    "empty_twice": {"total": "absent", "empty_at": 40, "empty_times": 2, "misled_says": "link"},
    "empty_beyond_1000": {"total": "absent", "empty_from": 1_000},
    "empty_beyond_300": {"total": "absent", "empty_from": 300, "misled_says": "link"},
    "empty_beyond_300_counted": {"empty_from": 300},
    "empty_beyond_300_and_the_count_dropped": {"empty_from": 300, "misled_says": "link"},
    "half_and_silent": {"half_at": 40, "misled_says": "nothing"},
    "half_silent_and_no_count": {"total": "absent", "half_at": 40, "misled_says": "nothing"},
    "half_of_a_list_that_says_nothing": {"envelope": "list", "half_at": 40},
    "half_and_ended": {"total": "absent", "half_at": 40, "misled_says": "end"},
    "first_is_an_empty_list": {"empty_at": 1, "misled_says": "list"},
    "first_counts_none": {"empty_at": 1, "misled_says": "end"},
    "first_counts_and_shows_none": {"empty_at": 1},
    "first_is_empty_and_nothing_is_counted": {"total": "absent", "empty_at": 1},
    "second_window_counts_none": {"empty_at": 128, "misled_says": "end"},
}
EXECUTIONS = {"half_and_ended": 10_000, "second_window_counts_none": 25_000}
"""Of cases that need more than others."""
IN_ROWS = ("empty_with_a_link", "half_and_ended")
"""Cases that are read row by row, too, in each run: what they test knows no difference."""


@pytest.mark.parametrize(
    ("case", "in_columns"),
    [
        pytest.param(
            case,
            in_columns,
            id=f"{case}-{'columns' if in_columns else 'rows'}",
            marks=[] if in_columns or case in IN_ROWS else [pytest.mark.torture],
        )
        for case in WHOLE
        for in_columns in (False, True)
    ],
)
def test_an_answer_that_misleads_once_costs_no_row(case: str, in_columns: bool) -> None:
    """Pages that come empty or cut are asked for again, or from another position: all rows come, on evidence."""
    vendor = _vendor(EXECUTIONS.get(case, 5_000), **WHOLE[case])
    copy = Copy.read(vendor, in_columns=in_columns)
    assert (len(copy.missing), copy.reasons) == (0, set())


@pytest.mark.parametrize("total", ["present", "absent"])
@pytest.mark.parametrize("executions", [101, 10_000])
def test_pages_that_stay_empty_for_long_are_read_by_a_later_run(executions: int, total: str) -> None:
    """While hundreds of requests show nothing, what is missing is unverified; the next comparison brings it."""
    vendor = _vendor(executions, total=total, empty_at=2, empty_times=400)
    copy = Copy.read(vendor)
    copy.assert_nothing_is_lost_silently()
    assert copy.missing
    assert vendor.requests < 100
    vendor.state.switch({"empty_at": 0})
    copy.compare_again()
    assert not copy.missing


def test_pages_that_are_always_cut_to_their_half_are_read_on_from_where_they_end() -> None:
    """Half of each page comes: the other half is asked for; what cannot be reached is unverified, with the reason."""
    vendor = _vendor(10_000, half_at=1, half_times=ALWAYS)
    copy = Copy.read(vendor)
    copy.assert_nothing_is_lost_silently()
    assert len(copy.missing) <= 5
    assert vendor.requests <= 4 * 100 + 60


@pytest.mark.parametrize("added", [1, 7, 9_000])
@pytest.mark.parametrize("executions", [0, 50, 10_000])
def test_a_count_that_is_not_met_is_never_forgotten(executions: int, added: int) -> None:
    """Where the vendor counts more rows than it gives, all rows come, and the window stays unverified and says why."""
    copy = Copy.read(_vendor(executions, total_added=added))
    assert not copy.missing
    assert any("counts" in reason for reason in copy.reasons)
    assert copy.vendor.requests <= 4 * executions / 100 + 150


def test_comparing_against_a_count_that_is_never_met_comes_to_an_end() -> None:
    """What such a vendor holds is compared in a bounded number of requests, however often, and stays unverified."""
    vendor = _vendor(10_000, total_added=7)
    copy = Copy.read(vendor)
    starts = Starts({key: at for key, row in copy.rows.items() if (at := SYSTEM.started_at(row)) is not None})
    vendor.requests = 0
    assert not copy.listing.compare(WINDOW, starts).is_verified
    assert vendor.requests <= 100 + 4 * 100


@pytest.mark.parametrize("in_columns", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("total", ["present", "absent"])
def test_rows_that_began_far_outside_of_the_window_are_kept(total: str, in_columns: bool) -> None:
    """They come beside the window's rows, once, with the instant that the vendor gives; nothing else is missing."""
    vendor = _vendor(3_000, outside_share=0.002, total=total)
    copy = Copy.read(vendor, in_columns=in_columns)
    outside = [row["id"] for piece in copy.pieces for row in piece.outside]
    expected = {identity for identity in vendor.shown(WINDOW) if is_outside(identity, 0.002)}
    assert 3 <= len(expected) <= 12
    assert (set(outside), len(outside)) == (expected, len(expected))
    assert (len(copy.missing), copy.reasons) == (0, set())


def test_parts_that_are_less_than_was_counted_are_compared() -> None:
    """A first page without its first rows misleads about a part of the window; the count of all tells of it."""
    vendor = _vendor(25_000)
    send, answered = vendor.send, []

    def cut(request: Request) -> Answer:
        answer = send(request)
        answered.append(request)
        if len(answered) == 1:
            del answer.data["workflowExecutions"][:50]
        return Answer(answer.data, orjson.dumps(answer.data))

    vendor.send = cut  # type: ignore[method-assign]
    copy = Copy.read(vendor)
    assert len(copy.missing) == 50
    assert copy.listing.pages.take_short() == [WINDOW]
    starts = {key: at for key, row in copy.rows.items() if (at := SYSTEM.started_at(row)) is not None}
    found = copy.listing.compare(WINDOW, Starts(starts))
    assert ({row["id"] for row in found.fresh}, found.is_verified) == (copy.missing, True)
    assert Copy.read(_vendor(25_000)).listing.pages.take_short() == []


def test_a_comparison_finds_rows_that_began_far_outside_of_its_window() -> None:
    """Those that stand in its answers and are not held are found with what is missing, each once; held ones are not."""
    vendor = _vendor(900, outside_share=0.005)
    copy = Copy.read(vendor)
    outside = {row["id"] for piece in copy.pieces for row in piece.outside}
    starts = {key: at for key, row in copy.rows.items() if (at := SYSTEM.started_at(row)) is not None}
    listing = SortedListing(Pages(vendor, SYSTEM, VALUES))
    assert listing.compare(WINDOW, Starts(starts)).fresh == []
    listing = SortedListing(Pages(vendor, SYSTEM, VALUES))
    held = Starts({key: at for key, at in starts.items() if key not in outside})
    found = [row["id"] for row in listing.compare(WINDOW, held).fresh]
    assert (set(found), len(found)) == (outside, len(outside))
    assert outside


def test_a_listing_that_does_not_filter_by_time_says_so() -> None:
    """A full page of rows none of which belongs to the window is an error, not thousands of late rows."""
    vendor = _vendor(1_000)
    old = Window(NOW - timedelta(days=400), NOW - timedelta(days=390))
    send = vendor.send
    vendor.send = lambda request: send(SYSTEM.listing.request(VALUES, WINDOW))  # type: ignore[method-assign]
    with pytest.raises(UnexpectedResponse, match="does not filter by time"):
        list(SortedListing(Pages(vendor, SYSTEM, VALUES)).pieces(old))


class StoredExecutions(Starts):
    """What is held, and when the newest of it began."""

    def __init__(self, starts: dict[str, datetime]) -> None:
        super().__init__(starts)
        self._newest = max(starts.values(), default=None)

    def newest_start(self) -> datetime | None:
        return self._newest

    def unsettled(self, starts: Mapping[str, datetime | None]) -> set[str]:
        return set(starts)


def _sync(
    vendor: Vendor, held: StoredExecutions, loaded: Window | None
) -> list[ListedWindow | ComparedWindow]:
    listing = SortedListing(Pages(vendor, SYSTEM, VALUES))
    since = LastSync(WINDOW.start, loaded, (), timedelta(hours=2), None, None)
    return list(listing.incremental(since, held, edge=lambda: NOW + SECOND))


@pytest.mark.parametrize("says", ["list", "end", "nothing"])
def test_a_first_sync_that_is_shown_nothing_looks_twice(says: str) -> None:
    """One empty answer in place of the first page of an account is no evidence; the rows of the second look come."""
    vendor = _vendor(3_000, empty_at=1, misled_says=says)
    rows = [
        row["id"]
        for event in _sync(vendor, StoredExecutions({}), None)
        if isinstance(event, ListedWindow)
        for row in event.rows
    ]
    assert set(rows) == vendor.shown(WINDOW)
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("says", ["list", "end", "all"])
def test_an_account_that_shows_nothing_and_has_rows_is_not_loaded_as_empty(says: str) -> None:
    """Where the list of all times shows rows of the window that came empty twice, the first sync ends with an error."""
    vendor = _vendor(90, empty_at=1, empty_times=2, misled_says=says)
    with pytest.raises(UnexpectedResponse, match="gives no execution, twice, and may have some"):
        _sync(vendor, StoredExecutions({}), None)


def test_an_account_without_executions_is_believed_after_three_requests() -> None:
    """Nothing in the window, twice, and nothing at any time: the window is loaded and verified."""
    vendor = _vendor(0)
    (piece,) = _sync(vendor, StoredExecutions({}), None)
    assert isinstance(piece, ListedWindow)
    assert piece.is_verified
    assert vendor.requests == 3


def test_an_account_whose_executions_are_all_older_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """The window is empty and verified, and a warning says that the account has executions of other times."""
    vendor = _vendor(90)
    vendor.advance(timedelta(days=60))
    window = Window(NOW + timedelta(days=50), NOW + timedelta(days=60))
    listing = SortedListing(Pages(vendor, SYSTEM, VALUES))
    since = LastSync(window.start, None, (), timedelta(hours=2), None, None)
    (piece,) = listing.incremental(since, StoredExecutions({}), edge=lambda: window.end)
    assert isinstance(piece, ListedWindow)
    assert piece.is_verified
    assert "no_executions_in_window" in caplog.text
    assert "start_date" in caplog.text


def test_a_sync_that_is_shown_none_of_what_is_held_does_not_believe_it() -> None:
    """Where the lookback shows nothing of the rows that are held, what came since is unverified."""
    vendor = _vendor(90)
    held = StoredExecutions(
        {row["id"]: at for row in Copy.read(vendor).rows.values() if (at := SYSTEM.started_at(row))}
    )
    vendor.state.switch({"empty_at": 1, "empty_times": ALWAYS, "misled_says": "end"})
    events = _sync(vendor, held, Window(WINDOW.start, NOW - timedelta(hours=1)))
    pieces = [event for event in events if isinstance(event, ListedWindow)]
    assert pieces
    assert all("shows none of" in str(piece.completeness.reason) for piece in pieces)


def test_as_many_late_rows_as_were_purged_are_found() -> None:
    """Where the oldest rows expire and as many appear late, positions are the same: the oldest page tells."""
    vendor = _vendor(400)
    held = {row["id"]: at for row in Copy.read(vendor).rows.values() if (at := SYSTEM.started_at(row))}
    oldest, late = sorted(held, key=lambda key: held[key])[:3], sorted(held)[100:103]
    vendor.world.gone.update(number for key in oldest if (number := vendor.world.number(key)) is not None)
    known = StoredExecutions({key: at for key, at in held.items() if key not in late})
    listing = SortedListing(Pages(vendor, SYSTEM, VALUES))
    since = LastSync(WINDOW.start, Window(WINDOW.start, NOW), (), timedelta(days=40), None, None)
    events = list(listing.incremental(since, known, edge=lambda: NOW + SECOND))
    fresh = {
        row["id"] for event in events if isinstance(event, ComparedWindow) for row in event.comparison.fresh
    }
    assert fresh == set(late) - set(oldest)
