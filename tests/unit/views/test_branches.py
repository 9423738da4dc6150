"""Of a relation SQL gets the columns that it names, which bounds what a view over many datasets costs."""

from __future__ import annotations

import re

import pytest

from task_history.views import create
from task_history.views.branches import named_columns, union
from task_history.views.dialects import rendered
from task_history.views.relations import by_default
from task_history.views.sql_file_reader import views

_TYPES = {"execution_id": "text", "started_at": "timestamp", "error": "text"}
_ROWS = union(
    _TYPES,
    [
        ("paragon", "", ("a.t AS t", {"execution_id": "t.id", "error": "t.why"})),
        ("b3os", "eu", ("b.t AS t", {"execution_id": "t.key"})),
    ],
)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        pytest.param("SELECT a, count(*) FROM t WHERE b * 2 > 24 * c", {"a", "b", "c"}, id="names"),
        pytest.param("SELECT a FROM t WHERE b ~ ', *x'", {"a", "b"}, id="a text"),
        pytest.param("SELECT * FROM t", None, id="all"),
        pytest.param("SELECT a, e.* FROM t AS e", None, id="all of one"),
        pytest.param("SELECT DISTINCT * FROM t", None, id="distinct"),
        pytest.param("SELECT a, * FROM t", None, id="all after one"),
        pytest.param("SELECT*FROM t", None, id="all without a space"),
        pytest.param('SELECT "e".* FROM t AS "e"', None, id="all of a quoted one"),
        pytest.param("SELECT a -- it's\nFROM (SELECT * FROM t) -- isn't", None, id="between apostrophes"),
        pytest.param("SELECT a -- , * and e.*\nFROM t", {"a"}, id="in a comment"),
        pytest.param("SELECT COLUMNS('a.*') FROM t", None, id="by a pattern"),
    ],
)
def test_what_sql_names_is_told_from_what_it_takes_whole(sql: str, named: set[str] | None) -> None:
    """Multiplication and ``count(*)`` take no columns; a star in place of columns takes all."""
    found = named_columns(sql)
    assert found is None if named is None else found is not None and named <= found


def test_a_relation_has_the_columns_that_are_named() -> None:
    """Those of the account are always there; each branch has the same, in the same order."""
    sql = rendered("SELECT error, system FROM systems.t", "duckdb", relations={"t": _ROWS}, views=())
    assert re.findall(r" AS (\w+),?\n", sql) == 2 * ["system", "instance", "error", "t"]
    assert "t.id" not in sql
    whole = rendered("SELECT * FROM systems.t", "duckdb", relations={"t": _ROWS}, views=())
    assert all(f" AS {name}" in whole for name in _TYPES)


def test_a_relation_without_datasets_has_the_same_columns() -> None:
    """An empty relation has the types of those columns that are named."""
    assert union(_TYPES, [])({"error"}).startswith(
        "SELECT CAST(NULL AS VARCHAR) AS system, CAST(NULL AS VARCHAR) AS instance, CAST(NULL AS VARCHAR) AS error FROM"
    )


def test_views_read_no_columns_that_they_do_not_use() -> None:
    """A column that a view does not name is in no branch of the relations that it reads."""
    texts = create.texts(by_default(), "duckdb")
    assert "billing_caveat" not in texts["freshness"]
    assert "task_count" not in texts["replay_candidates"]
    whole = {
        name for name, view in views().items() if "systems." in view.sql and named_columns(view.sql) is None
    }
    assert whole == {"connector_runs", "executions", "step_payloads", "steps"}
