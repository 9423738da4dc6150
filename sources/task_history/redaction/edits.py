"""Replacements in a text as data: applied, put one after the other, and carried back to an earlier form of the text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MARK = "[redacted]"


class Edit(NamedTuple):
    """``new`` in place of what stands from ``begin`` to ``end``."""

    begin: int
    end: int
    new: str = MARK


Span = tuple[int, int]


def applied(text: str, edits: Sequence[Edit]) -> str:
    """The text with its replacements, which are in order and do not overlap."""
    if not edits:
        return text
    parts = []
    done = 0
    for edit in edits:
        parts += [text[done : edit.begin], edit.new]
        done = edit.end
    return "".join(parts) + text[done:]


class Origin:
    """Where what stands in the text after ``edits`` stood before them."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits
        self._begins: list[int] = []
        shift = 0
        for edit in edits:
            self._begins.append(edit.begin + shift)
            shift += len(edit.new) - (edit.end - edit.begin)

    def span(self, begin: int, end: int) -> Span:
        """The span from which it came; a replacement that it touches is in it whole."""
        return self._place(begin)[0], self._place(end - 1)[1]

    def around(self, begin: int, end: int) -> tuple[str, str]:
        """What a replacement that the span touches holds before it, and after it."""
        return self._replacement(begin)[0], self._replacement(end - 1)[1]

    def _place(self, at: int) -> Span:
        index = bisect_right(self._begins, at) - 1
        if index < 0:
            return at, at + 1
        edit, begin = self._edits[index], self._begins[index]
        if at < begin + len(edit.new):
            return edit.begin, edit.end
        place = at - begin - len(edit.new) + edit.end
        return place, place + 1

    def _replacement(self, at: int) -> tuple[str, str]:
        index = bisect_right(self._begins, at) - 1
        if index < 0:
            return "", ""
        new, offset = self._edits[index].new, at - self._begins[index]
        return (new[:offset], new[offset + 1 :]) if offset < len(new) else ("", "")


def joined(first: Sequence[Edit], second: Sequence[Edit]) -> list[Edit]:
    """One list of replacements that does what ``first`` does, and then ``second`` in the text after it."""
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
    """The replacements in order, those that overlap as one."""
    result: list[Edit] = []
    for edit in edits:
        if result and edit.begin < result[-1].end:
            result[-1] = Edit(result[-1].begin, max(edit.end, result[-1].end))
        else:
            result.append(edit)
    return result


def _merged(edits: list[Edit], first_later: int) -> list[Edit]:
    """Both lists as one in order; an earlier replacement within a later one is left out."""
    ends = [edit.end for edit in edits[first_later:]]
    begins = [edit.begin for edit in edits[first_later:]]
    result = edits[first_later:]
    for edit in edits[:first_later]:
        index = bisect_right(begins, edit.begin) - 1
        if index < 0 or ends[index] < edit.end or (edit.begin == edit.end == ends[index]):
            result.append(edit)
    return sorted(result)
