"""Promises of vendor_fields.py, and of rows that were read back from the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given, settings
from hypothesis import strategies as st

from task_history import systems
from task_history.core.models import Column, Row, Table
from task_history.core.row_keys import fields_beside_own, read_back
from task_history.load.arrow_table import Columns, to_arrow
from task_history.load.vendor_fields import VendorFields
from task_history.warehouse import common_tables

NAMING = NamingConvention()
TABLE = Table(
    "executions",
    "For tests.",
    ("id",),
    (
        Column("id", "text", "", "id"),
        Column("user_id", "text", "", "userId"),
        Column("task_count", "bigint", "", "taskCount"),
        Column("date_ended", "timestamp", "", "end"),
        Column("run_id", "text", ""),
    ),
)
DECLARED = {column.name for column in TABLE.columns}


class Store:
    """The table of a warehouse that several runs share."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.at = datetime(2026, 9, 1, tzinfo=UTC)

    def read(self) -> list[Row]:
        return list(self.rows)

    def write(self, rows: list[Row]) -> bool:
        self.at += timedelta(seconds=1)
        self.rows += [{**row, "allotted_at": self.at} for row in rows]
        return True


def convert(
    rows: Sequence[Row], fields: VendorFields, stored: Mapping[str, str] | None = None, table: Table = TABLE
) -> Columns:
    return to_arrow(
        rows, table, stored_types=stored or {}, normalize=NAMING.normalize_identifier, fields=fields
    )


def cells(rows: Sequence[Row], fields: VendorFields, stored: Mapping[str, str] | None = None) -> list[Row]:
    """What each row has in undocumented columns."""
    found = convert(rows, fields, stored).table.to_pylist()
    return [
        {name: value for name, value in row.items() if value is not None and name not in DECLARED}
        for row in found
    ]


def test_a_key_keeps_its_column() -> None:
    """Also with other keys of its name in its row or batch, and in another run."""
    store = Store()
    assert [{"a_b": 1}] == cells([{"aB": 1}], VendorFields(store))
    expected = [{"a_b": 1, "a_b__v2": 2}, {"a_b__v2": 3}, {"a_b": 4}]
    assert expected == cells([{"aB": 1, "a_b": 2}, {"a_b": 3}, {"aB": 4}], VendorFields(store))
    assert [{"a_b__v3": 5, "a_b": 6}] == cells([{"a.b": 5, "aB": 6}], VendorFields(store))


def test_two_runs_at_once() -> None:
    """The run whose allotment came second takes another column, and the same one for ever."""
    store = Store()
    first, second = VendorFields(store), VendorFields(store)
    assert {} == first.of("executions") == second.of("executions")
    assert [{"a_b": 1}] == cells([{"aB": 1}], first)
    assert [{"a_b__v2": 2}] == cells([{"a_b": 2}], second)
    assert [{"a_b": 1, "a_b__v2": 2}] == cells([{"aB": 1, "a_b": 2}], VendorFields(store))


def test_a_field_without_a_value_takes_no_column() -> None:
    """Only a value makes a field's column, and what it holds."""
    store = Store()
    assert [{"a_b": 1}] == cells([{"a_b": None, "aB": 1}], VendorFields(store))
    assert ["aB"] == [row["field"] for row in store.rows]


def test_the_columns_of_an_earlier_version_are_taken_over() -> None:
    """Of two columns of one name, the key that is spelled like it has the first; another one alone has it, too."""
    stored = {"a_b": "bigint", "a_b__v2": "bigint", "c_d": "text", "user_id__v2": "text"}
    rows: list[Row] = [{"aB": 1, "cD": "x", "user_id": "y"}]
    assert [{"a_b__v2": 1, "c_d": "x", "user_id__v2": "y"}] == cells(rows, VendorFields(Store()), stored)
    assert [{"a_b": 2}] == cells([{"a_b": 2}], VendorFields(Store()), stored)


def test_the_name_of_a_text_beside_a_column_is_no_fields() -> None:
    """A vendor's field that is called so has a column of its own, whatever fits its neighbours."""
    row: Row = {"task_count__v_text": "theirs", "taskCount": "many"}
    expected = [{"task_count__v_text": "many", "task_count_v_text": "theirs"}]
    assert expected == cells([row], VendorFields(Store()))


def test_a_key_of_any_characters() -> None:
    """It is kept as JSON writes it, which any warehouse can hold, and stays apart from those like it."""
    store = Store()
    row: Row = {"a\0": 1, "a\\u0000": 2, 'a"': 3, "\ud800": 4, "": 5}
    first = cells([row], VendorFields(store))
    assert first == cells([row], VendorFields(store))
    assert sorted(first[0].values()) == [1, 2, 3, 4, 5]
    assert all(kept["field"].isprintable() and kept["field"].encode() is not None for kept in store.rows)


KEYS = ["aB", "a_b", "a.b", "AB", "user_id", "UserId", "run_id", "runId", "c", "C", "task_count"]
values = st.integers(-9, 9) | st.sampled_from(["x", "5", "[x"]) | st.booleans() | st.just([1])
any_row = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)


@given(first=st.lists(any_row, max_size=4), rows=st.lists(any_row, min_size=1, max_size=5), data=st.data())
@settings(max_examples=75)
def test_the_columns_of_a_row_do_not_depend_on_its_batch(
    first: list[Row], rows: list[Row], data: st.DataObject
) -> None:
    """Once a field has its column, each row is the same alone, with others, and in any order."""
    store = Store()
    stored: dict[str, str] = {}

    def written(some: Sequence[Row]) -> list[Row]:
        fields = VendorFields(store)
        sent = [fields_beside_own(TABLE, row) for row in some]
        stored.update(convert(sent, fields, stored).types)
        return cells(sent, fields, stored)

    written(first)
    together = written(rows)
    assert together == [written([row])[0] for row in rows]
    order = data.draw(st.permutations(range(len(rows))))
    assert [together[at] for at in order] == written([rows[at] for at in order])
    columns = {row["field"]: row["column_name"] for row in store.rows}
    assert len(set(columns.values())) == len(columns)
    assert not DECLARED & set(columns.values())


@given(st.permutations(["aB", "a_b", "a.b", "AB"]))
def test_fields_that_come_at_once_get_their_columns_in_one_order(keys: list[str]) -> None:
    """In whatever order the vendor sends them."""
    row = {key: key for key in keys}
    expected = [{"a_b": "a_b", "a_b__v2": "a.b", "a_b__v3": "aB", "ab": "AB"}]
    assert expected == cells([row], VendorFields(Store()))


# Rows that were read back


MISFITS: dict[str, Any] = {"text": "1.5 tasks", "number": 1.5, "object": {"n": 1}, "too large": 2**70}


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS)
def test_a_text_beside_its_column_stays_there_until_the_field_has_another_value(misfit: Any) -> None:
    """Read back and written again it is the same; a later value takes its place, and no further column comes to be."""
    fields = VendorFields(Store())
    sent: Row = {"id": "1", "taskCount": misfit, "user_id": "theirs", "run_id": "ours"}
    before = convert([sent], fields)
    [stored] = before.table.to_pylist()
    assert (None, "theirs") == (stored["task_count"], stored["user_id__v2"])
    kept = convert([read_back(TABLE, stored)], fields, before.types)
    assert [stored] == kept.table.to_pylist()
    later = convert([{**read_back(TABLE, stored), "taskCount": 7, "user_id": "new"}], fields, before.types)
    [settled] = later.table.to_pylist()
    assert (7, "new", None) == (
        settled["task_count"],
        settled["user_id__v2"],
        settled.get("task_count__v_text"),
    )
    assert set(later.types) <= set(before.types)


def test_a_later_null_takes_the_place_of_what_was_read_back() -> None:
    """A field that the vendor sends as null is null, whatever the row held."""
    fields = VendorFields(Store())
    before = convert([{"aB": "old", "c": 1}], fields)
    [stored] = before.table.to_pylist()
    [now] = convert([{**read_back(TABLE, stored), "aB": None}], fields, before.types).table.to_pylist()
    assert (None, 1) == (now.get("a_b"), now["c"])


def test_texts_that_were_read_back_go_back_as_they_are() -> None:
    """A column of JSON gets no further quotes, also where this run sees its field for the first time."""
    store = Store()
    before = convert([{"aB": "5"}, {"aB": 5}, {"aB": [1]}], VendorFields(store))
    rows = before.table.to_pylist()
    assert ['"5"', "5", "[1]"] == [row["a_b"] for row in rows]
    again = convert([read_back(TABLE, row) for row in rows], VendorFields(store), before.types)
    assert rows == again.table.to_pylist()


# Columns of ours

VENDORS_TABLES = [
    (system.name, table)
    for system in map(systems.find, systems.names())
    for one in (system, *system.companions)
    for table in common_tables.of_one(one)
]


@pytest.mark.parametrize(
    ("table", "name"),
    [
        pytest.param(table, name, id=f"{system}-{table.name}-{name}")
        for system, table in VENDORS_TABLES
        for name in sorted(table.own_keys)
    ],
)
def test_a_field_named_like_a_column_of_ours(table: Table, name: str) -> None:
    """It is kept beside ours, in any spelling."""
    camel = NAMING.normalize_identifier(name).title().replace("_", "")
    sent = {key: f"their {key}" for key in (name, camel[:1].lower() + camel[1:], camel, name.upper())}
    sent = {
        key: value
        for key, value in sent.items()
        if key not in {column.source for column in table.columns} - table.own_keys
    }
    own = dict.fromkeys(table.own_keys)
    converted = convert([{**fields_beside_own(table, sent), **own}], VendorFields(Store()), table=table)
    declared = {column.name for column in table.columns}
    [row] = converted.table.to_pylist()
    assert sorted(sent.values()) == sorted(
        v for key, v in row.items() if key not in declared and v is not None
    )
    assert not any(str(row[key]).startswith("their") for key in declared)
