"""Two kinds of text: prose is as it was sent, JSON columns hold JSON text; never guessed from how a text begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_history import systems
from task_history.core.models import Column, Row, Table
from task_history.core.row_keys import read_back
from task_history.extract.window_comparison import differing_columns
from task_history.load.arrow_table import to_arrow
from task_history.warehouse import common_tables
from tests.support.stamps import undocumented

FOUND = [
    (f"{system.name}-{table.name}-{column.name}", table, column)
    for system in map(systems.find, systems.names())
    for one in (system, *system.companions)
    for table in common_tables.of_one(one)
    for column in table.columns
    if column.is_customer_data or (column.is_json and column.source)
]
COLUMNS = [pytest.param(table, column, id=name) for name, table, column in FOUND]
JSON = [pytest.param(table, column, id=name) for name, table, column in FOUND if column.is_json]
PROSE = [pytest.param(table, column, id=name) for name, table, column in FOUND if not column.is_json]
UNDOCUMENTED = undocumented()


def stored(table: Table, row: Mapping[str, Any]) -> Row:
    """The row as the warehouse gets it."""
    rows = [dict(UNDOCUMENTED.kept(table, row))]
    [written] = to_arrow(rows, table, stored_types={}, normalize=str.lower).table.to_pylist()
    return dict(written)


@pytest.mark.parametrize(("table", "column"), PROSE)
@pytest.mark.parametrize(
    "text", ["[12:00:01] it began", "{x} is not set", " [ ] done", '{"a": 1}', "[1]", '"', "5", ""]
)
def test_prose_stays_prose(table: Table, column: Column, text: str) -> None:
    """However it begins, and also when the stored row is written again; an audit finds it equal."""
    row = {column.key: text}
    written = stored(table, row)
    assert (text, None) == (written[column.name], written.get(f"{column.name}__v_text"))
    assert written == stored(table, read_back(table, written))
    assert () == differing_columns(table, UNDOCUMENTED.kept(table, row), written)


@pytest.mark.parametrize(("table", "column"), PROSE)
def test_what_is_no_text_is_kept_beside_prose(table: Table, column: Column) -> None:
    """It would look like a text in the column."""
    row = {column.key: {"a": 1}}
    written = stored(table, row)
    assert (None, '{"a":1}') == (written[column.name], written[f"{column.name}__v_text"])
    assert written == stored(table, read_back(table, written))
    assert () == differing_columns(table, UNDOCUMENTED.kept(table, row), written)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text('ab5[{"\\ ', max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize(("table", "column"), JSON)
@given(value=values)
@settings(max_examples=15)
def test_a_column_of_json_tells_every_two_values_apart(table: Table, column: Column, value: Any) -> None:
    """It holds the value as JSON text; so does the row that was read back and written again."""
    row = {column.key: value}
    written = stored(table, row)
    text = written[column.name]
    assert value == (None if text is None else json.loads(text))
    assert type(value) is type(None if text is None else json.loads(text))
    assert written == stored(table, read_back(table, written))
    assert () == differing_columns(table, UNDOCUMENTED.kept(table, row), written)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_an_audit_knows_the_form_of_an_earlier_version(table: Table, column: Column) -> None:
    """What it wrote without quotes, or with more of them, is the same value."""
    sent = "abc" if column.is_json else "[abc"
    earlier = "abc" if column.is_json else '"[abc"'
    if column.source is not None:
        row = UNDOCUMENTED.kept(table, {column.key: sent})
        assert () == differing_columns(table, row, {column.name: earlier})
        assert (column.name,) == differing_columns(table, row, {column.name: "another"})


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_says_which_it_is(table: Table, column: Column) -> None:
    """In its description, which stands in the warehouse and in the data dictionary."""
    del table
    assert ("JSON" in column.description) == column.is_json
    assert ("Prose" in column.description) != column.is_json
