"""What makes a window's rows believed complete: the rules of ``extract.evidence``, one by one."""

from __future__ import annotations

import pytest

from task_history.core.models import Page
from task_history.extract.evidence import (
    CHAIN,
    COUNT,
    REPEAT,
    PageLengths,
    by_chain,
    by_count,
    count_of,
    is_all,
    is_end,
    is_only_row,
    joins,
    of_nothing,
    unverified,
)
from task_history.warehouse.verified_days import Completeness

LOST = unverified("rows moved")


def _page(size: int, total: int | None = None, more: bool | None = None) -> Page:
    return Page([{"id": str(at)} for at in range(size)], total, more)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (COUNT, COUNT, COUNT),
        (CHAIN, COUNT, CHAIN),
        (CHAIN, REPEAT, REPEAT),
        (COUNT, LOST, LOST),
        (LOST, CHAIN, LOST),
        (LOST, unverified("the order changes"), Completeness("none", ("rows moved", "the order changes"))),
        (LOST, LOST, LOST),
    ],
    ids=[
        "counted",
        "chained_in_part",
        "repeated_in_part",
        "second_is_not",
        "first_is_not",
        "none_is",
        "none_is_for_the_same_reason",
    ],
)
def test_two_windows_are_believed_as_far_as_both_are(
    first: Completeness, second: Completeness, both: Completeness
) -> None:
    """Joined windows have the weaker of two kinds of evidence, and the reason of the one that has none."""
    assert first & second == both


@pytest.mark.parametrize(
    ("page", "distinct", "expected"),
    [
        (_page(3, total=3), 3, True),
        (_page(0, total=0), 0, True),
        (_page(3, total=3, more=False), 3, True),
        (_page(3, total=7, more=False), 3, False),
        (_page(3, total=2), 3, False),
        (_page(3, total=3), 2, False),
        (_page(3, total=3, more=True), 3, False),
        (_page(3, more=False), 3, False),
        (_page(0), 0, False),
    ],
    ids=[
        "counted",
        "none_counted",
        "counted_and_said",
        "counts_more_and_says_that_it_is_the_last",
        "counts_less",
        "one_twice",
        "says_more",
        "short_and_last_by_its_own_word",
        "empty",
    ],
)
def test_a_first_page_is_all_only_by_its_count(page: Page, distinct: int, expected: bool) -> None:
    """Its rows are as many as the vendor counts, each once, and it does not say that more follows."""
    assert is_all(page, distinct) is expected


def test_a_count_of_the_page_is_no_count_of_the_list() -> None:
    """A page that says that more follows counts more rows than it holds, or nothing but itself."""
    assert count_of(_page(3, total=3, more=True)) is None
    assert count_of(_page(3, total=9, more=True)) == 9
    assert count_of(_page(3, total=3)) == 3


@pytest.mark.parametrize(
    ("totals", "distinct", "gap", "reason"),
    [
        ([7, 7, 7], 7, None, ""),
        ([7, 7], 6, None, "the vendor counts 7 and gives 6"),
        ([7, 7], 8, None, "the vendor counts 7 and gives 8"),
        ([7, 8], 8, None, "the vendor's count was 7 and 8 while it was read"),
        ([7, None], 7, None, "the vendor counts 7 on one page and not on another"),
        ([1_000, 1_000], 100, 100, "the vendor counts 1,000 and shows nothing at position 100"),
        ([None], 7, None, "the vendor gives no count"),
    ],
    ids=["met", "fewer", "more", "moved", "dropped", "left_out", "none"],
)
def test_a_count_is_evidence_where_all_pages_give_it_and_the_rows_meet_it(
    totals: list[int | None], distinct: int, gap: int | None, reason: str
) -> None:
    """As many distinct rows as are counted, one count on all pages, and no position left out; else the reason."""
    assert by_count(totals, distinct, gap=gap) == (unverified(reason) if reason else COUNT)


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        ([None, None], CHAIN),
        ([7, None], CHAIN),
        ([9, None], unverified("the vendor counts 9 and gives 7")),
        ([9, 7], unverified("the vendor's count was 7 and 9 while it was read")),
    ],
    ids=["no_count", "count_that_is_met", "count_that_is_not", "count_that_moves"],
)
def test_pages_that_join_do_not_make_a_count_forgotten(
    totals: list[int | None], expected: Completeness
) -> None:
    """A count that was seen once has to be met, also where the pages join up to the end."""
    assert by_chain(totals, 7) == expected


@pytest.mark.parametrize(
    ("page", "expected", "evidence"),
    [
        (_page(0, total=0), 0, COUNT),
        (_page(0), 0, REPEAT),
        (_page(0, more=True), 0, unverified("more rows are announced and none shown")),
        (_page(0, total=900), 0, unverified("the vendor counts 900 and gives 0")),
        (_page(0, total=0), 12, unverified("12 more rows were announced and none shown")),
    ],
    ids=["counted", "silent", "says_more", "counts_more", "announced_before"],
)
def test_nothing_is_believed_only_where_nothing_was_announced(
    page: Page, expected: int, evidence: Completeness
) -> None:
    """Two empty answers in a row are evidence unless a count, a link or an earlier answer says that rows are there."""
    assert of_nothing(page, expected=expected) == evidence


@pytest.mark.parametrize(
    ("before", "page", "shared"),
    [
        ("abcd", "de", 1),
        ("abcd", "cde", 2),
        ("abcd", "abcd", 4),
        ("abcd", "dce", 0),
        ("abcd", "ce", 0),
        ("abcd", "ef", 0),
        ("abcd", "", 0),
        ("abcd", "cd", 2),
        ("abcd", "c", 0),
    ],
    ids=[
        "last_row",
        "last_rows",
        "same_page",
        "swapped",
        "one_left_out",
        "goes_on_elsewhere",
        "empty",
        "nothing_new",
        "breaks_off",
    ],
)
def test_pages_join_by_the_same_rows_in_the_same_sequence(before: str, page: str, shared: int) -> None:
    """A page goes on from the one before where it begins with that one's last rows, exactly as they stood there."""
    assert joins(before, page) == shared


def test_the_end_is_a_page_of_nothing_but_repeated_rows() -> None:
    """Never an empty page, a page with something new, or one that holds more than it was to repeat."""
    assert is_end(_page(1), repeated=1, is_new=False)
    assert not is_end(_page(0), repeated=1, is_new=False)
    assert not is_end(_page(1), repeated=1, is_new=True)
    assert not is_end(_page(2), repeated=1, is_new=False)


@pytest.mark.parametrize(
    ("first", "behind", "expected"),
    [
        (_page(1), (0, 0), True),
        (_page(1, more=False), (0, 0), True),
        (_page(1), (0, 1), False),
        (_page(1), (1, 0), False),
        (_page(1, more=True), (0, 0), False),
        (_page(2), (0, 0), False),
    ],
    ids=["nothing_behind", "says_so", "one_behind", "one_behind_at_first", "more_announced", "two_rows"],
)
def test_one_row_is_all_where_two_pages_behind_it_are_empty(
    first: Page, behind: tuple[int, int], expected: bool
) -> None:
    """Only a list of one row ends with empty pages: two of them, and nothing more is announced."""
    assert is_only_row(first, map(_page, behind)) is expected


def test_a_page_is_short_only_where_a_longer_one_was_seen() -> None:
    """A vendor may cap its pages below what is asked for: then each page is as short as the first."""
    lengths = PageLengths()
    assert not lengths.note(50)
    assert not lengths.note(50)
    assert lengths.note(49)
    assert not lengths.note(51)
    assert lengths.note(50)
