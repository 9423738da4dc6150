"""Which accounts of a system are configured: those with a project or credentials of their own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .core.calendars import Calendar
from .core.errors import ConfigurationError
from .core.log import log
from .settings_sources import ConfigSource
from .settings_suggestions import SECTION
from .systems import find, names
from .systems.common_settings import settings_in
from .systems.protocol import System

Path = tuple[str, ...]
_NOTATION = re.compile(r"[\s\[\]\"']+")
"""What differs between a list in TOML and in the environment."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a system; ``instance`` is None for the first."""

    system: System
    instance: str | None
    calendar: Calendar | None = field(default=None, compare=False)
    """The calendar of its days; None where no settings state it."""
    user_map: str | None = field(default=None, compare=False)
    """The file of its setting user_map."""
    has_users: bool = field(default=False, compare=False)
    """Whether the warehouse has what such a file says."""

    @property
    def title(self) -> str:
        """The account as errors name it."""
        return f"the account {self.instance} of {self.system.name}" if self.instance else self.system.name

    @property
    def pipeline_name(self) -> str:
        """``task_history_<system>[_<instance>]``."""
        return "_".join(filter(None, ("task_history", self.system.name, self.instance)))

    @property
    def section(self) -> Path:
        """The section of its settings in dlt's TOML files."""
        own = (*SECTION, self.system.name)
        return own if self.instance is None else (self.pipeline_name, *own)

    def values(self, sources: Sequence[ConfigSource]) -> dict[str, tuple[Any, str]]:
        """The values that are set for the account, each with its place, by setting; unchecked."""
        found: dict[str, tuple[Any, str]] = {}
        for source in sources:
            for key, value, place in source.of(self.pipeline_name, self.system.name):
                found.setdefault(key, (value, place))
        return found

    def dataset(self, sources: Sequence[ConfigSource]) -> str:
        """The name of its dataset."""
        value, _ = self.values(sources).get("dataset_name", ("", ""))
        return "_".join(filter(None, (str(value).strip() or self.system.name, self.instance)))


def all_accounts(sources: Sequence[ConfigSource]) -> Iterator[Account]:
    """The first account of every system, also where it is not configured, and all further ones that are."""
    paths = _paths(sources)
    for name in names():
        system = find(name)
        yield Account(system, None)
        for instance in configured_instances(system, paths):
            if instance is not None:
                yield Account(system, instance)


def other_datasets(account: Account, sources: Sequence[ConfigSource]) -> Mapping[str, str]:
    """The datasets of all other accounts, with the account's name for errors."""
    others = (other for other in all_accounts(sources) if other != account)
    return {other.dataset(sources): other.title for other in others}


def configured_instances(system: System, paths: Iterable[Path]) -> list[str | None]:
    """The accounts that have a project or credentials of their own, by instance: None is the first account.

    ``paths`` are those of all values that are set, with their sections.
    """
    first = f"task_history_{system.name}"
    section = (*SECTION, system.name)
    own = _own_settings(system)
    found: set[str] = set()
    for path in paths:
        if not path or path[-1] not in own:
            continue
        if path[:-1] == section:
            found.add("")
        elif path[1:-1] == section and (path[0] == first or path[0].startswith(f"{first}_")):
            found.add(path[0].removeprefix(first).removeprefix("_"))
    return [instance or None for instance in sorted(found)]


def check_account(system: System, instance: str, sources: Sequence[ConfigSource]) -> None:
    """Raises ConfigurationError where no setting distinguishes the account from another one, as after a typing error."""
    configured = [name for name in configured_instances(system, _paths(sources)) if name is not None]
    if instance in configured:
        _warn_of_double(Account(system, instance), sources)
        return
    near = difflib.get_close_matches(instance, configured, n=1)
    section = ".".join((f"task_history_{system.name}_{instance}", *SECTION, system.name))
    raise ConfigurationError(
        f"--instance {instance!r} has no project and no credentials of its own: it would load the first account again. "
        f"{f'Did you mean {near[0]}? ' if near else ''}Accounts that are configured: "
        f"{', '.join(configured) or 'none'}. Set {' or '.join(sorted(_own_settings(system)))} under [{section}] in "
        f".dlt/secrets.toml, or in the environment as {section.replace('.', '__').upper()}__…."
    )


def _warn_of_double(account: Account, sources: Sequence[ConfigSource]) -> None:
    """Names the first other account of the system that has the same project and credentials, and how many more have."""
    names = sorted(_own_settings(account.system))
    own = _identity(account, sources, names)
    others = [
        other.title
        for other in all_accounts(sources)
        if other.system is account.system and other != account and _identity(other, sources, names) == own
    ]
    if others:
        log.warning(
            "same_account_twice",
            instance=account.instance,
            other=others[0] + (f" and {len(others) - 1} more" if len(others) > 1 else ""),
            same=",".join(name for name in names if own[name]),
            hint="its executions are loaded twice, and views count them twice: give it its own, or leave it out",
        )


def _identity(account: Account, sources: Sequence[ConfigSource], names: Sequence[str]) -> dict[str, str]:
    """The values that distinguish the account from others, by these settings."""
    values = account.values(sources)
    return {name: _NOTATION.sub("", str(values.get(name, ("", ""))[0])) for name in names}


def _own_settings(system: System) -> set[str]:
    """The settings that distinguish accounts."""
    return {
        setting.name
        for setting in settings_in(system.settings)
        if setting.is_required or setting.is_credential or setting.names_account
    }


def _paths(sources: Sequence[ConfigSource]) -> list[Path]:
    return [path for source in sources for path, is_table in source.paths() if not is_table]
