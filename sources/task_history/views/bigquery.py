"""Translation of a view's SQL from DuckDB to BigQuery.

sqlglot translates it; this module corrects what sqlglot leaves unchanged or translates wrongly.
"""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp

from ..core.calendars import UTC_ZONE

_NAME = "bigquery"


def from_duckdb(sql: str, *, project: str | None) -> str:
    """Translates DuckDB SQL to BigQuery; ``project`` is put before table names, None adds none."""
    tree: Any = sqlglot.parse_one(sql, read="duckdb").transform(_part, copy=False)
    if project is not None:
        for table in tree.find_all(exp.Table):
            if table.db:
                table.set("catalog", exp.to_identifier(project, quoted=True))
    text: str = tree.sql(dialect=_NAME, pretty=True, copy=False)
    return text


def _part(node: Any) -> Any:
    """Translates one node of the syntax tree."""
    if isinstance(node, exp.TryCast) and node.to.is_type("JSON"):
        # A number beyond a double's digits is no reason to have nothing.
        return sqlglot.parse_one(
            f"SAFE.PARSE_JSON({node.this.sql(_NAME)}, wide_number_mode => 'round')", read=_NAME
        )
    if isinstance(node, exp.Anonymous) and node.name.upper() == "EPOCH_US":
        return exp.Anonymous(this="UNIX_MICROS", expressions=node.expressions)
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.AtTimeZone):
        instant, zone = node.this.this, node.this.args["zone"]
        # DATE of one argument is UTC's, and the form by which BigQuery prunes partitions.
        is_utc = zone.is_string and zone.name == UTC_ZONE
        name = "DATE" if node.to.is_type("DATE") else "DATETIME"
        return exp.Anonymous(this=name, expressions=[instant] if is_utc else [instant, zone])
    if isinstance(node, exp.AtTimeZone):
        # The clock's reading in the zone, as an instant: where an instant is read, a cast says as what.
        zone = node.args["zone"]
        if isinstance(node.this, exp.Cast):
            # A date's midnight; TIMESTAMP takes a column for a zone, too, but not every reader of its SQL knows that.
            date = exp.cast(node.this.this, "TEXT")
            return exp.Anonymous(this="PARSE_TIMESTAMP", expressions=[exp.Literal.string("%F"), date, zone])
        return exp.Anonymous(this="TIMESTAMP", expressions=[node.this.transform(_part), zone])
    if isinstance(node, exp.DataType) and node.is_type("DECIMAL"):
        # NUMERIC has 29 digits before the point; in a CAST BigQuery takes no number of digits.
        return exp.DataType.build("DECIMAL")
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.GenerateSeries):
        series = node.this
        return exp.GenerateDateArray(
            start=series.args["start"], end=series.args["end"], step=series.args["step"]
        )
    if isinstance(node, exp.RegexpReplace):
        node.set("modifiers", None)  # all occurrences are what BigQuery replaces anyhow
    if isinstance(node, exp.PercentileDisc):
        return _nearest_rank(node)
    return node


def _nearest_rank(node: Any) -> Any:
    """An exact percentile as an aggregate, which BigQuery offers as a window function only."""
    value = node.this.sql(_NAME)
    hundredths = round(float(node.expression.name) * 100)
    return sqlglot.parse_one(
        f"ARRAY_AGG({value} IGNORE NULLS ORDER BY {value})"
        f"[SAFE_ORDINAL(DIV((COUNT({value}) * {hundredths} + 99), 100))]",
        read=_NAME,
    )
