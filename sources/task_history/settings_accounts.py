"""Which accounts of a system are configured: those with a project or credentials of their own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .core.errors import ConfigurationError
from .settings_suggestions import SECTION
from .systems.common_settings import settings_in
from .systems.protocol import System

Path = tuple[str, ...]


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


def check_account(system: System, instance: str, paths: Iterable[Path]) -> None:
    """Raises ConfigurationError where no setting tells the account from the first one, as after a typing error.

    ``paths`` are those of all values that are set, with their sections.
    """
    configured = [name for name in configured_instances(system, paths) if name is not None]
    if instance in configured:
        return
    near = difflib.get_close_matches(instance, configured, n=1)
    section = ".".join((f"task_history_{system.name}_{instance}", *SECTION, system.name))
    raise ConfigurationError(
        f"--instance {instance!r} has no project and no credentials of its own: it would load the first account again. "
        f"{f'Did you mean {near[0]}? ' if near else ''}Accounts that are configured: "
        f"{', '.join(configured) or 'none'}. Set {' or '.join(sorted(_own_settings(system)))} under [{section}] in "
        f".dlt/secrets.toml, or in the environment as {section.replace('.', '__').upper()}__…."
    )


def _own_settings(system: System) -> set[str]:
    """The settings that tell one account from another."""
    return {"base_url"} | {
        setting.name for setting in settings_in(system.settings) if setting.is_required or setting.is_secret
    }
