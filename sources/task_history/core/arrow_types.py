"""Arrow types by dlt data type, rows in columns, and timestamps parsed by Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from .escapes import NUL, NUL_STORED_AS
from .models import LAST_INSTANT, Json

ARROW = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_LAST_US = round(LAST_INSTANT.timestamp() * 1_000_000)
"""The first instant that is kept as text, in microseconds since 1970, which is when the others begin."""

_SEARCHED_BYTES = 1 << 20
"""Bytes of text that are copied at once to be searched."""

Values: TypeAlias = "list[Json] | pa.Array | pa.ChunkedArray"
"""The values of one column, as a Python list or an Arrow array."""


@dataclass(frozen=True, slots=True)
class RowColumns:
    """Rows in columns: by the vendor's key, or by our name where the vendor has no such field."""

    columns: Mapping[str, Values]
    size: int
    """Number of rows."""
    constants: Mapping[str, pa.Scalar] = field(default_factory=dict)
    """Values that all rows have, by column: held once until the rows are written."""

    def arrays(self) -> dict[str, Values]:
        """All columns, with a value for each row."""
        repeated = {name: pa.repeat(value, self.size) for name, value in self.constants.items()}
        return {**self.columns, **repeated}


def instants(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray | None:
    """ISO 8601 texts parsed as instants; None when Arrow cannot parse one, or one is no instant of a vendor's."""
    try:
        parsed = pc.cast(texts, ARROW["timestamp"])
    except pa.ArrowInvalid:
        return None
    ends = pc.min_max(parsed)
    first, last = ends["min"].value, ends["max"].value
    return parsed if first is None or (first >= 0 and last < _LAST_US) else None


def without_nul(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The texts as they are stored, with U+FFFD in place of NUL."""
    return pc.replace_substring(texts, NUL, NUL_STORED_AS) if has_nul(texts) else texts


def has_nul(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Whether a text holds NUL; one that was null may count, too."""
    # Python finds a byte thirty times as fast as Arrow finds it by a function of its own.
    return any(
        NUL.encode() in bytes(data[begin : begin + _SEARCHED_BYTES])
        for chunk in (texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts])
        for data in [text_bytes(chunk)]
        for begin in range(0, len(data), _SEARCHED_BYTES)
    )


def text_bytes(texts: pa.Array) -> memoryview:
    """The bytes of all values of a text array, joined."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return memoryview(b"")
    positions = memoryview(offsets).cast("q" if pa.types.is_large_string(texts.type) else "i")
    return memoryview(data)[positions[texts.offset] : positions[texts.offset + len(texts)]]
