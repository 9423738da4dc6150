"""Translations of statements into DuckDB's SQL, which take half of the time of a statement.

Part of ``launcher``'s process. They are kept for the next statement of the same text: each test says mostly what those
before it said, in a project of its own. And of INFORMATION_SCHEMA only those columns are translated that are named.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from local_bigquery.catalog import tables
from local_bigquery.errors import BigQueryError
from local_bigquery.jobs import merge
from local_bigquery.jobs import query as query_jobs
from local_bigquery.sql import translate as translation
from local_bigquery.sql.dialect import BigQueryDialect
from local_bigquery.sql.rules import STATEMENT_RULES, information_schema
from sqlglot import exp

_PROJECT = "<project>"
_MAX_KEPT = 5_000
# What depends on more than its text, its parameters and the columns of its tables.
_NOT_KEPT = re.compile(r"@@|INFORMATION_SCHEMA|_PARTITION|__TABLES__|SESSION_USER", re.IGNORECASE)
_KEPT_KINDS = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable, exp.Create)
_translate, _values = translation.translate, information_schema._values
_named: threading.local = threading.local()


class _Kept(NamedTuple):
    sql: str
    used: frozenset[str]
    positions: int
    referenced: frozenset[tuple[str, ...]]


_kept: dict[Any, _Kept] = {}


def translate(tree: Any, context: Any) -> tuple[str, dict[str, Any]]:
    """As the emulator's own."""
    sql: str
    bound: dict[str, Any]
    key = _key(tree, context)
    if key is None:
        sql, bound = _translate(tree, context)
        return sql, bound
    project, found = context.project_id, _kept.get(key)
    if found is None:
        position, referenced = context.position, set(context.referenced)
        context.referenced.clear()
        sql, bound = _translate(tree, context)
        found = _Kept(
            sql.replace(project, _PROJECT),
            frozenset(context.used),
            context.position - position,
            frozenset(tuple(part.replace(project, _PROJECT) for part in one) for one in context.referenced),
        )
        context.referenced |= referenced
        if len(_kept) >= _MAX_KEPT:
            _kept.clear()
        _kept[key] = found
        return sql, bound
    context.used.clear()
    context.used |= found.used
    context.position += found.positions
    context.referenced |= {tuple(part.replace(_PROJECT, project) for part in one) for one in found.referenced}
    return found.sql.replace(_PROJECT, project), {name: context.values[name] for name in found.used}


def _key(tree: Any, context: Any) -> Any:
    """All that the translation depends on, with the project's name taken out; None where that is not known."""
    project = context.project_id
    if "-" not in project or context.functions or context.variables:
        return None
    if not isinstance(tree, _KEPT_KINDS) or tree.find(exp.TemporaryProperty):
        return None
    if isinstance(tree, exp.Create) and tree.args.get("kind") not in ("TABLE", "VIEW"):
        return None
    sql = tree.sql(dialect=BigQueryDialect)
    if _NOT_KEPT.search(sql):
        return None
    known = []
    for table in tree.find_all(exp.Table):
        parts = [part for piece in table.parts for part in piece.name.split(".")]
        if not 1 <= len(parts) <= 3:
            return None
        names = [project, context.dataset_id or "", ""][: 3 - len(parts)] + parts
        try:
            fields = tables.columns(*names)
        except (BigQueryError, LookupError, TypeError):
            fields = []  # a name that the statement gives itself
        known.append((parts[-1], tuple((one.name, one.type, one.mode) for one in fields)))
    return (
        sql.replace(project, _PROJECT),
        context.dataset_id,
        context.position,
        tuple(sorted(context.parameters.items())),
        frozenset(context.temporary),
        tuple(known),
    )


def _knowing_names(rule: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def with_names(tree: Any, context: Any) -> Any:
        is_all = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
        _named.columns = None if is_all else {column.name.casefold() for column in tree.find_all(exp.Column)}
        return rule(tree, context)

    return with_names


def _named_values(columns: list[str], rows: list[list[Any]]) -> Any:
    """The rows of a view of INFORMATION_SCHEMA, in the columns that the statement names."""
    named = _named.columns
    places = [at for at, one in enumerate(columns) if named is None or one.partition(" ")[0] in named] or [0]
    return _values([columns[at] for at in places], [[row[at] for at in places] for row in rows])


def bridge() -> None:
    """From now on translations are kept, and those of INFORMATION_SCHEMA are short."""
    query_jobs.translate = merge.translate = translate
    at = STATEMENT_RULES.index(information_schema.information_schema)
    STATEMENT_RULES[at] = _knowing_names(information_schema.information_schema)
    information_schema._values = _named_values
