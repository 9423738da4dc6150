"""Builds one Arrow table from rows or columns as the vendor sends them. No value is lost and none raises an error.

NUL in a text is stored as U+FFFD, since not every warehouse holds it; JSON text keeps its ``\\u0000``.
A value that does not fit its column goes, exact, to ``<column>__v_text`` and leaves NULL in the
column. A key that is not documented becomes a column of its own, see ``vendor_fields``.
Values beyond the limits of columns and names go, exact, into one JSON text, ``other_fields``. Most
columns are built by Arrow whole; only where that fails are the values looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrow_types import ARROW, RowColumns, Values, without_nul
from ..core.json_writing import exact_json
from ..core.models import OTHER_FIELDS, VARIANT, Column, ColumnLimits, Json, Row, Table
from ..core.naming import folded_column
from ..core.row_keys import stored_column, vendors_key
from ..warehouse.column_rules import NO_RULES, TableRules
from .column_values import (
    DECLARED_FITS,
    UNDOCUMENTED_FITS,
    Fit,
    Misfit,
    as_text,
    encodable,
    holds_of,
    never_fits,
    whole_column,
)
from .vendor_fields import ANY, FieldColumn, VendorFields, column_name, field_name, free_name

_NORMALIZED_CHARS = 1_000
"""Maximum characters of a key that becomes a column name."""
_SHORTENED_CHARS = 60
"""Characters from which on dlt may shorten a name and add a hash."""
_FEW_KEYS = 8
"""So many keys are looked for one by one in all rows."""


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

    def values(self, key: str, *others: str) -> Values:
        """The value of each row under the first of the keys that it has; None where it lacks them."""
        ...

    def with_values(self, keys: set[str]) -> set[str]:
        """Those of the keys under which at least one row has a value."""
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

    def values(self, key: str, *others: str) -> list[Json]:
        if others:
            keys = (key, *others)
            return [next((row[key] for key in keys if key in row), None) for row in self._rows]
        try:
            return list(map(itemgetter(key), self._rows))
        except KeyError:
            return [row.get(key) for row in self._rows]

    def with_values(self, keys: set[str]) -> set[str]:
        if len(keys) <= _FEW_KEYS:
            return {key for key in keys if any(row.get(key) is not None for row in self._rows)}
        return keys & {key for row in self._rows for key, value in row.items() if value is not None}

    def values_of(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        return (
            (index, key, row[key]) for index, row in enumerate(self._rows) for key in keys.intersection(row)
        )


class _ColumnarRows:
    """Rows that are stored as columns already."""

    def __init__(self, rows: RowColumns) -> None:
        self._columns, self._size = rows.arrays(), rows.size
        self.keys = set(self._columns)

    def __len__(self) -> int:
        return self._size

    def values(self, key: str, *others: str) -> Values:
        assert not others  # noqa: S101 - rows that were read back come one by one
        return self._columns[key]

    def with_values(self, keys: set[str]) -> set[str]:
        return {key for key in keys if holds_of(self._columns[key]) is not None}

    def values_of(self, keys: set[str]) -> Iterator[tuple[int, str, Json]]:
        return ((index, key, value) for key in keys for index, value in enumerate(_as_list(self.values(key))))


class _RuledRows:
    """Rows without the fields that rules exclude, and with hashes where rules say so."""

    def __init__(self, rows: _Rows, rules: TableRules) -> None:
        self._rows, self._rules = rows, rules
        self.keys = {key for key in rows.keys if rules.action(key) != "exclude"}

    def __len__(self) -> int:
        return len(self._rows)

    def values(self, key: str, *others: str) -> Values:
        values = self._rows.values(key, *others)
        return _hashed(values, self._rules) if self._rules.action(key) == "hash" else values

    def with_values(self, keys: set[str]) -> set[str]:
        return self._rows.with_values(keys & self.keys)

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
    fields: VendorFields | None = None,
    limits: ColumnLimits = ColumnLimits(),  # noqa: B008 - frozen
    rules: TableRules = NO_RULES,
) -> Columns:
    """Builds the columns of ``table``, then those of undocumented keys, then those of values that do not fit.

    Every column of ``table`` is present, even when it is empty; a key without any value gets none.

    Args:
        stored_types: the dlt types that columns of this table have in the warehouse already. They stay columns,
            and count against the limits.
        normalize: the warehouse's name for a vendor's key.
        fields: the columns of undocumented keys that are known from before; None where there are none.
        rules: which fields are excluded or hashed.
    """
    source: _Rows = _ColumnarRows(rows) if isinstance(rows, RowColumns) else _ListedRows(rows)
    if rules:
        source = _RuledRows(source, rules)
    builder = _TableBuilder(len(source), table, stored_types, limits)
    for column in table.columns:
        key = column.key
        builder.add_documented(column, source.values(key) if key in source.keys else None)
    named, without_column = builder.name_undocumented(
        source, normalize, VendorFields() if fields is None else fields
    )
    for field_column, keys in named:
        builder.add_undocumented(field_column, source.values(*keys), keys[0])
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


class _TableBuilder:
    """Builds the columns of one Arrow table."""

    def __init__(
        self, size: int, table: Table, stored_types: Mapping[str, str], limits: ColumnLimits
    ) -> None:
        self._size = size
        self._table = table
        self._stored = stored_types
        self._limits = limits
        self._documented = {column.name for column in table.columns}
        self._sources = {column.key for column in table.columns}
        self._vendors = set(filter(self._is_vendors, stored_types))
        """The columns that count against the limit."""
        self._arrays: dict[str, pa.Array] = {}
        self._types: dict[str, str] = {}
        self._variants: dict[str, tuple[str | None, dict[int, Json]]] = {}
        """Values that do not fit, by column: the key (None for a documented column) and the values by row index."""
        self._others: dict[int, Row] = {}

    def _is_vendors(self, name: str) -> bool:
        """Whether the stored column holds a field of the vendor that is not documented."""
        is_own = name == OTHER_FIELDS or name.startswith("_dlt_")
        return not is_own and name.removesuffix(VARIANT) not in self._documented

    def name_undocumented(
        self, source: _Rows, normalize: Callable[[str], str], fields: VendorFields
    ) -> tuple[list[tuple[FieldColumn, list[str]]], set[str]]:
        """Returns each undocumented column with its keys in ``source``, and the keys that become no column.

        A row that was read back has its values under ``stored_key``; a key of the vendor's in it is newer.
        """
        table, keys = self._table, source.keys - self._sources
        stored = {key: name for key in keys if (name := stored_column(key)) is not None}
        read_back = {key: name for key, name in stored.items() if name not in self._documented}
        names = {key: field_name(table, key) for key in keys - read_back.keys()}
        columns = fields.of(table.name) if keys else {}
        fresh = {key for key, name in names.items() if name not in columns}
        without_column: set[str] = set()
        while fresh := source.with_values(fresh) - without_column if fresh else fresh:
            wanted, beyond = self._wanted(fresh, columns, normalize)
            without_column |= beyond
            if wanted:
                holds = {key: holds_of(source.values(key)) or ANY for key in wanted}
                fields.keep(table.name, self._allotted(wanted, holds, columns))
                columns = fields.of(table.name)
            fresh = {key for key in fresh - beyond if names[key] not in columns}
        named: dict[str, tuple[FieldColumn, list[str]]] = {}
        for key, name in sorted(names.items()):
            if (column := columns.get(name)) is not None:
                named.setdefault(column.name, (column, []))[1].append(key)
        by_column = {column.name: column for column in columns.values()}
        for key, stored_name in read_back.items():
            column = by_column.get(stored_name) or FieldColumn(
                stored_name, self._stored_holds(stored_name) or holds_of(source.values(key)) or ANY
            )
            named.setdefault(stored_name, (column, []))[1].append(key)
        self._vendors |= {column.name for column in columns.values()}
        return list(named.values()), without_column

    def _wanted(
        self, keys: set[str], columns: Mapping[str, FieldColumn], normalize: Callable[[str], str]
    ) -> tuple[dict[str, str], set[str]]:
        """The names of keys that become columns, and the keys that do not; ``columns`` are those of other fields."""
        table, taken = self._table, {column.name for column in columns.values()}
        left = self._limits.columns - len(self._vendors | taken)
        # dlt remembers each name that it was asked for.
        stored = set(map(folded_column, self._stored))
        has_shortened = max(map(len, self._stored), default=0) >= _SHORTENED_CHARS
        known = {
            key
            for key in keys
            if folded_column(vendors_key(table, key)) in stored
            or (has_shortened and len(key) >= _SHORTENED_CHARS // 2)
        }
        short = sorted(key for key in keys - known if len(key) <= self._limits.name_length)
        wanted = {}
        for key in (*sorted(known), *short[: max(0, left)]):
            try:
                name = (
                    column_name(normalize(vendors_key(table, key))) if len(key) <= _NORMALIZED_CHARS else None
                )
            except ValueError:
                name = column_name("")
            is_there = name is not None and name in self._stored and name not in taken
            if name is not None and (is_there or (left > 0 and self._is_short(name, key))):
                wanted[key] = name
                left -= not is_there
        return wanted, keys - wanted.keys()

    def _allotted(
        self, names: Mapping[str, str], holds: Mapping[str, str], columns: Mapping[str, FieldColumn]
    ) -> dict[str, FieldColumn]:
        """Columns for keys of these names; a key that already is its name comes first."""
        table, taken = self._table, {column.name for column in columns.values()}
        allotted = {}
        for key, name in sorted(names.items(), key=lambda item: (item[0] != item[1], item[0])):
            free = free_name(table, vendors_key(table, key), name, taken=taken, stored=self._stored)
            taken.add(free)
            allotted[field_name(table, key)] = FieldColumn(free, self._stored_holds(free) or holds[key])
        return allotted

    def _stored_holds(self, name: str) -> str | None:
        """What a stored column without a field holds; None where it is not stored."""
        type_ = self._stored.get(name)
        return ANY if type_ == "text" else type_

    def _is_short(self, name: str, key: str = "") -> bool:
        return max(len(name), len(key)) <= self._limits.name_length

    def _may_add_variant(self, name: str) -> bool:
        """Whether the column exists or may be added; counts an added one against the limit."""
        if name in self._stored:
            return True
        if len(self._vendors) >= self._limits.columns or not self._is_short(name):
            return False
        self._vendors.add(name)
        return True

    def add_documented(self, column: Column, values: Values | None) -> None:
        """Adds a documented column. A text of digits becomes an integer where the column is a bigint."""
        name, type_ = column.name, self._stored.get(column.name, column.type)
        if values is None:
            self._add(name, pa.nulls(self._size, ARROW.get(type_, ARROW["text"])), type_)
        else:
            holds = "json" if column.is_json and type_ == "text" else type_
            self._add_converted(name, values, type_, holds, DECLARED_FITS)

    def add_undocumented(self, column: FieldColumn, values: Values, key: str) -> None:
        """Adds an undocumented column that has any value."""
        if holds_of(values) is None:
            return
        type_ = self._stored.get(column.name, column.type)
        # A column that was altered by hand holds what its type can.
        holds = column.holds if type_ == column.type else type_
        self._add_converted(column.name, values, type_, holds, UNDOCUMENTED_FITS, key)

    def add_to_other_fields(self, index: int, key: str, value: Json) -> None:
        """Adds a value whose key becomes no column to ``other_fields`` of its row."""
        if value is not None:
            self._others.setdefault(index, {})[vendors_key(self._table, key)] = value

    def _add(self, name: str, array: pa.Array, type_: str) -> None:
        if type_ in ARROW:
            self._arrays[name] = without_nul(array) if array.type == ARROW["text"] else array
            self._types[name] = type_

    def _add_converted(
        self,
        name: str,
        values: Values,
        type_: str,
        holds: str,
        fits: Mapping[str, Fit],
        key: str | None = None,
    ) -> None:
        if type_ in ARROW and (array := whole_column(values, holds)) is not None:
            self._add(name, array, type_)
        else:
            fit = fits[holds] if type_ in ARROW else never_fits
            self._add_value_by_value(name, values, type_, fit, key)

    def _add_value_by_value(
        self, name: str, values: Values, type_: str, fit: Fit, key: str | None = None
    ) -> None:
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
            variant = name + VARIANT
            if key is None or self._may_add_variant(variant):
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
