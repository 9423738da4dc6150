"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.models import Window


@dataclass(frozen=True, slots=True)
class Difference:
    """A window in which the warehouse and the API are not alike."""

    window: Window
    missing: tuple[str, ...] = ()
    """Ids that only the API has."""
    surplus: tuple[str, ...] = ()
    """Ids that only the warehouse has."""
    different: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Ids that both have, with the columns that differ."""

    @property
    def rows(self) -> int:
        """How many rows differ."""
        return len(self.missing) + len(self.surplus) + len(self.different)


@dataclass(slots=True)
class Findings:
    """What an audit found."""

    compared: list[Window] = field(default_factory=list)
    executions: int = 0
    """Held in what was compared."""
    api_total: int | None = 0
    """The vendor's count for it; None where it gives none."""
    differences: list[Difference] = field(default_factory=list)
    purged: int = 0
    """Rows beyond the retention that the vendor no longer has; no difference."""
    unverified: list[Window] = field(default_factory=list)
    """Windows whose rows kept changing while they were compared."""
    rows_compared: int = 0
    """Rows that were compared field by field."""
    repaired: int = 0
    """Rows that were mended."""

    def add(self, other: Findings) -> None:
        """Takes what was found in another list of the same account."""
        self.executions += other.executions
        self.differences += other.differences
        self.purged += other.purged
        self.unverified += other.unverified
        self.rows_compared += other.rows_compared
        self.repaired += other.repaired

    @property
    def differing(self) -> int:
        """Rows that differed."""
        return sum(difference.rows for difference in self.differences)

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs any more."""
        return self.differing == self.repaired and not self.unverified
