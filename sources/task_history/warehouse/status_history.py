"""In which states an execution was seen: the newest is in its row, the earlier ones in a table of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..core.models import Json, Row


@dataclass(frozen=True, slots=True)
class StoredStatus:
    """A state in which an execution is stored."""

    status: str
    since: datetime | None
    """When it was first seen so."""
    at: datetime | None
    """When it was last seen so."""
    read_by: str | None
    run_id: str | None

    @classmethod
    def in_row(cls, row: Mapping[str, Json]) -> StoredStatus | None:
        """The state that a stored row tells; None when there is no row."""
        if not row:
            return None
        since, at = row.get("status_seen_at"), row.get("fetched_at")
        return cls(str(row.get("status") or ""), since or at, at, row.get("read_by"), row.get("run_id"))


def earlier_state(execution_id: str, before: StoredStatus | None, status: Json) -> list[Row]:
    """The row that keeps the state ``before`` when the execution has another status now."""
    if before is None or before.since is None or before.status == str(status or ""):
        return []
    return [
        {
            "execution_id": execution_id,
            "seen_at": before.since,
            "status": before.status,
            "last_seen_at": before.at,
            "read_by": before.read_by,
            "run_id": before.run_id,
        }
    ]
