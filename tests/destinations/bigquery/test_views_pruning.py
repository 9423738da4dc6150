"""A filter by the start reads only the days that it names, through the views' texts."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.qualify import qualify

from task_history.views import create as creating
from task_history.views.relations import by_default
from tests.destinations.bigquery.pruning import unpruned

PARTITIONED = {
    "workflow_executions": "date_started",
    "step_executions": "execution_date_started",
    "step_payloads": "execution_date_started",
}


@pytest.mark.parametrize(
    ("name", "column", "table"),
    [
        ("executions", "started_at", "workflow_executions"),
        ("steps", "execution_started_at", "step_executions"),
        ("step_payloads", "execution_started_at", "step_payloads"),
    ],
)
def test_partitions_are_pruned(name: str, column: str, table: str) -> None:
    """What stands between the filter and the raw table are bare columns, so that BigQuery takes the filter down to it."""
    view = creating.texts([one for one in by_default() if one.name == "paragon"], "bigquery", project="lab")[
        name
    ]
    sql = f"SELECT * FROM ({view}) AS v WHERE v.{column} >= TIMESTAMP '2026-11-19 00:00:00+00'"
    tree = pushdown_predicates(
        qualify(sqlglot.parse_one(sql, read="bigquery"), dialect="bigquery", validate_qualify_columns=False),
        dialect="bigquery",
    )
    assert unpruned(tree.sql("bigquery"), {table: PARTITIONED[table]}) == []
    # The same without the filter is found to read everything.
    assert unpruned(view, {table: PARTITIONED[table]}) != []
