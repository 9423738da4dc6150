"""What all listings of an account share in one run: its id, counters, redactor, limits and stored coverage."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ..client.client import Client
from ..client.request_forms import FallbackSender
from ..core.batch import CommitProgress
from ..core.commit_limits import CommitLimits
from ..core.models import Sender
from ..extract.single_reads import FaultDeadline
from ..redaction.redactor import Redactor
from ..settings_reader import Settings
from ..warehouse.coverage import Day
from ..warehouse.forgotten_people import LeftOut
from ..warehouse.queries import Warehouse
from .run_counters import Tally


@dataclass(frozen=True, slots=True)
class SharedByListings:
    """What all listings of an account share in one run."""

    run_id: str
    started_at: datetime
    commits: CommitLimits
    """The limits of one commit."""
    sender: Sender
    tally: Tally
    redactor: Redactor
    fault_deadline: FaultDeadline
    covered_days: list[Day]
    """The coverage that was stored when the run began."""
    left_out: LeftOut | None
    """The executions of forgotten people, which no run writes; None where no person was forgotten."""
    progress: CommitProgress = field(default_factory=CommitProgress)
    window_reads: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Next number for a window that is read."""

    @classmethod
    def of_run(
        cls,
        settings: Settings,
        client: Client,
        warehouse: Warehouse,
        *,
        run_id: str,
        started_at: datetime,
        commits: CommitLimits,
    ) -> SharedByListings:
        """What a new run shares."""
        values, tally = settings.values, Tally()
        return cls(
            run_id=run_id,
            started_at=started_at,
            commits=commits.paced(
                values.rate_limit_requests,
                values.rate_limit_period_s,
                page_size=settings.system.listing.page_size,
            ),
            sender=FallbackSender(client),
            tally=tally,
            redactor=Redactor(
                values.redact,
                secrets=settings.secrets,
                mode=values.redact_mode,
                count=tally.count_redactions,
            ),
            fault_deadline=FaultDeadline(values.fault_deadline_s),
            covered_days=warehouse.coverage(),
            left_out=warehouse.left_out,
        )
