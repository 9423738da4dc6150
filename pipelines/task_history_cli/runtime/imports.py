"""Modules that others import where they are installed, and that nothing here needs: left out, to start sooner."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """Meanwhile these modules are not to be had, unless they are imported already."""
    finder = _LeftOut(frozenset(names))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _LeftOut:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if name in self._names:
            raise ModuleNotFoundError(f"{name} is left out: nothing here needs it", name=name)
