"""Warehouses in which steps with the same id overwrote each other, as this connector made them until their keys grew.

``short_keys.tar.xz`` holds the tables of each system as DuckDB's ``EXPORT DATABASE`` wrote them (Parquet), after one sync
of ``RepeatingVendor`` with the code of 2026-11-29, the last one whose tables of steps had the step's id alone as key.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import duckdb

from . import former_version

ARCHIVE = Path(__file__).with_name("short_keys.tar.xz")


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
