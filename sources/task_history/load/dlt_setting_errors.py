"""Converts dlt's errors about settings into ConfigurationError, which names setting and place, never the value.

https://dlthub.com/docs/general-usage/credentials/setup
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
    ValueNotSecretException,
)

from ..core.errors import ConfigurationError
from ..settings_sources import config_sources
from .dlt_internals import MissingDependencyException

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a table",
}


def configuration_error(error: BaseException) -> ConfigurationError | None:
    """The error to raise when dlt refused a setting, or lacks a package for one; None for other errors."""
    if isinstance(error, ValueNotSecretException):
        return ConfigurationError(
            f"{error.key} is a secret, and {error.provider_name} holds none: move it to .dlt/secrets.toml, or into the "
            f"environment as {error.key.replace('.', '__').upper()}."
        )
    if isinstance(error, ConfigValueCannotBeCoercedException):
        return ConfigurationError(
            f"{_place(error.field_name, error.field_value)}: its value is not {_kind(error.hint)}. Correct it, or take "
            "it out where it is not needed."
        )
    if isinstance(error, ConfigFieldMissingException):
        return ConfigurationError(
            f"A setting of dlt is missing: {', '.join(sorted(error.fields))}. Set it in .dlt/config.toml, a secret in "
            ".dlt/secrets.toml, or in the environment."
        )
    if isinstance(error, MissingDependencyException):
        return ConfigurationError(
            f"What is set needs a package that is not installed, for {error.caller.strip()}: pip install "
            f"{' '.join(repr(name) for name in error.dependencies)}, or choose another setting or destination."
        )
    if isinstance(error, ConfigurationException):
        return ConfigurationError(
            f"dlt refuses a setting ({type(error).__name__}): look at .dlt/config.toml, .dlt/secrets.toml and the "
            "environment."
        )
    return None


def _kind(hint: Any) -> str:
    """The expected type of a value, in words."""
    if hint in _KINDS:
        return _KINDS[hint]
    choices = re.findall(r"'(\w+)'", str(hint)) if "Literal" in str(hint) else []
    return f"one of {', '.join(choices)}" if choices else "of the type that dlt takes"


def _place(name: str, value: Any) -> str:
    """The name of the setting, with the places in which it has that value."""
    places = sorted(set(_places(name.rpartition(".")[2], value)))
    return f"{' or '.join(places)}" if places else name


def _places(name: str, value: Any) -> Iterator[str]:
    for source in config_sources(os.environ):
        for path, is_table in source.paths():
            if not is_table and path[-1] == name and source.get(*path) == value:
                yield f"{source.spelled(path, is_table=False)} (in {source.name})"
