"""Warehouses in which steps with the same id overwrote each other, as this connector made them until their keys grew.

``short_keys.tar.xz`` holds the tables of each system as DuckDB's ``EXPORT DATABASE`` wrote them (Parquet), after one sync
of ``RepeatingVendor`` with the code of 2026-11-29, the last one whose tables of steps had the step's id alone as key.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import duckdb

from task_history import systems
from task_history.warehouse import common_tables

from . import former_version

ARCHIVE = Path(__file__).with_name("short_keys.tar.xz")
_BIGQUERY_TYPES = {
    "VARCHAR": "STRING",
    "BIGINT": "INTEGER",
    "DOUBLE": "FLOAT",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}


def unpack(system: str, folder: Path) -> None:
    """Puts that system's warehouse into ``folder/warehouse.duckdb``."""
    former_version.unpack(system, folder, with_working_folder=False, archive=ARCHIVE)


def into_postgres(system: str, folder: Path, connection: Any) -> None:
    """Puts the same tables into Postgres; ``connection`` is one of psycopg2, ``folder`` is for files in between."""
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    exported = folder / system / "tables"
    with connection, connection.cursor() as cursor:
        for statement in (exported / "schema.sql").read_text().split(";"):
            if statement.strip():
                cursor.execute(statement.replace(" DOUBLE", " DOUBLE PRECISION"))
        for parquet in exported.glob("*.parquet"):
            # It is named ``<dataset>_<table>``, in the dataset's name without digits.
            table = parquet.stem[len(system) + 1 :]
            with duckdb.connect() as reader:
                reader.execute("SET TimeZone = 'UTC'")
                rows = reader.execute("SELECT * FROM read_parquet(?)", [str(parquet)]).fetchall()
            for row in rows:
                marks = ", ".join(["%s"] * len(row))
                cursor.execute(f'INSERT INTO {system}."{table}" VALUES ({marks})', row)


def into_bigquery(system: str, folder: Path, client: Any) -> None:
    """Puts the same tables into BigQuery, partitioned as a sync makes them; ``client`` is one of google.cloud."""
    from google.cloud import bigquery

    unpacked = folder / "exported"
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(unpacked, filter="data")
    partitions = {table.name: table.partition for table in common_tables.of(systems.find(system))}
    client.create_dataset(system)
    for parquet in (unpacked / system / "tables").glob("*.parquet"):
        name = parquet.stem[len(system) + 1 :]
        table = bigquery.Table(
            f"{client.project}.{system}.{name}",
            [bigquery.SchemaField(column, _BIGQUERY_TYPES[type_]) for column, type_ in _columns(parquet)],
        )
        if partitions.get(name):
            table.time_partitioning = bigquery.TimePartitioning(field=partitions[name])
        client.create_table(table)
        settings = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
        with parquet.open("rb") as rows:
            client.load_table_from_file(rows, table.reference, job_config=settings).result()


def _columns(parquet: Path) -> list[tuple[str, str]]:
    """The names and DuckDB's types of a file's columns."""
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(parquet))
        return [(column, str(type_)) for column, type_ in zip(relation.columns, relation.types, strict=True)]
