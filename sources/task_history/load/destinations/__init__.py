"""What this project knows of the warehouses that dlt writes to.

Any SQL destination of dlt works; ``of`` gives what is particular about one. DuckDB and BigQuery have modules of
their own, imported when they are used; all others are taken as databases that say nothing of themselves.
"""

from __future__ import annotations

from typing import Any

from .base import Backend, Cost

__all__ = ["Backend", "Cost", "of"]


def of(destination: Any) -> Backend:
    """What is particular about a dlt destination, by its type and not by the name somebody gave it."""
    kind = str(destination.destination_type).rpartition(".")[2].lower()
    if kind == "duckdb":
        from .duckdb import DuckDbBackend

        return DuckDbBackend(destination)
    if kind == "bigquery":
        from .bigquery import BigQueryBackend

        return BigQueryBackend(destination)
    from .generic import OtherBackend

    return OtherBackend(destination)
