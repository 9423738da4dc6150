"""Readings of one list whose rows swap positions between pages: when enough of them agree that each row was seen."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from ..warehouse.verified_days import Completeness
from .evidence import COUNT, REPEAT, unverified

_MAX_STALE_READINGS = 8
"""Readings of one instant in a row that show no new row while rows swap positions."""


@dataclass(slots=True)
class RepeatedReadings:
    """Readings of one list whose rows swap positions, such as those of one instant, until every row was seen."""

    _seen: set[str] = field(default_factory=set)
    """Ids that the readings showed which agree with the last one on the number of rows."""
    _all: set[str] = field(default_factory=set)
    _size: tuple[int, bool] | None = None
    _stale: int = 0

    def add(
        self, ids: AbstractSet[str], *, positions: int, count: int | None, reason: str = ""
    ) -> Completeness | None:
        """Takes a reading from the first position to the last; gives what is known then, None if one more may tell.

        ``positions`` is how many positions it showed and ``count`` the vendor's count, by the same count on every page;
        ``reason`` is why it did not come to the end.
        """
        self._stale = 0 if ids - self._all else self._stale + 1
        self._all |= ids
        before, self._size = self._size, (positions if count is None else count, count is not None)
        is_alike = self._size == before
        # What was seen while there were more or fewer rows may be gone. Where nothing is counted, only the next reading
        # tells whether some expired during this one.
        if is_alike:
            self._seen |= ids
        else:
            self._seen = set(ids) if count is not None else set()
        if len(self._seen) > self._size[0]:
            self._seen = set(ids)
        if count is not None and len(self._seen) == count:
            return COUNT
        if count is None and not reason and is_alike and len(self._seen) == positions:
            return REPEAT
        # Where no row swaps, or the end cannot be reached, further readings show nothing else.
        most = 1 if reason or len(ids) == positions else _MAX_STALE_READINGS
        if self._stale < most:
            return None
        return unverified(
            reason or f"{self._size[0]:,} rows of one instant, of which {len(self._seen):,} were seen"
        )
