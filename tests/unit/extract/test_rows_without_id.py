"""Rows of a listing without a usable id: their positions, their time, and when a page of them is an unexpected answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from task_history import systems
from task_history.core.errors import UnexpectedResponse
from task_history.core.models import Page, RejectedRow, Window
from task_history.extract.rows_without_id import Rejections

AT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = Window(AT, AT + timedelta(days=1))


def _row(number: int) -> dict[str, Any]:
    return {"id": str(number), "dateStarted": (AT + timedelta(hours=number)).isoformat()}


def _page(numbers: list[int], rejected: dict[int, Any]) -> Page:
    return Page(
        [_row(number) for number in numbers],
        None,
        None,
        rejected=tuple(RejectedRow(position, value, "it has no id") for position, value in rejected.items()),
    )


def test_a_page_takes_the_positions_of_all_its_rows() -> None:
    """Offsets count rejected rows too: each row keeps the position that the vendor gave it."""
    page = _page([1, 2, 3], {1: None, 4: "x"})
    assert (page.size, list(page.positions)) == (5, [0, 2, 3])
    assert list(_page([1, 2], {}).positions) == [0, 1]


@pytest.mark.parametrize(
    ("page", "hour"),
    [
        (_page([1, 2], {0: {"dateStarted": (AT + timedelta(hours=7)).isoformat()}}), 7),
        (_page([1, 2], {1: None}), 1),
        (_page([3, 4], {0: "x"}), 3),
    ],
    ids=["its_own_start", "the_row_before_it", "the_first_row"],
)
def test_a_rejected_row_belongs_to_a_time(page: Page, hour: int) -> None:
    """Its own start where it says one, or that of the row beside it."""
    rejections = Rejections(systems.find("paragon"))
    rejections.note(page, DAY, 100)
    [rejection] = rejections.take()
    assert rejection.near == AT + timedelta(hours=hour)
    assert (rejection.window, rejection.offset) == (DAY, 100 + page.rejected[0].position)


def test_each_row_is_noted_once_and_taken_once() -> None:
    """A page that is read again notes the same rows; two equal rows on one page are two."""
    rejections = Rejections(systems.find("paragon"))
    for _ in range(2):
        rejections.note(_page([1, 5], {1: None, 2: None}), DAY, 0)
    early = Window(AT, AT + timedelta(hours=1))
    assert rejections.take(lambda one: one.is_in(early)) == []
    assert len(rejections.take(lambda one: one.is_in(DAY))) == 2
    assert rejections.take() == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["edge_last", "edge_first"])
def test_a_row_at_the_edge_of_a_page_is_one(order: tuple[int, int]) -> None:
    """A row that does not say when it began is the same where another page begins with it."""
    pages = [(_page([1, 2], {1: None}), 0), (_page([2, 3], {0: None}), 1)]
    rejections, taken = Rejections(systems.find("paragon")), []
    for position in order:
        rejections.note(pages[position][0], DAY, pages[position][1])
        taken += rejections.take()
    assert len({(one.near, one.alike) for one in taken}) == 1


def test_a_page_without_any_other_row_is_unexpected() -> None:
    """Where a listing never showed a row with an id, or where a whole page has none, the vendor changed its answers."""
    few, many = _page([], {0: None}), _page([], dict.fromkeys(range(10)))
    rejections = Rejections(systems.find("paragon"))
    with pytest.raises(UnexpectedResponse, match="none of 1 rows"):
        rejections.note(few, DAY, 0)
    rejections.note(_page([1], {}), DAY, 0)
    rejections.note(few, DAY, 1)
    assert len(rejections.take()) == 1
    with pytest.raises(UnexpectedResponse, match="none of 10 rows"):
        rejections.note(many, DAY, 1)
