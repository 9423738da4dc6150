"""Google's analyzer takes every view and check, whatever the emulator lets pass."""

from __future__ import annotations

from task_history.views.check_runner import findings
from task_history.views.relations import by_default
from task_history.views.sql_file_reader import checks
from tests.destinations.bigquery.gates import gate_with_views


def test_bigquery_takes_views_and_checks() -> None:
    """Each view over the systems' tables, and each check over those: names, types and functions."""
    gate, refused = gate_with_views()
    assert refused == []
    asked: list[str] = []

    def query(sql: str, *_: object) -> tuple[list[str], list[tuple[object, ...]]]:
        asked.append(sql)
        return [], [] if len(asked) > 1 else [(check.name, 1) for check in checks()]

    assert len(list(findings(query, by_default(), "bigquery", project="lab"))) == len(checks())
    assert len(asked) == 1 + len(checks())
    for sql in asked:
        assert gate.analyse(sql) == [], sql
