"""Removes secrets from parsed JSON: by the names they stand under and, in texts, by the rules for texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from ..core.json_writing import exact_json, unused_name
from ..core.models import Json
from ..core.redaction_mark import MARK
from . import field_names, names_as_values, secrets_beside_names
from .arguments import secret_arguments
from .edits import applied
from .expressions import expression
from .field_names import KnownFieldNames
from .json_in_text import MAX_DEPTH, MIN_BYTES, DocumentPass
from .judging import is_secret_in_object
from .kinds_of_names import FLAT_PAIRS, NO_SECRET_BY_NAME, Kind, squash
from .known_secrets import KnownSecrets
from .own_secrets import OwnSecrets
from .randomness import FAMILIAR
from .schemas import SCHEMA_EXAMPLES, is_schema

_NAMES_KEPT = 20_000

_SOUND_TEXT = expression(rf"{FAMILIAR.pattern}|[A-Za-z]{{0,15}}|[0-9]{{1,15}}")


class JsonRedaction:
    """Redacts values by the built-in names, the user's ``extra_names`` and the run's ``own`` secrets; learns names."""

    def __init__(self, extra_names: Iterable[str], own: OwnSecrets, *, is_strict: bool) -> None:
        self._known = KnownSecrets(extra_names, own, is_strict=is_strict)
        self._sound_names: set[str] = set()
        self._plain_names: set[str] = set()
        self._paired_names: set[str] = set()
        self._field_names = KnownFieldNames()

    def redacted(self, value: Json) -> tuple[Json, int]:
        """The value without secrets, the same object if it holds none, and how many it held. Raises RecursionError."""
        work = _Pass(self._known, self._sound_names, self._field_names)
        return work.value(value, 0), work.count

    def kind(self, name: str) -> Kind:
        """Classifies the name."""
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
        if kind is not str or not _SOUND_TEXT.fullmatch(value) or self._known.own.edits(value):
            return False
        return name not in self._paired_names or not self._known.may_be_name(value)

    def _is_plain(self, name: str) -> bool:
        if name not in self._sound_names or self._known.kind(name):
            return False
        if len(self._plain_names) >= _NAMES_KEPT:
            self._plain_names.clear()
            self._paired_names.clear()
        self._plain_names.add(name)
        if names_as_values.role(name):
            self._paired_names.add(name)
        return True


class _Pass(DocumentPass):
    """State of redacting one value."""

    def __init__(self, known: KnownSecrets, sound_names: set[str], field_names: KnownFieldNames) -> None:
        super().__init__(known)
        self._sound_names = sound_names
        self._field_names = field_names

    # Structures

    def value(self, value: Json, depth: int) -> Json:
        if type(value) is str:
            return self.string(value, depth)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, dict):
            return self._object(value, depth + 1) if depth < MAX_DEPTH else self.whole(value)
        if isinstance(value, list):
            return self._array(value, depth + 1) if depth < MAX_DEPTH else self.whole(value)
        if self._own.digits and isinstance(value, int | Decimal):
            return self.whole(value) if self._own.edits(exact_json(value)) else value
        return self.string(value, depth) if isinstance(value, str) else value

    def whole(self, value: Json) -> Json:
        """The redaction mark in place of the value; an empty value stays."""
        if value is None or isinstance(value, bool) or value in ("", [], {}, MARK):
            return value
        self.count += 1
        return MARK

    def under(self, kind: Kind, value: Json, depth: int) -> Json:
        """Redacts the value according to the kind of its name."""
        if value is None or value is True or value is False:
            return value
        if kind and self._is_secret(kind, value):
            if depth < MAX_DEPTH and (fields := secrets_beside_names.own_fields(kind, value, self._kind)):
                kept = self._fields_under(kind, fields, depth + 1)
                return value if kept is fields else self._as_given(value, kept, depth)
            if depth < MAX_DEPTH and isinstance(value, list) and any(isinstance(i, dict) for i in value):
                return _unless_same(value, [self.under(kind, inner, depth + 1) for inner in value])
            return self.whole(value)
        if type(value) is str:
            return self.string(value, depth)
        if kind and isinstance(value, dict) and is_schema(value):
            kept = {
                name: self.whole(inner) if name in SCHEMA_EXAMPLES else inner for name, inner in value.items()
            }
            value = value if all(kept[name] is value[name] for name in value) else kept
        return self.value(value, depth)

    def _fields_under(self, kind: Kind, value: dict[str, Json], depth: int) -> dict[str, Json]:
        """Redacts an object under the name of a secret whose fields say themselves which of them are secrets."""
        new = {
            name: self.under(secrets_beside_names.kind_of_inner_name(name, kind, self._kind), inner, depth)
            for name, inner in value.items()
        }
        return value if all(new[name] is value[name] for name in value) else new

    def _as_given(self, value: Json, fields: dict[str, Json], depth: int) -> Json:
        """The redacted fields, as JSON text where they came as one."""
        return self.string(value, depth) if isinstance(value, str) else fields

    def _object(self, value: dict[str, Json], depth: int) -> dict[str, Json]:
        names = tuple(value)
        fields = known = self._field_names.get(names)
        if fields is None:
            fields = field_names.read(names, self._kind)
        elif fields.is_plain:
            return self._plain_object(value, depth)
        kinds, is_pair = field_names.kinds_of(value, names, fields, self._kind_of_value)
        suspicions = self.suspicions
        new, lists = self._fields(value, kinds, depth)
        if known is None:
            new = self._with_names(value, new)
            if names == tuple(new):
                self._field_names.add(names, fields)
        if names_as_values.may_be_table(lists, value) and (tabled := self._table(value, new)) is not new:
            return tabled
        return new if is_pair or suspicions == self.suspicions else self._neighbours(value, new)

    def _fields(
        self, value: dict[str, Json], kinds: Sequence[Kind], depth: int
    ) -> tuple[dict[str, Json], int]:
        """The object with redacted values, given the kinds of its fields, and how many lists it holds."""
        new = value
        lists = 0
        for (name, inner), kind in zip(value.items(), kinds, strict=True):
            if inner is None or inner is True or inner is False:
                continue
            if kind:
                kept = self.under(kind, inner, depth)
            elif type(inner) is str:
                kept = self.string(inner, depth)
            else:
                lists += type(inner) is list
                told = self.suspicions
                kept = self._named_value(name, inner, depth)
                if type(inner) is dict:
                    self.suspicions = told  # what its fields tell was looked at with them
            if kept is not inner:
                new = dict(value) if new is value else new
                new[name] = kept
        return new, lists

    def _with_names(self, value: dict[str, Json], new: dict[str, Json]) -> dict[str, Json]:
        """The object with redacted names where one holds a secret: tokens are used as keys."""
        named: dict[str, Json] = {}
        for name, kept in new.items():
            named[self._name(name, value, named)] = kept
        return new if tuple(named) == tuple(new) else named

    def _named_value(self, name: str, value: Json, depth: int) -> Json:
        """Redacts a list, an object or a number whose own name is not that of a secret."""
        if type(value) is list:
            return self._list_of(name, value, depth)
        return self._object_of(name, value, depth) if type(value) is dict else self.value(value, depth)

    def _object_of(self, name: str, value: dict[str, Json], depth: int) -> Json:
        """Redacts an object whose name says which of its fields are secrets, or that its "key" is not one."""
        kept = self.value(value, depth)
        if kept is MARK or not isinstance(kept, dict):
            return kept
        if not names_as_values.secrets_in_object(name) and kept.get("key") != MARK:
            return kept
        kept = self._secrets_of(name, value, kept)
        if (
            (key := value.get("key"))
            and kept.get("key") == MARK != key
            and names_as_values.has_key_that_names(name)
        ):
            # Its name alone made it a secret: it stays, unless it looks like one.
            self.count -= 1
            kept = {**kept, "key": self.value(key, depth)}
        return value if kept == value else kept

    def _secrets_of(self, name: str, value: dict[str, Json], kept: dict[str, Json]) -> dict[str, Json]:
        """Redacts the fields that are secrets in an object of that name, or in a list of such objects."""
        for field in names_as_values.secrets_in_object(name):
            if kept.get(field, MARK) != MARK and is_secret_in_object(field, value[field]):
                kept = {**kept, field: self.whole(value[field])}
        return kept

    def _plain_object(self, value: dict[str, Json], depth: int) -> dict[str, Json]:
        """Redacts an object whose names say nothing, which most objects are."""
        new = None
        lists = 0
        suspicions = self.suspicions
        for name, inner in value.items():
            kind = type(inner)
            if kind is str:
                kept = self.string(inner, depth)
            elif inner is None or kind is bool:
                continue
            else:
                lists += kind is list
                kept = self.value(inner, depth)
            if kept is not inner:
                new = new or dict(value)
                new[name] = kept
        if lists > 1 and (tabled := self._table(value, new or value)) is not (new or value):
            return tabled
        return new or value if suspicions == self.suspicions else self._neighbours(value, new or value)

    def _neighbours(self, value: dict[str, Json], new: dict[str, Json]) -> dict[str, Json]:
        """Redacts values beside the name of a secret where the fields do not say which is which."""
        cut = secrets_beside_names.delimited_rows(value, self._kind_of_value, self._is_secret)
        cut |= secrets_beside_names.bound_values(value, self._kind_of_value, self._is_secret)
        cut |= secrets_beside_names.secrets_beside_names(value, self._kind_of_value)
        cut = {name: kept for name, kept in cut.items() if new[name] == value[name]}
        self.count += len(cut)
        return {**new, **cut} if cut else new

    def _table(self, value: dict[str, Json], new: dict[str, Json]) -> dict[str, Json]:
        """The object with redacted rows where one of its lists names columns of secrets; ``new`` where none does."""
        heads = [value[name] for name in names_as_values.TABLE_HEADS.intersection(value)]
        within = [names for head in heads if isinstance(head, dict) for names in head.values()]
        for names in (*value.values(), *within):
            kinds = names_as_values.column_kinds(names, self._kind_of_value)
            if kinds is None:
                continue
            result = dict(new)
            for (name, old), (new_name, inner) in zip(value.items(), new.items(), strict=True):
                if old is names or not isinstance(inner, list):
                    continue
                is_parallel = len(inner) == len(kinds) and not any(
                    isinstance(cell, dict | list) for cell in inner
                )
                if is_parallel and names_as_values.role(name) in ("value", "text"):
                    result[new_name] = self._row(inner, kinds)
                elif names_as_values.are_columns(inner, kinds):
                    columns = zip(kinds, inner, strict=True)
                    result[new_name] = _unless_same(
                        inner, [self._column(kind, cells) for kind, cells in columns]
                    )
                else:
                    result[new_name] = _unless_same(inner, [self._row(row, kinds) for row in inner])
            if any(result[name] is not new[name] for name in new):
                return result
        return new

    def _column(self, kind: Kind, cells: Json) -> Json:
        return _unless_same(cells, [self._cell(kind, cell) for cell in cells]) if kind else cells

    def _row(self, row: Json, kinds: list[Kind]) -> Json:
        cells = names_as_values.cells(row)
        if cells is None or len(cells) != len(kinds):
            return row
        new = [self._cell(kind, cell) if kind else cell for kind, cell in zip(kinds, cells, strict=True)]
        if all(a is b for a, b in zip(cells, new, strict=True)):
            return row
        return new if row is cells else {key: new if inner is cells else inner for key, inner in row.items()}

    def _cell(self, kind: Kind, cell: Json) -> Json:
        if not kind:
            return cell
        if isinstance(cell, dict) and len(cell) == 1:
            ((key, inner),) = cell.items()
            kept = self._cell(kind, inner)
            return cell if kept is inner else {key: kept}
        return self.whole(cell) if self._is_secret(kind, cell) else cell

    def _name(self, name: str, *taken: dict[str, Json]) -> str:
        """The name, redacted if it contains a secret."""
        if name in self._sound_names:
            return name
        edits = self.plain(name, MAX_DEPTH)
        if not edits:
            if len(name) <= 128:
                if len(self._sound_names) >= _NAMES_KEPT:
                    self._sound_names.clear()
                self._sound_names.add(name)
            return name
        return unused_name(applied(name, edits), {key for names in taken for key in names})

    def _list_of(self, name: str, value: list[Json], depth: int) -> list[Json]:
        """Redacts a list; under ``rawHeaders`` and the like it may be one of alternating names and values."""
        if squash(name) in FLAT_PAIRS and depth < MAX_DEPTH:
            return self._flat_pairs(value, depth)
        kept: list[Json] = self.value(value, depth)
        if value and isinstance(value[0], dict) and names_as_values.secrets_in_object(name):
            return _unless_same(
                value,
                [
                    self._secrets_of(name, old, new) if isinstance(old, dict) else new
                    for old, new in zip(value, kept, strict=True)
                ],
            )
        return kept

    def _array(self, value: list[Json], depth: int) -> list[Json]:
        if (
            value
            and isinstance(value[0], list)
            and all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value)
        ):
            return self._pairs_of(value, depth)
        if len(value) > 1 and isinstance(value[0], list) and len(value[0]) > 1:
            columns = names_as_values.column_kinds(value[0], self._kind_of_value)
            if columns is not None:
                return self._rows(value, columns, depth)
        if len(value) >= MIN_BYTES and type(value[0]) is int and self.are_secret_bytes(value, depth):
            self.count += 1
            return [MARK]
        suspicions = self.suspicions
        new: list[Any] = [self.value(inner, depth) for inner in value]
        if suspicions != self.suspicions:
            self._behind_names(value, new)
        if value and isinstance(value[0], str):
            arguments = secret_arguments(value, self._kind_of_value, self._kind, self._is_secret)
            for index, text in arguments:
                if new[index] == value[index]:
                    new[index] = text
                    self.count += 1
        elif value and (first := names_as_values.first_row_kinds(value, self._kind_of_value)):
            new[1:] = [self._row_of_names(first, row) for row in new[1:]]
        return _unless_same(value, new)

    def _pairs_of(self, value: list[Json], depth: int) -> list[Json]:
        """Redacts a list of lists of two: names and values, or a table of two columns."""
        kinds = names_as_values.column_kinds(value[0], self._kind_of_value) or []
        is_table = len(value) > 1 and not NO_SECRET_BY_NAME.issuperset(kinds)
        if is_table and not any(map(names_as_values.is_secret_text, value[0])):
            return self._rows(value, kinds, depth)
        new = [self._named(pair[0], pair, depth + 1) for pair in value]
        self._behind_names(value, new)
        return _unless_same(value, new)

    def _behind_names(self, value: list[Json], new: list[Json]) -> None:
        """Redacts, in ``new``, items of a list that stand behind the name of a secret."""
        for index, place, text in secrets_beside_names.secrets_behind_names(value, self._kind_of_value):
            kept: Any = new[index]
            if kept[place] == value[index][place]:
                new[index] = kept = kept.copy()
                kept[place] = text
                self.count += 1

    def _row_of_names(self, columns: dict[str, Kind], row: Json) -> Json:
        if not isinstance(row, dict):
            return row
        new = {name: self._cell(columns.get(name, Kind.HARMLESS), cell) for name, cell in row.items()}
        return row if all(new[name] is row[name] for name in row) else new

    def _rows(self, value: list[Json], kinds: list[Kind], depth: int) -> list[Json]:
        """Redacts a list of rows whose first names the columns."""
        new = [self.value(row, depth) for row in value]
        return _unless_same(value, [new[0], *(self._row(row, kinds) for row in new[1:])])

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


def _unless_same(value: list[Json], new: list[Json]) -> list[Json]:
    return value if all(a is b for a, b in zip(new, value, strict=True)) else new
