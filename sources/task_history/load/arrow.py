"""Rows or columns as the vendor sends them → one Arrow table. Nothing is lost and nothing raises.

A value that does not fit its column goes, exact, to ``<column>__v_text`` and leaves NULL in the
column. A key that no column is declared for becomes a column of its own; of two that would share
a name the second gets ``__v2`` added. What is beyond the limits of columns and names goes, exact,
into one JSON text, ``other_fields``. Most columns are built by Arrow whole; only where that fails
are the values looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrow import ARROW, RowColumns, Values
from ..core.json import exact_json
from ..core.models import OTHER_FIELDS, ColumnLimits, Json, Row, Table
from .values import FITS_KNOWN, FITS_UNKNOWN, Fit, Misfit, as_text, narrowest, nothing, quick, sound

VARIANT = "__v_text"
_NORMALIZED_CHARS = 1_000
"""No longer key is the name of a column."""
_SHORTENED_CHARS = 60
"""Longer names may be cut by dlt, and hold a hash."""
_ALIKE = 20
"""So many keys of one name are looked at for being one column."""


@dataclass(frozen=True, slots=True)
class Columns:
    """An Arrow table and the dlt data type of each of its columns."""

    table: pa.Table
    types: dict[str, str]
    beyond: int = 0
    """How many keys had values that went into ``other_fields``."""


class _Given(Protocol):
    """Rows that become columns."""

    keys: set[str]
    """Of all rows."""

    def __len__(self) -> int: ...

    def values(self, key: str) -> Values:
        """What each row has under the key."""
        ...

    def with_values(self) -> set[str]:
        """The keys under which any row has something."""
        ...

    def cells(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        """The place of each row, and what it has under these keys."""
        ...


class _RowByRow:
    """Rows one by one: of thousands of keys that few rows have, only those are looked at that become columns."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.keys: set[str] = set().union(*rows)

    def __len__(self) -> int:
        return len(self._rows)

    def values(self, key: str) -> list[Json]:
        try:
            return list(map(itemgetter(key), self._rows))
        except KeyError:
            return [row.get(key) for row in self._rows]

    def with_values(self) -> set[str]:
        return {key for row in self._rows for key, value in row.items() if value is not None}

    def cells(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        return (
            (place, key, row[key]) for place, row in enumerate(self._rows) for key in keys.intersection(row)
        )


class _InColumns:
    """Rows in columns."""

    def __init__(self, rows: RowColumns) -> None:
        self._columns, self._size = rows.columns, rows.size
        self.keys = set(rows.columns)

    def __len__(self) -> int:
        return self._size

    def values(self, key: str) -> Values:
        return self._columns[key]

    def with_values(self) -> set[str]:
        return {key for key, values in self._columns.items() if narrowest(values) is not None}

    def cells(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        return ((place, key, value) for key in keys for place, value in enumerate(_listed(self.values(key))))


def to_arrow(
    rows: Sequence[Row] | RowColumns,
    table: Table,
    *,
    stored_types: Mapping[str, str],
    normalize: Callable[[str], str],
    limits: ColumnLimits = ColumnLimits(),  # noqa: B008 - frozen
) -> Columns:
    """All values of ``rows`` in columns: those of ``table``, then the vendor's others, then misfits.

    Every column of ``table`` is there, even when it is empty; a key without any value is not.

    Args:
        stored_types: the dlt types that columns of this table have in the warehouse already. They stay columns,
            and count against the limits.
        normalize: the warehouse's name for a vendor's key.
    """
    given: _Given = _InColumns(rows) if isinstance(rows, RowColumns) else _RowByRow(rows)
    work = _Work(len(given), table, stored_types, limits)
    for column in table.columns:
        key = column.source or column.name
        work.known(column.name, given.values(key) if key in given.keys else None, column.type)
    named, beyond = work.names(given, normalize)
    for keys, name in named:
        work.unknown(name, _first_values(given, keys), keys[0])
    for place, key, value in given.cells(beyond) if beyond else ():
        work.other(place, key, value)
    return work.columns()


def once(parts: Sequence[pa.Table], table: Table) -> pa.Table:
    """The rows of all parts, each key once: of two the newest, and of two as new as each other the later one."""
    rows = pa.concat_tables(parts, promote_options="default")
    keys = list(table.primary_key)
    if _are_distinct(rows, keys):
        return rows
    rows = rows.take(pa.array(range(rows.num_rows - 1, -1, -1)))
    rows = rows.take(pc.sort_indices(rows, sort_keys=[(table.newest, "descending")]))
    places = rows.select(keys).append_column("place", pa.array(range(rows.num_rows)))
    first = places.group_by(keys, use_threads=False).aggregate([("place", "min")])
    return rows.take(first["place_min"])


def _are_distinct(rows: pa.Table, keys: Sequence[str]) -> bool:
    """Whether no two rows have the same key.

    Mostly one column of the key tells. Arrow groups by several with a part of it that takes long to import.
    """
    size = rows.num_rows
    if any(pc.count_distinct(rows[key], mode="all").as_py() == size for key in keys):
        return True
    return len(keys) > 1 and bool(rows.group_by(keys).aggregate([]).num_rows == size)


def _listed(values: Values) -> list[Json]:
    listed: list[Json] = values if isinstance(values, list) else values.to_pylist()
    return listed


def _first_values(given: _Given, keys: Sequence[str]) -> Values:
    """Of each row the value under whichever of the keys it has."""
    if len(keys) == 1:
        return given.values(keys[0])
    several = zip(*(_listed(given.values(key)) for key in keys), strict=True)
    return [next((value for value in values if value is not None), None) for values in several]


def _are_one(given: _Given, keys: Sequence[str]) -> bool:
    """Whether no row has something under more than one of the keys."""
    several = zip(*(_listed(given.values(key)) for key in keys), strict=True)
    return not any(sum(value is not None for value in values) > 1 for values in several)


_NO_NAME = re.compile("[^a-zA-Z0-9]+")
_LETTERS = str.maketrans("+*@|", "xxal")


def _core(name: str) -> str:
    """The same of a key and of every name that dlt may make of it, if it is not cut."""
    return _NO_NAME.sub("", name.translate(_LETTERS)).lower().rstrip("x")


def _free(name: str, taken: Container[str]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}__v{number}"  # dlt's snake_case would rewrite __2, but leaves __v2
    return free


class _Work:
    """The table while it is being built."""

    def __init__(
        self, size: int, table: Table, stored_types: Mapping[str, str], limits: ColumnLimits
    ) -> None:
        self._size = size
        self._stored = stored_types
        self._limits = limits
        self._declared = {column.name for column in table.columns}
        self._sources = {column.source or column.name for column in table.columns}
        self._room = limits.columns - sum(map(self._is_vendors, stored_types))
        """So many columns may still be added."""
        self._arrays: dict[str, pa.Array] = {}
        self._types: dict[str, str] = {}
        self._variants: dict[str, tuple[str | None, dict[int, Json]]] = {}
        """By column: the key, of a column that is not declared, and the values by row."""
        self._others: dict[int, Row] = {}

    def _is_vendors(self, name: str) -> bool:
        """Whether the stored column is of a field that no column is declared for."""
        is_own = name == OTHER_FIELDS or name.startswith("_dlt_")
        return not is_own and name.removesuffix(VARIANT) not in self._declared

    def names(
        self,
        given: _Given,
        normalize: Callable[[str], str],
    ) -> tuple[list[tuple[tuple[str, ...], str]], set[str]]:
        """The keys of each column that is not declared and its name, and the keys that become none.

        A row that was read back has the warehouse's name where a fresh one has the vendor's: both are one column,
        unless a row has both. A key that already is its name comes first.
        """
        keys = given.keys - self._sources
        beyond: set[str] = set()
        if len(keys) > self._room:
            keys &= given.with_values()
            # dlt remembers each name that it was asked for.
            stored = set(map(_core, self._stored))
            has_shortened = max(map(len, self._stored), default=0) >= _SHORTENED_CHARS
            fresh = sorted(
                key
                for key in keys
                if _core(key) not in stored and not (has_shortened and len(key) >= _SHORTENED_CHARS // 2)
            )
            short = [key for key in fresh if len(key) <= self._limits.name_length]
            beyond = set(fresh).difference(short[: max(0, self._room)])
        wanted: dict[str, list[tuple[bool, str]]] = {}
        for key in keys - beyond:
            if len(key) > _NORMALIZED_CHARS:
                beyond.add(key)
                continue
            try:
                name = normalize(key)
            except ValueError:
                name = ""
            wanted.setdefault(sound(name) or "unnamed", []).append((name != key, key))
        named = []
        taken = self._declared | {OTHER_FIELDS}
        for name, same in sorted(wanted.items()):
            alike = [key for _, key in sorted(same)]
            is_one = len(alike) == 1 or (len(alike) <= _ALIKE and _are_one(given, alike))
            for group in [tuple(alike)] if is_one else [(key,) for key in alike]:
                free = _free(name.lstrip("_") if name.startswith("_dlt_") else name, taken)
                if self._may_add(free, longest_key=max(map(len, group))):
                    taken.add(free)
                    named.append((group, free))
                else:
                    beyond.update(group)
        return named, beyond

    def _may_add(self, name: str, *, longest_key: int = 0) -> bool:
        """Whether there is a column of that name, or room for one: then it is taken."""
        if name in self._stored:
            return True
        if self._room <= 0 or max(len(name), longest_key) > self._limits.name_length:
            return False
        self._room -= 1
        return True

    def known(self, name: str, values: Values | None, type_: str) -> None:
        """A declared column. A text that spells an integer is taken for it where a bigint is declared."""
        type_ = self._stored.get(name, type_)
        if values is None:
            self._add(name, pa.nulls(self._size, ARROW.get(type_, ARROW["text"])), type_)
        elif (array := quick(values, type_)) is not None:
            self._add(name, array, type_)
        else:
            self._careful(name, values, type_, FITS_KNOWN)

    def unknown(self, name: str, values: Values, key: str) -> None:
        """A key that is not declared: the type that is stored, or the narrowest that holds all of it."""
        type_ = narrowest(values)
        if type_ is None:
            return
        type_ = self._stored.get(name, type_)
        if (array := quick(values, type_)) is not None:
            self._add(name, array, type_)
        else:
            self._careful(name, values, type_, FITS_UNKNOWN, key)

    def other(self, place: int, key: str, value: Json) -> None:
        """The value of the row at that place under a key that becomes no column."""
        if value is not None:
            self._others.setdefault(place, {})[key] = value

    def _add(self, name: str, array: pa.Array, type_: str) -> None:
        if type_ in ARROW:
            self._arrays[name] = array
            self._types[name] = type_

    def _careful(
        self, name: str, values: Values, type_: str, fits: Mapping[str, Fit], key: str | None = None
    ) -> None:
        fit = fits.get(type_, nothing)
        if not isinstance(values, list):
            values = values.to_pylist()
        fitting: list[Any] = []
        misfits: dict[int, Json] = {}
        for place, value in enumerate(values):
            stored = None
            if value is not None:
                try:
                    stored = fit(value)
                except Misfit:
                    misfits[place] = value
            fitting.append(stored)
        self._add(name, pa.array(fitting, ARROW.get(type_, ARROW["text"])), type_)
        if misfits:
            self._variants[name] = (key, misfits)

    def columns(self) -> Columns:
        for name, (key, misfits) in sorted(self._variants.items()):
            variant = _free(name + VARIANT, self._types)
            if key is None or self._may_add(variant):
                texts = [as_text(misfits[at]) if at in misfits else None for at in range(self._size)]
                self._add(variant, pa.array(texts, ARROW["text"]), "text")
            else:
                for place, value in misfits.items():
                    self.other(place, key, value)
        if self._others:
            texts = [self._other_text(place) for place in range(self._size)]
            self._add(OTHER_FIELDS, pa.array(texts, ARROW["text"]), "text")
        return Columns(pa.table(self._arrays), self._types, len(set().union(*self._others.values())))

    def _other_text(self, place: int) -> str | None:
        row = self._others.get(place)
        return None if row is None else sound(exact_json(dict(sorted(row.items()))))
