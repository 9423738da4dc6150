"""What the work of one run has at hand: who is asked, what is held, what was done so far."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property

from .batches import Commits
from .client import Client
from .coverage import SYNC, Book, filters_text
from .destinations import Cost
from .details import Details
from .estimating import Amount, Rates, details, list_requests
from .listing import Listing
from .model import Row, Scope, Selection, Window, floor_ms
from .records import Payloads, Stamp, Undeclared
from .redaction import Redactor
from .refresh import Settling
from .runs import Tally
from .settings import Settings
from .warehouse import Wanted, Warehouse
from .workflows import read_map

_SECOND = timedelta(seconds=1)
_MARGIN = timedelta(days=1)
"""What passes the vendor's retention while it is counted must not look like a difference."""


def new_run_id() -> str:
    """A name for a run."""
    return uuid.uuid4().hex[:16]


class Context:
    """One run of one system; ``now`` tells the time, UTC.

    ``lane`` is who writes coverage, ``selection`` which executions the run is about; ``commits`` is how much the
    warehouse takes at once, and ``cost`` what it bills by.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        warehouse: Warehouse,
        *,
        now: Callable[[], datetime],
        command: str = "sync",
        lane: str = SYNC,
        selection: Selection | None = None,
        scope: Scope | None = None,
        commits: Commits | None = None,
        cost: Cost | None = None,
        run_id: str | None = None,
    ) -> None:
        self.settings = settings
        self.client = client
        self.warehouse = warehouse
        self.now = now
        self.command = command
        self.lane = lane
        self.selection = selection or Selection()
        self.filters = filters_text(self.selection.filters)
        self.scope = scope or Scope(settings.steps, settings.payloads)
        self.named = read_map(settings.values.get("workflow_map"))
        self.commits = commits or Commits()
        self.cost = cost
        self.run_id = run_id or new_run_id()
        self.started_at = now()
        self.tally = Tally()
        self.redactor = Redactor(settings.redact, secrets=settings.secrets)
        self._undeclared = Undeclared(self.redactor)
        self.system = settings.system
        self.book = Book(warehouse.coverage(), lane=lane, filters=self.filters)
        self.listing = Listing(client, self.system, settings.values, filters=self.selection.filters)
        self.settling = Settling(
            listing=self.listing,
            client=client,
            system=self.system,
            values=settings.values,
            warehouse=warehouse,
            scope=self.scope,
            stamp=self.stamp,
            is_expired=self.is_expired,
        )
        self.details = Details(
            client=client,
            system=self.system,
            values=settings.values,
            payloads=Payloads(
                redact=settings.redact, secrets=settings.secrets, max_bytes=settings.payload_max_bytes
            ),
            stamp=self.stamp,
            is_expired=self.is_expired,
            changed=self.settling.changed,
        )
        self._reads = 0
        self.sealed = 0
        """Batches that were handed out to be committed."""
        self.committed = 0
        """Batches of them that are in the warehouse."""
        self.wait_for_commits: Callable[[], None] = lambda: None
        """Gives back when all of them are. Raises whatever a commit raised."""

    def stamp(self) -> Stamp:
        """Who reads something, now."""
        return Stamp(self.run_id, self.now(), self._undeclared)

    def edge(self) -> datetime:
        """Now: by the vendor's clock once it answered. Its seconds are cut, so that one is added."""
        offset = self.client.vendor_clock_offset_s
        if offset is None:
            return floor_ms(self.now())
        return floor_ms(self.now() + timedelta(seconds=offset) + _SECOND)

    @property
    def horizon(self) -> datetime | None:
        """What began before may be purged at the vendor; None when it keeps everything."""
        retention = self.settings.retention
        return None if retention is None else self.edge() - retention

    def is_kept(self, window: Window) -> bool:
        """Whether all that began in the window is still at the vendor, and stays while it is counted."""
        return self.horizon is None or window.start >= self.horizon + _MARGIN

    def is_expired(self, started_at: datetime | None) -> bool:
        """Whether the vendor need not hold any more what began then."""
        horizon = self.horizon
        return horizon is not None and started_at is not None and started_at < horizon

    def phase(self, name: str, goal: int | None = None) -> None:
        """From now on the run is busy with that; ``goal`` is how many units it has."""
        self.tally.phase, self.tally.done, self.tally.goal = name, 0, goal

    @cached_property
    def rates(self) -> Rates:
        """What the executions are like that were held when it was first asked."""
        return self.warehouse.rates()

    def expect_listing(self, rest_rows: int) -> None:
        """So many executions are still to be listed: what that and their details probably take."""
        tally = self.tally
        rows = tally.listed + rest_rows
        if rows <= self.system.page_size:
            return
        failed = round(rows * tally.failed / tally.listed) if tally.listed else rows * self.rates.failed_share
        wanted = details(Amount(rows, round(failed)), self.scope, self.rates)
        pages = list_requests(rest_rows, self.system.page_size) if rest_rows else 0
        tally.to_come = pages + sum(wanted)

    def expect_details(self, executions: int, failed: int, payloads: int) -> None:
        """So many details are still wanted; those of executions bring payloads that are not yet known of."""
        _, more = details(Amount(executions, failed), self.scope, self.rates) if executions else (0, 0)
        self.tally.to_come = executions + payloads + more

    def window_read(self, window: Window, rows: int, total: int | None, *, is_verified: bool) -> Row:
        """The note that a window was read from a listing."""
        self._reads += 1
        return {
            "read_id": f"{self.run_id}-{self._reads}",
            "run_id": self.run_id,
            "lane": self.lane,
            "filters": self.filters,
            "window_start": window.start,
            "window_end": window.end,
            "executions": rows,
            "api_total": total,
            "is_verified": is_verified,
            "read_at": self.now(),
        }

    def about(self) -> Mapping[str, object]:
        """What the run's row says of its range."""
        window = self.selection.window
        return {
            "window_start": window.start if window else None,
            "window_end": window.end if window else None,
            "filters": self.filters,
            "bytes_estimated": self.cost.estimated if self.cost else None,
            "bytes_processed": self.cost.processed if self.cost else None,
        }


def without(wanted: list[Wanted], skipped: set[str]) -> list[Wanted]:
    """Those that were not skipped before."""
    return [one for one in wanted if (one.step_id or one.execution_id) not in skipped]
