"""When the rows read from a window count as complete, and on which evidence. Pure.

``count``: as many distinct ids came as the vendor counts, by the same count on every page, and every position was read.
``chain``: where the vendor does not count, each page began with rows of the one before, and the end was shown.
Unverified windows are still loaded, marked, and compared again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from ..core.models import Page

_MIN_VENDOR_PAGE_SIZE = 10
"""No vendor caps its pages below."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What makes a window's rows believed complete."""

    kind: Literal["count", "chain", ""]
    """Empty where nothing does."""
    reason: str = ""
    """Why nothing does."""

    @property
    def is_verified(self) -> bool:
        """Whether the rows are believed complete."""
        return bool(self.kind)

    def __and__(self, other: Evidence) -> Evidence:
        """What makes two windows that touch believed complete together."""
        if not self.is_verified or self.kind == other.kind:
            return self
        return other if not other.is_verified else CHAIN


COUNT, CHAIN = Evidence("count"), Evidence("chain")


def unverified(reason: str) -> Evidence:
    """Nothing makes the rows believed complete."""
    return Evidence("", reason)


def evidence_for_total(total: int | None) -> Evidence:
    """The evidence of rows that were seen to be all: the vendor's count for them, where it gives one."""
    return CHAIN if total is None else COUNT


def is_all(page: Page, page_size: int) -> bool:
    """Whether this first page holds all that there is.

    A page that says that more follows is believed, and so is a short one that says that it is the last,
    also against their count; a short one that says nothing is not.
    """
    if page.more is True and page.size:
        return False
    if page.total is not None:
        return page.total <= page.size or (0 < page.size < page_size and page.more is False)
    return not page.size or (page.size < page_size and page.more is False)


def is_last(page: Page, end: int, page_size: int) -> bool:
    """Whether nothing follows this page of a sorted listing, which ends at that position."""
    if not page.size:
        return True
    if page.more is not True and page.total is not None and end >= page.total:
        return True
    return page.size < page_size and page.more is False


def contradicts(page: Page) -> bool:
    """Whether this first page says that more follows and counts no more than it holds: its count is none."""
    return page.more is True and page.total is not None and 0 < page.size >= page.total


class PageLengths:
    """How long the vendor's pages are, as far as they were seen; shared by all lists of one run.

    A short page is the end only where longer ones were seen, since a vendor may cap its pages below what it documents.
    """

    def __init__(self, page_size: int) -> None:
        self._page_size = page_size
        self._longest = 0
        self._ends: set[int] = set()
        self._lock = threading.Lock()

    def is_end(self, page: Page) -> bool:
        """Whether certainly nothing follows the page."""
        with self._lock:
            size = page.size
            is_shorter = size < self._longest or size < _MIN_VENDOR_PAGE_SIZE or size in self._ends
            self._longest = max(self._longest, size)
            if not size or page.more is not None:
                return not size or not page.more
            return size < self._page_size and is_shorter

    def ended_with(self, size: int) -> None:
        """Nothing followed a page of that size."""
        with self._lock:
            self._ends.add(size)
