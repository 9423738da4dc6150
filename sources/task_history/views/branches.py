"""A relation as the union of one branch per dataset, with those columns that the SQL around it names.

All columns of 200 datasets take DuckDB half a gigabyte and seconds when a view is made; most views name a few.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from ..warehouse.sql_text import quoted_text, sql_type

Relation = Callable[[Collection[str] | None], str]
"""The SQL of a relation with those of its columns that are named, and with those of the account; None names all."""
Branch = tuple[str, Mapping[str, str]]
"""The FROM clause, and the expression of each column."""

_ACCOUNT_COLUMNS = {"system": "text", "instance": "text"}
_ALL_COLUMNS = re.compile(r"(?:\bSELECT|\bDISTINCT|,)\s*\*|[\w\"]\.\*|\bCOLUMNS\s*\(", re.IGNORECASE)
_TEXT = re.compile(r"--[^\n]*|'(?:[^']|'')*'")
"""A comment or a text: an apostrophe in a comment begins no text."""


def named_columns(sql: str) -> frozenset[str] | None:
    """The words of the SQL, names of columns among them; None where it selects all columns of something."""
    return None if _ALL_COLUMNS.search(_TEXT.sub(" ", sql)) else frozenset(re.findall(r"\w+", sql))


def union(types: Mapping[str, str], branches: Iterable[tuple[str, str, Branch]]) -> Relation:
    """The relation with columns of these types; each branch comes with the names of its system and instance."""
    every = [
        (
            f"SELECT\n    {quoted_text(system)} AS system,\n    {quoted_text(instance)} AS instance",
            {
                name: f",\n    {expressions.get(name, f'CAST(NULL AS {sql_type(kind)})')} AS {name}"
                for name, kind in types.items()
            },
            f"\nFROM {rows}",
        )
        for system, instance, (rows, expressions) in branches
    ]

    def sql(named: Collection[str] | None) -> str:
        shown = [name for name in types if named is None or name in named]
        if not every:
            return _nothing({**_ACCOUNT_COLUMNS, **{name: types[name] for name in shown}})
        return "\nUNION ALL\n".join(
            head + "".join([columns[name] for name in shown]) + source for head, columns, source in every
        )

    return sql


def _nothing(types: Mapping[str, str]) -> str:
    columns = ", ".join(f"CAST(NULL AS {sql_type(kind)}) AS {name}" for name, kind in types.items())
    return f"SELECT {columns} FROM (SELECT 1 AS one) AS only_one WHERE FALSE"
