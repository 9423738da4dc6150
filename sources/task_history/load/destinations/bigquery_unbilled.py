"""What BigQuery tells of tables without a query, and so without bytes billed: columns, numbers of rows, small tables.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tables/get
https://cloud.google.com/bigquery/pricing#free
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from google.api_core.exceptions import Conflict, NotFound
from google.cloud.bigquery import LoadJobConfig, SchemaField, Table
from google.cloud.bigquery.table import TableListItem

_AT_ONCE = 8
"""Requests that are sent at once."""
_MAX_ROWS = 20_000
"""Rows of a table that are read whole; more take longer than a query."""
_SQL_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""Names of types in SQL by their names in tables, where they differ."""


def found_tables(client: Any, names: Iterable[str]) -> dict[str, Table | None]:
    """The tables of the SQL client's dataset by name; None for those that are not there."""
    connection = client.native_connection

    def found(name: str) -> Table | None:
        try:
            return cast(Table, connection.get_table(client.make_qualified_table_name(name, quote=False)))
        except NotFound:
            return None

    names = list(names)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tables") as pool:
        return dict(zip(names, pool.map(found, names), strict=True))


def sql_type(field: SchemaField) -> str:
    """The type of a column as INFORMATION_SCHEMA names it, without length and precision."""
    return "ARRAY" if field.mode == "REPEATED" else _SQL_TYPES.get(field.field_type, str(field.field_type))


def datasets(client: Any) -> list[str]:
    """Names of all datasets of the project that may be listed."""
    return [found.dataset_id for found in client.native_connection.list_datasets()]


def tables(client: Any, dataset: str) -> list[str] | None:
    """Names of all tables and views of a dataset; None where it is not there."""
    listed = _listed(client, dataset)
    return None if listed is None else [item.table_id for item in listed]


def views_state(client: Any, dataset: str) -> str | None:
    """A text that changes when datasets do, or views and tables in ``dataset``; None where that is not there."""
    listed = _listed(client, dataset)
    if listed is None:
        return None
    made = sorted((item.table_id, item.table_type, str(item.created)) for item in listed)
    connection = client.native_connection
    try:
        stored = [
            connection.get_table(f"{client.project_id}.{dataset}.{name}")
            for name, kind, _ in made
            if kind == "TABLE"
        ]
    except NotFound:
        return None
    return repr((datasets(client), made, [(table.num_rows, str(table.modified)) for table in stored]))


def _listed(client: Any, dataset: str) -> list[TableListItem] | None:
    try:
        return list(client.native_connection.list_tables(f"{client.project_id}.{dataset}"))
    except NotFound:
        return None


def rows_of(
    client: Any, name: str, columns: Collection[str] = (), *, most: int = _MAX_ROWS
) -> tuple[list[str], list[tuple[Any, ...]]] | None:
    """The names of these columns of a table, or of all, and its rows; None where they are more than ``most``."""
    table = client.native_connection.get_table(client.make_qualified_table_name(name, quote=False))
    if table.num_rows > most:
        return None
    fields = [field for field in table.schema if not columns or field.name in columns]
    rows = client.native_connection.list_rows(table, selected_fields=fields) if table.num_rows else ()
    names = [field.name for field in fields]
    return names, [tuple(row[name] for name in names) for row in rows]


def stored_bytes(client: Any, name: str) -> int:
    """Bytes that a table holds: those that a statement processes which changes rows in any of its partitions.

    https://cloud.google.com/bigquery/pricing#dml
    """
    found = found_tables(client, [name])[name]
    return int(found.num_bytes or 0) if found else 0


def load_row(
    client: Any, name: str, row: Mapping[str, Any], *, job: str, replaced: Sequence[SchemaField] | None = None
) -> None:
    """Appends a row by a load job, which is not billed; ``job`` is its id, and the same one appends the row once.

    With ``replaced`` it is the only row afterwards, and these are the columns.
    """
    connection = client.native_connection
    full = client.make_qualified_table_name(name, quote=False)
    schema: Sequence[SchemaField] = connection.get_table(full).schema if replaced is None else replaced
    config = LoadJobConfig(
        source_format="NEWLINE_DELIMITED_JSON",
        write_disposition="WRITE_APPEND" if replaced is None else "WRITE_TRUNCATE",
        create_disposition="CREATE_NEVER",
        schema=schema,
    )

    def send(job_id: str) -> Any:
        data = io.BytesIO(json.dumps(row).encode())
        return connection.load_table_from_file(data, full, job_id=job_id, job_config=config)

    try:
        sent = send(job)
    except Conflict:
        sent = connection.get_job(job)
        if sent.error_result is not None:
            sent = send(f"{job}_{uuid.uuid4().hex[:8]}")
    sent.result()
