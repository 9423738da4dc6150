"""Translation of a view's SQL from DuckDB to Postgres.

sqlglot translates it; this module corrects what sqlglot leaves unchanged or translates wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp

from ..warehouse.sql_text import POSTGRES, quoted_text
from .postgres_functions import JSON, JSON_TEXT
from .relations import EXECUTIONS, PAYLOADS, STEPS
from .sql_file_reader import views

_ASCII_WORD = "[A-Za-z0-9_]"
_BOUNDARY = rf"(?:(?<!{_ASCII_WORD})(?={_ASCII_WORD})|(?<={_ASCII_WORD})(?!{_ASCII_WORD}))"
_SPACES = r"\t\n\f\r "
_REGEX_PARTS = re.compile(r"\[(?:\\.|[^\]\\])*\]|\\.|[^\[\\]+")


def from_duckdb(sql: str) -> str:
    """Translates DuckDB SQL to Postgres."""
    tree: Any = sqlglot.parse_one(sql, read="duckdb").transform(_part, copy=False)
    text: str = tree.sql(dialect=POSTGRES, pretty=True, copy=False)
    return text


def _part(node: Any) -> Any:
    """Translates one node of the syntax tree."""
    if (sql := _translated(node)) is not None:
        return sqlglot.parse_one(sql, read=POSTGRES)
    if isinstance(node, exp.RegexpReplace):
        node.set("expression", exp.Literal.string(_pattern(node.expression.name)))
    if isinstance(node, exp.Select) and node.args.get("distinct") and node.args.get("order"):
        _group(node)
    if isinstance(node, exp.Ordered) and _is_text(node.this):
        # DuckDB orders texts by code points; the order of a Postgres database depends on its locale.
        node.set("this", _collated(node.this, "C"))
    if isinstance(node, exp.Max | exp.Min) and _is_text(node.this):
        node.set("this", _collated(node.this.transform(_part), "C"))
        # The column has the database's order again, or it could not be compared with those of tables.
        return _collated(node, "default")
    return node


def _group(select: Any) -> None:
    """Has GROUP BY make the rows distinct: after DISTINCT Postgres orders by columns alone, without a collation."""
    columns = [column.unalias() for column in select.expressions]
    select.set("distinct", None)
    select.group_by(*(column for column in columns if column.find(exp.Column)), copy=False)


def _translated(node: Any) -> str | None:
    """The SQL of Postgres for what sqlglot writes otherwise; None for other nodes."""
    if isinstance(node, exp.JSONExtractScalar | exp.TryCast | exp.RegexpExtractAll):
        return _of_text(node)
    if isinstance(node, exp.Anonymous) and node.name.upper() == "EPOCH_US":
        return f"CAST(EXTRACT(EPOCH FROM {_sql(node.expressions[0])}) * 1000000 AS BIGINT)"
    if isinstance(node, exp.IntDiv):
        # Of two whole numbers it is one, as in DuckDB; sqlglot's DIV gives a NUMERIC.
        return f"{_sql(node.this)} / {_sql(node.expression)}"
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.GenerateSeries):
        return _days(node.this)
    if isinstance(node, exp.Interval) and isinstance(node.this, exp.Paren):
        return f"{_sql(node.this)} * INTERVAL '1 {_sql(node.args['unit'])}'"
    if isinstance(node, exp.Round) and node.args.get("decimals") is not None:
        rounded = f"ROUND(CAST({_sql(node.this)} AS NUMERIC), {_sql(node.args['decimals'])})"
        return f"CAST({rounded} AS DOUBLE PRECISION)"
    return None


def _of_text(node: Any) -> str | None:
    """As ``_translated``, for JSON and regular expressions."""
    if isinstance(node, exp.RegexpExtractAll):
        pattern = quoted_text(f"({_pattern(node.expression.name)})")
        return f"ARRAY(SELECT m.m[1] FROM regexp_matches({_sql(node.this)}, {pattern}, 'g') AS m(m))"
    if isinstance(node, exp.TryCast):
        return f"{JSON}({_sql(node.this)})" if node.to.is_type("JSON") else None
    if not isinstance(node.this, exp.TryCast):
        return None
    keys = ",".join(part.name for part in node.expression.find_all(exp.JSONPathKey))
    return f"{JSON_TEXT}({_sql(node.this.this)}, {quoted_text('{' + keys + '}')})"


def _days(series: Any) -> str:
    """The array of days; the session's time zone has no influence on it."""
    start, end = (f"CAST({_sql(series.args[name])} AS TIMESTAMP)" for name in ("start", "end"))
    return f"ARRAY(SELECT CAST(g.g AS DATE) FROM generate_series({start}, {end}, INTERVAL '1 DAY') AS g(g))"


def _sql(node: Any) -> str:
    """The SQL of a part that is a child of the present one and is not translated yet."""
    text: str = node.transform(_part).sql(dialect=POSTGRES)
    return text


def _is_text(node: Any) -> bool:
    if isinstance(node, exp.Case):
        return _is_text(node.args["ifs"][0].args["true"])
    return isinstance(node, exp.Column) and node.name in _text_columns()


def _collated(node: Any, collation: str) -> Any:
    return exp.Collate(this=node, expression=exp.to_identifier(collation, quoted=True))


@cache
def _text_columns() -> frozenset[str]:
    """The names of all columns of text in views and relations."""
    return frozenset(_texts())


def _texts() -> Iterator[str]:
    for types in (EXECUTIONS, STEPS, PAYLOADS):
        yield from (name for name, kind in types.items() if kind == "text")
    for view in views().values():
        yield from (column.name for column in view.columns if column.type == "text")


def _pattern(pattern: str) -> str:
    r"""The regular expression as Postgres writes it, in which ``\b`` and ``\s`` are about ASCII, as in DuckDB's.

    https://www.postgresql.org/docs/current/functions-matching.html#POSIX-SYNTAX-DETAILS
    """

    def put(match: re.Match[str]) -> str:
        part = match[0]
        if part.startswith("["):
            return part.replace(r"\s", _SPACES)
        return {r"\b": _BOUNDARY, r"\s": f"[{_SPACES}]"}.get(part, part)

    return _REGEX_PARTS.sub(put, pattern)
