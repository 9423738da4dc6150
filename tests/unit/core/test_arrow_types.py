"""Texts in Arrow arrays: NUL is found wherever it stands, and nowhere else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from task_history.core.arrow_types import has_nul, without_nul

LONG = "a" * 3_000_000
WITH_NUL = pa.array(["x\0", None, "y", ""])


@pytest.mark.parametrize(
    "texts",
    [
        WITH_NUL,
        WITH_NUL.cast(pa.large_string()),
        pa.chunked_array([WITH_NUL[1:], WITH_NUL]),
        pa.array([LONG + "\0"]),
        pa.array([LONG, "\0" + LONG]),
    ],
    ids=["first", "large", "a later chunk", "end of a long text", "after a long text"],
)
def test_nul_is_replaced_wherever_it_stands(texts: pa.Array | pa.ChunkedArray) -> None:
    """No NUL is left, and all other characters stay: Postgres and BigQuery refuse a text with one."""
    assert has_nul(texts)
    expected = [None if text is None else text.replace("\0", "\ufffd") for text in texts.to_pylist()]
    assert without_nul(texts).to_pylist() == expected


@pytest.mark.parametrize(
    "texts",
    [WITH_NUL[1:], WITH_NUL[:0], pa.array([None, None], pa.string()), pa.chunked_array([], pa.string())],
    ids=["beside a slice", "no rows", "only nulls", "no chunks"],
)
def test_texts_without_nul_stay_the_same(texts: pa.Array | pa.ChunkedArray) -> None:
    """What is not part of the array does not count, and an array without NUL is not copied."""
    assert not has_nul(texts)
    assert without_nul(texts) is texts
