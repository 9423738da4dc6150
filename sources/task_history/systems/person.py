"""The person for whom an execution ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Person:
    """The person for whom an execution ran, as the vendor names them."""

    column: str
    """The column of ``executions`` that names them."""
    linked: Mapping[str, str] = field(default_factory=dict)
    """Where a row of another list of the account is about the same run: that list's table, by the column with its id."""
