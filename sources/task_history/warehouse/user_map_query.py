"""The setting ``user_map`` as a table or query of the warehouse: whether it is one, and its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import ConfigurationError, WarehouseUnavailable
from ..core.escapes import visible
from .sql_text import BIGQUERY, Query

MAX_ROWS = 1_000_000
"""Rows that a query may give, at most: they are held in memory."""
_MAX_SHOWN = 60
"""Characters of the setting that an error shows."""
_NAME = r"(?:[\w$-]+|\"[^\"]+\"|`[^`]+`)"
_TABLE = re.compile(rf"{_NAME}(?:\.{_NAME})+|`[^`]+`")
"""A table with its dataset, and a project or catalog before that."""
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_READING = re.compile(r"[(\s]*(?:SELECT|WITH)\b", re.IGNORECASE)
_STATEMENT = re.compile(r"[(\s]*[A-Za-z]+\s")
"""The first word of a statement, of which a file's name seldom has one."""


@dataclass(frozen=True, slots=True)
class Users:
    """What a user's table or query is read through."""

    dialect: str
    query: Query


def is_query(value: str, endings: Sequence[str]) -> bool:
    """Whether the setting is a table or query of the warehouse, and no file, whose names end in one of these."""
    text = _COMMENT.sub(" ", value).strip()
    if _READING.match(text):
        return True
    if text.lower().endswith(tuple(endings)):
        return False
    return bool(_TABLE.fullmatch(text) or (_STATEMENT.match(text) and "/" not in text))


def rows(value: str, warehouse: Users) -> tuple[list[str], Iterator[tuple[str, dict[str, Any]]]]:
    """The columns of the table or query, in small letters, and its rows, each with its place.

    Raises:
        ConfigurationError: it is no single query that only reads, or the warehouse refuses it.
    """
    try:
        names, found = warehouse.query(_reading(value.strip(), warehouse.dialect))
    except WarehouseUnavailable as error:
        raise wrong(value, f"cannot be read: {error}") from None
    if len(found) > MAX_ROWS:
        raise wrong(value, f"has more than {MAX_ROWS:,} rows. Name fewer users")
    names = [name.lower() for name in names]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise wrong(value, f"has the column {visible(repeated)!r} twice. Name each once")
    return names, (
        (f"row {number}", dict(zip(names, row, strict=True))) for number, row in enumerate(found, 1)
    )


def _reading(text: str, dialect: str) -> str:
    """The statement that reads the setting's table or query, and does nothing else."""
    # Imported where it is needed: it takes a while.
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        statements = sqlglot.parse(f"SELECT * FROM {text}" if _TABLE.fullmatch(text) else text, read=dialect)
    except SqlglotError as error:
        raise wrong(text, f"is no query that can be read ({str(error).splitlines()[0]})") from None
    writing = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock)
    single = [
        statement
        for statement in statements
        if statement is not None and not isinstance(statement, exp.Semicolon)
    ]
    if len(single) != 1 or not isinstance(single[0], exp.Query) or single[0].find(*writing) is not None:
        raise wrong(text, "must be the name of a table with its dataset, or one SELECT that only reads")
    # Within brackets no database takes what writes. Comments are in the text no more, which could end the brackets.
    sql = single[0].sql(dialect=dialect, comments=False)
    sql = f"SELECT * FROM (\n{sql}\n) AS users LIMIT {MAX_ROWS + 1}"
    # Google's client takes %% for %.
    return sql.replace("%", "%%") if dialect == BIGQUERY else sql


def wrong(value: str, what: str) -> ConfigurationError:
    """The error about a file, table or query; of a query the beginning is shown, and a file's path whole."""
    shown = visible(" ".join(value.split()))
    if len(shown) > _MAX_SHOWN and _STATEMENT.match(_COMMENT.sub(" ", value).strip()):
        shown = f"{shown[:_MAX_SHOWN]}…"
    return ConfigurationError(f"user_map: {shown!r} {what}{'' if what.endswith(('?', '.')) else '.'}")
