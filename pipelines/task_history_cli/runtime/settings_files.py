"""Writes settings into ``.dlt/config.toml`` and ``.dlt/secrets.toml``; what stands there already is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

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
    """The file's text with the entries set. Raises ConfigurationError."""
    try:
        text = files.read_text(path, max_bytes=_MAX_BYTES) if path.exists() else ""
        document = tomlkit.parse(text)
        for (*sections, name), value in entries:
            table: Any = document
            for depth, section in enumerate(sections):
                if section not in table:
                    table[section] = tomlkit.table(is_super_table=depth < len(sections) - 1)
                table = table[section]
            table[name] = value
    except (TOMLKitError, UnicodeDecodeError, TypeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}. Mend it, or move it away.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}).") from error
    return tomlkit.dumps(document)
