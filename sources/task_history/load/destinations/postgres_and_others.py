"""Postgres and every other SQL destination of dlt except DuckDB, MotherDuck and BigQuery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlt.common.destination import Destination

from ...core.columns import LOADED_AT
from ...core.commit_limits import CommitLimits
from ...core.errors import ConfigurationError, UsageError, WarehouseUnavailable
from ...warehouse.sql_text import quoted_name
from .. import dlt_internals
from ..dlt_internals import SqlJobClientBase
from ..dlt_setting_errors import configuration_error
from .base import Backend, Descriptions
from .duckdb import comment_statement

_COMMENTED = frozenset({"postgres", "redshift", "snowflake"})
"""Databases that support COMMENT ON as DuckDB does, and to which dlt writes no descriptions."""
_FOREIGN_TABLES = """
SELECT relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY relname
"""
"""Tables of a schema whose owner the role is not: only an owner adds columns and descriptions."""

_MAY_CREATE = """
SELECT current_database(), current_user,
    has_database_privilege(current_database(), 'CREATE') OR current_setting('transaction_read_only') = 'on'
"""
"""Whether the role may make schemas; where nothing may be written, CREATE SCHEMA says why."""


def destination(name: str, *, staging: str) -> Any:
    """Returns dlt's destination of that name.

    Raises:
        UsageError: dlt knows no such destination.
        ConfigurationError: the destination has no SQL, or its package is not installed.
    """
    from dlt.common.destination.exceptions import DestinationException

    try:
        made = Destination.from_reference(name, staging_dataset_name_layout=staging)
        client = made.client_class if made is not None else object
    except (DestinationException, ImportError) as error:
        if (refused := configuration_error(error)) is not None:
            raise refused from None
        if isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError):
            raise
        if missing := getattr(error, "name", None):
            raise ConfigurationError(
                f"The destination {name} needs the package {missing}, which is not installed: pip install 'dlt[{name}]'."
            ) from None
        raise UsageError(
            f"There is no destination {name!r}. Known are duckdb, bigquery, and dlt's other SQL destinations, such as "
            "postgres."
        ) from None
    if made is not None and made.destination_type.endswith(".motherduck"):
        from . import motherduck

        return motherduck.destination(made.destination_name, staging=staging)
    if not (isinstance(client, type) and issubclass(client, SqlJobClientBase)):
        raise ConfigurationError(
            f"The destination {name!r} cannot be asked in SQL, and what is open or lacks details is asked of the "
            "warehouse. Choose duckdb, bigquery, postgres or another database."
        )
    dlt_internals.merge_in_transactions(made)
    return made


def loaded_now(client: Any, table: Any) -> str | None:
    """The statement that sets when the staged rows are written: when the merge's transaction began."""
    if LOADED_AT.name not in table["columns"]:
        return None
    with client.with_staging_dataset():
        staged = client.make_qualified_table_name(table["name"])
    return f"UPDATE {staged} SET {LOADED_AT.name} = CURRENT_TIMESTAMP"


class OtherBackend(Backend):
    commits = CommitLimits(least_rows=20_000, bytes=32_000_000, seconds=120.0, details=1_000)

    def __init__(self, destination: Any) -> None:
        super().__init__(destination)
        self.describes_view_columns = self._kind != "ducklake"
        if self._kind == "postgres" and dlt_internals.are_used():
            dlt_internals.precede_merges(destination, loaded_now)

    @property
    def _kind(self) -> str:
        return str(self.destination.destination_type).rpartition(".")[2]

    def probe(self, client: Any, datasets: Sequence[str]) -> list[str]:
        if self._kind != "postgres":
            return super().probe(client, datasets)
        lines = []
        missing = [
            name
            for name in datasets
            if not client.execute_sql("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", name)
        ]
        ((database, role, may_create),) = client.execute_sql(_MAY_CREATE)
        # In Postgres schemas and tables are part of a transaction: what is made here is never there.
        client.execute_sql("BEGIN")
        try:
            for name in datasets:
                if name in missing and not may_create:
                    raise WarehouseUnavailable(
                        f"The role {role} may make no schemas in the database {database}, and there is none called "
                        f"{', '.join(missing)}: GRANT CREATE ON DATABASE {database} TO {role}, or make them for it: "
                        f"CREATE SCHEMA … AUTHORIZATION {role}."
                    )
                if name in missing:
                    client.execute_sql(f"CREATE SCHEMA {quoted_name(name)}")
                client.execute_sql(f"CREATE TABLE {quoted_name(name)}.task_history_probe (a INTEGER)")
                if foreign := client.execute_sql(_FOREIGN_TABLES, name):
                    raise WarehouseUnavailable(
                        f"The table {name}.{foreign[0][0]} belongs to another role, and only its owner may add columns: "
                        "make this role a member of the owner, or load into another dataset."
                    )
                state = "will be created by the first sync" if name in missing else "is there"
                lines.append(f"The dataset {name} {state}, and tables may be made in it.")
        finally:
            client.execute_sql("ROLLBACK")
        return lines

    def describe(self, client: Any, sentences: Descriptions) -> None:
        if self._kind in _COMMENTED:
            client.execute_many([comment_statement(client, *key, text) for key, text in sentences.items()])
