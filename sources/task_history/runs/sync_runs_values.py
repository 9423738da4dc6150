"""The values of a run's row in ``sync_runs``, whose columns are declared in ``warehouse/common_tables``.

Its range, filters and bytes come from the context of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..client.logged_waits import Stats
from ..core.connector_version import connector_version
from ..core.models import Row
from .run_counters import Remaining, Tally
from .run_lock import host


@dataclass(frozen=True, slots=True)
class RunRow:
    """Makes the row of one run; ``outcome`` is a value of that column of ``sync_runs``."""

    run_id: str
    command: str
    started_at: datetime
    outcome: str
    reason: str | None
    lock_file: Path | None = None

    def current(self, tally: Tally, stats: Stats, *, now: datetime, seconds: float) -> Row:
        """The row while the run works: its counters as they are at ``now``."""
        by_kind = {kind: stats.sent.get(kind, 0) for kind in ("list", "execution", "payload")}
        total = sum(stats.sent.values())
        return {
            "run_id": self.run_id,
            "command": self.command,
            "started_at": self.started_at,
            "ended_at": None,
            "duration_ms": round(seconds * 1000),
            "outcome": self.outcome,
            "reason": self.reason,
            "is_complete": False,
            "covered_until": tally.cursor,
            "requests": total,
            **{f"{kind}_requests": count for kind, count in by_kind.items()},
            "other_requests": total - sum(by_kind.values()),
            "retries": stats.retries,
            **{f"waited_{cause}_ms": round(waited * 1000) for cause, waited in stats.waited_s.items()},
            "executions": tally.executions,
            "settled": tally.settled,
            "late": tally.late,
            "steps": tally.steps,
            "payloads": tally.payloads,
            "redactions": tally.redactions,
            "rejected": tally.rejected,
            "unresolved": tally.unresolved,
            "deleted_rows": None if tally.deleted is None else sum(tally.deleted.values()),
            **tally.kept_since.columns,
            "lost_from": tally.lost.start if tally.lost else None,
            "lost_until": tally.lost.end if tally.lost else None,
            "version": connector_version(),
            "host": host(),
            "lock_file": None if self.lock_file is None else str(self.lock_file),
            "written_at": now,
        }

    def final(self, left: Remaining | None, *, now: datetime, is_complete: bool | None) -> Row:
        """The columns that are set when the run has ended."""
        return {
            "ended_at": now,
            "is_complete": is_complete,
            "open_executions": left.open_executions if left else None,
            "details_left": left.details if left else None,
            "payloads_left": left.payloads if left else None,
        }
