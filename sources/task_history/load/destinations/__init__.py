"""Backends: the properties of each warehouse that dlt does not describe.

Any SQL destination of dlt works; ``of`` returns its backend. DuckDB, MotherDuck and BigQuery have modules of their own,
imported at first use; Postgres and all other databases share one backend.
"""

from __future__ import annotations

from typing import Any

from .base import Backend, Cost, billed

__all__ = ["Backend", "Cost", "billed", "of"]


def of(destination: Any) -> Backend:
    """The backend of a dlt destination, chosen by its type, since a user may give it any name."""
    kind = str(destination.destination_type).rpartition(".")[2].lower()
    if kind == "duckdb":
        from .duckdb import DuckDbBackend

        return DuckDbBackend(destination)
    if kind == "motherduck":
        from .motherduck import MotherDuckBackend

        return MotherDuckBackend(destination)
    if kind == "bigquery":
        from .bigquery import BigQueryBackend

        return BigQueryBackend(destination)
    from .postgres_and_others import OtherBackend

    return OtherBackend(destination)
