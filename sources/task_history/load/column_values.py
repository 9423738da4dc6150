"""Conversion of values to column types: whole columns by Arrow, or value by value where Arrow cannot."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from ..core.arrow_types import ARROW, Values, instants
from ..core.json_reading import SentNumber
from ..core.json_writing import exact_json
from ..core.keyed_hash import is_hash
from ..core.models import Json
from ..core.row_keys import JsonText, MisfitText, StoredText
from ..systems.parsing import instant

_TYPES = {arrow: type_ for type_, arrow in ARROW.items()}
_MAX_EXPONENT = 30
INT64 = range(-(2**63), 2**63)


class Misfit(Exception):
    """The value cannot be stored in this type without loss."""


Fit = Callable[[Json], Any]
"""Converts a value to the type of a column. Raises Misfit."""


_WHOLE_COLUMN_TYPES: dict[str, frozenset[type]] = {
    "text": frozenset({str}),
    "any": frozenset({str}),
    "json": frozenset({JsonText, StoredText}),
    "timestamp": frozenset({str}),
    "bigint": frozenset({int}),
    "double": frozenset({float}),
    "bool": frozenset({bool}),
}


def whole_column(values: Values, holds: str) -> pa.Array | None:
    """The column as Arrow converts it at once; None when its values must be converted one by one.

    ``holds`` is a type of dlt's, ``json`` or ``any``.
    """
    type_ = "text" if holds in ("json", "any") else holds
    if not isinstance(values, list):
        return None if holds == "json" else _arrow_column(values, type_)
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if type_ == "timestamp" and kinds == {datetime}:
        return _instants(values)
    if type_ not in ARROW or not kinds <= _WHOLE_COLUMN_TYPES[holds]:
        return None
    try:
        if type_ == "timestamp":
            return instants(pa.array(values, pa.string()))
        return pa.array(values, ARROW[type_])
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        return None


def _arrow_column(column: pa.Array | pa.ChunkedArray, type_: str) -> pa.Array | pa.ChunkedArray | None:
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


def holds_of(values: Values) -> str | None:
    """What a new column for these values holds: the narrowest dlt type, or json; None when all values are None."""
    if not isinstance(values, list):
        return None if values.null_count == len(values) else _TYPES.get(values.type, "json")
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if not kinds:
        return None
    if kinds == {str}:
        return "text"
    if kinds == {bool}:
        return "bool"
    if kinds == {int} and all(value is None or value in INT64 for value in values):
        return "bigint"
    if kinds <= {int, float, Decimal, SentNumber} and all(
        value is None or _fits(value, _double) for value in values
    ):
        return "double"
    # A field of instants is one, also where some could not be parsed.
    return "timestamp" if datetime in kinds else "json"


def _fits(value: Json, fit: Fit) -> bool:
    try:
        fit(value)
    except Misfit:
        return False
    return True


def as_text(value: Json) -> str:
    """The value as exact text: strings unchanged, dates in ISO 8601, everything else as JSON."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return encodable(exact_json(value))


def encodable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, written as ``\\udXXX``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def never_fits(_: Json) -> Any:
    """Raises Misfit: no value fits a column of an unknown type."""
    raise Misfit


def _bigint(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Misfit
    if isinstance(value, Decimal) and abs(value.adjusted()) > _MAX_EXPONENT:
        raise Misfit  # int() of 1E+999999999 would take all memory
    try:
        whole = int(value)
    except (ValueError, OverflowError):
        raise Misfit from None
    if whole != value or whole not in INT64:
        raise Misfit
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
        raise Misfit
    return _bigint(int(value))


def _double(value: Json) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Misfit
    try:
        near = float(value)
    except OverflowError:
        raise Misfit from None
    # The shortest decimal that gives the double is what everybody reads and writes as its value.
    if not math.isfinite(near) or Decimal(repr(near)) != value:
        raise Misfit
    return near


def _bool(value: Json) -> bool:
    if not isinstance(value, bool):
        raise Misfit
    return value


def _timestamp(value: Json) -> datetime:
    """Converts ISO 8601 text, UTC when it names no zone, cut to microseconds. Numbers raise Misfit."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    # Digits alone may be anything.
    if not isinstance(value, str) or value[4:5] != "-" or (parsed := instant(value)) is None:
        raise Misfit
    return parsed


def _text(value: Json) -> str:
    """A text as it was sent; any other value would look like a text."""
    if not isinstance(value, str) or isinstance(value, JsonText):
        raise Misfit
    return encodable(value)


def _json(value: Json) -> str:
    """Any value as JSON text; a hash that stands in its place stays a hash."""
    is_written = isinstance(value, JsonText | StoredText) or (isinstance(value, str) and is_hash(value))
    return value if is_written else encodable(exact_json(value))


def _unless_misfit(fit: Fit) -> Fit:
    """The same, but for texts that are known not to fit."""

    def converted(value: Json) -> Any:
        if isinstance(value, MisfitText):
            raise Misfit
        return fit(value)

    return converted


_FITS: dict[str, Fit] = {
    "text": _text,
    "json": _json,
    "any": as_text,
    "bigint": _bigint,
    "double": _double,
    "bool": _bool,
    "timestamp": _timestamp,
}
UNDOCUMENTED_FITS = {holds: _unless_misfit(fit) for holds, fit in _FITS.items()}
"""Conversions by what a column of an undocumented field holds, see ``vendor_fields``."""
DECLARED_FITS: dict[str, Fit] = {
    **UNDOCUMENTED_FITS,
    "text": _unless_misfit(as_text),
    "bigint": _unless_misfit(_bigint_or_digits),
}
"""Conversions by the type of a documented column."""
