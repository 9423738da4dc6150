"""Rows or columns as the vendor sends them → one Arrow table. Nothing is lost and nothing raises.

A value that does not fit its column goes, exact, to ``<column>__v_text`` and leaves NULL in the
column. A key that no column is declared for becomes a column of its own; of two that would share
a name the second gets ``__v2`` added. What is beyond the limits of columns and names goes, exact,
into one JSON text, ``other_fields``. Most columns are built by Arrow whole; only where that fails
are the values looked at one by one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrow import ARROW, Framed, Values, instants
from ..core.json import exact_json
from ..core.json_reading import SentNumber
from ..core.models import OTHER_FIELDS, ColumnLimits, Json, Row, Table

_TYPES = {arrow: type_ for type_, arrow in ARROW.items()}
VARIANT = "__v_text"
_NORMALIZED_CHARS = 1_000
"""No longer key is the name of a column."""
_SHORTENED_CHARS = 60
"""Longer names may be cut by dlt, and hold a hash."""
_ALIKE = 20
"""So many keys of one name are looked at for being one column."""
_DIGITS = 30
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Columns:
    """An Arrow table and the dlt data type of each of its columns."""

    table: pa.Table
    types: dict[str, str]
    beyond: int = 0
    """How many keys had values that went into ``other_fields``."""


class _Misfit(Exception):
    """The value cannot be stored in this type without loss."""


Fit = Callable[[Json], Any]
"""Gives the value as a column stores it. Raises _Misfit."""


def to_arrow(
    rows: Sequence[Row],
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
    work = _Work(len(rows), table, stored_types, limits)
    keys: set[str] = set().union(*rows)
    for column in table.columns:
        key = column.source or column.name
        work.known(column.name, _values(rows, key) if key in keys else None, column.type)
    unknown = keys.difference(column.source or column.name for column in table.columns)

    def are_one(alike: Sequence[str]) -> bool:
        return not any(sum(row.get(key) is not None for key in alike) > 1 for row in rows)

    def with_values() -> set[str]:
        return {key for row in rows for key, value in row.items() if value is not None}

    named, beyond = work.names(unknown, normalize, are_one, with_values)
    for keys_of_one, name in named:
        work.unknown(name, _first_values(rows, keys_of_one), keys_of_one[0])
    if beyond:
        for place, row in enumerate(rows):
            for key in beyond.intersection(row):
                work.other(place, key, row[key])
    return work.columns()


def framed_to_arrow(
    framed: Framed,
    table: Table,
    *,
    stored_types: Mapping[str, str],
    normalize: Callable[[str], str],
    limits: ColumnLimits = ColumnLimits(),  # noqa: B008 - frozen
) -> Columns:
    """The same of rows that come in columns."""
    columns, work = framed.columns, _Work(framed.size, table, stored_types, limits)
    for column in table.columns:
        work.known(column.name, columns.get(column.source or column.name), column.type)
    unknown = set(columns).difference(column.source or column.name for column in table.columns)

    def rows(alike: Sequence[str]) -> list[Row]:
        lists = [values if isinstance(values := columns[key], list) else values.to_pylist() for key in alike]
        return [dict(zip(alike, values, strict=True)) for values in zip(*lists, strict=True)]

    def are_one(alike: Sequence[str]) -> bool:
        return not any(sum(value is not None for value in row.values()) > 1 for row in rows(alike))

    def with_values() -> set[str]:
        return {key for key, values in columns.items() if _narrowest(values) is not None}

    named, beyond = work.names(unknown, normalize, are_one, with_values)
    for keys, name in named:
        values = columns[keys[0]] if len(keys) == 1 else _first_values(rows(keys), keys)
        work.unknown(name, values, keys[0])
    for key in beyond:
        for place, row in enumerate(rows([key])):
            work.other(place, key, row[key])
    return work.columns()


def once(parts: Sequence[pa.Table], table: Table) -> pa.Table:
    """The rows of all parts, each key once: of two the newest, and of two as new as each other the later one."""
    rows = pa.concat_tables(parts, promote_options="default")
    keys = list(table.primary_key)
    number = (
        pc.count_distinct(rows[keys[0]], mode="all").as_py()
        if len(keys) == 1
        else rows.group_by(keys).aggregate([]).num_rows
    )
    if number == rows.num_rows:
        return rows
    rows = rows.take(pa.array(range(rows.num_rows - 1, -1, -1)))
    rows = rows.take(pc.sort_indices(rows, sort_keys=[(table.newest, "descending")]))
    places = rows.select(keys).append_column("place", pa.array(range(rows.num_rows)))
    first = places.group_by(keys, use_threads=False).aggregate([("place", "min")])
    return rows.take(first["place_min"])


def _values(rows: Sequence[Row], key: str) -> list[Json]:
    try:
        return list(map(itemgetter(key), rows))
    except KeyError:
        return [row.get(key) for row in rows]


def _first_values(rows: Sequence[Row], keys: Sequence[str]) -> list[Json]:
    """Of each row the value under whichever of the keys it has."""
    if len(keys) == 1:
        return _values(rows, keys[0])
    return [next((value for key in keys if (value := row.get(key)) is not None), None) for row in rows]


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
        keys: set[str],
        normalize: Callable[[str], str],
        are_one: Callable[[Sequence[str]], bool],
        with_values: Callable[[], set[str]],
    ) -> tuple[list[tuple[tuple[str, ...], str]], set[str]]:
        """The keys of each column and its name, and the keys that become none.

        A row that was read back has the warehouse's name where a fresh one has the vendor's: both are one column,
        unless a row has both; ``are_one`` says so of keys. A key that already is its name comes first.
        """
        beyond: set[str] = set()
        if len(keys) > self._room:
            keys = keys & with_values()
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
            wanted.setdefault(_sound(name) or "unnamed", []).append((name != key, key))
        named = []
        taken = self._declared | {OTHER_FIELDS}
        for name, same in sorted(wanted.items()):
            alike = [key for _, key in sorted(same)]
            is_one = len(alike) == 1 or (len(alike) <= _ALIKE and are_one(alike))
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
        elif (array := _quick(values, type_)) is not None:
            self._add(name, array, type_)
        else:
            self._careful(name, values, type_, _FITS_KNOWN)

    def unknown(self, name: str, values: Values, key: str) -> None:
        """A key that is not declared: the type that is stored, or the narrowest that holds all of it."""
        type_ = _narrowest(values)
        if type_ is None:
            return
        type_ = self._stored.get(name, type_)
        if (array := _quick(values, type_)) is not None:
            self._add(name, array, type_)
        else:
            self._careful(name, values, type_, _FITS_UNKNOWN, key)

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
        fit = fits.get(type_, _nothing)
        if not isinstance(values, list):
            values = values.to_pylist()
        fitting: list[Any] = []
        misfits: dict[int, Json] = {}
        for place, value in enumerate(values):
            stored = None
            if value is not None:
                try:
                    stored = fit(value)
                except _Misfit:
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
        return None if row is None else _sound(exact_json(dict(sorted(row.items()))))


# Whole columns


_QUICK: dict[str, frozenset[type]] = {
    "text": frozenset({str}),
    "timestamp": frozenset({str}),
    "bigint": frozenset({int}),
    "double": frozenset({float}),
    "bool": frozenset({bool}),
}


def _quick(values: Values, type_: str) -> pa.Array | None:
    """The column as Arrow makes it at once, or None when its values need a closer look."""
    if not isinstance(values, list):
        return _fitting(values, type_)
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if type_ == "timestamp" and kinds == {datetime}:
        return _instants(values)
    if type_ not in ARROW or not kinds <= _QUICK[type_]:
        return None
    try:
        if type_ == "timestamp":
            return instants(pa.array(values, pa.string()))
        return pa.array(values, ARROW[type_])
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        return None


def _fitting(column: pa.Array | pa.ChunkedArray, type_: str) -> pa.Array | pa.ChunkedArray | None:
    wanted = ARROW.get(type_)
    if wanted is None or column.type == wanted:
        return column if wanted is not None else None
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), wanted)
    return instants(column) if type_ == "timestamp" and pa.types.is_string(column.type) else None


def _instants(values: list[datetime | None]) -> pa.Array | None:
    if all(value is None or value.tzinfo is not None for value in values):
        return pa.array(values, ARROW["timestamp"])
    return None


def _narrowest(values: Values) -> str | None:
    """The type that holds all values exactly; None when there is none to hold."""
    if not isinstance(values, list):
        return None if values.null_count == len(values) else _TYPES.get(values.type, "text")
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if not kinds:
        return None
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "bigint" if all(value is None or value in INT64 for value in values) else "text"
    if kinds <= {int, float, Decimal, SentNumber} and all(
        value is None or _fits(value, _double) for value in values
    ):
        return "double"
    if kinds == {datetime}:
        return "timestamp"
    return "text"


def _fits(value: Json, fit: Fit) -> bool:
    try:
        fit(value)
    except _Misfit:
        return False
    return True


# Single values


def as_text(value: Json) -> str:
    """The value as exact text: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return _sound(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return _sound(exact_json(value))


def _sound(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, written as ``\\udXXX``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _nothing(_: Json) -> Any:
    raise _Misfit


def _bigint(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _Misfit
    if isinstance(value, Decimal) and abs(value.adjusted()) > _DIGITS:
        raise _Misfit  # int() of 1E+999999999 would take all memory
    try:
        whole = int(value)
    except (ValueError, OverflowError):
        raise _Misfit from None
    if whole != value or whole not in INT64:
        raise _Misfit
    return whole


def _bigint_or_digits(value: Json) -> int:
    if not isinstance(value, str):
        return _bigint(value)
    if (
        not value.isascii()
        or len(value) > 20
        or not value.removeprefix("-").isdigit()
        or str(int(value)) != value
    ):
        raise _Misfit
    return _bigint(int(value))


def _double(value: Json) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Misfit
    try:
        near = float(value)
    except OverflowError:
        raise _Misfit from None
    # The shortest decimal that gives the double is what everybody reads and writes as its value.
    if not math.isfinite(near) or Decimal(repr(near)) != value:
        raise _Misfit
    return near


def _bool(value: Json) -> bool:
    if not isinstance(value, bool):
        raise _Misfit
    return value


def _timestamp(value: Json) -> datetime:
    """ISO 8601; UTC when it names no zone, cut to microseconds. Numbers are not taken for instants."""
    if isinstance(value, str):
        if value[4:5] != "-":
            raise _Misfit  # digits alone may be anything
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _Misfit from None
    if not isinstance(value, datetime):
        raise _Misfit
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise _Misfit from None


_FITS_UNKNOWN: dict[str, Fit] = {
    "text": as_text,
    "bigint": _bigint,
    "double": _double,
    "bool": _bool,
    "timestamp": _timestamp,
}
_FITS_KNOWN: dict[str, Fit] = {**_FITS_UNKNOWN, "bigint": _bigint_or_digits}
