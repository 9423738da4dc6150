"""Lists that cannot be narrowed to a time: read whole, or no further than can be shown safe."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from task_history.client.fallback import FallbackSender
from task_history.core.errors import Stopped
from task_history.core.intervals import Starts
from task_history.core.models import Window
from task_history.extract.evidence import PageLengths
from task_history.extract.full_scan import FullScan
from task_history.extract.seen_order import SeenOrder
from tests.support.plain_vendor import NOW, PlainVendor

RECENT = Window(NOW - timedelta(hours=12), NOW)
ALL = Window(NOW - timedelta(days=40), NOW)
VARIANTS: dict[str, dict[str, Any]] = {
    "newest_first": {},
    "oldest_first": {"order": "oldest"},
    "any_order": {"order": "any"},
    "more_is_always_said": {"has_more": "always"},
    "lists_for_null": {"empty": "list"},
    "numbers_for_times": {"times": "number", "unset_time": "zero"},
    "empty_texts_for_times": {"unset_time": "empty"},
}


def _scan(vendor: PlainVendor) -> FullScan:
    return FullScan(
        FallbackSender(vendor),
        vendor.system,
        vendor.values,
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
    pieces = list(_scan(vendor).pieces(older, held=newer))
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
    found = {row["id"] for piece in _scan(vendor).pieces(older, held=newer) for row in piece.rows}
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
