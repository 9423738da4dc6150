"""Lists that cannot be narrowed to a time: read whole, or no further than can be shown safe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from task_history.client.request_forms import FallbackSender
from task_history.core.errors import Stopped
from task_history.core.intervals import Starts
from task_history.core.models import Window
from task_history.extract.counted_window import Pages
from task_history.extract.evidence import PageLengths
from task_history.extract.full_scan import FullScan
from task_history.extract.listing import ListedWindow
from task_history.extract.lookback import LastSync
from task_history.extract.seen_order import SeenOrder
from tests.support.plain_vendor import NOW, PlainVendor

RECENT = Window(NOW - timedelta(hours=12), NOW)
ALL = Window(NOW - timedelta(days=40), NOW)
VARIANTS: dict[str, dict[str, Any]] = {
    "newest_first": {},
    "oldest_first": {"order": "oldest"},
    "any_order": {"order": "any"},
    "more_is_always_said": {"has_more": "always"},
    "pages_capped": {"page_cap": 30},
    "pages_capped_any_order": {"page_cap": 30, "order": "any"},
    "lists_for_null": {"empty": "list"},
    "numbers_for_times": {"times": "number", "unset_time": "zero"},
    "empty_texts_for_times": {"unset_time": "empty"},
}


_UNCOUNTED: dict[str, dict[str, Any]] = {"twinit": {"envelope": False}}


def _scan(vendor: PlainVendor, filters: dict[str, str] | None = None) -> FullScan:
    return FullScan(
        Pages(FallbackSender(vendor), vendor.system, vendor.values, filters=filters),
        lengths=PageLengths(),
        order=SeenOrder(),
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("window", [RECENT, ALL], ids=["recent", "all"])
def test_every_execution_comes_once(variant: str, window: Window) -> None:
    """Whatever the order, and however the end is told, nothing of the window is missing or comes twice."""
    vendor = PlainVendor("b3os", executions=1_500, days=30, switches=VARIANTS[variant])
    scan = _scan(vendor)
    pieces = list(scan.pieces(window))
    found = [row["id"] for piece in pieces for row in piece.rows]
    assert all(piece.is_verified for piece in pieces)
    assert len(found) == len(set(found))
    assert {identity.removeprefix("exec_") for identity in found} == vendor.shown(window)


def test_newest_first_is_left_early_and_no_other_order_is() -> None:
    """Only answers that were seen to come newest first let a scan end before the list does."""
    requests = {}
    for order in ("newest", "oldest", "any"):
        vendor = PlainVendor("b3os", executions=3_000, days=30, switches={"order": order})
        scan = _scan(vendor)
        pieces = list(scan.pieces(RECENT))
        requests[order] = vendor.requests
        assert pieces[-1].order == ("newest_first" if order == "newest" else "none")
    assert requests["newest"] <= 2
    assert min(requests["oldest"], requests["any"]) >= 30


def test_a_scan_goes_on_where_an_earlier_one_was_cut() -> None:
    """What is newer than the window and held is left out: its pages are not read again."""
    vendor = PlainVendor("b3os", executions=3_000, days=30)
    cut = NOW - timedelta(days=20)
    starts = {row["id"]: row["createdAt"] for piece in _scan(vendor).pieces(ALL) for row in piece.rows}
    newer = Starts({key: at for key, at in starts.items() if at >= cut})
    vendor.sent.clear()
    older = Window(ALL.start, cut)
    pieces = list(_scan(vendor).pieces(older, stored=newer))
    assert {row["id"] for piece in pieces for row in piece.rows} == {
        k for k, at in starts.items() if at < cut
    }
    assert vendor.requests <= 14


def test_pieces_come_newest_first_and_touch() -> None:
    """Each piece ends where the one before it began, so that what is covered has no hole."""
    vendor = PlainVendor("b3os", executions=5_000, days=30, ties=0.3)
    pieces = list(_scan(vendor).pieces(ALL))
    assert len(pieces) >= 2
    assert [piece.window.end for piece in pieces] == [NOW, *(piece.window.start for piece in pieces[:-1])]
    assert pieces[-1].window.start == ALL.start


@pytest.mark.parametrize("order", ["oldest", "any"])
def test_no_place_is_believed_in_another_order(order: str) -> None:
    """Where rows do not come newest first, nothing is left out, however many newer ones are held."""
    vendor = PlainVendor("b3os", executions=1_000, days=30, switches={"order": order})
    cut = NOW - timedelta(days=10)
    newer = Starts({f"held-{at}": NOW - timedelta(minutes=at + 1) for at in range(600)})
    older = Window(ALL.start, cut)
    found = {row["id"] for piece in _scan(vendor).pieces(older, stored=newer) for row in piece.rows}
    assert {identity.removeprefix("exec_") for identity in found} == vendor.shown(older)


def test_what_was_read_before_it_was_stopped_is_kept() -> None:
    """A run that is stopped in the midst of a list keeps what is certain of it, and goes on below."""
    vendor = PlainVendor("b3os", executions=1_500, days=30)

    def stopped() -> None:
        raise Stopped("enough")

    vendor.after = (7, stopped)
    pieces = _scan(vendor).pieces(ALL)
    piece = next(pieces)
    with pytest.raises(Stopped):
        next(pieces)
    assert {row["id"].removeprefix("exec_") for row in piece.rows} == vendor.shown(piece.window)
    assert len(piece.rows) >= 600


@pytest.mark.parametrize("order", ["days", "random"])
@pytest.mark.parametrize("name", ["b3os", "twinit"])
def test_an_order_that_changes_loses_nothing_that_is_verified(name: str, order: str) -> None:
    """Where the same page shows other rows each time, a list is read again until that is certain, or is unverified."""
    verified = 0
    for seed in range(6):
        vendor = PlainVendor(
            name, executions=300, days=20, seed=seed, switches={"order": order} | _UNCOUNTED.get(name, {})
        )
        scan = _scan(vendor, {"namespace": vendor.api.namespaces[0]} if name == "twinit" else {})
        pieces = list(scan.pieces(ALL))
        found = {vendor.system.identity(row).removeprefix("exec_") for piece in pieces for row in piece.rows}
        right = vendor.shown(ALL)
        if name == "twinit":
            numbers = {identity: vendor.world.number(identity) for identity in right}
            right = {key for key, at in numbers.items() if vendor.api.namespaces[0] in vendor.api.spaces(at)}
        is_verified = all(piece.is_verified for piece in pieces)
        verified += is_verified
        assert found == right or not is_verified
        assert is_verified or all(piece.completeness.reason for piece in pieces if not piece.is_verified)
    assert verified >= (5 if order == "days" else 0)


class HeldRows(Starts):
    """What is held, some of it open."""

    def __init__(self, starts: dict[str, datetime], opens: set[str]) -> None:
        super().__init__(starts)
        self._starts = starts
        self._opens = opens

    def newest_start(self) -> datetime | None:
        return max(self._starts.values())

    def unsettled(self, starts: Mapping[str, datetime | None]) -> set[str]:
        return {key for key in starts if key not in self._starts or key in self._opens}


def test_late_and_open_rows_of_a_list_that_is_read_to_its_end_are_kept() -> None:
    """What stood in the answer and is not held, or held as open, comes beside the window's rows; nothing else does."""
    vendor = PlainVendor("b3os", executions=460, days=30, switches={"order": "any"})
    instants = {row["id"]: row["createdAt"] for piece in _scan(vendor).pieces(ALL) for row in piece.rows}
    old = sorted(key for key, at in instants.items() if at < NOW - timedelta(days=3))
    late, opens = set(old[:14]), set(old[14:20])
    held = HeldRows({key: at for key, at in instants.items() if key not in late}, opens)
    since = LastSync(ALL.start, Window(ALL.start, NOW), (), timedelta(hours=2), None, None)
    (piece,) = _scan(vendor).incremental(since, held, edge=lambda: NOW)
    assert isinstance(piece, ListedWindow)
    assert {row["id"] for row in piece.outside} == late | opens
