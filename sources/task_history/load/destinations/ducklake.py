"""DuckLake: which catalogs a run can use, and where a lake is.

https://dlthub.com/docs/dlt-ecosystem/destinations/ducklake
"""

from __future__ import annotations

import re
from typing import Any

from ...core.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SETTING = "destination.ducklake.credentials"


def is_lake(credentials: Any) -> bool:
    """Whether these are dlt's credentials of a lake."""
    return hasattr(credentials, "catalog_location")


def check_lake(credentials: Any) -> None:
    """Raises ConfigurationError for a catalog that no run can use, and where dlt would run a setting as SQL."""
    catalog = credentials.catalog
    if catalog.drivername == "duckdb":
        raise ConfigurationError(
            f"{_SETTING}.catalog: a catalog in a DuckDB file takes one connection at a time, and a run has several: "
            "DuckDB ends it with 'Unique file handle conflict'. Name an SQLite file, such as "
            "sqlite:///catalog.sqlite, or a Postgres database."
        )
    if catalog.drivername == "md":
        raise ConfigurationError(
            f"{_SETTING}.catalog: MotherDuck is not supported. Name an SQLite file, such as sqlite:///catalog.sqlite, or "
            "a Postgres database."
        )
    for setting in ("ducklake_name", "metadata_schema"):
        name = getattr(credentials, setting)
        if name is not None and not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{_SETTING}.{setting}: {name!r} must consist of letters, digits and underscores."
            )
    # dlt writes both into a statement, in quotes.
    places = {
        "catalog": catalog.to_url().render_as_string(hide_password=False),
        "storage.bucket_url": credentials.storage_url,
    }
    for setting, place in places.items():
        if "'" in place:
            raise ConfigurationError(f"{_SETTING}.{setting} must not contain an apostrophe.")


def lake_location(credentials: Any) -> str:
    """The place of the catalog and of the data, without secrets."""
    return f"{credentials.catalog_location()} with data in {credentials.storage_url}"
