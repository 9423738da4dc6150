"""Promises of columnar.py."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
import simplejson
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given, settings
from hypothesis import strategies as st

from task_history.core.arrow_types import ARROW, RowColumns
from task_history.core.json_reading import parse
from task_history.core.json_writing import exact_json
from task_history.core.models import Column, ColumnLimits, Row, Table
from task_history.load.arrow_table import Columns, to_arrow

NAMING = NamingConvention()
NOW = datetime(2026, 9, 1, tzinfo=UTC)
TABLE = Table(
    "executions",
    "For tests.",
    ("id",),
    (
        Column("id", "text", "", "id"),
        Column("user_id", "text", "", "userId"),
        Column("task_count", "bigint", "", "taskCount"),
        Column("score", "double", "", "score"),
        Column("is_large", "bool", "", "isLarge"),
        Column("date_started", "timestamp", "", "start"),
        Column("date_ended", "timestamp", "", "end"),
        Column("next", "text", "", "next"),
        Column("is_open", "bool", ""),
        Column("fetched_at", "timestamp", ""),
    ),
    newest="fetched_at",
)


def convert(rows: Sequence[Row], stored: Mapping[str, str] | None = None) -> Columns:
    return to_arrow(rows, TABLE, stored_types=stored or {}, normalize=NAMING.normalize_identifier)


def cells(rows: Sequence[Row], *names: str, stored: Mapping[str, str] | None = None) -> dict[str, list[Any]]:
    """The named columns, or all that no column of TABLE is declared for."""
    table = convert(rows, stored).table
    declared = {column.name for column in TABLE.columns}
    return {
        name: table[name].to_pylist()
        for name in names or (n for n in table.column_names if n not in declared)
    }


def test_a_listing() -> None:
    """Rows as the vendor sends them arrive under our names with their types, missing ones as NULL."""
    rows: list[Row] = [
        {
            "id": "1",
            "userId": "123456",
            "taskCount": 1,
            "start": "2023-02-20T06:21:42.274Z",
            "is_open": False,
        },
        {"id": "2", "userId": None, "start": "2023-02-20T06:21:42.274Z", "end": None, "fetched_at": NOW},
    ]
    found = convert(rows)
    assert {column.name: column.type for column in TABLE.columns} == found.types
    assert [ARROW[type_] for type_ in found.types.values()] == found.table.schema.types
    started = datetime(2023, 2, 20, 6, 21, 42, 274_000, UTC)
    first, second = found.table.to_pylist()
    assert ("123456", 1, started, False, None) == tuple(
        first[name] for name in ("user_id", "task_count", "date_started", "is_open", "fetched_at")
    )
    assert (None, None, NOW) == (second["user_id"], second["task_count"], second["fetched_at"])


def test_no_rows() -> None:
    """No rows give an empty table with all declared columns."""
    found = convert([])
    assert (0, len(TABLE.columns)) == found.table.shape


FIT = {
    "digits": ("taskCount", "3", 3),
    "whole float": ("taskCount", 3.0, 3),
    "whole decimal": ("taskCount", Decimal("3.00"), 3),
    "largest": ("taskCount", 2**63 - 1, 2**63 - 1),
    "int as double": ("score", 3, 3.0),
    "decimal as double": ("score", Decimal("0.1"), 0.1),
    "number as text": ("userId", 12345678901234567890123, "12345678901234567890123"),
    "exact decimal as text": ("userId", Decimal("1.50"), "1.50"),
    "bool as text": ("userId", True, "true"),
    "empty text": ("userId", "", ""),
    "leading zeros": ("userId", "007", "007"),
    "list as text": ("next", ["a", 1], '["a",1]'),
    "object as text": ("next", {"n": Decimal("1.50")}, '{"n":1.50}'),
    "surrogate": ("userId", "a\ud800b", "a\\ud800b"),
    "surrogate in list": ("next", ["\ud800"], '["\\ud800"]'),
}


@pytest.mark.parametrize(("key", "value", "stored"), FIT.values(), ids=FIT)
def test_value_that_fits(key: str, value: Any, stored: Any) -> None:
    """A value that a column can hold without loss is in it, and needs no other place."""
    name = NAMING.normalize_identifier(key)
    assert {name: [stored, None]} == cells([{key: value}, {key: None}], name)
    assert {} == cells([{key: value}, {key: None}])


MISFIT = {
    "fraction": ("taskCount", 2.5, "2.5"),
    "word": ("taskCount", "abc", "abc"),
    "leading zero": ("taskCount", "007", "007"),
    "plus": ("taskCount", "+3", "+3"),
    "other digits": ("taskCount", "\u0663", "\u0663"),
    "too large": ("taskCount", 2**63, str(2**63)),
    "too large text": ("taskCount", "9" * 30, "9" * 30),
    "enormous": ("taskCount", Decimal("1E+999999999"), "1E+999999999"),
    "five thousand digits": ("taskCount", 10**5000, "1" + "0" * 5000),
    "bool": ("taskCount", True, "true"),
    "object": ("taskCount", {"n": 1}, '{"n":1}'),
    "empty": ("taskCount", "", ""),
    "nan": ("taskCount", float("nan"), "nan"),
    "no double": ("score", 2**53 + 1, str(2**53 + 1)),
    "long decimal": ("score", Decimal("0.10000000000000000001"), "0.10000000000000000001"),
    "digits for double": ("score", "1.5", "1.5"),
    "number for bool": ("isLarge", 1, "1"),
    "word for bool": ("isLarge", "true", "true"),
    "no date": ("start", "yesterday", "yesterday"),
    "epoch": ("start", 1676873600, "1676873600"),
    "epoch text": ("start", "1676873600", "1676873600"),
    "digits": ("start", "20230220", "20230220"),
    "impossible date": ("start", "2023-02-30T00:00:00Z", "2023-02-30T00:00:00Z"),
    "before the first year": ("start", "0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+05:00"),
    "after the last year": ("start", "9999-12-31T23:00:00-05:00", "9999-12-31T23:00:00-05:00"),
    "surrogate": ("start", "\ud800", "\\ud800"),
}


@pytest.mark.parametrize(("key", "value", "text"), MISFIT.values(), ids=MISFIT)
def test_value_that_does_not_fit(key: str, value: Any, text: str) -> None:
    """A value that its column cannot hold is kept exactly beside it; the column has NULL."""
    name = {"start": "date_started"}.get(key) or NAMING.normalize_identifier(key)
    rows: list[Row] = [{key: value}, {}]
    assert {name: [None, None]} == cells(rows, name)
    assert {f"{name}__v_text": [text, None]} == cells(rows)
    assert "text" == convert(rows).types[f"{name}__v_text"]


def test_only_misfits_move() -> None:
    """One bad value does not move its neighbours."""
    rows = [{"taskCount": value} for value in (1, "x", "2", None, 3)]
    expected = {"task_count": [1, None, 2, None, 3], "task_count__v_text": [None, "x", None, None, None]}
    assert expected == cells(rows, "task_count", "task_count__v_text")


INSTANT = datetime(2023, 2, 20, 6, 21, 43, 0, UTC)
INSTANTS = {
    "2023-02-20T06:21:43Z": INSTANT,
    "2023-02-20T06:21:43": INSTANT,
    "2023-02-20 06:21:43": INSTANT,
    "2023-02-20T08:21:43+02:00": INSTANT,
    "2023-02-20T08:21:43+0200": INSTANT,
    "2023-02-20": INSTANT.replace(hour=0, minute=0, second=0),
    "2023-02-20T06:21:43.5Z": INSTANT.replace(microsecond=500_000),
    "2023-02-20T06:21:43.751Z": INSTANT.replace(microsecond=751_000),
    "2023-02-20T06:21:43.751123Z": INSTANT.replace(microsecond=751_123),
    "2023-02-20T06:21:43.751123999Z": INSTANT.replace(microsecond=751_123),
}


@pytest.mark.parametrize(("text", "instant"), INSTANTS.items())
def test_instants(text: str, instant: datetime) -> None:
    """Every ISO form is the right instant: UTC when no zone is named, cut to microseconds."""
    assert {"date_started": [instant]} == cells([{"start": text}], "date_started")
    mixed: list[Row] = [{"start": text}, {"start": "2023-02-20T06:21:43Z"}, {"start": None}]
    assert {"date_started": [instant, INSTANT, None]} == cells(mixed, "date_started")
    assert {} == cells(mixed)


def test_instants_that_are_no_text() -> None:
    """The connector's own instants are taken as they are, in any zone."""
    values = [NOW, None, NOW.astimezone(timezone(timedelta(hours=5))), NOW.replace(tzinfo=None)]
    assert {"fetched_at": [NOW, None, NOW, NOW]} == cells(
        [{"fetched_at": value} for value in values], "fetched_at"
    )
    assert {"fetched_at": [NOW, None, NOW]} == cells(
        [{"fetched_at": value} for value in values[:3]], "fetched_at"
    )


UNKNOWN = {
    "bools": ([True, None, False], "bool", [True, None, False]),
    "ints": ([1, None, -(2**63)], "bigint", [1, None, -(2**63)]),
    "large ints": ([1, 2**63], "text", ["1", str(2**63)]),
    "floats": ([1.5, 2, None], "double", [1.5, 2.0, None]),
    "decimals": ([Decimal("0.1"), 3], "double", [0.1, 3.0]),
    "exact decimals": ([Decimal("0.10000000000000000001"), 3], "text", ["0.10000000000000000001", "3"]),
    "float and large int": ([1.5, 2**53 + 1], "text", ["1.5", str(2**53 + 1)]),
    "strings": (["a", None, ""], "text", ["a", None, ""]),
    "digits": (["1", "007"], "text", ["1", "007"]),
    "dates": (["2023-02-20T06:21:43Z"], "text", ["2023-02-20T06:21:43Z"]),
    "objects": ([{"a": Decimal("1.50")}, {}], "text", ['{"a":1.50}', "{}"]),
    "lists": ([[1, "ü"], None], "text", ['[1,"ü"]', None]),
    "mixed": (["a", 1, True, None, [1]], "text", ['"a"', "1", "true", None, "[1]"]),
    "text and number": (["5", 5], "text", ['"5"', "5"]),
    "bool and int": ([True, 1], "text", ["true", "1"]),
    "instants": ([NOW], "timestamp", [NOW]),
}


@pytest.mark.parametrize(("values", "type_", "stored"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_key(values: list[Any], type_: str, stored: list[Any]) -> None:
    """A key that nobody declared becomes a column of the narrowest_type type that holds all its values."""
    rows: list[Row] = [*({"newField": value} for value in values), {}]
    assert {"new_field": [*stored, None]} == cells(rows)
    assert type_ == convert(rows).types["new_field"]


def test_unknown_key_without_value() -> None:
    """A key that is NULL everywhere says nothing of its type and makes no column, stored or not."""
    assert {} == cells([{"newField": None}, {}])
    assert {} == cells([{"newField": None}], stored={"new_field": "bigint"})


STORED = {
    "same": ("bigint", [1], [1], None),
    "int in double": ("double", [1, 2**53 + 1], [1.0, None], [None, str(2**53 + 1)]),
    "int in text": ("text", [1, "a"], ["1", "a"], None),
    "object in text": ("text", [{"a": 1}, "a", True], ['{"a":1}', "a", "true"], None),
    "text in bigint": ("bigint", ["3", 3, "x"], [None, 3, None], ["3", None, "x"]),
    "fraction in bigint": ("bigint", [1.5, 2.0], [None, 2], ["1.5", None]),
    "int in bool": ("bool", [1, True], [None, True], ["1", None]),
    "date in timestamp": ("timestamp", ["2023-02-20T06:21:43Z", "x"], [INSTANT, None], [None, "x"]),
}


@pytest.mark.parametrize(("type_", "values", "fitting", "misfits"), STORED.values(), ids=STORED)
def test_unknown_key_with_a_stored_type(
    type_: str, values: list[Any], fitting: list[Any], misfits: Any
) -> None:
    """The type in the warehouse stays: what it holds without loss goes in, the rest beside it."""
    expected = {"new_field": fitting} | ({"new_field__v_text": misfits} if misfits else {})
    rows = [{"newField": value} for value in values]
    assert expected == cells(rows, stored={"new_field": type_})
    assert type_ == convert(rows, {"new_field": type_}).types["new_field"]


def test_stored_type_that_is_not_ours() -> None:
    """A column someone made json or decimal by hand is left alone; its values go beside it."""
    found = cells([{"newField": {"a": 1}, "userId": "u"}], stored={"new_field": "json"})
    assert {"new_field__v_text": ['{"a":1}']} == found
    assert {} == cells([{"userId": None}], stored={"user_id": "json"})


def test_declared_column_altered_in_the_warehouse() -> None:
    """A declared column follows the type that the warehouse has."""
    rows: list[Row] = [{"taskCount": 3}, {"taskCount": "x"}]
    assert {"task_count": ["3", "x"]} == cells(rows, "task_count", stored={"task_count": "text"})


def test_names_that_meet() -> None:
    """Keys that get one name all keep their values, by the same names in any order of keys."""
    row = {
        "userId": "a",
        "user_id": "b",
        "user.id": "c",
        "newField": 1,
        "new_field": 2,
        "": 3,
        "!": 4,
        "_dlt_load_id": 5,
    }
    expected = {
        "user_id__v2": ["b"],
        "user_id__v3": ["c"],
        "new_field": [2],
        "new_field__v2": [1],
        "unnamed": [3],
        "x": [4],
        "dlt_load_id": [5],
    }
    assert expected == cells([row])
    assert expected == cells([dict(reversed(row.items()))])
    assert {"user_id": ["a"]} == cells([row], "user_id")


def test_names_survive_dlt() -> None:
    """dlt leaves every name that is made here as it is."""
    names = convert(
        [{"user_id": 1, "taskCount": "x", "newField": "x"}], {"new_field": "bigint"}
    ).table.column_names
    assert {"user_id__v2", "task_count__v_text", "new_field__v_text"} < set(names)
    assert names == [NAMING.normalize_path(name) for name in names]


# Properties

KEYS = [
    "id",
    "userId",
    "user_id",
    "taskCount",
    "score",
    "isLarge",
    "start",
    "next",
    "a",
    "A",
    "a.",
    "task_count__v_text",
    "\ud800",
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(
        ["3", "007", "2023-02-20T06:21:43Z", "2023-02-20", "1", "", "null", 2**63, 2**53 + 1, -0.0]
    )
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud800\udfff\x00"), max_size=8)
)


def holding(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)


# Two levels are drawn in half the time of any number; test_deep_value has the others.
values = scalars | holding(scalars | holding(scalars))
types = st.sampled_from([*ARROW, "json", "decimal"])


def encodable(text: str) -> str:
    """The text as a warehouse holds it: NUL is U+FFFD there."""
    return text.replace("\0", "\ufffd").encode("utf-8", "backslashreplace").decode()


def is_same(cell: Any, value: Any) -> bool:
    """Whether a cell of the table still says exactly what the vendor sent."""
    if isinstance(cell, bool):
        return cell is value
    if isinstance(cell, int):
        return not isinstance(value, bool) and (
            str(cell) == value or (not isinstance(value, str) and cell == value)
        )
    if isinstance(cell, float):
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        return is_number and Decimal(repr(cell)) == Decimal(str(value))
    if isinstance(cell, datetime):
        return isinstance(value, str) and cell.isoformat()[:10] == value[:10]
    if isinstance(value, str):
        return cell in (encodable(value), encodable(exact_json(value)))
    kept = simplejson.loads(simplejson.dumps(value, use_decimal=True), use_decimal=True)
    try:
        return bool(simplejson.loads(cell, use_decimal=True) == kept)
    except ValueError:
        return False


any_rows = given(
    rows=st.lists(
        st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), values, max_size=8), max_size=6
    ),
    stored=st.dictionaries(
        st.sampled_from(["a", "A", "user_id", "task_count", "score", "next"]), types, max_size=4
    ),
    is_identity=st.booleans(),
)


def _keeps_all(rows: list[Row], stored: dict[str, str], is_identity: bool) -> None:
    normalize = str if is_identity else NAMING.normalize_identifier
    found = to_arrow(rows, TABLE, stored_types=stored, normalize=normalize)
    assert len(rows) == found.table.num_rows
    assert list(found.types) == found.table.column_names
    assert [ARROW[type_] for type_ in found.types.values()] == found.table.schema.types
    for row, stored_row in zip(rows, found.table.to_pylist(), strict=True):
        sent = [value for value in row.values() if value is not None]
        kept = [cell for cell in stored_row.values() if cell is not None]
        assert len(sent) == len(kept)
        for value in sent:
            assert any(is_same(cell, value) for cell in kept), (value, kept)
        for cell in kept:
            assert any(is_same(cell, value) for value in sent), (cell, sent)


@any_rows
@settings(max_examples=75)
def test_nothing_is_lost(rows: list[Row], stored: dict[str, str], is_identity: bool) -> None:
    """Any rows, any stored types, any naming: each value is in its row's cells, and nothing else is."""
    _keeps_all(rows, stored, is_identity)


@pytest.mark.torture
@any_rows
@settings(max_examples=700)
def test_nothing_is_lost_of_more_rows(rows: list[Row], stored: dict[str, str], is_identity: bool) -> None:
    """The same, with more examples."""
    _keeps_all(rows, stored, is_identity)


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), values, max_size=6), max_size=5))
@settings(max_examples=100)
def test_deterministic(rows: list[Row]) -> None:
    """The same rows give the same table, whatever the order of their keys."""
    turned = [dict(reversed(row.items())) for row in rows]
    assert convert(rows).table.equals(convert(turned).table)
    assert convert(rows).types == convert(turned).types


def test_deep_value() -> None:
    """A value of any depth arrives."""
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert {"new": ["[" * 5_000 + "1" + "]" * 5_000]} == cells([{"new": deep}])


def test_a_listing_is_fast() -> None:
    """Rows of a listing become columns for less CPU than the standard library writes them as JSON, any number alike."""

    def listed(count: int) -> list[Row]:
        return [
            {
                "id": f"c70cafa5-4f80-45c7-b5b3-{i:012d}",
                "userId": f"user-{i % 500}",
                "taskCount": i % 7,
                "runDuration": i,
                "workflowId": f"c395c170-4541-499c-afd1-{i % 30:012d}",
                "status": "SUCCEEDED",
                "end": "2023-02-20T06:21:43.751Z",
                "start": "2023-02-20T06:21:42.274Z",
                "fetched_at": NOW,
                "is_open": False,
            }
            for i in range(count)
        ]

    def cost(work: Callable[[], object]) -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    few, many = listed(2_500), listed(20_000)
    # Interleaved, so that a slow moment of the machine meets all three; the fastest of each is compared.
    costs = [
        (
            cost(lambda: convert(few)),
            cost(lambda: convert(many)),
            cost(lambda: json.dumps(many, default=str)),
        )
        for _ in range(5)
    ]
    small, large, written = map(min, zip(*costs, strict=True))
    assert large < written
    assert large < 8 * 3 * (small + 0.0005)


def test_values_that_all_rows_share_are_in_each() -> None:
    """Given once, they are stored as where each row has its own."""
    rows: list[Row] = [{"id": "a", "fetched_at": NOW}, {"id": "b", "fetched_at": NOW}]
    shared = RowColumns({"id": ["a", "b"]}, 2, {"fetched_at": pa.scalar(NOW, ARROW["timestamp"])})
    kwargs: Any = {"stored_types": {}, "normalize": NAMING.normalize_identifier}
    assert to_arrow(shared, TABLE, **kwargs).table.to_pydict() == convert(rows).table.to_pydict()


def limited(
    rows: Sequence[Row], limits: ColumnLimits, stored: Mapping[str, str] | None = None
) -> dict[str, list[Any]]:
    """What no column of TABLE is declared for, as rows and in columns: both are alike."""
    kwargs: Any = {"stored_types": stored or {}, "normalize": NAMING.normalize_identifier, "limits": limits}
    keys = set().union(*rows)
    in_columns = RowColumns({key: [row.get(key) for row in rows] for key in keys}, len(rows))
    one, two = to_arrow(rows, TABLE, **kwargs), to_arrow(in_columns, TABLE, **kwargs)
    assert one.types == two.types
    assert one.table.to_pydict() == two.table.to_pydict()
    declared = {column.name for column in TABLE.columns}
    return {name: one.table[name].to_pylist() for name in one.types if name not in declared}


def test_fields_beyond_the_limit_are_kept_in_one_text() -> None:
    """So many become columns, by name; the others are in a JSON object, each under its own key, exact."""
    rows: list[Row] = [{"c": 3, "a": 1, "b": None, "d": parse(b"1.50")}, {"e": ["x"]}, {"a": 2}]
    assert limited(rows, ColumnLimits(2)) == {
        "a": [1, None, 2],
        "c": [3, None, None],
        "other_fields": ['{"d":1.50}', '{"e":["x"]}', None],
    }


def test_a_field_that_is_a_column_stays_one() -> None:
    """Columns that the table has stay, and are counted: ever new fields make it no wider."""
    stored = {"z": "bigint", "some_name": "text", "_dlt_id": "text", "user_id__v_text": "text"}
    rows: list[Row] = [{"a": 1, "z": 2, "someName": "n"}]
    assert limited(rows, ColumnLimits(2), stored) == {
        "some_name": ["n"],
        "z": [2],
        "other_fields": ['{"a":1}'],
    }
    assert limited(rows, ColumnLimits(3), stored).keys() == {"a", "some_name", "z"}
    assert limited([{"k" * 70: 1}], ColumnLimits(), {"k" * 70: "bigint"}) == {"k" * 70: [1]}


def test_long_names_are_kept_in_the_text() -> None:
    """A name of as many characters as may be is a column; longer ones are not, nor do they take each other's place."""
    rows: list[Row] = [{"k" * 63: 1, "k" * 64: 2, "k" * 64 + "l": 3, "K" * 1_000_000: 4}]
    found = limited(rows, ColumnLimits())
    assert found.pop("k" * 63) == [1]
    assert json.loads(found.pop("other_fields")[0]) == {"k" * 64: 2, "k" * 64 + "l": 3, "K" * 1_000_000: 4}
    assert found == {}


def test_a_value_without_room_for_its_text() -> None:
    """What does not fit its column goes to the text of the others where there is no room for one of its own."""
    rows: list[Row] = [{"a": "x", "taskCount": "many"}, {"a": 5}]
    assert limited(rows, ColumnLimits(1), {"a": "bigint"}) == {
        "a": [None, 5],
        "task_count__v_text": ["many", None],
        "other_fields": ['{"a":"x"}', None],
    }


def test_a_vendors_field_of_that_name() -> None:
    """A field that the vendor calls other_fields keeps its value under another name."""
    assert limited([{"other_fields": "theirs", "a": 1}], ColumnLimits(1)) == {
        "a": [1],
        "other_fields": ['{"other_fields":"theirs"}'],
    }
    assert limited([{"other_fields": "theirs"}], ColumnLimits()) == {"other_fields__v2": ["theirs"]}
