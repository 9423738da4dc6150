"""What a run did, as it is watched and as its row in ``sync_runs`` keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from ..client.wait_stats import Stats
from ..core.models import Row, Window


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    phase: str = "starting"
    executions: int = 0
    settled: int = 0
    late: int = 0
    steps: int = 0
    payloads: int = 0
    redactions: int = 0
    unverified: int = 0
    unresolved: int = 0
    lost: Window | None = None
    """What the vendor purged before it could be read."""
    listed: int = 0
    """Executions that listings gave."""
    failed: int = 0
    """Those of them that failed."""
    rows_ahead: int = 0
    """Executions that are probably to be listed after what is being listed now."""
    to_come: float | None = None
    """Requests that are probably still to come; None while that is not known."""
    cursor: datetime | None = None

    def count_listed(self, rows: Sequence[Row], failed_statuses: Sequence[str]) -> None:
        """Counts what a listing gave."""
        self.add_listed(len(rows), sum(row.get("status") in failed_statuses for row in rows))

    def add_listed(self, executions: int, failed: int) -> None:
        """A listing gave so many."""
        self.listed += executions
        self.failed += failed

    def came(self) -> None:
        """One of the requests that were to come is answered."""
        if self.to_come:
            self.to_come -= 1


@dataclass(frozen=True, slots=True)
class Left:
    """What is not yet loaded."""

    open_executions: int
    details: int
    payloads: int

    @property
    def is_nothing(self) -> bool:
        """Whether all details are loaded; open executions wait for the vendor."""
        return not self.details and not self.payloads


@dataclass(frozen=True, slots=True)
class Run:
    """One run. ``outcome`` is one of those that the table names."""

    run_id: str
    command: str
    started_at: datetime
    outcome: str
    reason: str | None

    def row(self, tally: Tally, stats: Stats, *, now: datetime, seconds: float) -> Row:
        """The run as it is now."""
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
            **{f"{kind}_requests": number for kind, number in by_kind.items()},
            "other_requests": total - sum(by_kind.values()),
            "retries": stats.retries,
            **{f"waited_{cause}_ms": round(waited * 1000) for cause, waited in stats.waited_s.items()},
            "executions": tally.executions,
            "settled": tally.settled,
            "late": tally.late,
            "steps": tally.steps,
            "payloads": tally.payloads,
            "redactions": tally.redactions,
            "unresolved": tally.unresolved,
            "lost_from": tally.lost.start if tally.lost else None,
            "lost_until": tally.lost.end if tally.lost else None,
            "version": _version(),
            "written_at": now,
        }

    def ending(self, left: Left | None, *, now: datetime, is_complete: bool | None) -> Row:
        """What the row says besides once the run is over."""
        return {
            "ended_at": now,
            "is_complete": is_complete,
            "open_executions": left.open_executions if left else None,
            "details_left": left.details if left else None,
            "payloads_left": left.payloads if left else None,
        }


def _version() -> str:
    try:
        return version("task-history")
    except PackageNotFoundError:
        return "unknown"
