"""What the names of an object's fields say of its values, remembered since objects of one kind have the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.models import Json
from . import names_as_values, sibling_fields
from .judging import is_number
from .kinds_of_names import FLAT_PAIRS, NO_SECRET_BY_NAME, Kind, squash
from .randomness import is_random

_OFTEN_TITLES = frozenset({Kind.UNLESS_WORDS})
"""Kinds of names that titles have as well: "Secret Escapes Ltd" names a customer, and the number beside it is a value."""
_WEAK = NO_SECRET_BY_NAME - {Kind.HARMLESS}

_SHAPES_KEPT = 5_000
_FIELDS = 64
_CHARS = 4_000
"""Maximum fields of an object, and characters of their names, that are remembered together."""


@dataclass(frozen=True, slots=True)
class FieldNames:
    """What the names of an object's fields say.

    ``kinds`` and ``roles`` are those of the names in order; ``may_pair`` says that one field may name what stands in
    another, ``may_classify`` that one may tell of what kind another is. Where ``is_plain``, the names say nothing at all.
    """

    kinds: tuple[Kind, ...]
    roles: tuple[str, ...]
    may_pair: bool
    may_classify: bool
    names_a_value: bool
    is_plain: bool


def read(names: tuple[str, ...], kind_of: names_as_values.KindOf) -> FieldNames:
    """Reads the names of an object's fields."""
    kinds = tuple(map(kind_of, names))
    roles = list(map(names_as_values.role, names))
    may_pair = names_as_values.may_pair(roles)
    may_classify = "kty" in names or sibling_fields.may_classify(names) or names_as_values.are_cells(names)
    is_plain = not (
        any(kinds)
        or may_classify
        or names_as_values.is_paired(roles)
        or any(
            names_as_values.secrets_in_object(name) or names_as_values.has_key_that_names(name)
            for name in names
        )
        or not FLAT_PAIRS.isdisjoint(map(squash, names))
        or not names_as_values.TABLE_HEADS.isdisjoint(names)
    )
    return FieldNames(kinds, tuple(roles), may_pair, may_classify, "value" in roles, is_plain)


class KnownFieldNames:
    """The names of objects that were read and hold no secret themselves."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, ...], FieldNames] = {}

    def get(self, names: tuple[str, ...]) -> FieldNames | None:
        """What the names say; None where they were not read yet."""
        return self._read.get(names)

    def add(self, names: tuple[str, ...], fields: FieldNames) -> None:
        """Remembers what the names say; few objects have too many fields for it."""
        if len(names) > _FIELDS or sum(map(len, names)) > _CHARS:
            return
        if len(self._read) >= _SHAPES_KEPT:
            self._read.clear()
        self._read[names] = fields


def kinds_of(
    value: dict[str, Json], names: tuple[str, ...], fields: FieldNames, kind_of_value: names_as_values.KindOf
) -> tuple[Sequence[Kind], bool]:
    """The kinds of an object's fields, by their names and by what stands in others, and whether it is a pair."""
    pair, named_by = (
        names_as_values.pair_kind(value, fields.roles, kind_of_value)
        if fields.may_pair
        else (Kind.HARMLESS, "")
    )
    told = _told(value, names, kind_of_value) if fields.may_classify else {}
    if not pair and not told and not fields.names_a_value:
        return fields.kinds, False
    kinds = []
    for name, own in zip(names, fields.kinds, strict=True):
        kind = told.get(name, own)
        if pair and not kind and name != named_by and not (pair in _OFTEN_TITLES and is_number(value[name])):
            kind = _kind_beside(pair, name, value[name])
        elif fields.names_a_value and kind in _WEAK and is_random(value[name]):
            kind = Kind.HARMLESS
        kinds.append(kind)
    return kinds, bool(pair)


def _told(
    value: dict[str, Json], names: tuple[str, ...], kind_of_value: names_as_values.KindOf
) -> dict[str, Kind]:
    """The kinds of fields that others tell: those of a key, and of a spreadsheet's cells."""
    if "kty" in value:
        return dict.fromkeys(names_as_values.JSON_WEB_KEY, Kind.SECRET)
    if sibling_fields.may_classify(names):
        return sibling_fields.kinds_by_neighbours(value)
    return names_as_values.sheet_kinds(value, kind_of_value) if names_as_values.are_cells(names) else {}


def _kind_beside(pair: Kind, name: str, value: Json) -> Kind:
    """The kind of a value in an object that holds the name of a secret as another value."""
    role = names_as_values.role(name)
    if role == "value" or (role == "text" and names_as_values.is_secret_text(value)):
        return pair
    if role == "answer" and names_as_values.is_secret_answer(value):
        return pair
    if (
        role in ("text", "answer")
        and isinstance(value, dict)
        and any(names_as_values.holds_secret(*item) for item in value.items())
    ):
        return pair
    return Kind.HARMLESS
