"""What is evidence that all rows of a window were read: pure rules.

When a day counts as verified is another question, which ``warehouse.verified_days`` answers. ``PageLengths`` keeps how
long earlier pages were; it asks for nothing itself.

A window is verified on one of three kinds of evidence, and otherwise not:

``count``   As many distinct ids came as the vendor counts, by the same count on the first page and on the last, and no
            position was left out: ``by_count``; for one page ``is_all``. The beginning of a sorted, counted list, up to
            an instant, is counted as well where each of its positions was shown, under one count, and they hold as many
            distinct ids as there are positions.
``chain``   Where the vendor does not count: each page begins with the last rows of the one before, the same rows in the
            same sequence (``joins``), and the end was shown. A sorted list ends where a further request returns only the
            rows of the overlap (``is_end``); that an earlier page called itself the last one is not enough. A
            list in an undocumented order ends so too, and by the vendor's own word on a page that joins, or by a page
            shorter than one that this listing was seen to give (``PageLengths``). A second reading is needed until a few
            rows were seen to keep their sequence (``seen_order``). Where rows were inserted before those that were
            read, as many have to be found on the list's first pages (``inserted_rows``).
            Where a count came after all, the rows have to meet it: ``by_chain``.
``repeat``  Two whole readings in a row gave the same rows: those of one instant, that swap positions
            (``repeated_readings``); none at all, where nothing is counted (``of_nothing``); those of a list that is not
            sorted by start, whose order was seen to change or is not known yet, or whose count fell, where none moved so
            far that two pages may have passed over it (``overlapping_pages``).

A list of one row is the only one that ends with empty pages: two of them behind the row (``is_only_row``), by ``chain``.

Never evidence: an empty page behind rows; a page as long as the longest that was seen; a size at which some other list
ended; a count that was seen and then dropped; one empty answer without a second look. A count that was seen is not
forgotten: where the rows differ from it, the window is unverified. What is unverified is loaded all the same, with its
reason, and compared again by later runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from ..core.models import Page
from ..systems.protocol import MIN_PAGE_SIZE
from ..warehouse.verified_days import Completeness

COUNT, CHAIN, REPEAT = Completeness("count"), Completeness("chain"), Completeness("repeat")


def unverified(reason: str) -> Completeness:
    """No evidence that the rows are complete, for this reason."""
    return Completeness("none", (reason,))


def count_of(page: Page, offset: int = 0) -> int | None:
    """The vendor's count of a list, on the page at ``offset``; None where the page gives none.

    A count that ends with the page, on a page that says that more follows, is none of the list.
    """
    is_of_page = page.more is True and page.total is not None and page.total <= offset + page.size
    return None if is_of_page else page.total


def is_all(page: Page, distinct: int) -> bool:
    """Whether this first page, with so many distinct rows, holds all rows that the vendor counts."""
    return count_of(page) == page.size == distinct


def by_count(totals: Iterable[int | None], distinct: int, *, gap: int | None = None) -> Completeness:
    """The evidence of so many distinct rows; ``totals`` are the counts on the pages that showed them.

    ``gap`` is the first position that no page showed.
    """
    counts = set(totals)
    stated = sorted(count for count in counts if count is not None)
    if not stated:
        return unverified("the vendor gives no count")
    if len(stated) > 1:
        return unverified(f"the vendor's count was {stated[0]:,} and {stated[-1]:,} while it was read")
    if None in counts:
        return unverified(f"the vendor counts {stated[0]:,} on one page and not on another")
    if gap is not None:
        return unverified(f"the vendor counts {stated[0]:,} and shows nothing at position {gap:,}")
    return COUNT if distinct == stated[0] else other_than_counted(stated[0], distinct)


def by_chain(totals: Iterable[int | None], distinct: int) -> Completeness:
    """The evidence of so many distinct rows of pages that joined up to the end; ``totals`` are the counts on them."""
    stated = sorted({count for count in totals if count is not None})
    if len(stated) > 1:
        return by_count(stated, distinct)
    return CHAIN if not stated or stated[0] == distinct else other_than_counted(stated[0], distinct)


def of_nothing(page: Page, *, expected: int = 0) -> Completeness:
    """The evidence of a window of which two requests in a row showed no row; ``page`` is the second answer.

    ``expected`` is how many rows an earlier answer announced or showed there.
    """
    count = page.total or 0
    if count or page.more:
        return other_than_counted(count, 0) if count else unverified("more rows are announced and none shown")
    if expected:
        return unverified(f"{expected:,} more rows were announced and none shown")
    return REPEAT if page.total is None else COUNT


def other_than_counted(count: int, distinct: int) -> Completeness:
    """The rows are not as many as the vendor counts."""
    return unverified(f"the vendor counts {count:,} and gives {distinct:,}")


def joins(before: Sequence[str], page: Sequence[str]) -> int:
    """How many rows a page repeats of the page before it; 0 where the two do not join.

    Both are given as ids in order. They join where the page begins with the last rows of the one before, the same rows
    in the same sequence, and shows no other of its rows.
    """
    if not page or page[0] not in before:
        return 0
    tail = list(before[before.index(page[0]) :])
    is_same = list(page[: len(tail)]) == tail and set(before).isdisjoint(page[len(tail) :])
    return len(tail) if is_same else 0


def is_end(page: Page, *, repeated: int, is_new: bool) -> bool:
    """Whether a page behind rows shows the end of a sorted list: it holds only rows that it was to repeat.

    ``repeated`` is how many those are, ``is_new`` whether it shows a row that the pages before it did not.
    """
    return 0 < page.size <= repeated and not is_new


def is_only_row(first: Page, behind: Iterable[Page]) -> bool:
    """Whether a list of which the first page shows one row has no other: no page can repeat that row and go on.

    The vendor must not announce more, and each page ``behind`` the row must be empty: two requests have to be given
    by the caller. They are drawn one by one, and none where the first page says enough.
    """
    return first.size == 1 and first.more is not True and all(not page.size for page in behind)


class PageLengths:
    """How long the pages of a listing were seen to be; shared by all lists of one run.

    A vendor may cap its pages below what it is asked for. So a page is short only where a longer one was seen.
    """

    def __init__(self) -> None:
        self._longest = 0
        self._has_looked = False
        self._is_count_of_list: bool | None = None
        self._looking = threading.Lock()
        self._lock = threading.Lock()

    def note(self, rows: int) -> bool:
        """Takes the length of a page; whether a longer one was seen."""
        with self._lock:
            self._longest = max(self._longest, rows)
            return rows < self._longest

    def is_short(self, rows: int) -> bool:
        """Whether a longer page than one of so many rows was seen."""
        with self._lock:
            return rows < self._longest

    def counts_list(self, total: int, rows: int, look: Callable[[], int | None]) -> bool:
        """Whether the vendor's count on a page with so many rows is that of the list, and not of the page.

        Where both are as many, and no page showed it yet, ``look`` is called once: it gives the count on the
        page of the last row.
        """
        if total > rows:
            self._is_count_of_list = True
        if total != rows or rows < MIN_PAGE_SIZE:
            return True
        with self._looking:
            if self._is_count_of_list is None:
                self._is_count_of_list = look() == total
            return self._is_count_of_list

    def may_look(self) -> bool:
        """Whether a page may be asked for only to see how long pages are; true once."""
        with self._lock:
            may_look, self._has_looked = not self._has_looked, True
            return may_look
