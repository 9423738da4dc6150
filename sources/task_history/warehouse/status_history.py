"""Status history of executions: the latest status is in the execution's row, earlier ones in a separate table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..core.models import Json, Row


@dataclass(frozen=True, slots=True)
class StoredStatus:
    """A stored status of an execution, with the time and run of its readings."""

    status: str
    since: datetime | None
    """Time of the first reading with this status."""
    at: datetime | None
    """Time of the last reading with this status."""
    read_by: str | None
    run_id: str | None

    @classmethod
    def in_row(cls, row: Mapping[str, Json]) -> StoredStatus | None:
        """The status in a stored row; None without a row."""
        if not row:
            return None
        since, at = row.get("status_seen_at"), row.get("fetched_at")
        return cls(str(row.get("status") or ""), since or at, at, row.get("read_by"), row.get("run_id"))


def earlier_state(execution_id: str, before: StoredStatus | None, status: Json) -> list[Row]:
    """The history row for the status ``before``, when the execution has a different one now."""
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
