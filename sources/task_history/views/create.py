"""Which views the warehouse has and should have, and the statements between."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version

from ..core.log import log
from ..warehouse.queries import Query
from ..warehouse.sql_text import BIGQUERY, DUCKDB, quoted_name, quoted_text
from .dialects import DATASET, carried
from .files import FOLDER, View, views
from .relations import Dataset, found, of_name, relations

CATALOGUE = "questions"
"""The view that says which there are; made last, so that its fingerprint speaks for all."""


@dataclass(frozen=True, slots=True)
class Access:
    """A warehouse in which views can be made."""

    dialect: str
    query: Query
    execute: Callable[[Iterable[str]], None]
    """Runs statements in order."""
    describe: Callable[[Sequence[View]], None] = lambda _: None
    """Gives the views' columns their sentences, where that takes more than statements."""
    project: str | None = None
    """BigQuery's, as the views' names begin."""
    owners: Mapping[str, str] | None = None
    """The systems by the names of their datasets, where they are not the systems' own."""
    datasets: Callable[[], Sequence[str]] = tuple
    """BigQuery's datasets: one after the other is asked, since all at once takes rights in the whole project."""


@dataclass(frozen=True, slots=True)
class Made:
    """What is there after a refresh."""

    shown: tuple[Dataset, ...]
    views: tuple[str, ...]
    is_new: bool
    """Whether they were made now."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of what they show."""
        return tuple(one.name for one in self.shown)


def refresh(access: Access, *, anew: bool = False) -> Made:
    """Makes the views over the datasets that are there, if they are not there as they should be.

    ``anew`` makes them whatever is there.

    Raises:
        WarehouseUnavailable: the warehouse does not take them.
    """
    names = _names(access)
    shown, incomplete = found(names, access.owners)
    for text in incomplete:
        log.warning("views_without", dataset=text, hint="the next sync of it mends that")
    wanted = tuple(views()) if shown else ()
    made = Made(tuple(shown), wanted, is_new=False)
    if not shown:
        return made
    there = {table for dataset, table, _ in names if dataset == DATASET}
    mark = fingerprint(shown, access)
    if not anew and there.issuperset(wanted) and _stored_mark(access) == mark:
        return made
    made_of = statements(
        shown, access.dialect, project=access.project, mark=mark, has_schema=DATASET in access.datasets()
    )
    for number, statement in enumerate(made_of):
        access.execute([statement])
        if access.dialect == BIGQUERY:
            access.describe([view for view in views().values() if (view.name == CATALOGUE) == (number > 0)])
    log.info("views", made=len(wanted), datasets=",".join(made.datasets))
    return Made(made.shown, wanted, is_new=True)


def datasets(access: Access) -> list[Dataset]:
    """The datasets that the views show. Raises WarehouseUnavailable."""
    return found(_names(access), access.owners)[0]


def texts(shown: Sequence[Dataset], dialect: str, *, project: str | None = None) -> dict[str, str]:
    """The SELECT of every view, by its name, in the order in which they can be made."""
    return _texts(tuple(shown), dialect, project, mark="")


def statements(
    shown: Sequence[Dataset], dialect: str, *, project: str | None, mark: str, has_schema: bool = False
) -> Iterator[str]:
    """What makes the dataset and every view in it, each with its sentence.

    DuckDB's columns have theirs from them too; BigQuery's from ``Access.describe``.
    """
    made = [(views()[name], sql) for name, sql in _texts(tuple(shown), dialect, project, mark=mark).items()]
    schema = f"CREATE SCHEMA IF NOT EXISTS {_name('', dialect, project)}"
    if dialect == BIGQUERY:
        # One job, since each takes seconds; the last view, which says that all are there, apart.
        *others, last = [_bigquery_view(view, sql, project) for view, sql in made]
        # To make a dataset takes a right in the project, even where it is there.
        yield ";\n".join([*([] if has_schema else [schema]), *others])
        yield last
    else:
        yield schema
        yield from (_duckdb_view(view, sql) for view, sql in made)


def fingerprint(shown: Sequence[Dataset], access: Access) -> str:
    """What the views are made from, in short: another one means that they are to be made anew."""
    parts = [access.dialect, access.project or "", version("sqlglot"), _files()]
    parts += [f"{one.name} {sorted(one.lacking)} {one.system.views!r}" for one in shown]
    return _short("\n".join(parts))


@lru_cache(maxsize=8)
def _texts(shown: tuple[Dataset, ...], dialect: str, project: str | None, *, mark: str) -> dict[str, str]:
    known = views()
    own = relations(shown, known.values(), fingerprint=mark)
    order = sorted(known.values(), key=lambda view: view.name == CATALOGUE)
    return {
        view.name: carried(view.sql, dialect, relations=own, views=known.keys(), project=project)
        for view in order
    }


@cache
def _files() -> str:
    """Everything that has a say in the views' texts, but for the systems."""
    found = sorted([*FOLDER.glob("*.sql"), *FOLDER.glob("*.py")])
    return _short("\n".join(path.read_text(encoding="utf-8") for path in found))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _names(access: Access) -> list[tuple[str, str, str]]:
    """Every column in the warehouse, as dataset, table and column."""
    sql = _columns(access)
    rows = access.query(sql)[1] if sql else []
    return [(str(dataset), str(table), str(column)) for dataset, table, column in rows]


def _columns(access: Access) -> str:
    if access.dialect == BIGQUERY:
        return " UNION ALL ".join(
            "SELECT table_schema, table_name, column_name "
            f"FROM {quoted_name(*filter(None, (access.project, name)), dialect=BIGQUERY)}.INFORMATION_SCHEMA.COLUMNS"
            for name in sorted(access.datasets())
            if name == DATASET or (of_name(name, access.owners) and not name.endswith("_staging"))
        )
    return (
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE table_catalog = current_database()"
    )


def _stored_mark(access: Access) -> str | None:
    sql = f"SELECT max(fingerprint) FROM {_name(CATALOGUE, access.dialect, access.project)}"
    _, rows = access.query(sql)
    return str(rows[0][0]) if rows else None


def _name(view: str, dialect: str, project: str | None) -> str:
    parts = (project if dialect == BIGQUERY else None, DATASET, view)
    return quoted_name(*filter(None, parts), dialect=dialect)


def _bigquery_view(view: View, sql: str, project: str | None) -> str:
    return (
        f"CREATE OR REPLACE VIEW {_name(view.name, BIGQUERY, project)}\n"
        f"OPTIONS(description={quoted_text(view.grain, BIGQUERY)})\nAS\n{sql}"
    )


def _duckdb_view(view: View, sql: str) -> str:
    name = _name(view.name, DUCKDB, None)
    parts = [
        f"CREATE OR REPLACE VIEW {name} AS\n{sql}",
        f"COMMENT ON VIEW {name} IS {quoted_text(view.grain)}",
    ]
    parts += [
        f"COMMENT ON COLUMN {name}.{quoted_name(column.name)} IS {quoted_text(column.description)}"
        for column in view.columns
    ]
    # At once: two hundred statements, each committed for itself, take seconds.
    return ";\n".join(["BEGIN", *parts, "COMMIT"])
