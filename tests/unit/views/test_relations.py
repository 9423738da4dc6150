"""How the names of a view's text become those of a warehouse."""

from __future__ import annotations

import pytest

from task_history.views.dialects import DATASET, rendered

RELATIONS = {"steps": lambda _: "SELECT 1 AS id"}
VIEWS = ("executions", "steps")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param(
            "SELECT * FROM executions", f'SELECT * FROM "{DATASET}".executions AS executions', id="view"
        ),
        pytest.param("FROM x JOIN executions AS e", f'FROM x JOIN "{DATASET}".executions AS e', id="alias"),
        pytest.param(
            "SELECT * FROM systems.steps AS s", "SELECT * FROM (\nSELECT 1 AS id\n) AS s", id="relation"
        ),
        pytest.param("FROM other.executions AS e", "FROM other.executions AS e", id="another dataset's"),
        pytest.param("SELECT 'it''s FROM steps'", "SELECT 'it''s FROM steps'", id="in a text"),
        pytest.param("SELECT 1 -- FROM steps", "SELECT 1 -- FROM steps", id="in a comment"),
        pytest.param("a IS DISTINCT FROM steps", "a IS DISTINCT FROM steps", id="a column"),
        pytest.param(
            "a IS DISTINCT FROM e.steps", "a IS DISTINCT FROM e.steps", id="a column with its table"
        ),
        pytest.param(
            "WITH steps AS (\nSELECT 1\n) SELECT * FROM steps",
            "WITH steps AS (\nSELECT 1\n) SELECT * FROM steps",
            id="a part of the query",
        ),
    ],
)
def test_names_of_tables_are_put_in(sql: str, expected: str) -> None:
    """A view and a relation that is read gets its full name or text; whatever only looks like one stays."""
    assert rendered(sql, "duckdb", relations=RELATIONS, views=VIEWS) == expected
