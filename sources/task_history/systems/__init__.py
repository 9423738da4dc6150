"""The systems: every module here that ends in ``SYSTEM = …`` is one. ``protocol`` says what a system states."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from ..core.errors import UsageError
from .protocol import System


@cache
def names() -> tuple[str, ...]:
    """The names of all systems, sorted."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name != "protocol"))


def find(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: there is none, or it leaves something unsaid; the message lists those there are, or what is missing.
    """
    if name not in names():
        raise UsageError(f"There is no system {name!r}. Known systems: {', '.join(names())}.")
    system: System | None = getattr(importlib.import_module(f"{__name__}.{name}"), "SYSTEM", None)
    if system is None:
        raise UsageError(f"systems/{name}.py says nothing: it has to end in SYSTEM = and a system.")
    if missing := unsaid(system):
        raise UsageError(
            f"systems/{name}.py leaves unsaid: {', '.join(missing)}. systems/protocol.py says what each means."
        )
    return system


def unsaid(system: object) -> list[str]:
    """What the protocol wants and the system does not have."""
    words = {*System.__annotations__, *(name for name, value in vars(System).items() if callable(value))}
    return sorted(word for word in words if not word.startswith("_") and not hasattr(system, word))
