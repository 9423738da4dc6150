"""How texts are cut: JSON to a maximum size, prose to a number of characters, huge texts before they are searched.

What was cut says so: texts in JSON by a note of how much (``…[cut 12345 characters]``), prose by an ellipsis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .json_writing import exact_json, json_bytes, unused_name
from .models import Json

_MIN_SEARCHED_CHARS = 1 << 20
_SEARCHED_FACTOR = 4
"""How many times more than can be stored is searched for secrets: without secrets a text is shorter."""
_UNSAFE_END_CHARS = 4_096
"""The end of what was searched, which is not stored: it may hold the first half of a secret."""
_WORD_ENDS = " \n\t\r,;:=|&\"'<>()[]{}"


@dataclass(frozen=True, slots=True)
class PayloadText:
    """JSON text within a maximum size; ``bytes`` is its size in UTF-8 before it was cut."""

    text: str
    bytes: int
    cut: bool


def shortened(text: str, max_chars: int) -> str:
    """The text, if it is longer cut to ``max_chars`` characters with an ellipsis as the last of them."""
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def cut_prose(text: str, max_chars: int, *, has_more: bool = False) -> str:
    """The first ``max_chars`` characters of a text, then an ellipsis where it ``has_more``."""
    return text[:max_chars] + "…" if has_more or len(text) > max_chars else text


def cut_note(characters: int) -> str:
    """The end of a text of which so many characters were cut."""
    return f"…[cut {characters} characters]"


def to_text(value: Json, max_bytes: int, *, cut_before: Mapping[str, int] | None = None) -> PayloadText:
    """The value as exact JSON text of at most ``max_bytes`` bytes.

    A longer one is cut and stays valid JSON: the longest strings, lists and objects are shortened,
    and each says by how much (``…[cut 12345 characters]``, ``[cut 40 items]``). ``cut_before`` are the notes of
    texts that were cut already, with their numbers of characters, which are added.
    """
    if max_bytes < 2:
        raise ValueError(f"max_bytes is {max_bytes}; the shortest JSON text takes 2 bytes.")
    text = exact_json(value)
    size = len(text.encode())
    if size <= max_bytes:
        return PayloadText(text, size, False)
    try:
        return PayloadText(exact_json(_Cut(value, cut_before or {}).fit(value, max_bytes)), size, True)
    except RecursionError:
        return PayloadText(exact_json(_whole_cut(size, max_bytes)), size, True)


def _whole_cut(size: int, max_bytes: int) -> str:
    return next(mark for mark in (f"[cut {size} bytes]", "[cut]", "") if len(mark) + 2 <= max_bytes)


class _Cut:
    """Shortens one value to a maximum size, by the sizes of all its parts."""

    FLOOR = 48
    """Minimum size of a part in bytes: enough for the note about what was cut."""

    def __init__(self, value: Json, cut_before: Mapping[str, int]) -> None:
        self._sizes: dict[int, int] = {}
        self._cut_before = cut_before
        self._size(value)

    def _size(self, value: Json) -> int:
        cached = self._sizes.get(id(value)) if isinstance(value, dict | list) else None
        if cached is not None:
            return cached
        if isinstance(value, dict):
            size = (
                1
                + sum(json_bytes(name) + self._size(inner) + 2 for name, inner in value.items())
                + (not value)
            )
        elif isinstance(value, list):
            size = 1 + sum(self._size(inner) + 1 for inner in value) + (not value)
        else:
            return json_bytes(value)
        self._sizes[id(value)] = size
        return size

    def fit(self, value: Json, max_bytes: int) -> Json:
        """The value in at most ``max_bytes`` bytes."""
        if self._size(value) <= max_bytes:
            return value
        if isinstance(value, str):
            return self._cut_string(value, max_bytes)
        if isinstance(value, list):
            cut: Json = self._cut_list(value, max_bytes)
        elif isinstance(value, dict):
            cut = self._cut_object(value, max_bytes)
        else:
            cut = "[cut number]"
        if json_bytes(cut) <= max_bytes:
            return cut
        return _whole_cut(self._size(value), max_bytes)

    def _cut_string(self, text: str, max_bytes: int) -> str:
        before = 0
        for note, characters in self._cut_before.items():
            if text.endswith(note):
                text, before = text.removesuffix(note), characters
        low, high = 0, min(len(text), max_bytes)
        best = ""
        while low <= high:
            middle = (low + high) // 2
            cut = text[:middle] + cut_note(len(text) - middle + before)
            if json_bytes(cut) <= max_bytes:
                best, low = cut, middle + 1
            else:
                high = middle - 1
        return best or ("…" if max_bytes >= 5 else "")

    def _cut_list(self, value: list[Json], max_bytes: int) -> list[Json]:
        sizes = [self._size(inner) for inner in value]
        kept, level = _share(sizes, [1] * len(sizes), max_bytes - 2, self.FLOOR)
        new = [self.fit(value[index], level) for index in kept]
        return new if len(kept) == len(value) else [*new, f"[cut {len(value) - len(kept)} items]"]

    def _cut_object(self, value: dict[str, Json], max_bytes: int) -> dict[str, Json]:
        names = list(value)
        sizes = [self._size(inner) for inner in value.values()]
        kept, level = _share(sizes, [json_bytes(name) + 2 for name in names], max_bytes - 2, self.FLOOR)
        new = {names[index]: self.fit(value[names[index]], level) for index in kept}
        if len(kept) < len(names):
            new[unused_name("[cut]", new)] = f"[cut {len(names) - len(kept)} keys]"
        return new


def _share(sizes: list[int], extra: list[int], max_bytes: int, floor: int) -> tuple[list[int], int]:
    """The indexes of the kept parts, and the maximum size of each: small parts stay whole, large ones share alike."""
    kept = list(range(len(sizes)))
    if sum(extra) + sum(min(size, floor) for size in sizes) > max_bytes:
        max_bytes -= floor
        kept, used = [], 0
        for index, size in enumerate(sizes):
            need = extra[index] + min(size, floor)
            if used + need <= max_bytes:
                kept.append(index)
                used += need
    room_left = max_bytes - sum(extra[index] for index in kept)
    ordered = sorted(sizes[index] for index in kept)
    for index, size in enumerate(ordered):
        if size * (len(ordered) - index) > room_left:
            return kept, max(floor, room_left // (len(ordered) - index))
        room_left -= size
    return kept, max(ordered, default=floor)


class LongTexts:
    """The texts of one value that are longer than what is searched, of which ``max_stored`` characters can be stored."""

    def __init__(self, max_stored: int) -> None:
        self._max_chars = max(_MIN_SEARCHED_CHARS, _SEARCHED_FACTOR * max_stored)
        self.notes: dict[str, int] = {}
        """The notes at the ends of texts that were cut, with the number of characters that each states."""
        self.cut_bytes = 0
        """Bytes of what was cut."""

    def cut(self, value: Json) -> Json:
        """The value with each long text cut; the same object where there is none."""
        if not _may_have_longer_text(value, self._max_chars):
            return value
        try:
            return with_texts(value, self.cut_text)
        except RecursionError:
            return value

    def cut_text(self, text: str) -> str:
        """The text, if it is long with its end cut and a note there."""
        end = self._max_chars
        if len(text) <= end:
            return text
        word = max(text.rfind(sign, 0, end) for sign in _WORD_ENDS) + 1
        # Half a pair of hexadecimal digits, or a part of four characters of base64, would hide what is encoded.
        end -= (end - word) % 4
        cut = len(text) - end + _UNSAFE_END_CHARS
        note = cut_note(cut)
        self.notes[note] = cut
        unstored = text[end - _UNSAFE_END_CHARS :]
        self.cut_bytes += len(unstored.encode(errors="replace")) - len(note.encode())
        return text[:end] + note

    def without_unsafe_end(self, text: str) -> str:
        """The redacted text, if it was cut without the last characters before its note."""
        note = next((note for note in self.notes if text.endswith(note)), None)
        return text if note is None else text.removesuffix(note)[:-_UNSAFE_END_CHARS] + note


def with_texts(value: Json, change: Callable[[str], str]) -> Json:
    """The value with each of its texts changed, names of fields apart."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: with_texts(inner, change) for name, inner in value.items()}
    return [with_texts(inner, change) for inner in value] if isinstance(value, list) else value


def _may_have_longer_text(value: Json, max_chars: int) -> bool:
    """Whether the texts of the value have together more characters; ends as soon as that is known."""
    seen, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            seen += len(item)
            if seen > max_chars:
                return True
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
