"""Redaction of the run's own secrets in the columns of an Arrow table."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrow_types import text_bytes
from .own_secrets import OwnSecrets

_SEARCHED_BYTES = 1 << 22
"""Approximate bytes of values that are joined into one text and searched at once."""


def without_own(table: pa.Table, own: OwnSecrets) -> pa.Table:
    """The table with the run's secrets redacted in every column; the same object if it holds none.

    A number that is a secret becomes NULL.
    """
    if not own:
        return table
    texts = [index for index, field in enumerate(table.schema) if _is_text(field.type)]
    if _may_hold((chunk for index in texts for chunk in table.column(index).chunks), own.pattern):
        # Ids of hexadecimal digits may hold a few letters of a secret by chance: other columns need no closer look.
        texts = [index for index in texts if _may_hold(table.column(index).chunks, own.pattern)]
    else:
        texts = []
    for index, field in enumerate(table.schema):
        if index in texts:
            new = _texts(table.column(index), own)
        elif own.digits and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            new = _numbers(table.column(index), own)
        else:
            continue
        if new is not None:
            table = table.set_column(index, field, new)
    return table


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _may_hold(chunks: Iterable[pa.Array], pattern: str) -> bool:
    """Whether the pattern matches in a value, or across the border of two values of a chunk.

    Many values are searched as one text: for each search Arrow compiles the pattern, which takes as long as
    searching 200 KB.
    """
    return any(pc.match_substring_regex(text, pattern)[0].as_py() for text in _joined(chunks))


def _joined(chunks: Iterable[pa.Array]) -> Iterator[pa.Array]:
    """The values of text columns, one after the other, as few texts of bounded size."""
    waiting: list[memoryview] = []
    size = 0
    for chunk in chunks:
        values = text_bytes(chunk.slice(0, 1) if _is_one_value(chunk) else chunk)
        if size and size + len(values) > _SEARCHED_BYTES:
            yield _one_text(waiting)
            waiting, size = [], 0
        waiting.append(values)
        size += len(values)
    if size:
        yield _one_text(waiting)


def _is_one_value(chunk: pa.Array) -> bool:
    """Whether all rows have the same text, such as the id of the run that read them."""
    if len(chunk) < 2 or not chunk[0].is_valid or chunk[0] != chunk[-1]:
        return False
    return bool(pc.all(pc.equal(chunk, chunk[0])).as_py())


def _one_text(values: list[memoryview]) -> pa.Array:
    data = values[0] if len(values) == 1 else b"\n".join(values)
    bounds = pa.py_buffer(struct.pack("=qq", 0, len(data)))
    return pa.Array.from_buffers(pa.large_string(), 1, [None, bounds, pa.py_buffer(data)])


def _texts(column: pa.ChunkedArray, own: OwnSecrets) -> pa.Array | None:
    """The column without secrets; None if it holds none. Only values that the pattern matches are searched singly."""
    column = column.combine_chunks()
    may_hold = pc.fill_null(pc.match_substring_regex(column, own.pattern), False)
    values = column.filter(may_hold).to_pylist()
    redacted = [own.without(value) for value in values]
    return (
        pc.replace_with_mask(column, may_hold, pa.array(redacted, column.type))
        if redacted != values
        else None
    )


def _numbers(column: pa.ChunkedArray, own: OwnSecrets) -> pa.Array | None:
    """The column with NULL instead of numbers that are secrets; None if it holds none."""
    is_own = pc.is_in(
        pc.cast(column, pa.float64(), safe=False), pa.array([float(number) for number in own.digits])
    )
    if not pc.any(is_own).as_py():
        return None
    texts = pc.cast(column, pa.string()).to_pylist()
    values = [
        None if text is not None and text.removesuffix(".0") in own.digits else value
        for text, value in zip(texts, column.to_pylist(), strict=True)
    ]
    return pa.array(values, column.type)
