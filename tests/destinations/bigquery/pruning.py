"""Which partitions a statement reads: the constant predicates on each table's partition column.

BigQuery prunes by expressions that it can evaluate before it reads
(https://cloud.google.com/bigquery/docs/querying-partitioned-tables#pruning_partitions_limiting_the_partitions_scanned):
literals and parameters, never values of another table. Used by the tests of what this project sends, and by the
emulator's estimates of bytes: so it needs sqlglot alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp

Partitions = Callable[[exp.Table], str | None]
"""The partition column of a table: None for tables that do not matter, empty for those without partitions."""

_SCOPES = (exp.Select, exp.Update, exp.Delete, exp.Merge, exp.Insert)
_ORDERS: dict[type[exp.Expr], str] = {
    exp.GT: "lower",
    exp.GTE: "lower",
    exp.LT: "upper",
    exp.LTE: "upper",
}
_MIRRORED = {"lower": "upper", "upper": "lower"}
_BOTH = frozenset({"lower", "upper"})
_FREE = (exp.Create, exp.Drop, exp.Alter, exp.TruncateTable)


@dataclass(frozen=True)
class Use:
    """One mention of a table that makes BigQuery read it."""

    table: exp.Table
    column: str
    """Its partition column."""
    columns: frozenset[str]
    """Names of columns in the statement, lower case; ``*`` for all."""
    is_changed: bool
    """Whether it is the target of UPDATE, DELETE or MERGE."""
    predicate: exp.Expr | None
    """What leaves out partitions, its columns named ``t``; None when all are read."""
    is_bounded: bool
    """Whether the predicate has both ends."""


def bound(tree: exp.Expr, parameters: list[dict[str, Any]]) -> exp.Expr:
    """The statement with its parameters as literals; ``parameters`` as in the body of ``jobs.query``.

    Takes the positional ones that it uses off the front of the list, for the next statement of a script.
    """
    for placeholder in list(_in_order(tree, exp.Placeholder)):
        if placeholder.this is None and parameters:
            placeholder.replace(_literal(parameters.pop(0)))
    named = {parameter.get("name"): parameter for parameter in parameters if parameter.get("name")}
    for node in list(tree.find_all(exp.Parameter)):
        if node.name in named:
            node.replace(_literal(named[node.name]))
    return tree


def uses(tree: exp.Expr, partitions: Partitions) -> list[Use]:
    """The mentions of tables that a statement reads or changes; none for DDL, save the query of CREATE TABLE AS."""
    if isinstance(tree, exp.Create):
        if (tree.kind or "").upper() != "TABLE" or not isinstance(tree.expression, exp.Query):
            return []
        tree = tree.expression
    if isinstance(tree, _FREE):
        return []
    names = frozenset(column.name.casefold() for column in tree.find_all(exp.Column))
    if any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star)):
        names |= {"*"}
    ctes = {cte.alias.casefold() for cte in tree.find_all(exp.CTE)}
    found = []
    for table in tree.find_all(exp.Table):
        if (not table.db and table.name.casefold() in ctes) or _is_inserted_into(table):
            continue
        column = partitions(table)
        if column is not None:
            found.append(_use(table, column, names))
    return found


def unpruned(sql: str, partitions: Mapping[str, str]) -> list[str]:
    """What reads all partitions of one of these tables, in words; ``partitions`` has the column by the table's name.

    Tables of datasets that end in ``_staging`` hold one load and do not count.
    """

    def column(table: exp.Table) -> str | None:
        path = [part for piece in table.parts for part in piece.name.split(".")]
        if len(path) > 1 and path[-2].endswith("_staging"):
            return None
        return partitions.get(path[-1])

    found = []
    for tree in sqlglot.parse(sql, dialect="bigquery"):
        if isinstance(tree, exp.Command):
            text = tree.sql("bigquery")
            found += [f"{name}: not understood: {text}" for name in partitions if name in text]
        elif tree is not None:
            found += [
                f"{use.table.sql('bigquery')}: no constant predicate on {use.column}: {tree.sql('bigquery')}"
                for use in uses(tree, column)
                if use.predicate is None
            ]
    return found


def _in_order(tree: exp.Expr, kind: type[exp.Expr]) -> Iterator[exp.Expr]:
    """Depth first and in the order of the text, which positional parameters follow."""
    return (node for node in tree.dfs() if isinstance(node, kind))


def _literal(parameter: dict[str, Any]) -> exp.Expr:
    kind = parameter["parameterType"]["type"]
    value = parameter.get("parameterValue", {})
    if kind == "ARRAY":
        element = parameter["parameterType"]["arrayType"]
        values = value.get("arrayValues") or []
        return exp.Array(
            expressions=[_literal({"parameterType": element, "parameterValue": each}) for each in values]
        )
    text = value.get("value")
    literal = exp.null() if text is None else exp.Literal.string(str(text))
    return exp.cast(literal, kind, dialect="bigquery")


def _is_inserted_into(table: exp.Table) -> bool:
    parent = table.parent
    if isinstance(parent, exp.Schema):
        table, parent = parent, parent.parent  # type: ignore[assignment]
    return isinstance(parent, exp.Insert) and parent.this is table


def _use(table: exp.Table, column: str, names: frozenset[str]) -> Use:
    scope = table.find_ancestor(*_SCOPES)
    changed = isinstance(scope, exp.Update | exp.Delete | exp.Merge) and scope.this is table
    alias = (table.alias or table.name.split(".")[-1]).casefold()
    alone = scope is not None and len(_sources(scope)) == 1
    kept, bounds = [], frozenset[str]()
    for conjunct in _conjuncts(scope, table) if scope and column else ():
        limits = _limits(conjunct, column.casefold(), alias, alone)
        if limits is not None:
            kept.append(_renamed(conjunct))
            bounds |= limits
    return Use(table, column, names, changed, exp.and_(*kept) if kept else None, bounds == _BOTH)


def _sources(scope: exp.Expr) -> list[exp.Expr]:
    """The tables and queries whose columns may be named without saying whose."""
    clause = scope.args.get("from_") or scope.args.get("from")
    found = [] if isinstance(scope, exp.Select | exp.Insert) else [scope.this]
    found += [clause.this, *(clause.this.args.get("joins") or [])] if clause is not None else []
    return [*found, *(scope.args.get("joins") or []), *filter(None, [scope.args.get("using")])]


def _conjuncts(scope: exp.Expr, table: exp.Table) -> Iterator[exp.Expr]:
    """What has to hold for every row of the table that counts."""
    where = scope.args.get("where")
    if where is not None:
        yield from _parts(where.this)
    if isinstance(scope, exp.Merge):
        others = any(when.args.get("source") for when in scope.find_all(exp.When))
        if scope.this is table and not others:
            yield from _parts(scope.args["on"])
    for join in scope.args.get("joins") or []:
        if "on" in join.args and join.args["on"] is not None and _prunes(join, table):
            yield from _parts(join.args["on"])


def _prunes(join: exp.Join, table: exp.Table) -> bool:
    side = (join.side or "").upper()
    joined = join.this is table
    return not side or (side == "LEFT" and joined) or (side == "RIGHT" and not joined)


def _parts(condition: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(condition, exp.Paren):
        yield from _parts(condition.this)
    elif isinstance(condition, exp.And):
        yield from _parts(condition.left)
        yield from _parts(condition.right)
    else:
        yield condition


def _limits(condition: exp.Expr, column: str, alias: str, alone: bool) -> frozenset[str] | None:
    """Which ends it sets to the partition column; None when it says nothing of it, or nothing constant."""
    if isinstance(condition, exp.Paren):
        return _limits(condition.this, column, alias, alone)
    if isinstance(condition, exp.And):
        found = [_limits(part, column, alias, alone) for part in _parts(condition)]
        kept = [limits for limits in found if limits is not None]
        return frozenset[str]().union(*kept) if kept else None
    if isinstance(condition, exp.Or):
        left = _limits(condition.left, column, alias, alone)
        right = _limits(condition.right, column, alias, alone)
        return None if left is None or right is None else left & right

    def is_column(node: exp.Expr) -> bool:
        node = _day_of(node)
        if not isinstance(node, exp.Column) or node.name.casefold() != column:
            return False
        return node.table.casefold() == alias if node.table else alone

    if isinstance(condition, exp.Between):
        ends = (condition.args["low"], condition.args["high"])
        return _BOTH if is_column(condition.this) and all(map(_is_constant, ends)) else None
    if isinstance(condition, exp.In):
        return _BOTH if is_column(condition.this) and _is_constant_list(condition) else None
    if isinstance(condition, exp.Is):
        is_null = isinstance(condition.expression, exp.Null)
        return _BOTH if is_column(condition.this) and is_null else None
    if isinstance(condition, exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
        for node, other, mirrored in (
            (condition.left, condition.right, False),
            (condition.right, condition.left, True),
        ):
            if is_column(node) and _is_constant(other):
                end = _ORDERS.get(type(condition))
                if end is None:
                    return _BOTH
                return frozenset({_MIRRORED[end] if mirrored else end})
    return None


def _day_of(node: exp.Expr) -> exp.Expr:
    """The column within ``DATE(column)`` and what is like it, which BigQuery prunes by as well."""
    if isinstance(node, exp.Date | exp.TsOrDsToDate | exp.TimestampTrunc | exp.DateTrunc | exp.DatetimeTrunc):
        return node.this if isinstance(node.this, exp.Expr) else node
    if isinstance(node, exp.Cast) and node.to.is_type("date"):
        found: exp.Expr = node.this
        return found
    return node


def _is_constant_list(condition: exp.In) -> bool:
    if condition.args.get("query") is not None:
        return False
    unnest = condition.args.get("unnest")
    return all(map(_is_constant, [*condition.expressions, *([unnest] if unnest is not None else [])]))


def _is_constant(node: exp.Expr) -> bool:
    return node.find(exp.Column, exp.Query, exp.Subquery) is None


def _renamed(condition: exp.Expr) -> exp.Expr:
    def rename(node: exp.Expr) -> exp.Expr:
        return exp.column(node.this, table="t") if isinstance(node, exp.Column) else node

    return condition.copy().transform(rename)
