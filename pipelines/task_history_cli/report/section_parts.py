"""The parts of a section of the report: texts, and a table of rows that filters hide or show; filled in ``sections``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDE = 5
"""The most columns that a phone shows beside each other; of tables with more each row is a card there."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with that of the period before, and a bar whose length is a share of the longest of the table."""

    text: str
    before: str = ""
    bar: float | None = None
    marked: float = 0.0
    """The share of the bar in the colour of failures."""


Cell = str | list[str] | Figure


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    cells: list[Cell]
    account: str | None = None
    """The account that it is about; None where no filter hides it."""
    integration: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page."""

    id: str
    title: str
    texts: list[str] = field(default_factory=list)
    texts_of_page: list[str] = field(default_factory=list, kw_only=True)
    """Texts about what the page's table alone shows."""
    heads: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    numbers: frozenset[int] = frozenset()
    """Indexes of the columns that hold numbers."""
    instants: frozenset[int] = frozenset()
    """Indexes of the columns whose cells are not wrapped."""
    charts: tuple[str, ...] = ()
    nothing: str = ""
    """Text shown instead of an empty table."""
    points: list[str] = field(default_factory=list)
    folded: str = ""
    """The line under which the table is folded; empty where it is not."""
    top: int = 0
    """The rows that are shown at once; 0 for all."""
    data: Sequence[Mapping[str, Any]] = field(kw_only=True)
    """The table as data, with columns that the page leaves out: ``explore`` shows it."""
    csv: Mapping[str, Sequence[Mapping[str, Any]]] = field(kw_only=True)
    """The CSV files of the section, by name without suffix."""

    @property
    def is_wide(self) -> bool:
        """Whether a phone shows each row as a card."""
        return len(self.heads) > WIDE
