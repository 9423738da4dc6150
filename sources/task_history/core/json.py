"""Values as JSON text: exact, encodable whatever they hold, and of bounded size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import orjson
import simplejson

from .models import Json


@dataclass(frozen=True, slots=True)
class PayloadText:
    """JSON text that fits; ``bytes`` is its size in UTF-8 before it was cut."""

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
    """What the fast writer refuses: any depth, any integer, lone surrogates."""
    todo: list[Iterator[tuple[str, Json]]] = [iter([("", value)])]
    ends = [""]
    while todo:
        before, item = next(todo[-1], (None, None))
        if before is None:
            todo.pop()
            yield ends.pop()
        elif isinstance(item, dict):
            yield before + "{"
            todo.append(
                (f"{',' * (at > 0)}{_json_scalar(str(name))}:", inner)
                for at, (name, inner) in enumerate(item.items())
            )
            ends.append("}")
        elif isinstance(item, list | tuple):
            yield before + "["
            todo.append(("," * (at > 0), inner) for at, inner in enumerate(item))
            ends.append("]")
        else:
            yield before + _json_scalar(item)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _json_scalar(value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(Decimal(value))  # str() of an int refuses more than 4,300 digits
    try:
        return orjson.dumps(value, default=_exact).decode()
    except TypeError:
        text = simplejson.dumps(str(value), ensure_ascii=False)
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def to_text(value: Json, max_bytes: int = 65_536) -> PayloadText:
    """The value as exact JSON text of at most ``max_bytes`` bytes.

    A longer one is cut and stays valid JSON: the longest strings, lists and objects are shortened,
    and each says by how much (``…[cut 12345 characters]``, ``[cut 40 items]``).
    """
    if max_bytes < 2:
        raise ValueError(f"max_bytes is {max_bytes}; the shortest JSON text takes 2 bytes.")
    text = exact_json(value)
    size = len(text.encode())
    if size <= max_bytes:
        return PayloadText(text, size, False)
    try:
        return PayloadText(exact_json(_Cut(value).fit(value, max_bytes)), size, True)
    except RecursionError:
        return PayloadText(exact_json(_whole_cut(size, max_bytes)), size, True)


def _whole_cut(size: int, room: int) -> str:
    return next(mark for mark in (f"[cut {size} bytes]", "[cut]", "") if len(mark) + 2 <= room)


class _Cut:
    """Cuts one value; knows the sizes of all its parts."""

    FLOOR = 48
    """The least room a part is given: enough for any statement of what was cut."""

    def __init__(self, value: Json) -> None:
        self._sizes: dict[int, int] = {}
        self._size(value)

    def _size(self, value: Json) -> int:
        known = self._sizes.get(id(value)) if isinstance(value, dict | list) else None
        if known is not None:
            return known
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

    def fit(self, value: Json, room: int) -> Json:
        """The value in at most ``room`` bytes."""
        if self._size(value) <= room:
            return value
        if isinstance(value, str):
            return _cut_string(value, room)
        if isinstance(value, list):
            cut: Json = self._cut_list(value, room)
        elif isinstance(value, dict):
            cut = self._cut_object(value, room)
        else:
            cut = "[cut number]"
        if _text_size(cut) <= room:
            return cut
        return _whole_cut(self._size(value), room)

    def _cut_list(self, value: list[Json], room: int) -> list[Json]:
        sizes = [self._size(inner) for inner in value]
        kept, level = _share(sizes, [1] * len(sizes), room - 2, self.FLOOR)
        new = [self.fit(value[at], level) for at in kept]
        return new if len(kept) == len(value) else [*new, f"[cut {len(value) - len(kept)} items]"]

    def _cut_object(self, value: dict[str, Json], room: int) -> dict[str, Json]:
        names = list(value)
        sizes = [self._size(inner) for inner in value.values()]
        kept, level = _share(sizes, [_text_size(name) + 2 for name in names], room - 2, self.FLOOR)
        new = {names[at]: self.fit(value[names[at]], level) for at in kept}
        if len(kept) < len(names):
            new[unused_name("[cut]", new)] = f"[cut {len(names) - len(kept)} keys]"
        return new


def _text_size(value: Json) -> int:
    return len(exact_json(value).encode())


def _share(sizes: list[int], extra: list[int], room: int, floor: int) -> tuple[list[int], int]:
    """Which parts are kept, and the size to which each may grow: small ones whole, large ones alike."""
    kept = list(range(len(sizes)))
    if sum(extra) + sum(min(size, floor) for size in sizes) > room:
        room -= floor
        kept, used = [], 0
        for at, size in enumerate(sizes):
            need = extra[at] + min(size, floor)
            if used + need <= room:
                kept.append(at)
                used += need
    left = room - sum(extra[at] for at in kept)
    ordered = sorted(sizes[at] for at in kept)
    for at, size in enumerate(ordered):
        if size * (len(ordered) - at) > left:
            return kept, max(floor, left // (len(ordered) - at))
        left -= size
    return kept, max(ordered, default=floor)


def _cut_string(text: str, room: int) -> str:
    low, high = 0, min(len(text), room)
    best = ""
    while low <= high:
        middle = (low + high) // 2
        cut = f"{text[:middle]}…[cut {len(text) - middle} characters]"
        if _text_size(cut) <= room:
            best, low = cut, middle + 1
        else:
            high = middle - 1
    return best or ("…" if room >= 5 else "")


def unused_name(name: str, names: Iterable[str]) -> str:
    number = 2
    new = name
    while new in names:
        new, number = f"{name}#{number}", number + 1
    return new
