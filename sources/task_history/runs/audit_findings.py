"""The result of an audit: the windows that were compared, what differs in them, and what was not looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.intervals import merged
from ..core.models import Window


@dataclass(frozen=True, slots=True)
class Difference:
    """A window in which the warehouse and the API differ."""

    window: Window
    missing: tuple[str, ...] = ()
    """Ids that are in the API and not in the warehouse."""
    surplus: tuple[str, ...] = ()
    """Ids that are in the warehouse and not in the API."""
    different: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Ids that are in both, with the names of the columns that differ."""
    steps: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Ids of executions whose steps differ, with what differs in words."""

    @property
    def rows(self) -> int:
        """Number of executions that differ."""
        return len(self.missing) + len(self.surplus) + len(self.different) + len(self.steps)


@dataclass(slots=True)
class Findings:
    """The result of an audit."""

    compared: list[Window] = field(default_factory=list)
    executions: int = 0
    """Executions that the warehouse holds in the compared windows."""
    api_total: int | None = 0
    """The vendor's count for the compared windows; None where the vendor does not count."""
    differences: list[Difference] = field(default_factory=list)
    purged: int = 0
    """Rows that the vendor purged by its retention; they do not count as differences."""
    unverified: list[Window] = field(default_factory=list)
    """Windows whose rows changed during the comparison."""
    not_covered: list[Window] = field(default_factory=list)
    """Windows of the range that are not loaded, so that there was nothing to compare."""
    not_compared: list[Window] = field(default_factory=list)
    """Windows that are loaded and were not compared."""
    rejected: int = 0
    """Rows of the API without a usable id, which the warehouse keeps apart."""
    rows_compared: int = 0
    """Number of rows that were compared field by field."""
    ids_compared: int = 0
    """Executions of the compared windows that the API was seen to have or not to have."""
    steps_compared: int = 0
    """Executions whose steps were compared field by field."""
    left_out: int = 0
    """Executions of forgotten people in the compared windows, which are not stored; they are no differences."""
    repaired: int = 0
    """Number of rows that were repaired."""

    def add(self, other: Findings) -> None:
        """Adds the findings in another listing of the same account."""
        self.compared = merged([*self.compared, *other.compared])
        self.executions += other.executions
        self.differences += other.differences
        self.purged += other.purged
        self.unverified += other.unverified
        self.not_covered = merged([*self.not_covered, *other.not_covered])
        self.not_compared = merged([*self.not_compared, *other.not_compared])
        self.rejected += other.rejected
        self.rows_compared += other.rows_compared
        self.ids_compared += other.ids_compared
        self.steps_compared += other.steps_compared
        self.left_out += other.left_out
        self.repaired += other.repaired

    @property
    def differing(self) -> int:
        """Number of rows that differed, repaired ones included."""
        return sum(difference.rows for difference in self.differences)

    @property
    def not_looked_at(self) -> int:
        """Executions of the compared windows of which only the number was compared."""
        return max(0, self.executions - self.ids_compared)

    @property
    def is_clean(self) -> bool | None:
        """Whether the warehouse holds the executions that the API shows; None where not all were looked at.

        False where a difference is left, a row has no usable id, or a part of the range is not loaded or changed during
        the comparison.
        """
        if self.differing != self.repaired or self.unverified or self.not_covered or self.rejected:
            return False
        return None if self.not_looked_at or self.not_compared else True
