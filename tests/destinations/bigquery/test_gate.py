"""Google's analyzer refuses what BigQuery would, and follows what statements create."""

from __future__ import annotations

from typing import Any

import pytest

from tests.destinations.bigquery.gates import Gate, gate_of

TABLE = """
CREATE TABLE IF NOT EXISTS `lab.raw.executions` (
  id STRING(64) NOT NULL OPTIONS (description = 'a;b'), date_started TIMESTAMP, tasks INT64, names ARRAY<STRING>
) PARTITION BY DATE(date_started) CLUSTER BY id OPTIONS (labels = [('system', 'paragon')])
"""


def parameter(kind: str, name: str | None = None) -> dict[str, Any]:
    return {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": "1"}}


@pytest.fixture(scope="module")
def gate() -> Gate:
    found = gate_of("lab")
    assert found.analyse(TABLE) == []
    return found


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT id FROM executions WHERE tasks IN (?, ?)", [parameter("INT64"), parameter("INT64")]),
        ("SELECT id FROM raw.executions WHERE date_started > @since", [parameter("TIMESTAMP", "since")]),
        ("BEGIN TRANSACTION; DELETE FROM executions WHERE id = ';'; COMMIT TRANSACTION", []),
        ("CREATE TEMP TABLE gone AS SELECT id FROM raw.executions; SELECT id FROM gone", []),
        ("DECLARE n INT64 DEFAULT 1; SELECT id FROM executions WHERE tasks = n", []),
        (
            "SELECT column_name FROM lab.raw.INFORMATION_SCHEMA.COLUMNS WHERE table_name = ?",
            [parameter("STRING")],
        ),
        ("SELECT LAX_INT64(PARSE_JSON(id).a.b) FROM executions", []),
    ],
)
def test_what_bigquery_takes_passes(gate: Gate, sql: str, parameters: list[dict[str, Any]]) -> None:
    """Statements and scripts, with parameters by place and by name."""
    assert gate.analyse(sql, parameters, "raw") == []


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT nope FROM executions", "Unrecognized name: nope"),
        ("SELECT id FROM executions WHERE tasks = 'x'", "No matching signature"),
        ("INSERT INTO executions (id) VALUES (1)", "cannot be inserted into column id"),
        ("SELECT id FROM executions WHERE tasks = ?", "parameter"),
        ("SELECT 1; SELECT id FROM gone", "Table not found: gone"),
        ("SELECT id, COUNT(*) FROM executions", "neither grouped nor aggregated"),
        ("IF TRUE THEN SELECT 1; END IF", "blocks are not analysed"),
        (
            "MERGE executions d USING executions s ON d.id = s.id WHEN MATCHED THEN UPDATE SET d = s.id",
            "entire row",
        ),
    ],
)
def test_what_bigquery_refuses_is_found(gate: Gate, sql: str, why: str) -> None:
    """Names, types, parameters, grouping; what cannot be analysed is refused as well."""
    assert any(why in found.why for found in gate.analyse(sql, [], "raw"))


def test_tables_are_followed() -> None:
    """New columns, views, copies and dropped tables are known to the statements that come after."""
    gate = gate_of("lab")
    assert gate.analyse(TABLE) == []
    assert gate.analyse("SELECT extra FROM executions", [], "raw")
    assert gate.analyse("ALTER TABLE raw.executions ADD COLUMN extra STRING, ADD COLUMN more DATE") == []
    assert gate.analyse("SELECT extra, more FROM executions", [], "raw") == []
    assert (
        gate.analyse("CREATE OR REPLACE VIEW raw.v AS SELECT id, PARSE_JSON(extra) AS j FROM raw.executions")
        == []
    )
    assert gate.analyse("SELECT j.a FROM v", [], "raw") == []
    assert gate.analyse("CREATE TABLE raw.copied CLONE raw.executions; SELECT extra FROM raw.copied") == []
    assert gate.analyse("DROP TABLE raw.executions") == []
    assert gate.analyse("SELECT id FROM executions", [], "raw")


def test_tables_are_followed_after_many_statements_that_change_none() -> None:
    """Changes of tables are known and faults are found whether the tables are handed over once or for each statement."""
    gate = gate_of("lab")
    assert gate.analyse(TABLE) == []
    for number in range(10):
        assert gate.analyse(f"SELECT id FROM executions LIMIT {number}", [], "raw") == []
        assert gate.analyse(f"SELECT extra FROM executions LIMIT {number}", [], "raw")
    assert gate.analyse("ALTER TABLE raw.executions ADD COLUMN extra STRING") == []
    for number in range(10):
        assert gate.analyse(f"SELECT extra FROM executions LIMIT {number}", [], "raw") == []
    gate.declare("raw", "declared", [("id", "STRING")])
    assert gate.analyse("SELECT id FROM declared", [], "raw") == []


def test_what_was_taken_once_is_looked_at_again_where_tables_differ() -> None:
    """A statement that another gate took is refused by one whose table has other columns, types or names."""
    sql = "SELECT id + 1 AS more FROM raw.executions"
    taken = gate_of("lab")
    taken.declare("raw", "executions", [("id", "INT64")])
    assert taken.analyse(sql) == []
    for table, column, kind in (
        ("executions", "id", "STRING"),
        ("executions", "key", "INT64"),
        ("others", "id", "INT64"),
    ):
        other = gate_of("lab")
        other.declare("raw", table, [(column, kind)])
        assert other.analyse(sql), (table, column, kind)
    again = gate_of("lab")
    again.declare("raw", "executions", [("id", "INT64")])
    assert again.analyse(sql) == []
