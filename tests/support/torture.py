"""Parameters of which ``make test`` takes some and ``make torture`` the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

WITHOUT = "not torture"
"""How ``-m`` leaves out the long version."""
_is_left_out = False


def leave_out() -> None:
    """From now on, nothing of the long version is collected: the items of half of all tests take seconds to make."""
    global _is_left_out  # noqa: PLW0603 - told once, before tests are collected
    _is_left_out = True


def is_left_out(marks: Iterable[Any]) -> bool:
    """Whether a test with these marks is none of this run."""
    return _is_left_out and any(mark.name == "torture" for mark in marks)


def rest_as_torture(values: Iterable[Any], kept: Collection[Any]) -> list[Any]:
    """The values for ``parametrize``; those that are not ``kept`` are marked as torture.

    A value that is a tuple gives several parameters. Raises ValueError where something is kept that is no value.
    """
    found = list(values)
    if unknown := [one for one in kept if one not in found]:
        raise ValueError(f"no parameters: {unknown}")
    return [
        pytest.param(
            *(one if isinstance(one, tuple) else (one,)),
            marks=[] if one in kept else [pytest.mark.torture],
        )
        for one in found
    ]
