"""The systems: every module here that ends in ``SYSTEM = …`` is one. ``base`` says what a system states."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from ..errors import UsageError
from .base import System


@cache
def names() -> tuple[str, ...]:
    """The names of all systems, sorted."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name != "base"))


def find(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in names():
        raise UsageError(f"There is no system {name!r}. Known systems: {', '.join(names())}.")
    system: System = importlib.import_module(f"{__name__}.{name}").SYSTEM
    return system
