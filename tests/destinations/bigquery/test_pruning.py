"""The check of pruning says of every mention of a partitioned table whether it reads all of it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot

from tests.destinations.bigquery.pruning import bound, unpruned, uses

TABLES = {"executions": "date_started", "steps": "execution_started"}
DAY = "date_started >= TIMESTAMP '2026-03-01' AND date_started < TIMESTAMP '2026-03-02'"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT id FROM executions WHERE {DAY}",
        f"SELECT id FROM `p.raw.executions` AS e WHERE (e.id = 'x' AND (e.{DAY.replace('AND ', 'AND e.')}))",
        "SELECT id FROM raw.executions WHERE date_started >= ? AND date_started < @until",
        "SELECT id FROM raw.executions WHERE ? <= date_started",
        "SELECT id FROM raw.executions WHERE DATE(date_started) IN (DATE '2026-03-01', ?) OR date_started IS NULL",
        "SELECT id FROM raw.executions WHERE DATE(date_started) IN UNNEST(@days)",
        "SELECT id FROM raw.executions WHERE TIMESTAMP_TRUNC(date_started, DAY) BETWEEN ? AND ?",
        "SELECT id FROM raw.executions WHERE date_started > TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 30 DAY)",
        f"WITH found AS (SELECT id FROM executions WHERE {DAY}) SELECT * FROM found",
        f"SELECT (SELECT MAX(id) FROM executions WHERE {DAY}) FROM others",
        "SELECT 1 FROM executions AS e JOIN steps AS s ON s.execution_id = e.id AND s.execution_started = ?"
        " WHERE e.date_started = ?",
        "SELECT 1 FROM executions AS e LEFT JOIN steps AS s ON s.execution_started >= ? AND s.id = e.id"
        " WHERE e.date_started = ?",
        f"DELETE FROM executions WHERE {DAY} AND id IN (SELECT id FROM raw_staging.executions)",
        f"UPDATE executions SET status = 'x' WHERE {DAY}",
        "MERGE INTO executions AS t USING raw_staging.executions AS s ON t.id = s.id AND t.date_started IN (?, ?)"
        " WHEN MATCHED THEN UPDATE SET status = s.status WHEN NOT MATCHED THEN INSERT (id) VALUES (id)",
        "INSERT INTO executions (id) SELECT id FROM raw_staging.executions",
        f"CREATE TEMP TABLE found AS SELECT id FROM executions WHERE {DAY}",
        "CREATE TABLE executions (id STRING, date_started TIMESTAMP) PARTITION BY DATE(date_started)",
        "CREATE OR REPLACE VIEW v AS SELECT * FROM executions",
        "ALTER TABLE executions ADD COLUMN x STRING; DROP TABLE steps; TRUNCATE TABLE executions",
        "SELECT * FROM raw.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'executions'",
        f"BEGIN TRANSACTION; DELETE FROM executions WHERE {DAY}; COMMIT TRANSACTION",
    ],
)
def test_statements_that_read_some_days_pass(sql: str) -> None:
    """Constant predicates in WHERE, or in the ON of a JOIN or MERGE where they leave rows out, are enough."""
    assert unpruned(sql, TABLES) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM executions",
        "SELECT id FROM executions WHERE id = 'x'",
        "SELECT id FROM executions WHERE date_started >= ? OR id = 'x'",
        "SELECT id FROM executions WHERE NOT date_started >= ?",
        "SELECT id FROM executions WHERE date_started >= (SELECT MIN(day) FROM others)",
        "SELECT id FROM executions WHERE DATE(date_started) IN (SELECT day FROM others)",
        "SELECT id FROM executions WHERE FORMAT_TIMESTAMP('%F', date_started) = '2026-03-01'",
        "SELECT id FROM executions WHERE date_started IS NOT NULL",
        "SELECT id FROM executions WHERE date_started <> ?",
        "SELECT id FROM steps WHERE date_started = ?",
        "SELECT 1 FROM executions AS e JOIN steps AS s ON s.id = e.id WHERE e.date_started = ?",
        "SELECT 1 FROM executions AS e JOIN steps AS s ON s.execution_started = e.date_started"
        " WHERE e.date_started = ?",
        "SELECT 1 FROM executions AS e LEFT JOIN others AS o ON e.date_started = ?",
        "SELECT 1 FROM executions AS e, others AS o WHERE date_started = ?",
        f"SELECT 1 FROM executions AS a JOIN executions AS b ON a.id = b.id WHERE a.{DAY.replace('AND ', 'AND a.')}",
        f"WITH found AS (SELECT * FROM executions) SELECT * FROM found WHERE {DAY}",
        f"SELECT 1 FROM others WHERE EXISTS (SELECT 1 FROM executions) AND {DAY}",
        "DELETE FROM executions WHERE id IN (SELECT id FROM raw_staging.executions)",
        "DELETE FROM executions WHERE EXISTS (SELECT 1 FROM s_staging.e AS s WHERE s.date_started = ?)",
        "UPDATE executions SET date_started = ? WHERE id = 'x'",
        "MERGE INTO executions AS t USING raw_staging.executions AS s ON t.id = s.id AND s.date_started = ?"
        " WHEN MATCHED THEN DELETE",
        "MERGE INTO executions AS t USING raw_staging.executions AS s ON t.id = s.id AND t.date_started = ?"
        " WHEN NOT MATCHED BY SOURCE THEN DELETE",
        f"INSERT INTO others SELECT * FROM executions; SELECT 1 FROM executions WHERE {DAY}",
        "CREATE TEMP TABLE found AS SELECT id FROM executions",
        "EXECUTE IMMEDIATE 'SELECT * FROM executions'",
        "CREATE TABLE executions CLONE others; SELECT COUNT(*) FROM executions",
    ],
)
def test_statements_that_read_all_days_are_found(sql: str) -> None:
    """What BigQuery can only know while it reads leaves out no partition."""
    assert len(unpruned(sql, TABLES)) == 1


def test_parameters_become_literals_in_the_order_of_the_text() -> None:
    """A predicate with parameters can be evaluated on its own."""

    def parameter(kind: str, value: Any, name: str | None = None) -> dict[str, Any]:
        return {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": value}}

    first, second = sqlglot.parse(
        "UPDATE executions SET a = ? WHERE date_started > ?; SELECT 1 FROM executions WHERE date_started < ?",
        dialect="bigquery",
    )
    assert first is not None
    assert second is not None
    given = [
        parameter("STRING", "x"),
        parameter("TIMESTAMP", "2026-03-01"),
        parameter("TIMESTAMP", "2026-03-09"),
    ]
    found = [
        use.predicate.sql("bigquery")
        for tree in (first, second)
        for use in uses(bound(tree, given), lambda table: "date_started")
        if use.predicate is not None
    ]
    assert found == [
        "t.date_started > CAST('2026-03-01' AS TIMESTAMP)",
        "t.date_started < CAST('2026-03-09' AS TIMESTAMP)",
    ]


def test_bounded_on_both_ends() -> None:
    """An open end is told apart from days that are named."""

    def is_bounded(condition: str) -> bool:
        tree = sqlglot.parse_one(f"SELECT 1 FROM executions WHERE {condition}", dialect="bigquery")
        (use,) = uses(tree, lambda table: "date_started")
        return use.is_bounded

    assert is_bounded(DAY)
    assert is_bounded("date_started = ? OR (date_started > ? AND date_started <= ?)")
    assert not is_bounded("date_started > ?")
    assert not is_bounded("date_started = ? OR date_started > ?")
