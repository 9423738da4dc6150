"""The generic backend: every SQL destination of dlt except DuckDB and BigQuery."""

from __future__ import annotations

from typing import Any

from dlt.common.destination import Destination

from ...core.batch import Commits
from ...core.errors import ConfigurationError, UsageError
from ..dlt_internals import SqlJobClientBase
from ..dlt_settings import configuration_error
from .base import Backend, Descriptions
from .duckdb import comment_statement

_COMMENTED = frozenset({"postgres", "redshift", "snowflake"})
"""Databases that support COMMENT ON as DuckDB does, and to which dlt writes no descriptions."""


def destination(name: str, *, staging: str) -> Any:
    """Returns dlt's destination of that name.

    Raises:
        UsageError: dlt knows no such destination.
        ConfigurationError: the destination has no SQL.
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
        missing = getattr(error, "name", None) or ""
        advice = f" Install what it needs: pip install 'dlt[{name}]'." if missing else ""
        raise UsageError(
            f"There is no destination {name!r}. Known are duckdb, bigquery, and dlt's other SQL destinations, such as "
            f"postgres.{advice}"
        ) from None
    if not (isinstance(client, type) and issubclass(client, SqlJobClientBase)):
        raise ConfigurationError(
            f"The destination {name!r} cannot be asked in SQL, and what is open or lacks details is asked of the "
            "warehouse. Choose duckdb, bigquery, postgres or another database."
        )
    return made


class OtherBackend(Backend):
    commits = Commits(least_rows=20_000, bytes=32_000_000, seconds=120.0, details=1_000)

    def describe(self, client: Any, sentences: Descriptions) -> None:
        if self.destination.destination_type.rpartition(".")[2] in _COMMENTED:
            client.execute_many([comment_statement(client, *key, text) for key, text in sentences.items()])
