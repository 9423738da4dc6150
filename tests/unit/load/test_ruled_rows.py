"""Rules for columns hold wherever a value may go: its column, the text beside it, other_fields, and rejected rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention

from task_history import systems
from task_history.core.arrow_types import RowColumns
from task_history.core.keyed_hash import KeyedHash
from task_history.core.models import OTHER_FIELDS, ColumnLimits, RejectedRow, Row
from task_history.core.row_keys import read_back
from task_history.extract.rows_without_id import Rejection
from task_history.extract.warehouse_rows import Stamp, UndocumentedFields, rejected
from task_history.load.arrow_table import Columns, to_arrow
from task_history.redaction.redactor import Redactor
from task_history.settings_reader import build
from task_history.warehouse.column_rules import ColumnRules, column_rules

PARAGON = systems.find("paragon")
TABLE = PARAGON.executions
KEY = "0123456789abcdef"
HASH = KeyedHash(KEY)
NOW = datetime(2026, 9, 1, tzinfo=UTC)
OWN: Row = {"fetched_at": NOW, "run_id": "r", "is_open": False}


def rules() -> ColumnRules:
    return column_rules(
        build(
            PARAGON,
            {
                "project_id": "p",
                "api_key": "secret-key",
                "hash_key": KEY,
                "exclude_columns": ["workflow_executions.task_count", "workflow_executions.shoe_size"],
                "hash_columns": ["workflow_executions.user_id", "workflow_executions.account_no"],
            },
        )
    )


def convert(
    rows: list[Row] | RowColumns, *, stored: dict[str, str] | None = None, most: int = 200
) -> Columns:
    return to_arrow(
        rows,
        TABLE,
        stored_types=stored or {},
        normalize=NamingConvention().normalize_identifier,
        limits=ColumnLimits(most),
        rules=rules().of(TABLE.name),
    )


def test_listed_rows() -> None:
    """An excluded documented column is NULL, an undocumented one has no column; numbers are hashed as their text."""
    row = {"id": "1", "userId": "zelda", "taskCount": "1.5 tasks", "shoeSize": 43, "accountNo": 4711, **OWN}
    table = convert([row, {"id": "2", **OWN}]).table
    assert table["user_id"].to_pylist() == [HASH.of("zelda"), None]
    assert table["account_no"].to_pylist() == [HASH.of("4711"), None]
    assert table["task_count"].to_pylist() == [None, None]
    assert not {"task_count__v_text", "shoe_size"} & set(table.column_names)


def test_columnar_rows() -> None:
    """Rows that come in columns are treated as those that come one by one."""
    columns: dict[str, Any] = {
        "id": pa.array(["1", "2", "3"]),
        "userId": pa.chunked_array([["zelda", None], ["zelda"]]),
        "taskCount": pa.array([1, 2, 3]),
        "shoeSize": ["43", None, "44"],
        **{name: pa.array([value] * 3) for name, value in OWN.items()},
    }
    table = convert(RowColumns(columns, 3)).table
    assert table["user_id"].to_pylist() == [HASH.of("zelda"), None, HASH.of("zelda")]
    assert table["task_count"].null_count == 3
    assert "shoe_size" not in table.column_names


def test_other_fields() -> None:
    """Fields beyond the limit of columns stand in other_fields as the rules say."""
    row = {"id": "1", "shoeSize": 43, "accountNo": 4711, "colour": "red", **OWN}
    table = convert([row], most=0).table
    assert json.loads(table[OTHER_FIELDS][0].as_py()) == {"accountNo": HASH.of("4711"), "colour": "red"}


def test_number_column_of_before() -> None:
    """Where an undocumented column holds numbers already, the hash stands in the text beside it."""
    table = convert([{"id": "1", "accountNo": 4711, **OWN}], stored={"account_no": "bigint"}).table
    assert table["account_no"].to_pylist() == [None]
    assert table["account_no__v_text"].to_pylist() == [HASH.of("4711")]


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_stored_row_that_is_written_again(mode: str) -> None:
    """A hash that was read back stays as it is, also where it looks like a secret; an old value is hashed."""
    stored: Row = {
        "id": "1",
        "user_id": HASH.of("zelda"),
        "account_no": HASH.of("4711"),
        "shoe_size": 43,
        **OWN,
    }
    undocumented = UndocumentedFields(Redactor(mode=mode), max_bytes=1_000, rules=rules())
    kept = dict(undocumented.kept(TABLE, read_back(TABLE, stored)))
    table = convert([{**kept, **OWN}], stored={"account_no": "text", "shoe_size": "bigint"}).table
    assert table["user_id"].to_pylist() == [HASH.of("zelda")]
    assert table["account_no"].to_pylist() == [HASH.of("4711")]
    assert "shoe_size" not in table.column_names
    old = {**stored, "account_no": "4711"}
    again = convert([{**read_back(TABLE, old), **OWN}], stored={"account_no": "text"}).table
    assert again["account_no"].to_pylist() == [HASH.of("4711")]


def test_rejected_row() -> None:
    """A row without an id is kept without what may not stand in its table."""
    stamp = Stamp("r", NOW, UndocumentedFields(Redactor(), max_bytes=1_000, rules=rules()))
    row = RejectedRow(0, {"userId": "zelda", "taskCount": 1, "shoe_size": 43, "status": "FAILED"}, "no id")
    made = rejected(TABLE, "", Rejection(row, None, 0, None), stamp)
    assert json.loads(made["value"]) == {"userId": HASH.of("zelda"), "status": "FAILED"}
