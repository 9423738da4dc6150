"""What never leaves this process: secrets in payloads, taken out before anything is written.

``Redactor`` takes them out of parsed JSON, by the names they stand under (``secret_names``) and, in texts, by
their shapes and what stands around them (``secret_text``, ``secret_patterns``), before ``json_text`` cuts
the value: what is cut first can no longer be recognised.

``null``, ``true``, ``false`` and what is empty stay under any name, since they hold nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import simplejson

from ..core.json import exact_json, unused_name
from ..core.models import Json
from . import patterns
from .names import FAMILIAR, Kind, is_random, squash
from .text import MARK, Known, TextPass

__all__ = ["MARK", "MAX_DEPTH", "Redacted", "Redactor"]

MAX_DEPTH = 150
"""Levels, those of JSON within strings included; what lies deeper is redacted whole."""
_NAMES_KEPT = 20_000
_INT_DIGITS = 4_300
"""Python converts no longer digits to int; they stay exact as Decimal."""

_PAIR_NAMES = frozenset(
    {
        "key",
        "name",
        "header",
        "headername",
        "field",
        "fieldname",
        "param",
        "parameter",
        "variable",
        "property",
        "label",
        "k",
    }
)
_PAIR_VALUES = frozenset({"value", "values", "val", "v", "default"})
_FLAT_PAIRS = frozenset({"rawheaders", "rawtrailers"})
_NUMBER_SIGNS = frozenset("0123456789+-.eE")
_SOUND_TEXT = re.compile(rf"{FAMILIAR.pattern}|[A-Za-z]{{0,15}}|[0-9]{{1,15}}")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value without its secrets, and how many were taken out."""

    value: Json
    count: int


class _Unusable(ValueError):
    """JSON of which a parsed form would not hold everything."""


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unusable
    return found


def _exact_int(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _INT_DIGITS else Decimal(digits)


class Redactor:
    """Takes secrets out of values and texts; knows them by name, by shape, and by ``secrets`` literally.

    ``extra_names`` are names of fields, whole, in any case and separation.
    """

    def __init__(self, extra_names: Iterable[str] = (), *, secrets: Iterable[str] = ()) -> None:
        self._known = Known(extra_names, secrets)
        self._has_numbers = any(_NUMBER_SIGNS.issuperset(literal) for literal in self._known.literals)
        self._sound_names: set[str] = set()
        self._plain_names: set[str] = set()

    def payload(self, value: Json) -> Redacted:
        """The parsed JSON value without its secrets; the very same object when it holds none."""
        work = _Pass(self._known, self._sound_names)
        try:
            return Redacted(work.value(value, 0), work.count)
        except RecursionError:
            return Redacted(MARK, 1)

    def text(self, text: str) -> tuple[str, int]:
        """The text without its secrets, and how many were taken out. JSON text stays JSON text."""
        found = self.payload(text)
        return found.value, found.count

    def kind(self, name: str) -> Kind:
        """What the name says of the value under it."""
        return self._known.kind(name)

    def is_sound(self, name: str, value: Json) -> bool:
        """Whether a field plainly holds no secret, told at a glance; what is not may be sound all the same."""
        if name not in self._plain_names and not self._is_plain(name):
            return False
        if value is None or value is True or value is False:
            return True
        kind = type(value)
        if kind is int or kind is float:
            return not self._has_numbers
        return (
            kind is str
            and _SOUND_TEXT.fullmatch(value) is not None
            and not (self._known.literals and any(literal in value for literal in self._known.literals))
        )

    def _is_plain(self, name: str) -> bool:
        if name not in self._sound_names or self._known.kind(name) or name.lower() in _PAIR_NAMES:
            return False
        if len(self._plain_names) >= _NAMES_KEPT:
            self._plain_names.clear()
        self._plain_names.add(name)
        return True


class _Pass(TextPass):
    """One pass over one value."""

    def __init__(self, known: Known, sound_names: set[str]) -> None:
        super().__init__(known)
        self._sound_names = sound_names

    # Structures

    def value(self, value: Json, depth: int) -> Json:
        if isinstance(value, str):
            return self.string(value, depth)
        if isinstance(value, dict | list):
            if depth >= MAX_DEPTH:
                return self.whole(value)
            return (
                self._object(value, depth + 1) if isinstance(value, dict) else self._array(value, depth + 1)
            )
        if self._literals and isinstance(value, int | Decimal) and not isinstance(value, bool):
            digits = exact_json(value)
            return MARK if self.without_literals(digits) != digits else value
        return value

    def whole(self, value: Json) -> Json:
        """The mark in place of the value, unless there is nothing in it."""
        if value is None or isinstance(value, bool) or value in ("", [], {}, MARK):
            return value
        self.count += 1
        return MARK

    def under(self, kind: Kind, value: Json, depth: int) -> Json:
        """The value as it may stay under a name of that kind."""
        if kind is Kind.SECRET:
            return self.whole(value)
        if kind is Kind.SECRET_UNLESS_NUMBER and not isinstance(value, int | float | Decimal):
            return self.whole(value)
        if kind is Kind.SECRET_IF_RANDOM and is_random(value):
            return self.whole(value)
        return self.value(value, depth)

    def _object(self, value: dict[str, Json], depth: int) -> dict[str, Json]:
        pair = self._pair_kind(value)
        new: dict[str, Json] = {}
        is_changed = False
        for name, inner in value.items():
            kind = self._kind(name)
            if not kind and pair and _is_pair_value(name):
                kind = pair
            elif kind is Kind.SECRET_IF_RANDOM and is_random(inner) and any(map(_is_pair_value, value)):
                kind = Kind.HARMLESS  # it names the value beside it
            if kind:
                kept = self.under(kind, inner, depth)
            elif isinstance(inner, list) and squash(name) in _FLAT_PAIRS:
                kept = self._flat_pairs(inner, depth)
            else:
                kept = self.value(inner, depth)
            new_name = self._name(name, value, new)
            is_changed = is_changed or kept is not inner or new_name is not name
            new[new_name] = kept
        return new if is_changed else value

    def _name(self, name: str, *taken: dict[str, Json]) -> str:
        """The name itself, or another when it holds a secret: tokens are used as keys."""
        if name in self._sound_names:
            return name
        new = self.plain(name)
        if new == name:
            if len(name) <= 128:
                if len(self._sound_names) >= _NAMES_KEPT:
                    self._sound_names.clear()
                self._sound_names.add(name)
            return name
        return unused_name(new, {key for names in taken for key in names})

    def _pair_kind(self, value: dict[str, Json]) -> Kind:
        """What ``{"key": "Authorization", "value": …}`` says of its value."""
        if 2 <= len(value) <= 16:
            for by, name in value.items():
                if isinstance(name, str) and len(name) <= 64:
                    word = by.lower()
                    if word in _PAIR_NAMES and (kind := self._kind(name)):
                        return kind
                    if word == "type" and name in ("password", "secret"):
                        return Kind.SECRET
        return Kind.HARMLESS

    def _array(self, value: list[Json], depth: int) -> list[Json]:
        if value and all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
        ):
            return _unless_same(value, [self._named(pair[0], pair, depth + 1) for pair in value])
        new = [self.value(inner, depth) for inner in value]
        is_gluing = bool(value) and isinstance(value[0], str) and patterns.GLUING_COMMAND.search(value[0])
        for at, flag in enumerate(value):
            if isinstance(flag, str) and flag[:1] == "-":
                if at + 1 < len(value) and (kind := self._kind(flag)):
                    new[at + 1] = self.under(kind, new[at + 1], depth)
                elif is_gluing and flag[:2] == "-p" and len(flag) > 2 and flag[2:] != MARK:
                    self.count += 1
                    new[at] = f"-p{MARK}"
        return _unless_same(value, new)

    def _named(self, name: str, pair: list[Json], depth: int) -> list[Json]:
        first = self.value(name, depth)
        second = self.under(self._kind(name), pair[1], depth)
        return pair if first is name and second is pair[1] else [first, second]

    def _flat_pairs(self, value: list[Json], depth: int) -> list[Json]:
        """Names and values in turn, as Node gives the headers of a request."""
        new = [
            self.under(self._kind(name), inner, depth)
            if at % 2 and isinstance(name, str)
            else self.value(inner, depth)
            for at, (name, inner) in enumerate(zip(["", *value], value, strict=False))
        ]
        return _unless_same(value, new)

    # Strings

    def string(self, text: str, depth: int) -> str:
        if len(text) < 5 and not self._literals:
            return text
        if depth < MAX_DEPTH and (text[:1] in '{["' or text[:1].isspace()):
            stripped = text.strip()
            if stripped[:1] in ("{", "[", '"') and len(stripped) > 1:
                try:
                    inner = simplejson.loads(
                        stripped, use_decimal=True, parse_int=_exact_int, object_pairs_hook=_no_duplicates
                    )
                except RecursionError:
                    return str(self.whole(text))
                except ValueError:
                    return self.plain(text)
                kept = self.value(inner, depth + 1)
                return text if kept is inner else exact_json(kept)
        return self.plain(text)


def _unless_same(value: list[Json], new: list[Json]) -> list[Json]:
    return value if all(a is b for a, b in zip(new, value, strict=True)) else new


def _is_pair_value(name: str) -> bool:
    name = name.lower()
    return name in _PAIR_VALUES or name.endswith("value")
