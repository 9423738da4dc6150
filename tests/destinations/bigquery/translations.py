"""Statements as they were parsed and translated into DuckDB's SQL, which takes most of the time of a statement.

Part of ``launcher``'s process. Both are kept for the next statement of the same text: each test says mostly what those
before it said, in a project of its own. And of INFORMATION_SCHEMA only those columns are translated that are named.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from local_bigquery.catalog import tables
from local_bigquery.errors import BigQueryError
from local_bigquery.jobs import merge
from local_bigquery.jobs import query as query_jobs
from local_bigquery.sql import script
from local_bigquery.sql import translate as translation
from local_bigquery.sql.dialect import BigQueryDialect
from local_bigquery.sql.rules import STATEMENT_RULES, information_schema
from sqlglot import exp

from tests.destinations.bigquery import known, stored_translations, templates

_PROJECT = "<project>"
_OF_TREE = "task_history_names"
_MAX_KEPT = 5_000
# What depends on more than its text, its parameters and the columns of its tables.
_DUCKDB_TYPES = {"": "VARCHAR", "BOOL": "BOOLEAN", "INT64": "BIGINT", "TIMESTAMP": "TIMESTAMPTZ"}
_NOT_KEPT = re.compile(r"@@|INFORMATION_SCHEMA|_PARTITION|__TABLES__|SESSION_USER", re.IGNORECASE)
_KEPT_KINDS = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable, exp.Create)
_MAX_PARSED = 1_000_000
"""Characters of the statements whose trees are kept, each of which takes some hundred bytes."""
_translate, _values = known.translate, information_schema._values
_parse, _parse_script, _evaluator = translation.parse, script.parse_script, query_jobs._evaluator
_named: threading.local = threading.local()


class _Kept(NamedTuple):
    sql: str
    used: frozenset[str]
    positions: int
    referenced: frozenset[tuple[str, ...]]


class _Named(NamedTuple):
    """What of the key of a translation its tree alone says."""

    sql: str
    tables: tuple[tuple[str, ...], ...]


class Parsed:
    """Trees by their texts; a caller changes none of them."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse
        self._known: OrderedDict[str, Any] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __call__(self, sql: str) -> Any:
        with self._lock:
            if sql in self._known:
                self._known.move_to_end(sql)
                return self._known[sql]
        found = self._parse(sql)
        with self._lock:
            if sql not in self._known:
                self._known[sql] = found
                self._size += len(sql)
            while self._size > _MAX_PARSED:
                self._size -= len(self._known.popitem(last=False)[0])
        return found


_kept: dict[Any, _Kept] = {}
parse = Parsed(_parse)
"""The statements of a text, shared by all who ask for it."""


def translate(tree: Any, context: Any) -> tuple[str, dict[str, Any]]:
    """As the emulator's own."""
    sql: str
    bound: dict[str, Any]
    key = _key(tree, context)
    found = _kept.get(key) if key is not None else None
    if found is None and (key is None or (found := _translated(tree, context, key)) is None):
        sql, bound = _translate(templates.filled_in_tree(tree), context)
        return sql, bound
    context.used.clear()
    context.used |= found.used
    context.position += found.positions
    project = context.project_id
    context.referenced |= {tuple(part.replace(_PROJECT, project) for part in one) for one in found.referenced}
    sql = templates.filled_in(found.sql.replace(_PROJECT, project))
    return sql, {name: context.values[name] for name in found.used}


def _translated(tree: Any, context: Any, key: Any) -> _Kept | None:
    """The translation, from now on kept; none of a statement whose literals are not in it as they were."""
    position, referenced, project = context.position, set(context.referenced), context.project_id
    if (stored := stored_translations.load(key)) is not None:
        _kept[key] = _Kept(*stored)
        return _kept[key]
    context.referenced.clear()
    sql, _ = _translate(tree, context)
    found: _Kept | None = None
    if templates.keeps_all(key[0], sql):
        found = _Kept(
            sql.replace(project, _PROJECT),
            frozenset(context.used),
            context.position - position,
            frozenset(tuple(part.replace(project, _PROJECT) for part in one) for one in context.referenced),
        )
        if len(_kept) >= _MAX_KEPT:
            _kept.clear()
        _kept[key] = found
        stored_translations.save(key, found)
    context.referenced, context.position = referenced, position
    return found


def _key(tree: Any, context: Any) -> Any:
    """All that the translation depends on, with the project's name taken out; None where that is not known."""
    project = context.project_id
    if "-" not in project or context.functions or context.variables:
        return None
    of, named = tree.meta.get(_OF_TREE, (0, None))
    if of != id(tree):  # that of a tree from which it was copied
        named = _names(tree, project)
        tree.meta[_OF_TREE] = (id(tree), named)
    if named is None:
        return None
    known = []
    for parts in named.tables:
        path = (*(project, context.dataset_id or "", "")[: 3 - len(parts)], *parts)
        try:
            fields = tables.columns(*path)
        except (BigQueryError, LookupError, TypeError):
            fields = []  # a name that the statement gives itself
        known.append((parts[-1], tuple((one.name, one.type, one.mode) for one in fields)))
    return (
        named.sql,
        context.dataset_id,
        context.position,
        tuple(sorted(context.parameters.items())),
        tuple(sorted(context.temporary)),
        tuple(known),
    )


def _names(tree: Any, project: str) -> _Named | None:
    if not isinstance(tree, _KEPT_KINDS) or tree.find(exp.TemporaryProperty):
        return None
    if isinstance(tree, exp.Create) and tree.args.get("kind") not in ("TABLE", "VIEW"):
        return None
    sql = tree.sql(dialect=BigQueryDialect)
    if _NOT_KEPT.search(sql):
        return None
    named = {
        tuple(part for piece in table.parts for part in piece.name.split("."))
        for table in tree.find_all(exp.Table)
    }
    if any(not 1 <= len(parts) <= 3 for parts in named):
        return None
    return _Named(sql.replace(project, _PROJECT), tuple(sorted(named)))


def _evaluating(cursor: Any) -> Callable[[Any], Any]:
    """As ``query._evaluator``, without a question for each text: there is one in each description of a column."""
    evaluate = _evaluator(cursor)

    def evaluated(node: Any) -> Any:
        is_text = isinstance(node, exp.Literal) and node.is_string
        return node.this if is_text else evaluate(node)

    return evaluated


def _knowing_names(rule: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def with_names(tree: Any, context: Any) -> Any:
        is_all = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
        _named.columns = None if is_all else {column.name.casefold() for column in tree.find_all(exp.Column)}
        return rule(tree, context)

    return with_names


def _named_values(columns: list[str], rows: list[list[Any]]) -> Any:
    """The rows of a view of INFORMATION_SCHEMA, in the columns that the statement names.

    Each column is one text of JSON: to translate a literal for each of thousands of values takes most of a second.
    """
    named = _named.columns
    kept = [at for at, one in enumerate(columns) if named is None or one.partition(" ")[0] in named] or [0]
    if not rows:
        return _values([columns[at] for at in kept], [])
    return exp.select(*(_unnested(columns[at], [_plain(row[at]) for row in rows]) for at in kept))


def _unnested(column: str, values: list[Any]) -> Any:
    name, _, kind = column.partition(" ")
    texts = (json.dumps(values), json.dumps([_DUCKDB_TYPES[kind]]))
    found = exp.Anonymous(this="json_transform", expressions=[exp.Literal.string(text) for text in texts])
    return exp.alias_(exp.Anonymous(this="unnest", expressions=[found]), name)


def _plain(value: Any) -> Any:
    """A value of a row, which may be a literal in a cast."""
    if isinstance(value, exp.Cast):
        value = value.this
    if isinstance(value, exp.Null):
        return None
    if isinstance(value, exp.Literal):
        return value.this if value.is_string else int(value.this)
    return value


def bridge() -> None:
    """From now on trees and translations are kept, and those of INFORMATION_SCHEMA are short."""
    query_jobs.translate = merge.translate = translate
    translation.parse = script.parse = query_jobs.parse = parse
    script.parse_script = Parsed(_parse_script)
    query_jobs._evaluator = _evaluating
    at = STATEMENT_RULES.index(information_schema.information_schema)
    STATEMENT_RULES[at] = _knowing_names(information_schema.information_schema)
    information_schema._values = _named_values
