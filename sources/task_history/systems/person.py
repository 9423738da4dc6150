"""The person whom an execution names: for whom it ran, or who began it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Person:
    """Where the vendor's executions name their person."""

    column: str
    """The column of ``executions`` that names them."""
    linked: Mapping[str, str] = field(default_factory=dict)
    """The tables of other lists of the account whose rows belong to the same person, by the column with the row's id."""
