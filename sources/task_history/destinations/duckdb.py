"""DuckDB: a file that one process at a time may write to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

from .base import Backend, Sentences

_MEMORY = "48MB"
"""DuckDB takes what it may; what a commit needs is little, and the rest should stay for others."""


def destination(file: Path, *, staging: str) -> Any:
    """The file as dlt takes it; ``staging`` is how dlt names the dataset beside."""
    credentials = DuckDbCredentials(str(file))
    credentials.global_config = {
        "memory_limit": _MEMORY,
        "threads": 1,
        "preserve_insertion_order": False,
    }
    # Named in code: dlt takes no other word for it, and its default is 80 times slower.
    return DuckDb(credentials, preferred_loader_file_format="parquet", staging_dataset_name_layout=staging)


class DuckDb(dlt.destinations.duckdb):
    """DuckDB as dlt takes it; what it can do is found out once, where dlt asks a dozen times in each commit."""

    # Where dlt finds which arguments were left at their defaults.
    __orig_base__ = dlt.destinations.duckdb

    def __init__(self, credentials: DuckDbCredentials, **options: Any) -> None:
        super().__init__(credentials, **{"destination_name": "duckdb", **options})
        self._able: dict[bool, DestinationCapabilitiesContext] = {}

    def capabilities(self, config: Any = None, naming: Any = None) -> DestinationCapabilitiesContext:
        has_case = naming is not None and naming.is_case_sensitive
        if has_case not in self._able:
            self._able[has_case] = super().capabilities(config, naming)
        # dlt writes into what it gets.
        return self._able[has_case].copy()


class DuckDbBackend(Backend):
    is_exclusive = True

    def describe(self, client: Any, sentences: Sentences) -> None:
        rows = client.execute_sql(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = %s "
            "UNION ALL SELECT table_name, '', comment FROM duckdb_tables() WHERE schema_name = %s",
            client.dataset_name,
            client.dataset_name,
        )
        there = {(str(table), str(column)): text for table, column, text in rows or ()}
        new = {key: text for key, text in sentences.items() if key in there and there[key] != text}
        if new:
            # At once: hundreds of statements, each committed for itself, take longer than a sync.
            with client.begin_transaction():
                client.execute_sql(";\n".join(commenting(client, *key, text) for key, text in new.items()))


def commenting(client: Any, table: str, column: str, text: str) -> str:
    """The statement that gives a table or its column a sentence."""
    name = client.make_qualified_table_name(table)
    what = f"COLUMN {name}.{client.escape_column_name(column)}" if column else f"TABLE {name}"
    quoted = text.replace("'", "''")
    return f"COMMENT ON {what} IS '{quoted}'"
