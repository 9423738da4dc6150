"""The systems: one package per vendor, ending in ``SYSTEM = System(…)``, whose fields ``protocol`` defines.

Each package here is a system and found by its name; the modules beside them are what several systems use.
``docs/how-to/add-a-system.md`` shows how to write one.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from ..core.errors import UsageError
from .protocol import System


@cache
def names() -> tuple[str, ...]:
    """The names of all systems, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))


def find(name: str) -> System:
    """The system called ``name``.

    Raises:
        UsageError: there is none, or it leaves something out; the message lists those there are, or what is missing.
    """
    if name not in names():
        raise UsageError(f"There is no system {name!r}. Known systems: {', '.join(names())}.")
    try:
        system = getattr(importlib.import_module(f"{__name__}.{name}"), "SYSTEM", None)
    except TypeError as error:
        raise UsageError(
            f"systems/{name} leaves something out: {error}. systems/protocol.py says what each of them means."
        ) from error
    if not isinstance(system, System):
        raise UsageError(f"systems/{name} states no system: it has to end in SYSTEM = System(…).")
    return system
