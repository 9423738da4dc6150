"""Redaction of the run's own secrets in the columns of an Arrow table."""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.compute as pc

from .own_secrets import OwnSecrets


def without_own(table: pa.Table, own: OwnSecrets) -> pa.Table:
    """The table with the run's secrets redacted in every column; the same object if it holds none.

    A number that is a secret becomes NULL.
    """
    if not own:
        return table
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            new = _texts(column, own)
        elif own.digits and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            new = _numbers(column, own)
        else:
            continue
        if new is not column:
            table = table.set_column(index, field, new)
    return table


def _texts(column: pa.ChunkedArray, own: OwnSecrets) -> pa.ChunkedArray | pa.Array:
    if not any(_may_hold(chunk, own.pattern) for chunk in column.chunks):
        return column
    values = [None if value is None else own.without(value) for value in column.to_pylist()]
    return pa.array(values, column.type)


def _may_hold(chunk: pa.Array, pattern: str) -> bool:
    """Whether the pattern matches in a value, or across the border of two values.

    It searches all values as one text, which takes a third of the time for the columns of a first sync.
    """
    _, offsets, data = chunk.buffers()
    if data is None or not len(chunk):
        return False
    positions = memoryview(offsets).cast("q" if pa.types.is_large_string(chunk.type) else "i")
    begin, end = positions[chunk.offset], positions[chunk.offset + len(chunk)]
    bounds = pa.py_buffer(struct.pack("=qq", 0, end - begin))
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, bounds, data.slice(begin, end - begin)])
    return bool(pc.match_substring_regex(text, pattern)[0].as_py())


def _numbers(column: pa.ChunkedArray, own: OwnSecrets) -> pa.ChunkedArray | pa.Array:
    is_own = pc.is_in(
        pc.cast(column, pa.float64(), safe=False), pa.array([float(number) for number in own.digits])
    )
    if not pc.any(is_own).as_py():
        return column
    texts = pc.cast(column, pa.string()).to_pylist()
    values = [
        None if text is not None and text.removesuffix(".0") in own.digits else value
        for text, value in zip(texts, column.to_pylist(), strict=True)
    ]
    return pa.array(values, column.type)
