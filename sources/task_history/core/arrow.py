"""Arrow types of dlt's data types, columns of rows, and texts read as instants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from .models import Json

ARROW = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000
"""Microseconds since 1970."""

Values: TypeAlias = "list[Json] | pa.Array | pa.ChunkedArray"
"""One column, as Python has it or as Arrow does."""


@dataclass(frozen=True, slots=True)
class RowColumns:
    """Rows in columns, by the vendor's keys or, for what it does not send, by name."""

    columns: Mapping[str, Values]
    size: int
    """How many rows they are."""


def instants(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray | None:
    """Texts in ISO 8601 as instants; None when one of them needs a closer look."""
    try:
        return in_years(pc.cast(texts, ARROW["timestamp"]))
    except pa.ArrowInvalid:
        return None


def in_years(instants: pa.Array) -> pa.Array | None:
    """The instants, unless one lies in UTC outside the years that databases have."""
    ends = pc.min_max(instants)
    first, last = ends["min"].value, ends["max"].value
    return instants if first is None or (first >= _YEAR_1 and last < _YEAR_10000) else None
