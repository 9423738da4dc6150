"""Writes settings into ``.dlt/config.toml`` and ``.dlt/secrets.toml``; what stands there already is kept."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from task_history.core import files
from task_history.core.errors import ConfigurationError
from task_history.settings_accounts import Account
from task_history.systems.common_settings import Setting

_MAX_BYTES = 1_000_000
_IGNORED = "secrets.toml\n"


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """The warehouse's name, and its credentials where they are to be written."""

    name: str
    credentials: str | None = field(default=None, repr=False)


def write_settings(
    folder: Path, account: Account, values: Sequence[tuple[Setting, Any]], destination: DestinationSettings
) -> list[Path]:
    """Writes the settings of an account and the warehouse's credentials; gives the files that were written.

    Secrets go into ``secrets.toml``, which only its owner may read, the others into ``config.toml``. Comments, other
    settings and the order of lines stay. A new folder gets a ``.gitignore`` for the secrets.

    Raises:
        ConfigurationError: a file is no TOML, or cannot be written.
    """
    own = account.section
    entries = [
        (setting.is_secret, (*own, setting.name), list(value) if isinstance(value, tuple) else value)
        for setting, value in values
    ]
    if destination.credentials is not None:
        entries.append((True, ("destination", destination.name, "credentials"), destination.credentials))
    changed: list[tuple[Path, bytes]] = []
    for is_secret, name in ((False, "config.toml"), (True, "secrets.toml")):
        chosen = [(path, value) for secret, path, value in entries if secret is is_secret]
        if chosen:
            changed.append((folder / name, _with_entries(folder / name, chosen).encode("utf-8")))
    return list(_written(folder, changed))


def _written(folder: Path, changed: Sequence[tuple[Path, bytes]]) -> Iterator[Path]:
    for path, _ in changed:
        try:
            files.check_replaceable(path)
        except OSError as error:
            raise ConfigurationError(f"{path} {error.strerror}. Nothing was written.") from error
    try:
        if changed and not folder.exists():
            folder.mkdir(parents=True)
            files.write_new(folder / ".gitignore", _IGNORED.encode())
        for path, content in changed:
            files.replace(path, content)
            yield path
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written ({error.strerror}): check its owner and rights."
        ) from error


def _with_entries(path: Path, entries: Sequence[tuple[tuple[str, ...], Any]]) -> str:
    """The file's text with the entries set, and all else that it says as before. Raises ConfigurationError."""
    try:
        text = files.read_text(path, max_bytes=_MAX_BYTES) if path.exists() else ""
        document = tomlkit.parse(text)
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}. Mend it, or move it away.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}).") from error
    expected = document.unwrap()
    for place, value in entries:
        _set(path, expected, place, value, make=lambda _, __: {})
    try:
        for place, value in entries:
            _set(path, document, place, value, make=_new_table)
        written = tomlkit.dumps(document)
        is_right = tomllib.loads(written) == expected
    except (TOMLKitError, ValueError, TypeError):
        is_right = False
    # Among dotted keys and tables in several places tomlkit may put a table where it means something else.
    if not is_right:
        names = ", ".join(".".join(place) for place, _ in entries)
        raise ConfigurationError(
            f"{path} cannot be changed without changing what it says otherwise: set {names} there by hand, or write "
            "its tables as [sections], each in one place."
        )
    return written


def _set(
    path: Path, document: Any, place: tuple[str, ...], value: Any, *, make: Callable[[Any, bool], Any]
) -> None:
    """Sets a value, and makes the tables that lead to it. Raises ConfigurationError where something else stands."""
    *sections, name = place
    table = document
    for depth, section in enumerate(sections):
        if section not in table:
            table[section] = make(table, depth < len(sections) - 1)
        table = table[section]
        if not isinstance(table, MutableMapping):
            raise ConfigurationError(
                f"{path}: {'.'.join(sections[: depth + 1])} is no table. Mend it, or move it away."
            )
    table[name] = value


def _new_table(parent: Any, is_super: bool) -> Any:
    """A table within ``parent``: an inline one can hold no other."""
    return (
        tomlkit.inline_table() if isinstance(parent, InlineTable) else tomlkit.table(is_super_table=is_super)
    )
