"""Google's analyzer takes every view and check, whatever the emulator lets pass."""

from __future__ import annotations

from task_history.views import create as creating
from task_history.views.check import findings
from task_history.views.files import checks
from task_history.views.relations import by_default
from task_history.warehouse import tables
from tests.destinations.bigquery.gates import gate_of

TYPES = {"text": "STRING", "bigint": "INT64", "bool": "BOOL", "timestamp": "TIMESTAMP", "double": "FLOAT64"}


def test_bigquery_takes_views_and_checks() -> None:
    """Each view over the systems' tables, and each check over those: names, types and functions."""
    gate = gate_of("lab")
    for dataset in by_default():
        for table in tables.of(dataset.system):
            columns = ", ".join(f"`{column.name}` {TYPES[column.type]}" for column in table.columns)
            assert gate.analyse(f"CREATE TABLE `lab`.`{dataset.name}`.`{table.name}` ({columns})") == []
    for name, sql in creating.texts(by_default(), "bigquery", project="lab").items():
        # Options of columns are beyond the analyzer; the emulator takes them.
        assert gate.analyse(f"CREATE OR REPLACE VIEW `lab`.`task_history`.`{name}` AS {sql}") == []
    asked: list[str] = []

    def query(sql: str, *_: object) -> tuple[list[str], list[tuple[object, ...]]]:
        asked.append(sql)
        return [], [] if len(asked) > 1 else [(check.name, 1) for check in checks()]

    assert len(list(findings(query, by_default(), "bigquery", project="lab"))) == len(checks())
    assert len(asked) == 1 + len(checks())
    for sql in asked:
        assert gate.analyse(sql) == [], sql
