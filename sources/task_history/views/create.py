"""Creating and refreshing the views: compares the existing ones with the wanted ones and runs the statements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import version

from .. import systems
from ..core.errors import WarehouseUnavailable
from ..core.log import log
from ..warehouse.sql_text import BIGQUERY, DUCKDB, POSTGRES, quoted_name, quoted_text
from ..warehouse.user_map import USER_MAP
from .access import ViewAccess, qualified_view, schema_statement, stored_columns
from .account_registry import CATALOGUE, LOCK, holdings, registration
from .dialects import DATASET, rendered
from .postgres_functions import FUNCTIONS
from .relations import ShownDataset, found, relations
from .sql_file_reader import FOLDER, View, views

_OTHER_COLUMNS = ("cannot change", "cannot drop columns")
"""What Postgres says where a view's columns differ from those of the one that it replaces."""
_ATTEMPTS = 4
"""How often views are made in a row where other runs enter accounts meanwhile."""


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


def refresh(access: ViewAccess, *, anew: bool = False) -> RefreshResult:
    """Creates the views over the existing datasets unless they are up to date.

    ``anew`` creates them in any case.

    Raises:
        WarehouseUnavailable: the warehouse refuses the statements.
    """
    is_new = False
    for _ in range(_ATTEMPTS):
        result = _refreshed(access, anew=anew and not is_new)
        if access.dialect == DUCKDB or not result.is_new:
            return replace(result, is_new=is_new or result.is_new)
        # Another run may have entered an account, and made views that show it, before these took their place.
        is_new = True
    return replace(result, is_new=True)


def _refreshed(access: ViewAccess, *, anew: bool) -> RefreshResult:
    held = holdings(access, is_thorough=anew, asks_users=True)
    shown, incomplete = found(held.columns, held.owners)
    for text in incomplete:
        log.warning("dataset_left_out_of_views", dataset=text, hint="its next sync repairs that")
    wanted = tuple(views()) if shown else ()
    result = RefreshResult(tuple(shown), wanted, is_new=False)
    if not shown:
        return result
    has_schema = DATASET in access.datasets() or bool(held.views)
    if entry := registration(access, held, has_schema=has_schema):
        access.execute(entry)
    mark = fingerprint(shown, access)
    if not anew and held.views.issuperset(wanted) and held.fingerprint == mark:
        return result
    _create(access, shown, mark, has_schema=has_schema or bool(entry))
    log.info("views_created", made=len(wanted), datasets=",".join(result.datasets))
    return RefreshResult(result.shown, wanted, is_new=True)


def _create(access: ViewAccess, shown: Sequence[ShownDataset], mark: str, *, has_schema: bool) -> None:
    made_of = statements(shown, access.dialect, project=access.project, mark=mark, has_schema=has_schema)
    for number, made in enumerate(made_of):
        statement = made if access.describes_columns else _without_column_comments(made)
        try:
            access.execute([statement])
        except WarehouseUnavailable as error:
            if access.dialect != POSTGRES or not any(sign in str(error) for sign in _OTHER_COLUMNS):
                raise
            access.execute([_without_former_views(statement)])
        if access.dialect == BIGQUERY:
            access.describe([view for view in views().values() if (view.name == CATALOGUE) == (number > 0)])


def _without_column_comments(statement: str) -> str:
    """The statements without those that describe columns, which DuckLake refuses for views."""
    return ";\n".join(part for part in statement.split(";\n") if not part.startswith("COMMENT ON COLUMN"))


def _without_former_views(statement: str) -> str:
    """The statement that drops all views first: in Postgres a view keeps its columns and their types until then."""
    names = ", ".join(qualified_view(name, POSTGRES, None) for name in views())
    return f"{LOCK};\nDROP VIEW IF EXISTS {names};\n{statement}"


def datasets(access: ViewAccess) -> list[ShownDataset]:
    """The datasets that the views show. Raises WarehouseUnavailable."""
    held = holdings(access)
    shown = found(held.columns, held.owners)[0]
    # Only read here: what the configuration says of users may not be stored yet.
    return [replace(one, has_users=one.has_users and USER_MAP.name in held.views) for one in shown]


def lacking_columns(access: ViewAccess) -> dict[str, list[str]]:
    """Columns by view that views of an earlier version lack, all of one that is missing. Raises WarehouseUnavailable."""
    existing: dict[str, set[str]] = {}
    for _, view, column in stored_columns(access, [DATASET]):
        existing.setdefault(view, set()).add(column)
    lacking = {
        name: [column.name for column in view.columns if column.name not in existing.get(name, ())]
        for name, view in views().items()
    }
    return {name: columns for name, columns in lacking.items() if columns}


def texts(shown: Sequence[ShownDataset], dialect: str, *, project: str | None = None) -> dict[str, str]:
    """The SELECT of every view by name, in an order in which they can be created."""
    return _texts(tuple(shown), dialect, project, mark="")


def statements(
    shown: Sequence[ShownDataset], dialect: str, *, project: str | None, mark: str, has_schema: bool = False
) -> Iterator[str]:
    """The statements that create the dataset and every view in it, with descriptions.

    Columns of DuckDB and Postgres have theirs from them too; BigQuery's from ``ViewAccess.describe``.
    """
    selects = [
        (views()[name], sql) for name, sql in _texts(tuple(shown), dialect, project, mark=mark).items()
    ]
    schema = schema_statement(dialect, project)
    if dialect == BIGQUERY:
        # One job, since each takes seconds; the last view, which says that all are there, apart.
        *others, last = [_bigquery_view(view, sql, project) for view, sql in selects]
        # To make a dataset takes a right in the project, even where it is there.
        yield ";\n".join([*([] if has_schema else [schema]), *others])
        yield last
    elif dialect == POSTGRES:
        # What is sent at once is one transaction: a reader sees all views or none of them.
        parts = [LOCK, *([] if has_schema else [schema]), *FUNCTIONS]
        yield ";\n".join([*parts, *(part for view, sql in selects for part in _commented_view(view, sql))])
    else:
        yield schema
        # At once: two hundred statements, each committed for itself, take seconds.
        yield from (";\n".join(["BEGIN", *_commented_view(view, sql), "COMMIT"]) for view, sql in selects)


def fingerprint(shown: Sequence[ShownDataset], access: ViewAccess) -> str:
    """A hash of everything that defines the views; a different one means that they must be created anew."""
    parts = [access.dialect, access.project or "", version("sqlglot"), _files()]
    parts += [
        f"{dataset.name} {dataset.instance} {sorted(dataset.lacking)} {dataset.system.views!r} {dataset.calendar} "
        f"{dataset.has_users}"
        for dataset in shown
    ]
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


def definition() -> str:
    """A hash of what defines the views, apart from the datasets that they show."""
    systems_views = [repr(systems.find(name).views) for name in systems.names()]
    return _short("\n".join([version("sqlglot"), _files(), *systems_views]))


@cache
def _files() -> str:
    """The files that define the views, those of the systems apart."""
    files = sorted([*FOLDER.glob("*.sql"), *FOLDER.glob("*.py")])
    return _short("\n".join(path.read_text(encoding="utf-8") for path in files))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _bigquery_view(view: View, sql: str, project: str | None) -> str:
    return (
        f"CREATE OR REPLACE VIEW {qualified_view(view.name, BIGQUERY, project)}\n"
        f"OPTIONS(description={quoted_text(view.grain, BIGQUERY)})\nAS\n{sql}"
    )


def _commented_view(view: View, sql: str) -> Iterator[str]:
    name = qualified_view(view.name, DUCKDB, None)
    yield f"CREATE OR REPLACE VIEW {name} AS\n{sql}"
    yield f"COMMENT ON VIEW {name} IS {quoted_text(view.grain)}"
    for column in view.columns:
        yield f"COMMENT ON COLUMN {name}.{quoted_name(column.name)} IS {quoted_text(column.description)}"
