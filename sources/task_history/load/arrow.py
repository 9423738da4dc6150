"""Builds one Arrow table from rows or columns as the vendor sends them. No value is lost and none raises an error.

NUL in a text is stored as U+FFFD, since not every warehouse holds it; JSON text keeps its ``\\u0000``.
A value that does not fit its column goes, exact, to ``<column>__v_text`` and leaves NULL in the
column. A key that no column is declared for becomes a column of its own; of two that would share
a name the second gets ``__v2`` added. Values beyond the limits of columns and names go, exact,
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

from ..core.arrow import ARROW, RowColumns, Values, without_nul
from ..core.json import exact_json
from ..core.models import OTHER_FIELDS, VARIANT, ColumnLimits, Json, Row, Table
from ..warehouse.column_rules import NO_RULES, TableRules
from .values import (
    DECLARED_FITS,
    UNDECLARED_FITS,
    Fit,
    Misfit,
    as_text,
    encodable,
    narrowest_type,
    never_fits,
    whole_column,
)

_NORMALIZED_CHARS = 1_000
"""Maximum characters of a key that becomes a column name."""
_SHORTENED_CHARS = 60
"""Characters from which on dlt may shorten a name and add a hash."""
_MAX_SAME_NAME_KEYS = 20
"""Maximum keys with the same column name that are checked for sharing one column."""


@dataclass(frozen=True, slots=True)
class Columns:
    """An Arrow table and the dlt data type of each of its columns."""

    table: pa.Table
    types: dict[str, str]
    without_column: int = 0
    """Number of keys whose values went into ``other_fields``."""


class _Rows(Protocol):
    """Rows that are read column by column."""

    keys: set[str]
    """The keys of all rows."""

    def __len__(self) -> int: ...

    def values(self, key: str) -> Values:
        """The value of each row under the key; None where a row lacks it."""
        ...

    def with_values(self) -> set[str]:
        """The keys under which at least one row has a value."""
        ...

    def values_of(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        """Row index, key and value of every value under these keys."""
        ...


class _ListedRows:
    """Rows as dicts: reads only the keys that become columns, of thousands that few rows may have."""

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

    def values_of(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        return (
            (index, key, row[key]) for index, row in enumerate(self._rows) for key in keys.intersection(row)
        )


class _ColumnarRows:
    """Rows that are stored as columns already."""

    def __init__(self, rows: RowColumns) -> None:
        self._columns, self._size = rows.columns, rows.size
        self.keys = set(rows.columns)

    def __len__(self) -> int:
        return self._size

    def values(self, key: str) -> Values:
        return self._columns[key]

    def with_values(self) -> set[str]:
        return {key for key, values in self._columns.items() if narrowest_type(values) is not None}

    def values_of(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        return ((index, key, value) for key in keys for index, value in enumerate(_as_list(self.values(key))))


class _RuledRows:
    """Rows without the fields that rules exclude, and with hashes where rules say so."""

    def __init__(self, rows: _Rows, rules: TableRules) -> None:
        self._rows, self._rules = rows, rules
        self.keys = {key for key in rows.keys if rules.action(key) != "exclude"}

    def __len__(self) -> int:
        return len(self._rows)

    def values(self, key: str) -> Values:
        values = self._rows.values(key)
        return _hashed(values, self._rules) if self._rules.action(key) == "hash" else values

    def with_values(self) -> set[str]:
        return self._rows.with_values() & self.keys

    def values_of(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        for index, key, value in self._rows.values_of(keys):
            yield index, key, self._rules.hashed(value) if self._rules.action(key) == "hash" else value


def _hashed(values: Values, rules: TableRules) -> Values:
    if isinstance(values, list):
        return list(map(rules.hashed, values))
    distinct = pc.unique(values)
    hashes = pa.array(map(rules.hashed, distinct.to_pylist()), ARROW["text"])
    return hashes.take(pc.index_in(values, distinct))


def to_arrow(
    rows: Sequence[Row] | RowColumns,
    table: Table,
    *,
    stored_types: Mapping[str, str],
    normalize: Callable[[str], str],
    limits: ColumnLimits = ColumnLimits(),  # noqa: B008 - frozen
    rules: TableRules = NO_RULES,
) -> Columns:
    """Builds the columns of ``table``, then those of undeclared keys, then those of values that do not fit.

    Every column of ``table`` is present, even when it is empty; a key without any value gets none.

    Args:
        stored_types: the dlt types that columns of this table have in the warehouse already. They stay columns,
            and count against the limits.
        normalize: the warehouse's name for a vendor's key.
        rules: which fields are left out or hashed.
    """
    source: _Rows = _ColumnarRows(rows) if isinstance(rows, RowColumns) else _ListedRows(rows)
    if rules:
        source = _RuledRows(source, rules)
    builder = _TableBuilder(len(source), table, stored_types, limits)
    for column in table.columns:
        key = column.source or column.name
        builder.add_declared(column.name, source.values(key) if key in source.keys else None, column.type)
    named, without_column = builder.name_undeclared(source, normalize)
    for keys, name in named:
        builder.add_undeclared(name, _first_values(source, keys), keys[0])
    for index, key, value in source.values_of(without_column) if without_column else ():
        builder.add_to_other_fields(index, key, value)
    return builder.build()


def deduplicated(parts: Sequence[pa.Table], table: Table) -> pa.Table:
    """The rows of all parts with each primary key once: the newest row wins, of equally new ones the last."""
    rows = pa.concat_tables(parts, promote_options="default")
    keys = list(table.primary_key)
    if _are_distinct(rows, keys):
        return rows
    rows = rows.take(pa.array(range(rows.num_rows - 1, -1, -1)))
    rows = rows.take(pc.sort_indices(rows, sort_keys=[(table.newest, "descending")]))
    places = rows.select(keys).append_column("position", pa.array(range(rows.num_rows)))
    first = places.group_by(keys, use_threads=False).aggregate([("position", "min")])
    return rows.take(first["position_min"])


def _are_distinct(rows: pa.Table, keys: Sequence[str]) -> bool:
    """Whether no two rows have the same primary key.

    A single column of the key usually proves it; grouping by several loads a part of Arrow that is slow to import.
    """
    size = rows.num_rows
    if any(pc.count_distinct(rows[key], mode="all").as_py() == size for key in keys):
        return True
    return len(keys) > 1 and bool(rows.group_by(keys).aggregate([]).num_rows == size)


def _as_list(values: Values) -> list[Json]:
    as_list: list[Json] = values if isinstance(values, list) else values.to_pylist()
    return as_list


def _first_values(source: _Rows, keys: Sequence[str]) -> Values:
    """The first value of each row under any of the keys; None where it has none."""
    if len(keys) == 1:
        return source.values(keys[0])
    several = zip(*(_as_list(source.values(key)) for key in keys), strict=True)
    return [next((value for value in values if value is not None), None) for values in several]


def _can_share_column(source: _Rows, keys: Sequence[str]) -> bool:
    """Whether no row has values under more than one of the keys."""
    several = zip(*(_as_list(source.values(key)) for key in keys), strict=True)
    return not any(sum(value is not None for value in values) > 1 for values in several)


_NOT_ALPHANUMERIC = re.compile("[^a-zA-Z0-9]+")
_DLT_REPLACEMENTS = str.maketrans("+*@|", "xxal")


def _comparable(name: str) -> str:
    """A form that is equal for a key and for every name that dlt may make of it without shortening."""
    return _NOT_ALPHANUMERIC.sub("", name.translate(_DLT_REPLACEMENTS)).lower().rstrip("x")


def _unused_name(name: str, taken: Container[str]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}__v{number}"  # dlt's snake_case would rewrite __2, but leaves __v2
    return free


class _TableBuilder:
    """Builds the columns of one Arrow table."""

    def __init__(
        self, size: int, table: Table, stored_types: Mapping[str, str], limits: ColumnLimits
    ) -> None:
        self._size = size
        self._stored = stored_types
        self._limits = limits
        self._declared = {column.name for column in table.columns}
        self._sources = {column.source or column.name for column in table.columns}
        self._columns_left = limits.columns - sum(map(self._is_vendors, stored_types))
        """Number of undeclared columns that may still be added."""
        self._arrays: dict[str, pa.Array] = {}
        self._types: dict[str, str] = {}
        self._variants: dict[str, tuple[str | None, dict[int, Json]]] = {}
        """Values that do not fit, by column: the key (None for a declared column) and the values by row index."""
        self._others: dict[int, Row] = {}

    def _is_vendors(self, name: str) -> bool:
        """Whether the stored column holds a field of the vendor that is not declared."""
        is_own = name == OTHER_FIELDS or name.startswith("_dlt_")
        return not is_own and name.removesuffix(VARIANT) not in self._declared

    def name_undeclared(
        self,
        source: _Rows,
        normalize: Callable[[str], str],
    ) -> tuple[list[tuple[tuple[str, ...], str]], set[str]]:
        """Returns the keys and name of each undeclared column, and the keys that become no column.

        A row that was read back has the warehouse's name where a fresh one has the vendor's: both are one column,
        unless a row has both. A key that already is its name comes first.
        """
        keys = source.keys - self._sources
        without_column: set[str] = set()
        if len(keys) > self._columns_left:
            keys &= source.with_values()
            # dlt remembers each name that it was asked for.
            stored = set(map(_comparable, self._stored))
            has_shortened = max(map(len, self._stored), default=0) >= _SHORTENED_CHARS
            fresh = sorted(
                key
                for key in keys
                if _comparable(key) not in stored
                and not (has_shortened and len(key) >= _SHORTENED_CHARS // 2)
            )
            short = [key for key in fresh if len(key) <= self._limits.name_length]
            without_column = set(fresh).difference(short[: max(0, self._columns_left)])
        wanted: dict[str, list[tuple[bool, str]]] = {}
        for key in keys - without_column:
            if len(key) > _NORMALIZED_CHARS:
                without_column.add(key)
                continue
            try:
                name = normalize(key)
            except ValueError:
                name = ""
            wanted.setdefault(encodable(name) or "unnamed", []).append((name != key, key))
        named = []
        taken = self._declared | {OTHER_FIELDS}
        for name, same in sorted(wanted.items()):
            alike = [key for _, key in sorted(same)]
            is_one = len(alike) == 1 or (
                len(alike) <= _MAX_SAME_NAME_KEYS and _can_share_column(source, alike)
            )
            for group in [tuple(alike)] if is_one else [(key,) for key in alike]:
                free = _unused_name(name.lstrip("_") if name.startswith("_dlt_") else name, taken)
                if self._may_add(free, longest_key=max(map(len, group))):
                    taken.add(free)
                    named.append((group, free))
                else:
                    without_column.update(group)
        return named, without_column

    def _may_add(self, name: str, *, longest_key: int = 0) -> bool:
        """Whether the column exists or may be added; counts an added one against the limit."""
        if name in self._stored:
            return True
        if self._columns_left <= 0 or max(len(name), longest_key) > self._limits.name_length:
            return False
        self._columns_left -= 1
        return True

    def add_declared(self, name: str, values: Values | None, type_: str) -> None:
        """Adds a declared column. A text of digits becomes an integer where a bigint is declared."""
        type_ = self._stored.get(name, type_)
        if values is None:
            self._add(name, pa.nulls(self._size, ARROW.get(type_, ARROW["text"])), type_)
        elif (array := whole_column(values, type_)) is not None:
            self._add(name, array, type_)
        else:
            self._add_value_by_value(name, values, type_, DECLARED_FITS)

    def add_undeclared(self, name: str, values: Values, key: str) -> None:
        """Adds an undeclared column, of its stored type or else of the narrowest type that holds all values."""
        type_ = narrowest_type(values)
        if type_ is None:
            return
        type_ = self._stored.get(name, type_)
        if (array := whole_column(values, type_)) is not None:
            self._add(name, array, type_)
        else:
            self._add_value_by_value(name, values, type_, UNDECLARED_FITS, key)

    def add_to_other_fields(self, index: int, key: str, value: Json) -> None:
        """Adds a value whose key becomes no column to ``other_fields`` of its row."""
        if value is not None:
            self._others.setdefault(index, {})[key] = value

    def _add(self, name: str, array: pa.Array, type_: str) -> None:
        if type_ in ARROW:
            self._arrays[name] = without_nul(array) if array.type == ARROW["text"] else array
            self._types[name] = type_

    def _add_value_by_value(
        self, name: str, values: Values, type_: str, fits: Mapping[str, Fit], key: str | None = None
    ) -> None:
        fit = fits.get(type_, never_fits)
        if not isinstance(values, list):
            values = values.to_pylist()
        fitting: list[Any] = []
        misfits: dict[int, Json] = {}
        for index, value in enumerate(values):
            stored = None
            if value is not None:
                try:
                    stored = fit(value)
                except Misfit:
                    misfits[index] = value
            fitting.append(stored)
        self._add(name, pa.array(fitting, ARROW.get(type_, ARROW["text"])), type_)
        if misfits:
            self._variants[name] = (key, misfits)

    def build(self) -> Columns:
        for name, (key, misfits) in sorted(self._variants.items()):
            variant = _unused_name(name + VARIANT, self._types)
            if key is None or self._may_add(variant):
                texts = [as_text(misfits[index]) if index in misfits else None for index in range(self._size)]
                self._add(variant, pa.array(texts, ARROW["text"]), "text")
            else:
                for index, value in misfits.items():
                    self.add_to_other_fields(index, key, value)
        if self._others:
            texts = [self._other_text(index) for index in range(self._size)]
            self._add(OTHER_FIELDS, pa.array(texts, ARROW["text"]), "text")
        return Columns(pa.table(self._arrays), self._types, len(set().union(*self._others.values())))

    def _other_text(self, index: int) -> str | None:
        row = self._others.get(index)
        return None if row is None else encodable(exact_json(dict(sorted(row.items()))))
