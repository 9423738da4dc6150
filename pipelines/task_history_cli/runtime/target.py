"""The warehouse of a command: a dlt destination with its place, credentials and dataset."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from task_history.core import files
from task_history.core.dataset_names import VIEWS_DATASET
from task_history.core.errors import ConfigurationError
from task_history.core.folders import data_folder
from task_history.settings_sources import ConfigSource, config_sources
from task_history.warehouse.table_names import RETENTION_GRACE

from .duckdb_path import duckdb_path
from .forbidden_dlt_settings import check_dlt_settings

if TYPE_CHECKING:
    from .target_dlt import DestinationPlace

DEFAULT = "duckdb"
DEFAULT_FILE = "warehouse.duckdb"
_MAX_KEY_BYTES = 1_000_000
_DUCKDB_SETTINGS = frozenset(
    {
        "create_indexes",
        "credentials",
        "default_schema_name",
        "destination_type",
        "enable_dataset_name_normalization",
        "environment",
        "info_tables_query_threshold",
        "storage_version",
        "legacy_db_path",
        "local_dir",
        "replace_strategy",
        "staging_config",
        "staging_dataset_name_layout",
        "truncate_tables_on_staging_destination_before_load",
    }
)
"""Settings that dlt knows under ``destination.duckdb``, without those it sets itself; a copy, since dlt imports slowly.
https://dlthub.com/docs/dlt-ecosystem/destinations/duckdb"""
_DUCKDB_CREDENTIALS = frozenset(
    {
        "database",
        "drivername",
        "extensions",
        "global_config",
        "host",
        "local_config",
        "password",
        "port",
        "pragmas",
        "query",
        "read_only",
        "session_timezone",
        "statements",
        "username",
    }
)
"""Settings that dlt knows under ``destination.duckdb.credentials``."""


@dataclass(frozen=True)
class Target:
    """One warehouse. ``file`` is its DuckDB file; None for another one."""

    name: str
    file: Path | None = None
    credentials: str | None = field(default=None, repr=False)
    """Credentials that were read from a file; None where dlt finds them itself."""

    @property
    def place(self) -> str:
        """The place of the warehouse as text."""
        return str(self.file) if self.file is not None else self._found.place

    @property
    def fingerprint(self) -> str:
        """A key that differs between warehouses. Raises ConfigurationError."""
        place = str(self.file) if self.file is not None else self._found.fingerprint
        return hashlib.sha256(f"{self.name}\0{place}".encode()).hexdigest()[:12]

    @cached_property
    def _found(self) -> DestinationPlace:
        from .target_dlt import found

        return found(self.destination())

    def destination(self, lane: str = "", *, retention: timedelta | None = None) -> Any:
        """The warehouse as dlt takes it. Each ``lane`` stages its rows in a dataset of its own.

        ``retention`` is how long the vendor keeps what may still change.

        Raises:
            UsageError: dlt knows no such destination.
        """
        staging = "_".join(filter(None, ("%s", lane, "staging")))
        if self.file is not None:
            from task_history.load.destinations import duckdb

            return duckdb.destination(self.file)
        given = {} if self.credentials is None else {"credentials": self.credentials}
        if self.name == "bigquery":
            from task_history.load.destinations.bigquery import BigQuery

            changes_within = None if retention is None else retention + RETENTION_GRACE
            return BigQuery(changes_within=changes_within, staging_dataset_name_layout=staging, **given)
        from task_history.load.destinations import postgres_and_others

        return postgres_and_others.destination(self.name, staging=staging)

    def reader(self, dataset: str) -> Any:
        """The warehouse as dlt takes it, of which that dataset is only read, a DuckDB file also during a sync."""
        if self.file is not None:
            from task_history.load.destinations import duckdb

            return duckdb.reader(self.file, dataset)
        return self.destination()


def find_target(
    name: str | None,
    pipeline: str,
    *,
    dataset: str = VIEWS_DATASET,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Target:
    """The warehouse that is configured under that name; DuckDB in ``warehouse.duckdb`` by default.

    Raises:
        ConfigurationError: its credentials cannot be used, or not for that dataset; the project's folder makes
            a setting of dlt's that it may not.
    """
    name = DEFAULT if name is None else name
    check_dlt_settings(
        folder or Path((os.environ if environ is None else environ).get("DLT_PROJECT_DIR") or ".")
    )
    found = config_sources(os.environ if environ is None else environ, folder)
    if name != "duckdb":
        # A name that is none is told as that, before settings are compared with it.
        Target(name).destination()
    _check_spelling(found, name)
    if name == "duckdb":
        _check_known(found, name, _DUCKDB_SETTINGS)
        _check_known(found, name, _DUCKDB_CREDENTIALS, within=("credentials",))
    value = _first(found, ((pipeline, "destination", name), ("destination", name), ("destination",)), name)
    if name == "duckdb":
        file = duckdb_path(DEFAULT_FILE if value is None else value)
        _check_catalog(file, dataset)
        return Target(name, file)
    target = Target(name, credentials=_key(value) if name == "bigquery" else None)
    made = target.destination()
    _check_known(found, name, made.spec.get_resolvable_fields())
    _check_length(name, made.capabilities().max_identifier_length, dataset)
    return target


def working_folder(target: Target) -> Path:
    """dlt's working folder: one per warehouse, so that no warehouse gets another's rows."""
    return data_folder(os.environ) / "pipelines" / f"task_history-{target.fingerprint}"


def _check_catalog(file: Path, dataset: str) -> None:
    """Raises ConfigurationError when database and dataset have one name, with which DuckDB finds neither."""
    if file.name.partition(".")[0].lower() == dataset.lower():
        raise ConfigurationError(
            f"destination.duckdb.credentials: DuckDB names the database in {file.name} like the dataset {dataset}, and "
            f"then finds neither. Give the file another name, such as {dataset}_warehouse.duckdb."
        )


def _check_length(name: str, longest: int | None, dataset: str) -> None:
    """Raises ConfigurationError when the warehouse has no names that are so long: dlt would load into a shorter one."""
    if longest and len(dataset) > longest:
        raise ConfigurationError(
            f"The dataset {dataset} has {len(dataset)} characters, and names in {name} have at most {longest}: "
            "set a shorter dataset_name or --instance."
        )


def _key(value: Any) -> str | None:
    """The service account of a file that is named instead of it."""
    if not isinstance(value, str) or not value.strip() or value.lstrip().startswith("{"):
        return None
    file = Path(value.strip())
    try:
        file = file.expanduser()
        text = files.read_text(file, max_bytes=_MAX_KEY_BYTES)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            "destination.bigquery.credentials must be the JSON of a service account or name the file that holds it: "
            f"{file.name} cannot be read ({type(error).__name__}). Without it the application default credentials "
            "are used."
        ) from None
    if not text.lstrip().startswith("{"):
        raise ConfigurationError(
            f"destination.bigquery.credentials: the file {file.name} does not hold the JSON of a service account."
        )
    return text


def _first(found: Sequence[ConfigSource], paths: Sequence[tuple[str, ...]], name: str) -> Any:
    for source in found:
        for path in paths:
            value = source.get(*path, "credentials")
            if value is not None and (path[-1] == name or isinstance(value, str)):
                return value
            # dlt's way in the environment, where a table has a variable for each of its settings.
            if name == "duckdb" and (value := source.get(*path, "credentials", "database")) is not None:
                return value
    return None


def _check_known(
    found: Sequence[ConfigSource], name: str, known: Collection[str], *, within: tuple[str, ...] = ()
) -> None:
    """Raises ConfigurationError for a setting of the warehouse that dlt does not know, and would ignore silently."""
    section = ("destination", name, *within)
    for source in found:
        for path, is_table in source.paths():
            # A section of the pipeline's name may stand before the others.
            for before in (0, 1):
                words = path[before:]
                if words[: len(section)] != section or len(words) <= len(section):
                    continue
                if (key := words[len(section)]) not in known:
                    near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
                    right = source.spelled((*path[: before + len(section)], *near), is_table=False)
                    advice = (
                        f"Did you mean {right}?" if near else f"Settings there: {', '.join(sorted(known))}."
                    )
                    raise ConfigurationError(
                        f"There is no setting {source.spelled(path, is_table=is_table)} (in {source.name}). {advice}"
                    )


def _check_spelling(found: Sequence[ConfigSource], name: str) -> None:
    """Raises ConfigurationError for a misspelled setting of the warehouse, which dlt would ignore silently."""
    right = ("destination", name, "credentials", "database")
    for source in found:
        for path, is_table in source.paths():
            # A section of the pipeline's name may stand before the others.
            for before in (0, 1):
                words = path[before:]
                expected = right[: len(words)]
                if not 3 <= len(words) <= len(right) or words == expected:
                    continue
                is_another = source.get(*path[:before], *words[:2], "destination_type") is not None
                if all(map(_is_near, words, expected)) and not is_another:
                    suggested = source.spelled((*path[:before], *expected), is_table=is_table)
                    raise ConfigurationError(
                        f"There is no setting {source.spelled(path, is_table=is_table)} (in {source.name}). Did you mean "
                        f"{suggested}?"
                    )


@lru_cache(maxsize=8192)
def _is_near(word: str, right: str) -> bool:
    return bool(difflib.get_close_matches(word.lower(), (right,), cutoff=0.75))
