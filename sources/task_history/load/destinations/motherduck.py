"""MotherDuck: DuckDB as a service, where many processes write at once and no file is locked.

https://dlthub.com/docs/dlt-ecosystem/destinations/motherduck
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote, quote_plus

import dlt
import duckdb
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.destination.exceptions import DestinationTerminalException

from ...core.commit_limits import CommitLimits
from ...core.dataset_names import VIEWS_DATASET
from ...core.errors import ConfigurationError
from .. import dlt_internals
from ..dlt_internals import MotherduckConnectionPool
from .base import Backend, Descriptions
from .duckdb import describe_changed
from .duckdb_settings import check_credentials
from .postgres_and_others import loaded_now

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_OPTIONS = frozenset({"attach_mode"})
"""Options of an address that leave reading files of this machine and writing possible, as a load needs.
https://motherduck.com/docs/sql-reference/motherduck-sql-reference/attach/"""
_OPTION_VALUE = re.compile(r"[A-Za-z0-9_]{1,60}")
_TOKEN_VARIABLES = ("motherduck_token", "MOTHERDUCK_TOKEN")
_TOKEN = re.compile(r"(token=)[^&\s'\"]+", re.IGNORECASE)
_HIDDEN = "***"


def destination(name: str, *, staging: str) -> Any:
    """The dlt destination of that name, of dlt's type ``motherduck``."""
    made = MotherDuck(
        destination_name=name, staging_dataset_name_layout=staging, preferred_loader_file_format="parquet"
    )
    dlt_internals.merge_in_transactions(made)
    return made


@dlt_internals.extends(dlt.destinations.motherduck)
class MotherDuck(dlt.destinations.motherduck):
    """The MotherDuck destination for dlt, whose errors hold no token."""

    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        try:
            config: Any = super().configuration(initial_config, accept_partial)
        except ConfigFieldMissingException:
            raise ConfigurationError(
                f"destination.{self.destination_name}.credentials.password or MOTHERDUCK_TOKEN must be set: a token of "
                "MotherDuck, as it makes them under Settings."
            ) from None
        credentials = config.credentials
        if credentials is not None and config.is_resolved():
            check_credentials(credentials, self.destination_name)
            _check_address(credentials, self.destination_name, config.dataset_name)
            # dlt resolves the same settings again for each client, while others have connections of the pool.
            if not isinstance(credentials.conn_pool, _Pool):
                credentials.conn_pool = _Pool(credentials)
        return config


def _check_address(credentials: Any, name: str, dataset: str | None) -> None:
    """Raises ConfigurationError for a database that no run can use, and for options that do not go with a load."""
    setting, database = f"destination.{name}.credentials", credentials.database
    if not _NAME.fullmatch(database):
        raise ConfigurationError(
            f"{setting}.database: {without_token(database)[:200]!r} is no name of a database: letters, digits, _ and -."
        )
    if database.lower() in (VIEWS_DATASET, (dataset or "").lower()):
        raise ConfigurationError(
            f"{setting}.database: the database {database} has the name of a dataset in it, and DuckDB then finds "
            "neither. Name another database, such as warehouse."
        )
    for option, value in (credentials.query or {}).items():
        if option not in _OPTIONS or not _OPTION_VALUE.fullmatch(str(value)):
            raise ConfigurationError(
                f"{setting}.query: the option {option} cannot be set in the address of the database. Options there: "
                f"{', '.join(sorted(_OPTIONS))}."
            )


class _Pool(MotherduckConnectionPool):
    """Pool of connections whose errors hold no token: DuckDB's name the whole address."""

    def borrow_conn(self, global_config: Any = None, local_config: Any = None, pragmas: Any = None) -> Any:
        try:
            return super().borrow_conn(global_config, local_config, pragmas)
        except (duckdb.Error, DestinationTerminalException) as error:
            failed: type[Exception] = type(error) if isinstance(error, duckdb.Error) else duckdb.IOException
            text = without_token(str(error), getattr(self.credentials, "password", None))
        # After the block: Python would chain the error that holds the token.
        raise failed(text)


def without_token(text: str, token: str | None = None) -> str:
    """The text without this token, that of the environment, and what an address gives as one."""
    for secret in (token, *map(os.environ.get, _TOKEN_VARIABLES)):
        if secret:
            for form in {str(secret), quote(str(secret), safe=""), quote_plus(str(secret))}:
                text = text.replace(form, _HIDDEN)
    return _TOKEN.sub(rf"\1{_HIDDEN}", text)


class MotherDuckBackend(Backend):
    """Many processes write at once: who was second tries again, as on a server."""

    commits = CommitLimits(least_rows=20_000, bytes=32_000_000, seconds=120.0, details=1_000)

    def __init__(self, destination: Any) -> None:
        super().__init__(destination)
        if dlt_internals.are_used():
            dlt_internals.precede_merges(destination, loaded_now)

    def describe(self, client: Any, sentences: Descriptions) -> None:
        describe_changed(client, sentences)
