"""What makes a window's rows believed complete."""

from __future__ import annotations

import pytest

from task_history.core.models import Page
from task_history.extract.evidence import CHAIN, COUNT, PageLengths, is_all, is_last, unverified

LOST = unverified("rows moved")


def _page(size: int, total: int | None = None, more: bool | None = None) -> Page:
    return Page([{"id": str(at)} for at in range(size)], total, more)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(COUNT, COUNT, COUNT), (CHAIN, COUNT, CHAIN), (COUNT, LOST, LOST), (LOST, CHAIN, LOST)],
    ids=["counted", "chained_in_part", "second_is_not", "first_is_not"],
)
def test_two_windows_are_believed_as_far_as_both_are(first: object, second: object, both: object) -> None:
    """Joined windows have the weaker of two kinds of evidence, and the reason of the one that has none."""
    assert first & second == both  # type: ignore[operator]  # parameters of a test


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (_page(3, total=3), True),
        (_page(3, total=7), False),
        (_page(3, total=3, more=True), False),
        (_page(3), False),
        (_page(3, more=False), True),
        (_page(5, more=False), False),
        (_page(0), True),
    ],
    ids=[
        "counted",
        "counts_more",
        "says_more",
        "short_and_silent",
        "short_and_last",
        "full_and_last",
        "empty",
    ],
)
def test_a_first_page_is_all_only_on_evidence(page: Page, expected: bool) -> None:
    """A count that it meets, or a short page that says that it is the last; never a short page that says nothing."""
    assert is_all(page, 5) is expected


def test_a_page_is_the_last_by_its_position_or_its_own_word() -> None:
    """The last position that is counted, or a short page that says so; a full page that says nothing is not."""
    assert is_last(_page(2, total=12), 12, 5)
    assert not is_last(_page(5, total=12), 10, 5)
    assert not is_last(_page(5), 10, 5)
    assert is_last(_page(2, more=False), 12, 5)


def test_a_short_page_ends_a_list_only_where_longer_ones_were_seen() -> None:
    """A vendor may cap its pages below what is asked for: then each page is as short as the first."""
    lengths = PageLengths(250)
    assert not lengths.is_end(_page(50))
    assert not lengths.is_end(_page(50))
    assert lengths.is_end(_page(49))
