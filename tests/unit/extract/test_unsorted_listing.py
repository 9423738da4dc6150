"""Lists in an order that nobody documents: every execution once, in as few requests as possible."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from task_history.client.request_forms import FallbackSender
from task_history.core.errors import Rejected
from task_history.core.intervals import Starts
from task_history.core.models import Answer, Request, Window
from task_history.extract.counted_window import Pages
from task_history.extract.evidence import REPEAT, PageLengths
from task_history.extract.listing import ComparedWindow
from task_history.extract.listing_kinds import Readers
from task_history.extract.seen_order import SeenOrder
from task_history.extract.unsorted_listing import UnsortedListing
from task_history.warehouse.verified_days import Completeness
from tests.support.plain_vendor import NOW, PlainVendor

WINDOW = Window(NOW - timedelta(days=20), NOW)
VARIANTS: dict[str, dict[str, Any]] = {
    "newest_first": {},
    "oldest_first": {"order": "oldest"},
    "any_order": {"order": "any"},
    "limit_ignored": {"limit": "ignored"},
    "limit_and_offset_ignored": {"limit": "ignored", "offset": "ignored"},
    "pages_capped": {"page_cap": 100},
    "pages_capped_any_order": {"page_cap": 60, "order": "any"},
    "another_order_each_time": {"order": "random"},
    "another_order_within_a_day": {"order": "days"},
    "another_order_within_a_day_and_capped": {"order": "days", "page_cap": 20},
    "empty_pages_from_a_depth_on": {"empty_from": 300},
    "counted": {"count": "given", "order": "any"},
    "count_refused": {"count": "refused"},
    "offset_ignored": {"offset": "ignored"},
    "late_rows_while_paging": {"insert_late_while_paging": 1},
    "camel_case_filter": {"filter_name": "startTime"},
    "unquoted_filter": {"filter_quotes": "without"},
    "no_time_filter": {"filter_name": "none"},
}


@dataclass(frozen=True)
class Seen:
    """What the lists of one run share."""

    lengths: PageLengths = field(default_factory=PageLengths)
    order: SeenOrder = field(default_factory=SeenOrder)


def _read(vendor: PlainVendor, seen: Seen, workflow: int, window: Window = WINDOW) -> list[str]:
    filters = {"workflow": vendor.world.workflow_ids[workflow]}
    listing = UnsortedListing(
        Pages(FallbackSender(vendor), vendor.system, vendor.values, filters=filters),
        lengths=seen.lengths,
        order=seen.order,
    )
    pieces = list(listing.pieces(window))
    assert all(piece.is_verified for piece in pieces)
    assert [piece.window.start for piece in pieces] == sorted(piece.window.start for piece in pieces)
    return [row["id"] for piece in pieces for row in piece.rows]


def _listing(vendor: PlainVendor) -> UnsortedListing:
    seen = Seen()
    filters = {"workflow": vendor.world.workflow_ids[0]}
    return UnsortedListing(
        Pages(vendor, vendor.system, vendor.values, filters=filters), lengths=seen.lengths, order=seen.order
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_execution_comes_once(variant: str) -> None:
    """Whatever order, caps and filters the vendor has, a window is read whole and nothing comes twice."""
    vendor = PlainVendor("sailpoint", executions=1_500, days=30, workflows=3, switches=VARIANTS[variant])
    seen = Seen()
    for workflow in range(3):
        found = _read(vendor, seen, workflow)
        assert len(found) == len(set(found))
        hidden = {vendor.world.identity(at) for at in vendor.world.held_back}
        assert set(found) >= vendor.shown(WINDOW, workflow) - hidden


def test_forty_lists_take_hardly_more_than_their_pages() -> None:
    """40 workflows of 10,000 executions: at most 5 % more requests than full pages need."""
    vendor = PlainVendor("sailpoint", executions=10_000, days=20, workflows=40)
    seen = Seen()
    fewest = 0
    for workflow in range(40):
        found = _read(vendor, seen, workflow)
        assert set(found) == vendor.shown(WINDOW, workflow)
        fewest += max(1, math.ceil(len(found) / 250))
    assert vendor.requests <= 1.05 * fewest


def test_an_unknown_filter_is_tried_once() -> None:
    """A filter's name that the vendor refuses is not sent again: one request more, for all lists together."""
    known, unknown = (
        PlainVendor("sailpoint", executions=900, days=20, workflows=4, switches={"filter_name": name})
        for name in ("start_time", "startTime")
    )
    for vendor in (known, unknown):
        seen, asking = Seen(), FallbackSender(vendor)
        for workflow in range(4):
            filters = {"workflow": vendor.world.workflow_ids[workflow]}
            listing = UnsortedListing(
                Pages(asking, vendor.system, vendor.values, filters=filters),
                lengths=seen.lengths,
                order=seen.order,
            )
            assert {row["id"] for piece in listing.pieces(WINDOW) for row in piece.rows} == vendor.shown(
                WINDOW, workflow
            )
    assert unknown.requests == known.requests + 1


def test_a_window_of_very_many_rows_is_read_in_parts() -> None:
    """What its first page shows to be far more than a piece is read in several, oldest first, at hardly any cost."""
    vendor = PlainVendor("sailpoint", executions=4_800, days=20, workflows=1, ties=0.0)
    readers = Readers(FallbackSender(vendor), vendor.system, vendor.values, rows_per_piece=2_000)
    pieces = list(readers.of({"workflow": vendor.world.workflow_ids[0]}).pieces(WINDOW))
    assert len(pieces) == 3
    assert {row["id"] for piece in pieces for row in piece.rows} == vendor.shown(WINDOW, 0)
    assert vendor.requests <= 1.05 * math.ceil(4_800 / 250) + 3


def test_a_list_that_ends_with_a_full_page_ends_no_other() -> None:
    """Pages are capped at the length of the first list: each later one is read to its own end."""
    spec: dict[str, Any] = {"executions": 900, "days": 20, "workflows": 4, "ties": 0.0}
    shortest = min(range(4), key=lambda at: len(PlainVendor("sailpoint", **spec).shown(WINDOW, at)))
    cap = len(PlainVendor("sailpoint", **spec).shown(WINDOW, shortest))
    vendor = PlainVendor("sailpoint", **spec, switches={"page_cap": cap})
    seen = Seen()
    for workflow in sorted(range(4), key=lambda at: at != shortest):
        assert set(_read(vendor, seen, workflow)) == vendor.shown(WINDOW, workflow)


@pytest.mark.parametrize(("count", "kind"), [("given", "count"), ("ignored", "chain")])
def test_the_count_of_a_server_that_gives_one_is_the_evidence(count: str, kind: str) -> None:
    """X-Total-Count is met by as many rows; without it pages are seen to join."""
    vendor = PlainVendor("sailpoint", executions=700, days=20, workflows=1, switches={"count": count})
    seen = Seen()
    listing = UnsortedListing(
        Pages(
            FallbackSender(vendor),
            vendor.system,
            vendor.values,
            filters={"workflow": vendor.world.workflow_ids[0]},
        ),
        lengths=seen.lengths,
        order=seen.order,
    )
    (piece,) = listing.pieces(WINDOW)
    assert piece.completeness.evidence == (kind or "none")
    assert piece.total == (len(piece.rows) if count == "given" else None)
    assert {row["id"] for row in piece.rows} == vendor.shown(WINDOW, 0)


def test_an_empty_list_is_believed_at_the_second_look() -> None:
    """A first page that came empty once is no empty list."""
    vendor = PlainVendor("sailpoint", executions=100, days=20, workflows=1)
    answered = vendor.send

    def first_is_empty(request: Request) -> Answer:
        is_first, answer = not vendor.requests, answered(request)
        return replace(answer, data=[]) if is_first else answer

    vendor.send = first_is_empty  # type: ignore[method-assign]
    assert set(_read(vendor, Seen(), 0)) == vendor.shown(WINDOW, 0)


def test_a_single_row_is_all_only_after_two_empty_pages() -> None:
    """A first page cut to one row, and one empty page behind it, are no whole list."""
    vendor = PlainVendor("sailpoint", executions=60, days=20, workflows=1)
    answered = vendor.send
    shown = iter([1, 0])

    def first_are_cut(request: Request) -> Answer:
        answer = answered(request)
        return replace(answer, data=answer.data[: next(shown, None)])

    vendor.send = first_are_cut  # type: ignore[method-assign]
    assert set(_read(vendor, Seen(), 0)) == vendor.shown(WINDOW, 0)


def test_nothing_twice_is_evidence_by_repetition() -> None:
    """A list without a count that came empty twice is complete by two equal answers, not by pages that join."""
    vendor = PlainVendor("sailpoint", executions=10, days=20, workflows=1)
    (piece,) = _listing(vendor).pieces(Window(WINDOW.start - timedelta(days=30), WINDOW.start))
    assert (piece.completeness, len(piece.rows), vendor.requests) == (REPEAT, 0, 2)


def test_a_window_that_was_cut_may_not_come_empty() -> None:
    """Rows that a window showed before it was cut into smaller ones are missing where those come empty."""
    vendor = PlainVendor("sailpoint", executions=1_000, days=20, workflows=1, switches={"order": "random"})
    answered = vendor.send
    asked = set[str]()

    def other_windows_are_empty(request: Request) -> Answer:
        asked.add(dict(request.params)["filters"])
        answer = answered(request)
        return replace(answer, data=[]) if len(asked) > 1 else answer

    vendor.send = other_windows_are_empty  # type: ignore[method-assign]
    pieces = list(_listing(vendor).pieces(WINDOW))
    assert [len(piece.rows) for piece in pieces] == [0, 0]
    assert not any(piece.is_verified for piece in pieces)


def test_a_refused_first_page_is_no_refused_depth() -> None:
    """A request refused at the second look at the list's beginning ends the listing: no smaller window helps."""
    vendor = PlainVendor("sailpoint", executions=100, days=20, workflows=1)
    answered = vendor.send

    def second_is_refused(request: Request) -> Answer:
        if vendor.requests:
            raise Rejected("HTTP 400", status=400)
        return replace(answered(request), data=[])

    vendor.send = second_is_refused  # type: ignore[method-assign]
    with pytest.raises(Rejected):
        list(_listing(vendor).pieces(WINDOW))


@pytest.mark.parametrize(
    ("window", "kind"),
    [(WINDOW, "chain"), (Window(WINDOW.start - timedelta(days=30), WINDOW.start), "repeat")],
)
def test_a_comparison_has_the_evidence_of_what_was_read_for_it(window: Window, kind: str) -> None:
    """A window that is compared later is stored with the evidence of its pieces."""
    vendor = PlainVendor("sailpoint", executions=300, days=20, workflows=1)
    comparison = _listing(vendor).compare(window, Starts({}))
    assert ComparedWindow(comparison, window).completeness == Completeness(kind)
