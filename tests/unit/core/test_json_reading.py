"""Promises of json_reading.py."""

from __future__ import annotations

import json
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_history.core.json_reading import MAX_DEPTH, parse, shallow
from task_history.core.json_writing import exact_json
from task_history.core.models import Json
from tests.support.torture import rest_as_torture


def depth_of(value: Json) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def nested(value: Json, levels: int) -> Json:
    for level in range(levels):
        value = {"a": value} if level % 2 else ["]", value, '"[{\\']
    return value


STRINGS = st.text(st.sampled_from('[]{}"\\,:a\n'), max_size=6)
VALUES = st.recursive(
    st.none() | STRINGS | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=30,
)


@given(VALUES, st.integers(0, 2 * MAX_DEPTH))
def test_what_is_not_too_deep_stays_as_it_is(value: Json, levels: int) -> None:
    """The very same bytes up to the bound; beyond it what is deeper is the text that was sent."""
    value = nested(value, levels)
    body = json.dumps(value).encode()
    found = shallow(body)
    assert (found is body) == (depth_of(value) <= MAX_DEPTH)
    kept = parse(found)
    assert depth_of(kept) <= MAX_DEPTH
    while depth_of(value) > MAX_DEPTH:
        assert type(kept) is type(value)
        deepest = range(len(value)) if isinstance(value, list) else value
        at = max(deepest, key=lambda place: depth_of(value[place]))
        value, kept = value[at], kept[at]
        if isinstance(kept, str):
            assert json.dumps(value).startswith(kept.partition("…[cut ")[0])
            break


LARGE: dict[str, tuple[bytes, bool]] = {
    "one value nested deep": (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, True),
    "a list nested deep": (b"[" * 200_000 + b"]" * 200_000, True),
    "many deep values": (b"[" + b",".join([b'"[",' + b"[" * 101 + b"]" * 101] * 5_000) + b"]", True),
    "many strings of brackets": (b"[" + b",".join([b'"["'] * 200_000) + b"]", False),
    "many quotes in strings": (b"[" + b",".join([b'"\\"["'] * 200_000) + b"]", False),
    "many lists": (b"[" + b",".join([b"[[]]"] * 200_000) + b"]", False),
}


@pytest.mark.parametrize(
    "name", rest_as_torture(LARGE, ["one value nested deep", "many deep values", "many quotes in strings"])
)
def test_depth_is_looked_at_in_little_memory(name: str) -> None:
    """A body of very many brackets or strings needs a few times its size, whatever is in them."""
    body, is_deep = LARGE[name]
    shallow(body[:1_000])
    tracemalloc.start()
    found = shallow(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found is not body) == is_deep
    assert depth_of(parse(found)) <= MAX_DEPTH
    assert peak < 8 * len(body) + (32 << 20)


def depth_without_strings(body: bytes) -> int:
    return body.partition(b'"[')[0].count(b"[") + 1


@pytest.mark.parametrize("end", ["", "]" * 300, '"' + "]" * 1_000, "\\"])
def test_what_has_no_end_is_not_deep_either(end: str) -> None:
    """Answers that are cut off are no JSON, and no reader is sent into their depth."""
    body = b'{"a":' + b"[" * 1_000 + end.encode()
    with pytest.raises(ValueError, match=r"."):
        parse(shallow(body))
    assert depth_without_strings(shallow(body)) <= MAX_DEPTH


@pytest.mark.parametrize(
    "sent", ["1", "-7", "1.5", "1.50", "1e5", "1E+5", "0.1", "1e999999999", "-0.0", "1" * 5_000, "1" * 20]
)
def test_numbers_are_written_as_they_were_sent(sent: str) -> None:
    """Also those of which a float forgets how they were written."""
    value = parse(sent.encode())
    assert exact_json({"a": [value]}) == f'{{"a":[{sent}]}}'
    assert Decimal(str(value)) == Decimal(sent)


def test_numbers_that_are_none_are_texts() -> None:
    """NaN and the infinities, as Python writes them, and exponents that no number has."""
    found = parse(b"[NaN, Infinity, -Infinity, 1e9999999999999999999999]")
    assert found == ["NaN", "Infinity", "-Infinity", "1e9999999999999999999999"]
