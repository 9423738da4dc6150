"""Which accounts of a system are configured beside the first: those with a project or credentials of their own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .core.errors import ConfigurationError
from .settings_suggestions import SECTION
from .systems.common_settings import settings_in
from .systems.protocol import System

Path = tuple[str, ...]


def check_account(system: System, instance: str, paths: Iterable[Path]) -> None:
    """Raises ConfigurationError where no setting tells the account from the first one, as after a typing error.

    ``paths`` are those of all values that are set, with their sections.
    """
    first = f"task_history_{system.name}_"
    own = {
        setting.name for setting in settings_in(system.settings) if setting.is_required or setting.is_secret
    }
    own.add("base_url")
    configured = sorted(
        {
            path[0].removeprefix(first)
            for path in paths
            if path[0].startswith(first) and path[1:-1] == (*SECTION, system.name) and path[-1] in own
        }
    )
    if instance in configured:
        return
    near = difflib.get_close_matches(instance, configured, n=1)
    section = ".".join((first + instance, *SECTION, system.name))
    raise ConfigurationError(
        f"--instance {instance!r} has no project and no credentials of its own: it would load the first account again. "
        f"{f'Did you mean {near[0]}? ' if near else ''}Accounts that are configured: "
        f"{', '.join(configured) or 'none'}. Set {' or '.join(sorted(own))} under [{section}] in .dlt/secrets.toml, or "
        f"in the environment as {section.replace('.', '__').upper()}__…."
    )
