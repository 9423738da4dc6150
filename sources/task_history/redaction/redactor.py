"""The redactor: removes secrets from payloads and texts before anything is written.

``Redactor`` takes them out of parsed JSON, by the names they stand under (``names``) and, in texts, by
their shapes and what stands around them (``text``, ``patterns``), before ``json_text`` cuts
the value: what is cut first can no longer be recognised.

``null``, ``true``, ``false`` and what is empty stay under any name, since they hold nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from ..core.json import exact_json, unused_name
from ..core.models import Json
from . import json_text, patterns
from .edits import MARK, Edit, Origin, applied, joined, without_overlaps
from .names import (
    FAMILIAR,
    FIELD_TYPES,
    FLAT_PAIRS,
    PAIR_NAMES,
    PAIR_VALUES,
    Kind,
    is_no_name,
    is_random,
    squash,
)
from .own_secrets import OwnSecrets
from .text import Known, TextPass

__all__ = ["MARK", "MAX_DEPTH", "Redacted", "Redactor"]

MAX_DEPTH = 150
"""Maximum levels, those of JSON inside strings included; deeper values are redacted whole."""
_NAMES_KEPT = 20_000
_FAILURES = 8
"""Documents of one text that may be invalid or hold secrets before the fast parser is no longer tried."""
_KEY_CHARS = 128
"""Maximum characters of a key that can mark a name/value pair."""

_SOUND_TEXT = re.compile(rf"{FAMILIAR.pattern}|[A-Za-z]{{0,15}}|[0-9]{{1,15}}")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A redacted value, and the number of secrets that were removed."""

    value: Json
    count: int


class Redactor:
    """Removes secrets from values and texts: by name, by shape, and the literal ``secrets``.

    ``extra_names`` are names of fields, whole, in any case and separation.
    """

    def __init__(self, extra_names: Iterable[str] = (), *, secrets: Iterable[str] | OwnSecrets = ()) -> None:
        own = secrets if isinstance(secrets, OwnSecrets) else OwnSecrets(secrets)
        self._known = Known(extra_names, own)
        self._sound_names: set[str] = set()
        self._plain_names: set[str] = set()

    def payload(self, value: Json) -> Redacted:
        """Redacts a parsed JSON value; returns the same object if it holds no secret."""
        work = _Pass(self._known, self._sound_names)
        try:
            return Redacted(work.value(value, 0), work.count)
        except RecursionError:
            return Redacted(MARK, 1)

    def text(self, text: str) -> tuple[str, int]:
        """Redacts a text. JSON text stays JSON text."""
        redacted = self.payload(text)
        return redacted.value, redacted.count

    def kind(self, name: str) -> Kind:
        """Classifies the name, see ``names.Kind``."""
        return self._known.kind(name)

    def is_sound(self, name: str, value: Json) -> bool:
        """Quick check that a field holds no secret; False means that it needs the full check."""
        if name not in self._plain_names and not self._is_plain(name):
            return False
        if value is None or value is True or value is False:
            return True
        kind = type(value)
        if kind is int or kind is float:
            return not self._known.own.digits
        return kind is str and _SOUND_TEXT.fullmatch(value) is not None and not self._known.own.edits(value)

    def _is_plain(self, name: str) -> bool:
        if name not in self._sound_names or self._known.kind(name) or _pair_word(name):
            return False
        if len(self._plain_names) >= _NAMES_KEPT:
            self._plain_names.clear()
        self._plain_names.add(name)
        return True


class _Pass(TextPass):
    """State of redacting one value."""

    def __init__(self, known: Known, sound_names: set[str]) -> None:
        super().__init__(known)
        self._sound_names = sound_names
        self._edited: dict[tuple[int, str], tuple[list[Edit], int]] = {}

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
        if self._own.digits and isinstance(value, int | Decimal) and not isinstance(value, bool):
            return self.whole(value) if self._own.edits(exact_json(value)) else value
        return value

    def whole(self, value: Json) -> Json:
        """The redaction mark in place of the value; an empty value stays."""
        if value is None or isinstance(value, bool) or value in ("", [], {}, MARK):
            return value
        self.count += 1
        return MARK

    def under(self, kind: Kind, value: Json, depth: int) -> Json:
        """Redacts the value according to the kind of its name."""
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
            elif isinstance(inner, list) and squash(name) in FLAT_PAIRS:
                kept = self._flat_pairs(inner, depth)
            else:
                kept = self.value(inner, depth)
            new_name = self._name(name, value, new)
            is_changed = is_changed or kept is not inner or new_name is not name
            new[new_name] = kept
        return new if is_changed else value

    def _name(self, name: str, *taken: dict[str, Json]) -> str:
        """The name, redacted if it contains a secret: tokens are used as keys."""
        if name in self._sound_names:
            return name
        edits = self.plain(name)
        if not edits:
            if len(name) <= 128:
                if len(self._sound_names) >= _NAMES_KEPT:
                    self._sound_names.clear()
                self._sound_names.add(name)
            return name
        return unused_name(applied(name, edits), {key for names in taken for key in names})

    def _pair_kind(self, value: dict[str, Json]) -> Kind:
        """The kind of the value in a pair such as ``{"key": "Authorization", "value": …}``."""
        if len(value) < 2:
            return Kind.HARMLESS
        for by, name in value.items():
            if isinstance(name, str) and (word := _pair_word(by)):
                if word != "type" and (kind := self._kind(name)):
                    return kind
                if word == "type" and squash(name) in FIELD_TYPES:
                    return Kind.SECRET
        return Kind.HARMLESS

    def _array(self, value: list[Json], depth: int) -> list[Json]:
        if value and all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
        ):
            return _unless_same(value, [self._named(pair[0], pair, depth + 1) for pair in value])
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], str):
            # Beside a name there may stand another one.
            name, inner = value
            if is_no_name(inner) and self._kind(name) and not self._kind(inner):
                return self._named(name, value, depth)
        new = [self.value(inner, depth) for inner in value]
        is_gluing = bool(value) and isinstance(value[0], str) and patterns.GLUING_COMMAND.search(value[0])
        for index, flag in enumerate(value):
            if isinstance(flag, str) and flag[:1] == "-":
                if index + 1 < len(value) and (kind := self._kind(flag)):
                    new[index + 1] = self.under(kind, new[index + 1], depth)
                elif is_gluing and flag[:2] == "-p" and len(flag) > 2 and flag[2:] != MARK:
                    self.count += 1
                    new[index] = f"-p{MARK}"
        return _unless_same(value, new)

    def _named(self, name: str, pair: list[Json], depth: int) -> list[Json]:
        first = self.value(name, depth)
        second = self.under(self._kind(name), pair[1], depth)
        return pair if first is name and second is pair[1] else [first, second]

    def _flat_pairs(self, value: list[Json], depth: int) -> list[Json]:
        """Redacts a list of alternating names and values, such as Node's ``rawHeaders``."""
        new = [
            self.under(self._kind(name), inner, depth)
            if index % 2 and isinstance(name, str)
            else self.value(inner, depth)
            for index, (name, inner) in enumerate(zip(["", *value], value, strict=False))
        ]
        return _unless_same(value, new)

    # Strings

    def string(self, text: str, depth: int) -> str:
        if len(text) < 5 and not self._own:
            return text
        return applied(text, self._edits(text, depth))

    def _edits(self, text: str, depth: int) -> list[Edit]:
        """The replacements in the text: inside its JSON documents, and in the text around them."""
        if depth >= MAX_DEPTH or not json_text.may_hold(text):
            return self.plain(text)
        if cached := self._edited.get((depth, text)):
            self.count += cached[1]
            return cached[0]
        before = self.count
        edits, is_json = self._documents(text, depth + 1)
        if not is_json:
            edits = joined(edits, self.plain(applied(text, edits)))
        if edits:
            self._edited[depth, text] = edits, self.count - before
        return edits

    def _documents(self, text: str, depth: int) -> tuple[list[Edit], bool]:
        """The replacements in the text's JSON documents, and whether the text is JSON only."""
        edits: list[Edit] = []
        is_json = True
        position = failures = 0
        while (begin := json_text.next_begin(text, position)) is not None:
            is_json = is_json and json_text.is_blank(text, position, begin)
            # Each failure of the fast parser takes as long as all the text before it.
            if failures < _FAILURES and (end := self._end_of_clean(text, begin, depth)) is not None:
                position = end
                continue
            failures += 1
            document = json_text.read(text, begin)
            new = self.value(document.root.value, depth)
            inner: list[Edit] = []
            self._differences(text, document.root, new, depth, inner)
            if not document.is_whole:
                # It is no JSON, and the mark reads better by itself.
                inner = [edit if text[edit.begin] == '"' else edit._replace(new=MARK) for edit in inner]
            edits += inner
            position = document.end
            is_json = is_json and document.is_whole
        return without_overlaps(sorted(edits)), is_json and json_text.is_blank(text, position, len(text))

    def _end_of_clean(self, text: str, begin: int, depth: int) -> int | None:
        """The end of a valid document without secrets; None for any other."""
        before = self.count
        try:
            value, end = json_text.parse(text, begin)
        except (ValueError, RecursionError):
            return None
        if self.value(value, depth) is value:
            return end
        self.count = before
        return None

    def _differences(self, text: str, part: json_text.Part, new: Json, depth: int, edits: list[Edit]) -> None:
        """Adds the replacements that turn the part's value into ``new``."""
        old = part.value
        if new is old:
            return
        if isinstance(old, dict) and isinstance(new, dict):
            for inner, (old_name, (name, value)) in zip(
                part.parts, zip(old, new.items(), strict=True), strict=True
            ):
                if name is not old_name and inner.name is not None:
                    edits.append(Edit(*inner.name, exact_json(name)))
                self._differences(text, inner, value, depth + 1, edits)
        elif isinstance(old, list) and isinstance(new, list):
            for inner, value in zip(part.parts, new, strict=True):
                self._differences(text, inner, value, depth + 1, edits)
        else:
            edits += self._within_string(text, part, new, depth) or [part.replaced(text, exact_json(new))]

    def _within_string(self, text: str, part: json_text.Part, new: Json, depth: int) -> list[Edit]:
        """The replacements inside a JSON string that leave its other characters as sent; empty if there are none."""
        old = part.value
        if not isinstance(old, str) or new == MARK:
            return []
        before = self.count
        edits = self._edits(old, depth)
        self.count = before
        if applied(old, edits) != new:
            return []
        origin = Origin(json_text.escapes(text, part))
        offset = part.begin + 1
        return [
            Edit(begin + offset, end + offset, exact_json(edit.new)[1:-1])
            for edit in edits
            for begin, end in (origin.span(edit.begin, edit.end),)
        ]


def _unless_same(value: list[Json], new: list[Json]) -> list[Json]:
    return value if all(a is b for a, b in zip(new, value, strict=True)) else new


_squashed = lru_cache(_NAMES_KEPT)(squash)


def _pair_word(name: str) -> str:
    """The name as the key of a name/value pair, normalised; empty if it is no such key."""
    word = _squashed(name) if len(name) <= _KEY_CHARS else ""
    return word if word in PAIR_NAMES or word == "type" else ""


def _is_pair_value(name: str) -> bool:
    name = _squashed(name[-_KEY_CHARS:])
    return name in PAIR_VALUES or name.endswith("value")
