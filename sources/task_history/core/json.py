"""Writing values as JSON text: exact, always valid UTF-8, and cut to a maximum size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import orjson
import simplejson

from .models import Json


@dataclass(frozen=True, slots=True)
class PayloadText:
    """JSON text within a maximum size; ``bytes`` is its size in UTF-8 before it was cut."""

    text: str
    bytes: int
    cut: bool


def exact_json(value: Json) -> str:
    """The value as JSON text that parses to the same value and can always be encoded in UTF-8."""
    try:
        return orjson.dumps(value, default=_exact).decode()
    except (TypeError, RecursionError):
        return "".join(_json_parts(value))


def _exact(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    return str(value)


def _json_parts(value: Json) -> Iterator[str]:
    """Writes the values that orjson refuses: any depth, any integer, lone surrogates."""
    pending: list[Iterator[tuple[str, Json]]] = [iter([("", value)])]
    ends = [""]
    while pending:
        before, item = next(pending[-1], (None, None))
        if before is None:
            pending.pop()
            yield ends.pop()
        elif isinstance(item, dict):
            yield before + "{"
            pending.append(
                (f"{',' * (index > 0)}{_json_scalar(str(name))}:", inner)
                for index, (name, inner) in enumerate(item.items())
            )
            ends.append("}")
        elif isinstance(item, list | tuple):
            yield before + "["
            pending.append(("," * (index > 0), inner) for index, inner in enumerate(item))
            ends.append("]")
        else:
            yield before + _json_scalar(item)


MAX_PAYLOAD_BYTES = 65_536
"""The size to which payloads are cut where no setting says otherwise."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def _json_scalar(value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(Decimal(value))  # str() of an int refuses more than 4,300 digits
    try:
        return orjson.dumps(value, default=_exact).decode()
    except TypeError:
        text = simplejson.dumps(str(value), ensure_ascii=False)
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def cut_note(characters: int) -> str:
    """The end of a text of which so many characters were cut."""
    return f"…[cut {characters} characters]"


def to_text(
    value: Json, max_bytes: int = MAX_PAYLOAD_BYTES, *, cut_before: Mapping[str, int] | None = None
) -> PayloadText:
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
                + sum(_text_size(name) + self._size(inner) + 2 for name, inner in value.items())
                + (not value)
            )
        elif isinstance(value, list):
            size = 1 + sum(self._size(inner) + 1 for inner in value) + (not value)
        else:
            return _text_size(value)
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
        if _text_size(cut) <= max_bytes:
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
            if _text_size(cut) <= max_bytes:
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
        kept, level = _share(sizes, [_text_size(name) + 2 for name in names], max_bytes - 2, self.FLOOR)
        new = {names[index]: self.fit(value[names[index]], level) for index in kept}
        if len(kept) < len(names):
            new[unused_name("[cut]", new)] = f"[cut {len(names) - len(kept)} keys]"
        return new


def _text_size(value: Json) -> int:
    try:
        return len(orjson.dumps(value, default=_exact))
    except (TypeError, RecursionError):
        return len(exact_json(value).encode())


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


def unused_name(name: str, names: Iterable[str]) -> str:
    number = 2
    new = name
    while new in names:
        new, number = f"{name}#{number}", number + 1
    return new
