"""dlt settings that a project folder may not set: those that import code, write elsewhere or move the rows.

dlt takes them from any TOML file in ``.dlt/``, and a folder may be another person's. The environment is the user's own.
https://dlthub.com/docs/general-usage/credentials/setup
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from task_history import systems
from task_history.core import files
from task_history.core.errors import ConfigurationError

_MAX_BYTES = 1_000_000
_REFUSED = frozenset(
    {
        "allow_identifier_change_on_table_with_data",
        "dataset_name_layout",
        "destination_type",
        "dev_mode",
        "export_schema_path",
        "full_refresh",
        "import_schema_path",
        "json_normalizer",
        "naming",
        "naming_convention",
        "pipelines_dir",
        "refresh",
        "staging_dataset_name_layout",
        "staging_name",
        "staging_type",
        "use_break_path_on_normalize",
        "use_single_dataset",
    }
)
_DESTINATION_OF_DLT = re.compile(r"(dlt\.destinations\.)?[a-z][a-z0-9_]*")
_SECTIONS = frozenset(
    {"destination", "extract", "load", "normalize", "pipelines", "runtime", "schema", "sources"}
)


def check_dlt_settings(project: Path) -> None:
    """Raises ConfigurationError when a TOML file of the project sets one of them for a pipeline of this project."""
    for path in sorted((project / ".dlt").glob("*.toml")):
        try:
            data = tomllib.loads(files.read_text(path, max_bytes=_MAX_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{path} cannot be read as TOML: {type(error).__name__}.") from None
        for name in sorted(_SECTIONS & data.keys()):
            if not isinstance(data[name], dict):
                raise ConfigurationError(
                    f"{path} sets {name}, which is a section of dlt: write [{name}] and what belongs there below it."
                )
        for place in _refused((), data):
            raise ConfigurationError(
                f"{path} sets {'.'.join(place)}: {place[-1]} is a setting of dlt that cannot be made in a folder, "
                "because it imports code, writes files elsewhere or moves the rows. Take it out of the file."
            )


def _refused(path: tuple[str, ...], data: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        place = (*path, key)
        if key in _REFUSED and not _is_destination_of_dlt(place, value):
            yield place
        elif isinstance(value, dict) and _may_be_ours(place):
            yield from _refused(place, value)


def _is_destination_of_dlt(place: tuple[str, ...], value: Any) -> bool:
    """Whether a named destination is one that dlt brings."""
    is_named = place[-1] == "destination_type" and len(place) >= 3 and place[-3] == "destination"
    return is_named and isinstance(value, str) and _DESTINATION_OF_DLT.fullmatch(value) is not None


def _may_be_ours(place: tuple[str, ...]) -> bool:
    """Whether dlt reads that section for a pipeline, source or schema of this project."""
    if len(place) == 1:
        return place[0] in _SECTIONS or _is_our_name(place[0])
    if place[-2] == "pipelines" or (place[-2] == "sources" and place[-1] != "schema"):
        return _is_our_name(place[-1])
    return True


def _is_our_name(name: str) -> bool:
    return name.startswith("task_history") or name in systems.names()
