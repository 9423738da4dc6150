"""When a later run tries to read again what could not be read."""

from __future__ import annotations

from datetime import datetime, timedelta

_FIRST_DISTANCE, _MAX_DISTANCE = timedelta(hours=1), timedelta(days=2)
_MAX_DOUBLINGS = 20


def next_try_at(tries: int, tried_at: datetime) -> datetime:
    """When an item is due again that ``tries`` runs, at least one, could not read, the last of them at ``tried_at``.

    After 1 h, 2 h, 4 h, …, at most 2 days.
    """
    distance: timedelta = _FIRST_DISTANCE * 2 ** min(tries - 1, _MAX_DOUBLINGS)
    return tried_at + min(distance, _MAX_DISTANCE)
