"""Access to a warehouse in which views are made and asked, and its catalogue: every column by dataset and table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..settings_accounts import Account
from ..warehouse.sql_text import BIGQUERY, POSTGRES, Query, quoted_name, quoted_text
from ..warehouse.user_map import UserMap
from .dialects import DATASET
from .sql_file_reader import View

_POSTGRES_COLUMNS = """
SELECT n.nspname, c.relname, a.attname
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm') AND a.attnum > 0 AND NOT a.attisdropped
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""
"""``information_schema`` leaves out what the role may not read: such a dataset would vanish from the views silently."""


@dataclass(frozen=True, slots=True)
class ViewAccess:
    """Access to a warehouse in which views can be created."""

    dialect: str
    query: Query
    execute: Callable[[Iterable[str]], None]
    """Runs statements in order."""
    describe: Callable[[Sequence[View]], None] = lambda _: None
    """Sets the descriptions of the views' columns, where statements cannot."""
    describes_columns: bool = True
    """Whether statements can set the descriptions of the views' columns, where they can set those of views."""
    project: str | None = None
    """BigQuery's project, which prefixes the views' names."""
    owners: Mapping[str, Account] | None = None
    """The accounts by dataset as the configuration names them."""
    datasets: Callable[[], Sequence[str]] = tuple
    """BigQuery's datasets, queried one by one, since querying all at once needs rights in the whole project."""
    tables: Callable[[str], Collection[str] | None] = lambda _: None
    """The tables and views of one of BigQuery's datasets, asked without a job; None where it is not there."""

    users: dict[tuple[str, str | None, str], UserMap] = field(default_factory=dict)
    """What tables and queries of ``user_map`` gave, by system, instance and setting: each is run once."""

    def view_name(self, view: str) -> str:
        """The quoted name of a view, or of the dataset where ``view`` is empty."""
        return qualified_view(view, self.dialect, self.project)


def stored_columns(access: ViewAccess, datasets: Iterable[str] | None = None) -> list[tuple[str, str, str]]:
    """Every column in the warehouse, or in these datasets, as dataset, table and column.

    BigQuery's datasets have to be named, and to be there.
    """
    sql = _columns(access, None if datasets is None else sorted(datasets))
    rows = access.query(sql)[1] if sql else []
    return [(str(dataset), str(table), str(column)) for dataset, table, column in rows]


def _columns(access: ViewAccess, datasets: Sequence[str] | None) -> str:
    if access.dialect == BIGQUERY:
        return " UNION ALL ".join(
            "SELECT table_schema, table_name, column_name "
            f"FROM {quoted_name(*filter(None, (access.project, name)), dialect=BIGQUERY)}.INFORMATION_SCHEMA.COLUMNS"
            for name in datasets or ()
        )
    names = "" if datasets is None else ", ".join(map(quoted_text, datasets)) or "NULL"
    if access.dialect == POSTGRES:
        return _POSTGRES_COLUMNS + (f" AND n.nspname IN ({names})" if names else "")
    only = f" AND table_schema IN ({names})" if names else ""
    return (
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        f"WHERE table_catalog = current_database(){only}"
    )


def schema_statement(dialect: str, project: str | None) -> str:
    """The statement that makes the dataset of the views where it is not there."""
    statement = f"CREATE SCHEMA IF NOT EXISTS {qualified_view('', dialect, project)}"
    if dialect != POSTGRES:
        return statement
    # Postgres wants the right to make schemas also where there is nothing to make.
    return f"DO $$ BEGIN IF to_regnamespace({quoted_text(DATASET)}) IS NULL THEN {statement}; END IF; END $$"


def qualified_view(view: str, dialect: str, project: str | None) -> str:
    """The quoted name of a view in a dialect, or of the dataset where ``view`` is empty."""
    parts = (project if dialect == BIGQUERY else None, DATASET, view)
    return quoted_name(*filter(None, parts), dialect=dialect)
