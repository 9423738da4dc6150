"""The version of this package, as ``--version`` prints it and rows of ``sync_runs`` hold it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def connector_version() -> str:
    """The version of this package; ``unknown`` where it is not installed, as in a copy made by ``dlt init``."""
    try:
        return version("task-history")
    except PackageNotFoundError:
        return "unknown"
