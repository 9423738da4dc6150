"""Where the tables go: dlt's destinations, with what this project knows about each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from sources.task_history.errors import ConfigurationError, UsageError
from sources.task_history.settings import Place, places

if TYPE_CHECKING:
    from dlt.common.destination import Destination

NAMES = ("duckdb",)
DEFAULT_FILE = "warehouse.duckdb"
_MEMORY = "48MB"
"""DuckDB takes what it may; what a commit needs is little, and the rest should stay for others."""


@dataclass(frozen=True, slots=True)
class Target:
    """One warehouse. ``file`` is its DuckDB file."""

    name: str
    file: Path

    @property
    def fingerprint(self) -> str:
        """Tells warehouses apart."""
        return hashlib.sha256(f"{self.name}\0{self.file}".encode()).hexdigest()[:12]

    def destination(self, lane: str = "") -> Destination[Any, Any]:
        """The warehouse as dlt takes it. Each ``lane`` stages its rows in a dataset of its own."""
        import dlt
        from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

        credentials = DuckDbCredentials(str(self.file))
        credentials.global_config = {
            "memory_limit": _MEMORY,
            "threads": 1,
            "preserve_insertion_order": False,
        }
        # Named in code: dlt takes no other word for it, and its default is 80 times slower.
        return dlt.destinations.duckdb(
            credentials,
            preferred_loader_file_format="parquet",
            staging_dataset_name_layout="_".join(filter(None, ("%s", lane, "staging"))),
        )


def find(
    name: str | None, pipeline: str, *, environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Target:
    """The warehouse that is configured under that name; DuckDB in ``warehouse.duckdb`` by default.

    Raises:
        UsageError: there is no such destination.
        ConfigurationError: its credentials cannot be used.
    """
    name = name or "duckdb"
    if name not in NAMES:
        raise UsageError(f"There is no destination {name!r}. Known destinations: {', '.join(NAMES)}.")
    found = places(os.environ if environ is None else environ, folder)
    value = _first(found, ((pipeline, "destination", name), ("destination", name), ("destination",)), name)
    return Target(name, _file(DEFAULT_FILE if value is None else value))


def _first(found: Sequence[Place], paths: Sequence[tuple[str, ...]], name: str) -> Any:
    for place in found:
        for path in paths:
            value = place.get(*path, "credentials")
            if value is not None and (path[-1] == name or isinstance(value, str)):
                return value
    return None


def _file(value: Any) -> Path:
    if isinstance(value, Mapping):
        value = value.get("database")
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(
            "destination.duckdb.credentials must name a file, such as warehouse.duckdb or "
            f"duckdb:///data/warehouse.duckdb: found {type(value).__name__}."
        )
    path = value.strip()
    if path.startswith("duckdb:"):
        parts = urlsplit(path)
        path = unquote(
            (parts.netloc + parts.path).removeprefix("/") if parts.path.startswith("//") else parts.path
        )
        path = path if value.startswith("duckdb:////") else path.removeprefix("/")
    if path in (":memory:", ":pipeline:", ":external:", ""):
        raise ConfigurationError(
            f"destination.duckdb.credentials: {value!r} would forget everything at the end of the run, and what "
            "is open or lacks details is asked of the warehouse. Name a file."
        )
    file = Path(path).expanduser().absolute()
    if file.is_dir():
        raise ConfigurationError(f"destination.duckdb.credentials: {file} is a folder. Name a file in it.")
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"destination.duckdb.credentials: there is no folder {file.parent}. Make it or name another file."
        )
    return file
