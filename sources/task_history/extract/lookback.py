"""What earlier syncs loaded, and where the lookback begins: what a sync compares again, since rows may come late.

How long the lookback is, the setting ``lookback_minutes`` in ``systems/common_settings`` says.

One rule for all kinds of listing, ``LastSync.lookback_start``: ``lookback`` before what is loaded, never before that
began, and never before what the vendor still has. Listings that the vendor does not count read all of it again, from
``LastSync.start`` on. A sorted listing compares by counting, back from the newest execution that is stored, as
``StoredSpan`` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..core.models import MS, Window, floor_ms
from ..warehouse.coverage import midnight

if TYPE_CHECKING:
    from .listing import NewestExecutions, VendorNow

_BEYOND_ANY_START = timedelta(days=3650)
"""Added to the present, later than any execution began."""
_MARGIN = timedelta(days=1)
"""The newest execution that is stored may have begun that long before the cursor."""


@dataclass(frozen=True, slots=True)
class LastSync:
    """What earlier syncs loaded of a partition, and how far back the next one looks."""

    first: datetime
    """Where the first sync begins."""
    loaded: Window | None
    """What they loaded without a gap; None before the first sync."""
    gaps: Sequence[Window]
    """What is not loaded between ``first`` and ``loaded``."""
    lookback: timedelta
    horizon: datetime | None
    """What began before may be purged at the vendor."""
    compare_from: datetime | None
    """From where on everything is compared, where that is due."""
    newest: datetime | None = None
    """When the newest execution began that is stored and that the vendor still lists; None where that is not known."""

    @property
    def start(self) -> datetime:
        """Where a sync begins that reads the lookback again."""
        return (
            self.first if self.loaded is None else floor_ms(self.lookback_start(self.loaded, self.loaded.end))
        )

    def lookback_start(self, loaded: Window, end: datetime) -> datetime:
        """Where the lookback begins that reaches back from ``end``."""
        start = max(end - self.lookback, loaded.start)
        return start if self.horizon is None else max(start, self.horizon)


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """What the warehouse holds of the time that the sync of a sorted listing looks at again."""

    start: datetime
    """Where the first sync began, or the lookback begins."""
    newest: datetime
    """After the newest execution that is stored, or the cursor, whichever is earlier."""
    count: int
    """Executions that are stored since ``start``."""
    may_expire: bool = False
    """Whether these are the oldest executions, of which the vendor may purge some."""

    @classmethod
    def since(cls, since: LastSync, stored: NewestExecutions, *, edge: VendorNow) -> StoredSpan:
        """What is stored of the time since the last sync, and of its lookback."""
        loaded = since.loaded
        if loaded is None:
            return cls(since.first, since.first, 0)
        last = stored.newest_start()
        newest = loaded.end if last is None else min(loaded.end, floor_ms(last) + MS)
        start = min(since.lookback_start(loaded, newest), newest)
        may_expire = start in (loaded.start, since.horizon)
        return cls(start, newest, stored.count(Window(start, edge() + _BEYOND_ANY_START)), may_expire)


def earliest_start(cursor: datetime, lookback: timedelta) -> datetime:
    """Midnight before every lookback of an account with that cursor, whichever of its listings a sync looks at."""
    return midnight(cursor - lookback) - _MARGIN
