"""Edits of a text as data, each a replacement: apply them, compose them, and map positions back to the original text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..core.redaction_mark import MARK


class Edit(NamedTuple):
    """Replaces the characters from ``begin`` to ``end`` by ``new``."""

    begin: int
    end: int
    new: str = MARK


Span = tuple[int, int]


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Applies replacements, which must be in order and must not overlap."""
    if not edits:
        return text
    parts = []
    done = 0
    for edit in edits:
        parts += [text[done : edit.begin], edit.new]
        done = edit.end
    return "".join(parts) + text[done:]


class Origin:
    """Maps spans of the text after ``edits`` to spans of the text before them."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits
        self._begins: list[int] = []
        shift = 0
        for edit in edits:
            self._begins.append(edit.begin + shift)
            shift += len(edit.new) - (edit.end - edit.begin)

    def span(self, begin: int, end: int) -> Span:
        """The original span, which includes every replacement that it touches."""
        return self._place(begin)[0], self._place(end - 1)[1]

    def around(self, begin: int, end: int) -> tuple[str, str]:
        """The text before and after the span in the replacements that it touches."""
        return self._replacement(begin)[0], self._replacement(end - 1)[1]

    def _place(self, position: int) -> Span:
        index = bisect_right(self._begins, position) - 1
        if index < 0:
            return position, position + 1
        edit, begin = self._edits[index], self._begins[index]
        if position < begin + len(edit.new):
            return edit.begin, edit.end
        place = position - begin - len(edit.new) + edit.end
        return place, place + 1

    def _replacement(self, position: int) -> tuple[str, str]:
        index = bisect_right(self._begins, position) - 1
        if index < 0:
            return "", ""
        new, offset = self._edits[index].new, position - self._begins[index]
        return (new[:offset], new[offset + 1 :]) if offset < len(new) else ("", "")


def joined(first: Sequence[Edit], second: Sequence[Edit]) -> list[Edit]:
    """Composes two lists of replacements: ``first``, then ``second`` on its result."""
    if not first or not second:
        return list(first or second)
    origin = Origin(first)
    later: list[Edit] = []
    for edit in second:
        begin, end = origin.span(edit.begin, edit.end)
        before, after = origin.around(edit.begin, edit.end)
        later.append(Edit(begin, end, before + edit.new + after))
    return _merged([*first, *without_overlaps(later)], len(first))


def without_overlaps(edits: Iterable[Edit]) -> list[Edit]:
    """The replacements in order, with overlapping ones joined."""
    result: list[Edit] = []
    for edit in edits:
        if result and edit.begin < result[-1].end:
            result[-1] = Edit(result[-1].begin, max(edit.end, result[-1].end))
        else:
            result.append(edit)
    return result


def _merged(edits: list[Edit], first_later: int) -> list[Edit]:
    """Merges both lists in order, without earlier replacements that lie within a later one."""
    ends = [edit.end for edit in edits[first_later:]]
    begins = [edit.begin for edit in edits[first_later:]]
    result = edits[first_later:]
    for edit in edits[:first_later]:
        index = bisect_right(begins, edit.begin) - 1
        if index < 0 or ends[index] < edit.end or (edit.begin == edit.end == ends[index]):
            result.append(edit)
    return sorted(result)
