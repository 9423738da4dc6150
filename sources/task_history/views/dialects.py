"""The one text of a view, as DuckDB or BigQuery takes it.

sqlglot carries it; what it leaves as it was, or would carry to something else, is put right here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlglot
from sqlglot import exp

from ..settings import VIEWS_DATASET

DUCKDB, BIGQUERY = "duckdb", "bigquery"
DIALECTS = (DUCKDB, BIGQUERY)
DATASET = VIEWS_DATASET
"""Where the views are."""


def carried(
    sql: str,
    dialect: str,
    *,
    relations: Mapping[str, str],
    views: Collection[str],
    project: str | None = None,
) -> str:
    """The SQL with every relation put in and every view's full name, in that dialect.

    ``project`` is what BigQuery's names begin with; None leaves them without.
    """
    tree: Any = sqlglot.parse_one(sql, read=DUCKDB)
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if table.db == "systems":
            inner = sqlglot.parse_one(relations[table.name], read=DUCKDB)
            table.replace(exp.Subquery(this=inner, alias=_alias(table)))
        elif not table.db and table.name in views and table.name not in own:
            table.set("alias", _alias(table))
            table.set("db", exp.to_identifier(DATASET, quoted=True))
    if dialect == BIGQUERY:
        tree = tree.transform(_for_bigquery)
        if project is not None:
            for table in tree.find_all(exp.Table):
                if table.db:
                    table.set("catalog", exp.to_identifier(project, quoted=True))
    text: str = tree.sql(dialect=dialect, pretty=True)
    return text


def quoted_text(text: str, dialect: str) -> str:
    """The text as a literal."""
    if dialect == BIGQUERY:
        text = text.replace("\\", "\\\\")
        return "'" + text.replace("'", "\\'") + "'"
    return "'" + text.replace("'", "''") + "'"


def _alias(table: Any) -> Any:
    return table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))


def _for_bigquery(node: Any) -> Any:
    """One part of a view as BigQuery has it."""
    if isinstance(node, exp.TryCast) and node.to.is_type("JSON"):
        # A number beyond a double's digits is no reason to have nothing.
        return sqlglot.parse_one(
            f"SAFE.PARSE_JSON({node.this.sql(BIGQUERY)}, wide_number_mode => 'round')", read=BIGQUERY
        )
    if isinstance(node, exp.Anonymous) and node.name.upper() == "EPOCH_US":
        return exp.Anonymous(this="UNIX_MICROS", expressions=node.expressions)
    if isinstance(node, exp.Cast) and node.to.is_type("DATE") and isinstance(node.this, exp.AtTimeZone):
        # The form by which BigQuery prunes partitions.
        return exp.Anonymous(this="DATE", expressions=[node.this.this])
    if isinstance(node, exp.RegexpReplace):
        node.set("modifiers", None)  # all occurrences are what BigQuery replaces anyhow
    if isinstance(node, exp.PercentileDisc):
        return _nearest_rank(node)
    return node


def _nearest_rank(node: Any) -> Any:
    """BigQuery has exact percentiles as window functions only."""
    value = node.this.sql(BIGQUERY)
    hundredths = round(float(node.expression.name) * 100)
    return sqlglot.parse_one(
        f"ARRAY_AGG({value} IGNORE NULLS ORDER BY {value})"
        f"[SAFE_ORDINAL(DIV((COUNT({value}) * {hundredths} + 99), 100))]",
        read=BIGQUERY,
    )
