"""Where dlt's destinations other than a DuckDB file are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlt.common.configuration.exceptions import (
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
    ValueNotSecretException,
)
from google.auth.exceptions import GoogleAuthError

from task_history.core.errors import ConfigurationError
from task_history.load.destinations.duckdb_settings import check_credentials
from task_history.load.destinations.ducklake import check_lake, is_lake, lake_location
from task_history.load.dlt_internals import DuckDbBaseCredentials
from task_history.load.dlt_setting_errors import configuration_error

from .dlt_defaults import configure_dlt


@dataclass(frozen=True, slots=True)
class DestinationPlace:
    """The place of a warehouse."""

    place: str
    """The place as text, without secrets."""
    fingerprint: str
    """A key that differs between warehouses."""


def found(destination: Any) -> DestinationPlace:
    """The place that dlt's settings name. Raises ConfigurationError when they name none."""
    configure_dlt()
    name = destination.destination_name
    asked = destination.spec()
    asked.dataset_name = "any"
    try:
        config = destination.configuration(asked)
        _check_service_account(getattr(config, "credentials", None))
    except (ConfigurationException, GoogleAuthError, ValueError, TypeError) as error:
        if isinstance(error, ValueNotSecretException | ConfigValueCannotBeCoercedException):
            raise configuration_error(error) or error from None
        raise ConfigurationError(
            f"The destination {name} cannot be reached with what is set: {_why(error)}. Its credentials belong in "
            f".dlt/secrets.toml under [destination.{name}], or in the environment as "
            f"DESTINATION__{name.upper()}__CREDENTIALS."
        ) from None
    credentials = getattr(config, "credentials", None)
    if isinstance(credentials, DuckDbBaseCredentials):
        check_credentials(credentials, name)
    if is_lake(credentials):
        check_lake(credentials)
        return DestinationPlace(f"{name} {lake_location(credentials)}", lake_location(credentials))
    project = getattr(config, "project_id", None) or getattr(credentials, "project_id", None)
    if project is not None:
        location = str(getattr(config, "location", ""))
        return DestinationPlace(f"{name} project {project} ({location})", f"{project}\0{location}")
    host, database = (getattr(credentials, key, None) for key in ("host", "database"))
    place = " ".join(str(part) for part in (name, database, host and f"on {host}") if part)
    return DestinationPlace(
        place, f"{host}\0{getattr(credentials, 'port', None)}\0{database}\0{config.fingerprint()}"
    )


def _check_service_account(credentials: Any) -> None:
    """Raises ValueError or TypeError where a service account has no usable private key; sends no request."""
    if getattr(credentials, "private_key", None) is not None:
        credentials.to_native_credentials()


def _why(error: Exception) -> str:
    """The missing or invalid settings, without their values, which may be secrets."""
    fields = getattr(error, "fields", None)
    if fields:
        return f"{', '.join(sorted(fields))} is missing"
    if isinstance(error, GoogleAuthError):
        return "there are no Google credentials here"
    if not isinstance(error, ConfigurationException):
        return f"private_key is not the key of a service account, as Google's JSON file has it ({type(error).__name__})"
    return f"its credentials are not of the form that it takes ({type(error).__name__})"
