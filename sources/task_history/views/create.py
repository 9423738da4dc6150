"""Creating and refreshing the views: compares the existing ones with the wanted ones and runs the statements."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version

from ..core.log import log
from ..settings_accounts import Account
from ..warehouse.dataset import Query
from ..warehouse.sql_text import BIGQUERY, DUCKDB, quoted_name, quoted_text
from .dialects import DATASET, rendered
from .files import FOLDER, View, views
from .relations import ShownDataset, found, of_name, relations

CATALOGUE = "questions"
"""The view that lists all views; created last, so that its fingerprint covers all of them."""


@dataclass(frozen=True, slots=True)
class Access:
    """Access to a warehouse in which views can be created."""

    dialect: str
    query: Query
    execute: Callable[[Iterable[str]], None]
    """Runs statements in order."""
    describe: Callable[[Sequence[View]], None] = lambda _: None
    """Sets the descriptions of the views' columns, where statements cannot."""
    project: str | None = None
    """BigQuery's project, which prefixes the views' names."""
    owners: Mapping[str, Account] | None = None
    """The accounts by dataset, for datasets that are not named like their system."""
    datasets: Callable[[], Sequence[str]] = tuple
    """BigQuery's datasets, queried one by one, since querying all at once needs rights in the whole project."""


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """Result of a refresh."""

    shown: tuple[ShownDataset, ...]
    views: tuple[str, ...]
    is_new: bool
    """Whether the views were created by this refresh."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of the datasets that the views show."""
        return tuple(dataset.name for dataset in self.shown)


def refresh(access: Access, *, anew: bool = False) -> RefreshResult:
    """Creates the views over the existing datasets unless they are up to date.

    ``anew`` creates them in any case.

    Raises:
        WarehouseUnavailable: the warehouse refuses the statements.
    """
    names = stored_columns(access)
    shown, incomplete = found(names, access.owners)
    for text in incomplete:
        log.warning("dataset_left_out_of_views", dataset=text, hint="its next sync repairs that")
    wanted = tuple(views()) if shown else ()
    result = RefreshResult(tuple(shown), wanted, is_new=False)
    if not shown:
        return result
    existing = {table for dataset, table, _ in names if dataset == DATASET}
    mark = fingerprint(shown, access)
    if not anew and existing.issuperset(wanted) and _stored_mark(access) == mark:
        return result
    made_of = statements(
        shown, access.dialect, project=access.project, mark=mark, has_schema=DATASET in access.datasets()
    )
    for number, statement in enumerate(made_of):
        access.execute([statement])
        if access.dialect == BIGQUERY:
            access.describe([view for view in views().values() if (view.name == CATALOGUE) == (number > 0)])
    log.info("views_created", made=len(wanted), datasets=",".join(result.datasets))
    return RefreshResult(result.shown, wanted, is_new=True)


def datasets(access: Access) -> list[ShownDataset]:
    """The datasets that the views show. Raises WarehouseUnavailable."""
    return found(stored_columns(access), access.owners)[0]


def dataset(access: Access, name: str) -> ShownDataset | None:
    """The dataset as views show it; None where they do not. Raises WarehouseUnavailable."""
    return next((shown for shown in found(stored_columns(access, name), access.owners)[0]), None)


def lacking_columns(access: Access) -> dict[str, list[str]]:
    """Columns by view that existing views of an earlier version lack. Raises WarehouseUnavailable."""
    existing: dict[str, set[str]] = {}
    for dataset, view, column in stored_columns(access):
        if dataset == DATASET:
            existing.setdefault(view, set()).add(column)
    lacking = {
        name: [column.name for column in views()[name].columns if column.name not in columns]
        for name, columns in existing.items()
        if name in views()
    }
    return {name: columns for name, columns in lacking.items() if columns}


def texts(shown: Sequence[ShownDataset], dialect: str, *, project: str | None = None) -> dict[str, str]:
    """The SELECT of every view by name, in an order in which they can be created."""
    return _texts(tuple(shown), dialect, project, mark="")


def statements(
    shown: Sequence[ShownDataset], dialect: str, *, project: str | None, mark: str, has_schema: bool = False
) -> Iterator[str]:
    """The statements that create the dataset and every view in it, with descriptions.

    DuckDB's columns have theirs from them too; BigQuery's from ``Access.describe``.
    """
    selects = [
        (views()[name], sql) for name, sql in _texts(tuple(shown), dialect, project, mark=mark).items()
    ]
    schema = f"CREATE SCHEMA IF NOT EXISTS {_name('', dialect, project)}"
    if dialect == BIGQUERY:
        # One job, since each takes seconds; the last view, which says that all are there, apart.
        *others, last = [_bigquery_view(view, sql, project) for view, sql in selects]
        # To make a dataset takes a right in the project, even where it is there.
        yield ";\n".join([*([] if has_schema else [schema]), *others])
        yield last
    else:
        yield schema
        yield from (_duckdb_view(view, sql) for view, sql in selects)


def fingerprint(shown: Sequence[ShownDataset], access: Access) -> str:
    """A hash of everything that defines the views; a different one means that they must be created anew."""
    parts = [access.dialect, access.project or "", version("sqlglot"), _files()]
    parts += [f"{dataset.name} {sorted(dataset.lacking)} {dataset.system.views!r}" for dataset in shown]
    return _short("\n".join(parts))


@lru_cache(maxsize=8)
def _texts(
    shown: tuple[ShownDataset, ...], dialect: str, project: str | None, *, mark: str
) -> dict[str, str]:
    all_views = views()
    own = relations(shown, all_views.values(), fingerprint=mark)
    order = sorted(all_views.values(), key=lambda view: view.name == CATALOGUE)
    return {
        view.name: rendered(view.sql, dialect, relations=own, views=all_views.keys(), project=project)
        for view in order
    }


@cache
def _files() -> str:
    """The files that define the views, those of the systems apart."""
    files = sorted([*FOLDER.glob("*.sql"), *FOLDER.glob("*.py")])
    return _short("\n".join(path.read_text(encoding="utf-8") for path in files))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stored_columns(access: Access, dataset: str | None = None) -> list[tuple[str, str, str]]:
    """Every column in the warehouse, or in one dataset, as dataset, table and column."""
    sql = _columns(access, dataset)
    rows = access.query(sql)[1] if sql else []
    return [(str(dataset), str(table), str(column)) for dataset, table, column in rows]


def _columns(access: Access, dataset: str | None) -> str:
    if access.dialect == BIGQUERY:
        names = sorted(access.datasets()) if dataset is None else [dataset]
        return " UNION ALL ".join(
            "SELECT table_schema, table_name, column_name "
            f"FROM {quoted_name(*filter(None, (access.project, name)), dialect=BIGQUERY)}.INFORMATION_SCHEMA.COLUMNS"
            for name in names
            if name == DATASET or (of_name(name, access.owners) and not name.endswith("_staging"))
        )
    only = "" if dataset is None else f" AND table_schema = {quoted_text(dataset)}"
    return (
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        f"WHERE table_catalog = current_database(){only}"
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
