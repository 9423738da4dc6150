"""The places that hold settings: environment variables, and dlt's TOML files.

The places are dlt's own (https://dlthub.com/docs/general-usage/credentials/setup), read here without
importing dlt: environment, then ``secrets.toml``, then ``config.toml``, in ``./.dlt`` and then in dlt's
global folder. Within each, a section of the pipeline's name comes before the general one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from .core import files
from .core.errors import ConfigurationError
from .core.folders import data_folder

_MAX_TOML_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Environment:
    """Settings in environment variables."""

    environ: Mapping[str, str] = field(repr=False)
    _by_prefix: Mapping[str, Sequence[str]] = field(init=False, repr=False, compare=False)
    """The variables by each of their beginnings that ends with two underscores: many accounts are looked for."""
    _paths: Sequence[tuple[tuple[str, ...], bool]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        paths = tuple((tuple(name.lower().split("__")), False) for name in self.environ)
        object.__setattr__(self, "_paths", paths)
        by_prefix: dict[str, list[str]] = {}
        for name in self.environ:
            end = name.find("__")
            while end >= 0:
                by_prefix.setdefault(name[: end + 2], []).append(name)
                end = name.find("__", end + 1)
        object.__setattr__(self, "_by_prefix", by_prefix)

    def of(self, pipeline: str, system: str) -> Iterator[tuple[str, Any, str]]:
        own = ("sources", "task_history", system)
        for sections in ((pipeline, *own), own):
            prefix = "__".join(sections).upper() + "__"
            for name in self._by_prefix.get(prefix, ()):
                yield name[len(prefix) :].lower(), self.environ[name], f"the environment variable {name}"

    name = "the environment"

    def paths(self) -> Iterator[tuple[tuple[str, ...], bool]]:
        """The paths of all entries, and whether each is a section."""
        return iter(self._paths)

    def spelled(self, path: Sequence[str], *, is_table: bool) -> str:
        """The path in the notation of this source."""
        return "__".join(path).upper() + "__…" * is_table

    def get(self, *path: str) -> Any:
        return self.environ.get("__".join(path).upper())


@dataclass(frozen=True, slots=True)
class TomlFile:
    """Settings in one of dlt's TOML files."""

    path: Path
    data: Mapping[str, Any] = field(repr=False)
    _paths: Sequence[tuple[tuple[str, ...], bool]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_paths", tuple(_nodes((), self.data)))

    def of(self, pipeline: str, system: str) -> Iterator[tuple[str, Any, str]]:
        own = ("sources", "task_history", system)
        for sections in ((pipeline, *own), own):
            section = self.get(*sections)
            if isinstance(section, dict):
                for key, value in section.items():
                    yield key, value, f"{self.path} [{'.'.join(sections)}]"

    @property
    def name(self) -> str:
        return str(self.path)

    def paths(self) -> Iterator[tuple[tuple[str, ...], bool]]:
        """The paths of all entries, and whether each is a section."""
        return iter(self._paths)

    def spelled(self, path: Sequence[str], *, is_table: bool) -> str:
        """The path in the notation of this source."""
        if is_table:
            return f"[{'.'.join(path)}]"
        section = ".".join(path[:-1])
        return f"{path[-1]} under [{section}]" if section else path[-1]

    def get(self, *path: str) -> Any:
        value: Any = self.data
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value


def _nodes(path: tuple[str, ...], data: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], bool]]:
    for key, value in data.items():
        is_table = isinstance(value, dict)
        yield (*path, key), is_table
        if is_table:
            yield from _nodes((*path, key), value)


ConfigSource = Environment | TomlFile


def config_sources(environ: Mapping[str, str], folder: Path | None = None) -> list[ConfigSource]:
    """The sources of settings in order of precedence. Raises ConfigurationError."""
    project = folder or Path(environ.get("DLT_PROJECT_DIR") or ".")
    sources: list[ConfigSource] = [_environment(tuple(environ.items()))]
    for name in ("secrets.toml", "config.toml"):
        for parent in (project / ".dlt", data_folder(environ)):
            path = parent / name
            try:
                sources.append(_toml_file(path, files.read_text(path, max_bytes=_MAX_TOML_BYTES)))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{path} cannot be read: {type(error).__name__}.") from None
            except (ValueError, RecursionError) as error:
                raise ConfigurationError(f"{path} is not TOML: {_at(error)}.") from None
    return sources


# The settings of many accounts are read from one environment and one file.
@lru_cache(maxsize=2)
def _environment(variables: tuple[tuple[str, str], ...]) -> Environment:
    return Environment(dict(variables))


@lru_cache(maxsize=8)
def _toml_file(path: Path, text: str) -> TomlFile:
    return TomlFile(path, tomllib.loads(text))


def _at(error: Exception) -> str:
    """The error, or only its place, without the line's text, which may hold a key."""
    message = str(error)
    if not (place := re.search(r"at line \d+, column \d+|at end of document", message)):
        return "a value is too large or nested too deep"
    return message if not re.search("[\"'`]", message) else f"look {place[0]}"
