"""Every execution comes, once, whatever the vendor's pages are like; or the piece says that it may not.

Hundreds of made-up worlds under every mixture of the sandbox's switches, in one process. A trial is
known by its number: ``_trial(number)`` tells what it was.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from task_history.core.intervals import Starts
from task_history.core.models import MS, Row, Window, floor_ms
from task_history.extract.counted_window import Pages
from task_history.extract.incremental import recent
from task_history.extract.listing import ComparedWindow, ListedWindow
from task_history.extract.lookback import StoredSpan
from task_history.extract.sorted_listing import SortedListing
from task_history.extract.window_comparison import Comparison
from task_history.systems import find
from task_history_cli.sandbox.paragon_world import Spec
from tests.support.paragon_in_process import NOW, VALUES, Vendor
from tests.support.torture import rest_as_torture

SWITCHES: dict[str, list[Any]] = {
    "after": ["exclusive", "inclusive"],
    "before": ["exclusive", "inclusive"],
    "ties": ["stable", "unstable", "unstable"],
    "total": ["present", "present", "present", "absent", "moving"],
    "max_offset": [None, None, 1000, 700, 250],
    "short_pages": [False, False, True],
    "purge_while_paging": [0, 0, 0, 1, 3],
    "insert_late_while_paging": [0, 0, 0, 1, 3],
    "ignore_sort": [False, False, False, True],
    "next_link": ["other", "absent", "null_absent"],
    "envelope": ["workflowExecutions", "workflowExecutions", "workflowExecutions", "list"],
}
SYSTEM = find("paragon")
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Trial:
    """One world, one vendor, one window."""

    vendor: Vendor
    window: Window
    rows_per_piece: int
    switches: dict[str, Any]
    spec: Spec


def _trial(number: int, always: Mapping[str, Any] | None = None) -> Trial:
    """The trial of that number; ``always`` are switches that it is to have."""
    rng = random.Random(number)
    switches = {name: rng.choice(values) for name, values in SWITCHES.items()} | dict(always or {})
    days = rng.choice([20, 2, 0.01, 0.0005])
    spec = Spec(
        executions=rng.choice([90, 150, 400, 400, 1000]),
        seed=number,
        days=days,
        now=NOW,
        ties=rng.choice([0.15, 0.15, 0.6]),
        tie_burst=rng.choice([0, 0, 30, 130, 330]),
        late=0.0,
    )
    held_back = rng.choice([3, 20, 60]) if switches["insert_late_while_paging"] else 0
    vendor = Vendor(spec, switches, seed=number, held_back=held_back)
    instants = [datetime.fromtimestamp(ms / 1000, UTC) + MS / 10 for ms in vendor.world.starts]
    # Now and then an edge lies on a row, or beside one.
    start = floor_ms(rng.choice(instants)) if rng.random() < 0.3 else NOW - timedelta(days=days)
    end = floor_ms(rng.choice(instants)) + rng.choice([0, 1]) * MS if rng.random() < 0.3 else NOW + SECOND
    window = Window(min(start, end), max(start + MS, end))
    return Trial(vendor, window, rng.choice([10_000, 1000, 400]), switches, spec)


def _is_decidable(trial: Trial) -> bool:
    """Whether the vendor lets all rows of one millisecond be seen, by counts that mean something."""
    deepest = trial.switches["max_offset"]
    return trial.switches["total"] == "present" and (deepest is None or trial.spec.tie_burst <= deepest)


def _pieces_lack_nothing(number: int, always: Mapping[str, Any] | None = None) -> None:
    trial = _trial(number, always)
    vendor, window = trial.vendor, trial.window
    before = vendor.shown(window)
    listing = SortedListing(Pages(vendor, SYSTEM, VALUES), rows_per_piece=trial.rows_per_piece)
    pieces = list(listing.pieces(window, in_columns=number % 3 > 0))
    assert (pieces[0].window.start, pieces[-1].window.end) == (window.start, window.end), number
    assert all(one.window.end == two.window.start for one, two in pairwise(pieces)), number
    ids = Counter(row["id"] for piece in pieces for row in piece.rows)
    assert set(ids.values()) <= {1}, number
    for piece in pieces:
        starts = [SYSTEM.started_at(row) for row in piece.rows]
        assert all(at is not None and at in piece.window for at in starts), number
        lost = (before & vendor.shown(piece.window)) - {row["id"] for row in piece.rows}
        assert not (lost and piece.is_verified), (number, trial.switches, len(lost))
        assert piece.is_verified or not _is_decidable(trial) or _is_moving(trial), (number, trial.switches)


def _is_moving(trial: Trial) -> bool:
    return bool(trial.switches["purge_while_paging"] or trial.switches["insert_late_while_paging"])


@dataclass(slots=True)
class Copy:
    """What a warehouse holds after syncs, and the part of a session that fills it."""

    vendor: Vendor
    first: datetime
    lookback: timedelta
    rows_per_piece: int
    starts: dict[str, datetime] = field(default_factory=dict)
    cursor: datetime | None = None
    unverified: int = 0

    def count(self, window: Window) -> int:
        return Starts(self.starts).count(window)

    def ids(self, window: Window) -> set[str]:
        return Starts(self.starts).ids(window)

    def sync(self) -> None:
        """New executions, what came late in the lookback, and what differs before it."""
        listing = SortedListing(Pages(self.vendor, SYSTEM, VALUES), rows_per_piece=self.rows_per_piece)
        known = self._known()
        for found in recent(listing, SYSTEM, known, self, edge=self._edge):
            if isinstance(found, ComparedWindow):
                self._take_in(found.comparison)
            else:
                self._list(found)
        before = Window(self.first, known.start)
        if listing.pages.has_counts and not before.is_empty:
            self._take_in(listing.compare(before, self))

    def _known(self) -> StoredSpan:
        if self.cursor is None:
            return StoredSpan(self.first, self.first, 0)
        newest = min(self.cursor, max(self.starts.values(), default=self.cursor) + MS)
        start = min(newest, max(newest - self.lookback, self.first))
        return StoredSpan(start, newest, self.count(Window(start, NOW + timedelta(days=3650))))

    def _edge(self) -> datetime:
        return floor_ms(self.vendor.now + SECOND)

    def _list(self, piece: ListedWindow) -> None:
        self._add(list(piece.rows))
        self.cursor = piece.window.end
        self.unverified += not piece.is_verified

    def _take_in(self, comparison: Comparison) -> None:
        self._add(comparison.fresh)
        self.unverified += not comparison.is_verified
        shown = self.vendor.shown(Window(self.first, self._edge()))
        for identity in comparison.vanished:
            # A single read tells whether it is really gone.
            if identity not in shown:
                del self.starts[identity]

    def _add(self, rows: list[Row]) -> None:
        for row in rows:
            at = SYSTEM.started_at(row)
            assert at is not None
            self.starts[row["id"]] = at


def _copy_lacks_nothing(number: int, always: Mapping[str, Any] | None = None) -> None:
    rng = random.Random(number)
    switches = {name: rng.choice(values) for name, values in SWITCHES.items()}
    switches |= {"insert_late_while_paging": 0, "total": rng.choice(["present", "absent"])} | dict(
        always or {}
    )
    if switches["max_offset"] == 250 or switches["ignore_sort"]:
        switches["max_offset"] = 1000
    spec = Spec(
        executions=rng.choice([300, 1000]),
        seed=number,
        days=2,
        future_hours=30,
        now=NOW,
        ties=rng.choice([0.15, 0.6]),
        tie_burst=rng.choice([0, 30, 130]),
        late=0.3,
        late_s=rng.choice([100, 3000]),
    )
    vendor = Vendor(spec, switches, seed=number)
    copy = Copy(vendor, NOW - timedelta(days=2, hours=1), timedelta(hours=2), rng.choice([10_000, 400, 150]))
    for hours in (0, 0, 0.5, 26, 0.1, 0):
        vendor.advance(timedelta(hours=hours))
        before = vendor.shown(Window(copy.first, vendor.now + SECOND))
        unverified = copy.unverified
        copy.sync()
        lost = (before & vendor.shown(Window(copy.first, vendor.now + SECOND))) - copy.starts.keys()
        assert not lost or copy.unverified > unverified, (number, switches, hours, len(lost))
    if switches["total"] == "present" and not switches["purge_while_paging"]:
        assert not copy.unverified, (number, switches)


@pytest.mark.parametrize("fifty", rest_as_torture(range(8), [0]))
def test_a_verified_piece_lacks_nothing(fifty: int) -> None:
    """Pieces touch and cover the window, each id comes once, and a verified piece has every row there was."""
    for number in range(fifty * 50, fifty * 50 + 50):
        _pieces_lack_nothing(number)


def test_syncs_lose_nothing() -> None:
    """After each of several syncs the copy has every execution that was shown, however late it appeared."""
    for number in range(12):
        _copy_lacks_nothing(number)


CASES: dict[str, dict[str, Any]] = {
    "ties_that_swap_at_inclusive_bounds": {
        "ties": "unstable",
        "after": "inclusive",
        "before": "inclusive",
        "max_offset": 1000,
        "total": "present",
    },
    "as_many_come_as_expire": {"total": "present", "purge_while_paging": 1, "insert_late_while_paging": 1},
    "ties_that_swap_while_rows_expire": {"ties": "unstable", "purge_while_paging": 3},
    "nothing_counted_and_ties_swap": {"ties": "unstable", "total": "absent", "short_pages": True},
    "newest_first_and_shallow": {"ignore_sort": True, "max_offset": 250, "ties": "unstable"},
    "counts_that_make_no_sense": {"total": "moving", "ties": "unstable"},
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_once_lost_a_row_loses_none(case: str) -> None:
    """The mixtures of switches in which rows were lost, in other worlds."""
    for number in range(10_000, 10_006):
        _pieces_lack_nothing(number, CASES[case])


@pytest.mark.torture
@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_once_lost_a_row_loses_none_in_hundreds_of_worlds(case: str) -> None:
    """The same in more worlds."""
    for number in range(10_000, 10_300):
        _pieces_lack_nothing(number, CASES[case])


@pytest.mark.parametrize("every", [23, pytest.param(9, marks=pytest.mark.torture)])
@pytest.mark.parametrize("bounds", ["exclusive", "inclusive"])
def test_a_comparison_finds_whichever_row_is_missing(bounds: str, every: int) -> None:
    """One row that is not held is found, wherever the halves are cut, also at a row that the count holds twice."""
    spec = Spec(executions=600, seed=9, days=0.00001, now=NOW, ties=0.3, late=0.0)
    switches = {"after": bounds, "before": bounds, "ties": "unstable"}
    window = Window(NOW - SECOND, NOW + SECOND)
    vendor = Vendor(spec, switches, seed=9)
    world = vendor.world
    starts = {
        world.identity(at): floor_ms(datetime.fromtimestamp(ms / 1000, UTC) + MS / 10)
        for at, ms in enumerate(world.starts)
    }
    for missing in list(starts)[::every]:
        held = Starts({identity: at for identity, at in starts.items() if identity != missing})
        found = SortedListing(Pages(vendor, SYSTEM, VALUES)).compare(window, held)
        assert [row["id"] for row in found.fresh] == [missing]
        assert (found.vanished, found.is_verified) == ([], True)


@pytest.mark.parametrize(
    ("switches", "most", "largest"),
    [
        ({}, 1.02, 10_000),
        ({"after": "inclusive", "before": "inclusive"}, 1.02, 10_000),
        ({"total": "absent"}, 1.02, 10_000),
        ({"ties": "unstable"}, 1.05, 25_000),
    ],
    ids=["as_documented", "inclusive_bounds", "no_total", "unstable_ties"],
)
def test_pages_are_hardly_read_twice(switches: dict[str, Any], most: float, largest: int) -> None:
    """A first sync of N rows costs at most 1.02 × ceil(N/100) + 5 requests, little more where ties swap."""
    for executions in (90, 1_000, largest):
        vendor = Vendor(Spec(executions=executions, seed=5, now=NOW), switches, seed=1)
        copy = Copy(vendor, NOW - timedelta(days=30), timedelta(hours=2), 10_000)
        copy.sync()
        assert len(copy.starts) == len(vendor.shown(Window(copy.first, NOW + SECOND)))
        assert vendor.requests <= most * math.ceil(executions / 100) + 5


def test_more_rows_at_once_than_can_be_reached_are_not_called_verified() -> None:
    """Where 330 rows of one millisecond lie deeper than the vendor goes, just that millisecond is unverified."""
    spec = Spec(executions=1_000, seed=3, days=2, now=NOW, tie_burst=330)
    vendor = Vendor(spec, {"max_offset": 150}, seed=3)
    window = Window(NOW - timedelta(days=2), NOW + SECOND)
    pieces = list(SortedListing(Pages(vendor, SYSTEM, VALUES)).pieces(window))
    unverified = [piece.window for piece in pieces if not piece.is_verified]
    (at,) = (instant for instant, rows in Counter(vendor.world.starts).items() if rows >= 330)
    began = datetime.fromtimestamp(at // 1000, UTC) + at % 1000 * MS
    assert unverified == [Window(began, began + MS)]
    lost = vendor.shown(window) - {row["id"] for piece in pieces for row in piece.rows}
    assert lost <= vendor.shown(unverified[0])


@pytest.mark.parametrize("burst", [0, 330])
def test_a_count_of_the_page_alone_is_not_the_count_of_the_window(burst: int) -> None:
    """Where the vendor counts the rows of a page and says that more follow, all are read, also of one instant."""
    spec = Spec(executions=1_000, seed=3, days=2, future_hours=12, now=NOW, tie_burst=burst, late=0.3)
    vendor = Vendor(spec, {"ties": "unstable"}, seed=3)
    vendor.recount = lambda total, rows: rows
    copy = Copy(vendor, NOW - timedelta(days=2), timedelta(hours=2), 10_000)
    for hours in (0, 1, 11):
        vendor.advance(timedelta(hours=hours))
        copy.sync()
        assert vendor.shown(Window(copy.first, vendor.now + SECOND)) == copy.starts.keys()
        assert not copy.unverified


@pytest.mark.parametrize("executions", [0, 500, 3_000])
def test_counts_that_are_too_high_end_no_sync(executions: int) -> None:
    """Windows that count seven rows more than they show, also those that show none, are read all the same."""
    spec = Spec(executions=executions, seed=3, days=2, future_hours=12, now=NOW, tie_burst=30, late=0.3)
    vendor = Vendor(spec, {}, seed=3)
    vendor.recount = lambda total, rows: total + 7
    copy = Copy(vendor, NOW - timedelta(days=2), timedelta(hours=2), 400)
    for hours in (0, 1, 11):
        vendor.advance(timedelta(hours=hours))
        copy.sync()
        assert vendor.shown(Window(copy.first, vendor.now + SECOND)) == copy.starts.keys()
    assert vendor.requests < 1_000
    assert copy.unverified or executions


def test_a_comparison_reads_whole_what_differs_too_often_to_be_halved() -> None:
    """However many rows are missing here and there, all are found, at the allowance and the window's pages."""
    spec = Spec(executions=30_000, seed=4, days=30, now=NOW, late=0.0)
    vendor = Vendor(spec, {}, seed=4)
    window = Window(NOW - timedelta(days=30), NOW + SECOND)
    rows = [
        row for piece in SortedListing(Pages(vendor, SYSTEM, VALUES)).pieces(window) for row in piece.rows
    ]
    starts = {row["id"]: at for row in rows if (at := SYSTEM.started_at(row)) is not None}
    missing = set(list(starts)[50::100])
    vendor.requests = 0
    held = Starts({identity: at for identity, at in starts.items() if identity not in missing})
    found = SortedListing(Pages(vendor, SYSTEM, VALUES)).compare(window, held)
    assert {row["id"] for row in found.fresh} == missing
    assert (found.vanished, found.is_verified) == ([], True)
    assert vendor.requests <= 100 + 300 + 40


@pytest.mark.torture
def test_a_verified_piece_lacks_nothing_in_thousands_of_worlds() -> None:
    """The same, ten thousand times."""
    for number in range(100_000, 110_000):
        _pieces_lack_nothing(number)


@pytest.mark.torture
def test_syncs_lose_nothing_in_thousands_of_worlds() -> None:
    """The same, two thousand times."""
    for number in range(100_000, 102_000):
        _copy_lacks_nothing(number)


@pytest.mark.parametrize("in_columns", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("ignore_sort", [False, True], ids=["oldest_first", "newest_first"])
@pytest.mark.parametrize(
    ("purged", "new"),
    [
        pytest.param(300, 0, id="purge", marks=pytest.mark.torture),
        pytest.param(0, 300, id="insert", marks=pytest.mark.torture),
        pytest.param(300, 300, id="both"),
    ],
)
def test_whole_pages_that_come_and_go_lose_nothing(
    ignore_sort: bool, purged: int, new: int, in_columns: bool
) -> None:
    """After 40 pages the 300 oldest expire, 300 newer ones come, or both: all that lives is read, once."""
    vendor = Vendor(
        Spec(executions=10_000, days=30, now=NOW, late=0.0, open_days=0.0),
        {"ignore_sort": ignore_sort},
        seed=3,
    )
    window = Window(NOW - timedelta(days=31), NOW - timedelta(hours=2))
    end_ms = window.end.timestamp() * 1000
    newest = [at for at in range(len(vendor.world)) if vendor.world.starts[at] < end_ms][-new:] if new else []
    vendor.world.held_back.update(newest)

    def event() -> None:
        vendor.world.gone.update(range(purged))
        vendor.world.held_back.clear()

    vendor.after(40, event)
    pieces = SortedListing(Pages(vendor, SYSTEM, VALUES)).pieces(window, in_columns=in_columns)
    rows = [row["id"] for piece in pieces for row in piece.rows]
    assert vendor.shown(window) <= set(rows)
    assert len(rows) == len(set(rows))
    if not ignore_sort:
        assert vendor.requests <= 1.03 * 100


def test_as_many_new_as_expired_in_a_list_that_comes_newest_first() -> None:
    """The last row of a list that comes newest first is an old one: it does not say that nothing is new."""
    _copy_lacks_nothing(101_813)


def test_as_many_missing_as_expired() -> None:
    """A page full of one instant says nothing of the rest of it: what expires meanwhile hides no row that is missing."""
    _pieces_lack_nothing(112_934)
