"""The context of one run: its settings, client, warehouse, partitions and counters."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..client.client import Client
from ..core.batch import Chunk
from ..core.commit_limits import CommitLimits
from ..core.intervals import gaps, merged
from ..core.models import Row, Scope, Selection, Table, Window, floor_ms
from ..extract.details import DetailLoader
from ..extract.integrations import read_map
from ..extract.listing import WindowReader
from ..extract.listing_kinds import Readers, rows_per_piece
from ..extract.open_reads import OpenReads
from ..extract.read_context import ReadContext
from ..extract.settling import Settler
from ..extract.warehouse_rows import PayloadRows, Stamp, UndocumentedFields
from ..load.destinations import Cost
from ..settings_reader import Settings
from ..state.locks import Locks
from ..warehouse.averages import Averages
from ..warehouse.backlog import MissingDetail
from ..warehouse.coverage import LIST, SYNC, Coverage, Day, filters_text, list_of, midnight, unfiltered
from ..warehouse.keep_days import KeptSince, kept_since
from ..warehouse.left_days import KnownDays
from ..warehouse.queries import Warehouse
from ..warehouse.user_map import user_map
from ..warehouse.verified_days import Completeness
from .estimate_formulas import ExecutionCounts, details, list_requests
from .shared_by_listings import SharedByListings

if TYPE_CHECKING:
    from ..extract.columnar import ColumnarRows

RETENTION_MARGIN = timedelta(days=1)
"""Distance from the vendor's retention at which nothing is compared: rows may be purged during the comparison."""


def new_run_id() -> str:
    """A new random id of a run, 16 hexadecimal digits."""
    return uuid.uuid4().hex[:16]


@dataclass(frozen=True, slots=True)
class Partition:
    """One listing of an account, with its own coverage. The name is empty where the account has only one."""

    name: str
    filters: Mapping[str, str]
    coverage: Coverage
    reader: WindowReader
    rejected: dict[str, datetime]
    """The rejected rows that are known of it, by ``rejected_id``: when they began. Some may have an id by now."""

    @property
    def counted_rejected(self) -> list[datetime]:
        """The starts of the rejected rows that the vendor's counts are known to include.

        Only those of days for which coverage has the same number of them: of others some may have an id by now.
        """
        known, numbers = Counter(map(midnight, self.rejected.values())), self.coverage.rejected
        return [
            near for near in self.rejected.values() if known[midnight(near)] == numbers.get(midnight(near))
        ]


class Context:
    """One run of one system.

    ``now`` returns the present instant, UTC. ``lane`` is the kind of run that writes coverage, ``selection`` the
    executions that it covers, ``commits`` the limits of one commit, and ``cost`` the counter of billed bytes (None where
    reading is not billed by volume). ``working_dir`` is the folder of the run's pipeline; None where nothing is kept
    between runs. ``shared`` is what the account's first listing, which makes it, shares with this one; None for it.
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
        commits: CommitLimits | None = None,
        cost: Cost | None = None,
        run_id: str | None = None,
        lock_file: Path | None = None,
        working_dir: Path | None = None,
        shared: SharedByListings | None = None,
    ) -> None:
        is_first = shared is None
        if shared is None:
            shared = SharedByListings.of_run(
                settings,
                client,
                warehouse,
                run_id=run_id or new_run_id(),
                started_at=now(),
                commits=commits or CommitLimits(),
            )
        self._shared = shared
        self.is_only_listing = is_first and not settings.system.companions
        """Whether the account has one listing: its system has no companions."""
        self.settings = settings
        self.client = client
        self.warehouse = warehouse
        self.now = now
        self.command = command
        self.working_dir = working_dir
        self.lock_file = lock_file
        """The file whose lock this run holds; None for one that holds none."""
        self.lane = lane
        self.selection = selection or Selection()
        self.label = {} if is_first else {LIST: settings.system.executions.name}
        """Filters that distinguish the coverage of this listing from those of the account's other listings."""
        self.filters = filters_text({**warehouse.recorded(self.selection.filters), **self.label})
        self.scope = scope or Scope(settings.values.steps, settings.values.payloads)
        integrations = settings.system.integrations
        self.workflow_map = read_map(integrations.map_file(settings.values) if integrations else None)
        if is_first:
            # The views take it at the end of the run: what is wrong with it is said before anything is read.
            user_map(settings)
        self.cost = cost
        self.left_days: KnownDays | None = None
        """Which days had something left when the run began; None where that is not kept."""
        self.locks: Locks | None = None
        """The locks of the run, where it may share its work with others."""
        self.run_id, self.started_at, self.commits = shared.run_id, shared.started_at, shared.commits
        self.tally, self.redactor, self.sender = shared.tally, shared.redactor, shared.sender
        self.fault_deadline, self.progress = shared.fault_deadline, shared.progress
        self.covered_days, self.left_out = shared.covered_days, shared.left_out
        warehouse.kept.by_settings = self.kept_since
        self._undocumented = UndocumentedFields(
            self.redactor, max_bytes=settings.values.payload_max_bytes, rules=warehouse.rules
        )
        self.system = settings.system
        self._readers = Readers(
            self.sender, self.system, settings.values, rows_per_piece=rows_per_piece(self.commits.rows)
        )
        self._partitions: dict[str, Partition] = {}
        self.open_reads = OpenReads(self.last_reads_file(self.system.executions), self.system.identity, now)
        read_context = ReadContext(
            self.sender,
            self.system,
            settings.values,
            warehouse,
            self.fault_deadline,
            stamp=self.stamp,
            now=self.edge,
            is_expired=self.is_expired,
            open_reads=self.open_reads,
        )
        self.settler = Settler(read_context, scope=self.scope)
        self.details = DetailLoader(
            read_context,
            payloads=PayloadRows(self.redactor, max_bytes=settings.values.payload_max_bytes),
            changed=self.settler.changed,
        )

    def last_reads_file(self, table: Table) -> Path | None:
        """The file that spares writes to a table which change nothing; None where a write is not billed."""
        if self.working_dir is None or not self.warehouse.is_billed:
            return None
        return self.working_dir / f"task_history_open_{table.name}.json"

    @cached_property
    def companions(self) -> list[Context]:
        """Contexts of the account's other listings, which share this run."""
        return [
            Context(
                replace(self.settings, system=system),
                self.client,
                self.warehouse.of(system),
                now=self.now,
                command=self.command,
                lane=self.lane,
                selection=self.selection,
                scope=self.scope,
                working_dir=self.working_dir,
                shared=self._shared,
            )
            for system in self.system.companions
        ]

    @property
    def all(self) -> list[Context]:
        """This context and those of its companions."""
        return [self, *self.companions]

    def partition(self, name: str) -> Partition:
        """The partition ``name``; the empty name is that of the only listing."""
        if name not in self._partitions:
            filters = dict(self.selection.filters)
            if self.system.listing.partitioned_by:
                filters[self.system.listing.partitioned_by] = name
            coverage = Coverage(
                self._stored_coverage,
                lane=self.lane,
                filters=filters_text({**self.warehouse.recorded(filters), **self.label}),
            )
            reader = self._readers.of(filters)
            reader.pages.left_out = self.left_out
            reader.pages.rejections.has_rows |= coverage.has_rows
            stored = self.warehouse.rejected(self.list_filters(name)) if coverage.rejected else {}
            # Days that were verified since may have had some before.
            rejected = {key: near for key, near in stored.items() if midnight(near) in coverage.rejected}
            self._partitions[name] = Partition(name, filters, coverage, reader, rejected)
        return self._partitions[name]

    def left_out_ids(self, rows: Iterable[Row]) -> set[str]:
        """Ids of those of the executions, rows of the vendor's, that are left out."""
        if self.left_out is None:
            return set()
        has = partial(self.left_out.has, self.system.executions.name)
        return {self.system.identity(row) for row in rows if has(row)}

    def columns_without_left_out(self, columnar: Sequence[ColumnarRows]) -> list[ColumnarRows]:
        """Executions in columns without those that are left out."""
        if self.left_out is None or (key := self.left_out.person_key(self.system.executions.name)) is None:
            return list(columnar)
        people = {value for rows in columnar for value in rows.values(key)}
        forgotten = sorted(filter(self.left_out.is_forgotten, people))
        return [rows.without(key, forgotten) for rows in columnar]

    def without_left_out(self, chunk: Chunk) -> Chunk:
        """The chunk without rows of forgotten people."""
        if self.left_out is None:
            return chunk
        rows, notes = (
            self.left_out.without_forgotten(chunk.rows),
            self.left_out.without_forgotten(chunk.notes),
        )
        return replace(chunk, rows=rows, notes=notes)

    @property
    def _stored_coverage(self) -> list[Day]:
        return [day for day in self.covered_days if list_of(day.filters) == self.label.get(LIST, "")]

    def reload_coverage(self) -> None:
        """Takes the coverage from the warehouse again: another run changed it, or a commit was refused."""
        days = self.warehouse.coverage()
        for context in self.all:
            context.covered_days = days
            for partition in context._partitions.values():
                partition.coverage.reset(context._stored_coverage)

    def list_filters(self, partition: str) -> str:
        """The filters that name the list of a partition, without those of the run's selection."""
        partitioned_by = self.system.listing.partitioned_by
        return filters_text({**({partitioned_by: partition} if partitioned_by else {}), **self.label})

    def gaps(self, window: Window) -> list[Window]:
        """The parts of the window that at least one partition does not cover.

        Before the partitions are listed, those that the stored coverage names are considered.
        """
        partitioned_by = self.system.listing.partitioned_by
        if not partitioned_by:
            return self.partition("").coverage.gaps(window)
        if not self._partitions:
            covered = [
                span for day in unfiltered(self._stored_coverage, partitioned_by) for span in day.windows
            ]
            return gaps(window, covered)
        return merged(
            gap for partition in self._partitions.values() for gap in partition.coverage.gaps(window)
        )

    def covered(self) -> list[Row]:
        """Rows of ``coverage`` that changed since the last call, of all partitions."""
        rows: list[Row] = []
        for context in self.all:
            for partition in context._partitions.values():
                changed_days = partition.coverage.changed_rows(self.run_id)
                rows += changed_days if self.left_out is None else self.left_out.with_counts(changed_days)
        return rows

    def stamp(self) -> Stamp:
        """The provenance of rows that are read now: run id, instant, undocumented fields."""
        return Stamp(self.run_id, self.now(), self._undocumented)

    def edge(self) -> datetime:
        """The present instant, by the vendor's clock once an answer has shown it."""
        return self.client.vendor_clock.present(self.now())

    @property
    def horizon(self) -> datetime | None:
        """The instant before which the vendor may have purged executions; None when it keeps all."""
        retention = self.settings.retention
        return None if retention is None else self.edge() - retention

    def kept_since(self) -> KeptSince:
        """Since when rows are kept by the settings; of this machine's clock and the vendor's the earlier one counts."""
        return kept_since(self.settings, min(self.now(), self.edge()))

    def is_at_vendor(self, window: Window) -> bool:
        """Whether the vendor still has every execution of the window, and keeps it during a comparison."""
        return self.horizon is None or window.start >= self.horizon + RETENTION_MARGIN

    def is_expired(self, started_at: datetime | None) -> bool:
        """Whether an execution that began at ``started_at`` is older than the vendor's retention."""
        horizon = self.horizon
        return horizon is not None and started_at is not None and started_at < horizon

    def first_page_since(self, latest: datetime) -> datetime:
        """About the day since which the newest executions of a page of each list began; ``latest`` at most."""
        since, number = latest, 0
        wanted = self.system.listing.page_size * len({day.filters for day in self._stored_coverage})
        for day in sorted(self._stored_coverage, key=lambda day: day.day, reverse=True):
            if number >= wanted:
                break
            since, number = min(since, day.day), number + day.executions
        return since

    def phase(self, name: str) -> None:
        """Sets the phase that progress lines show."""
        self.tally.phase = name

    @property
    def first_start(self) -> datetime:
        """The instant at which a first sync begins: by the setting start_date, and not before what is kept."""
        start, kept = self.settings.start(self.started_at), self.kept_since().executions
        return floor_ms(start if kept is None else max(start, kept))

    @cached_property
    def workflows_known(self) -> set[str]:
        """Ids of workflows whose integration is known or was requested."""
        return {key for key, row in self.warehouse.workflows().items() if row}

    @cached_property
    def averages(self) -> Averages:
        """Averages over the stored executions, such as steps per execution; read once per run.

        Where each query is billed, an estimate of the time left is not worth one: the usual averages.
        """
        return Averages() if self.warehouse.is_billed else self.warehouse.averages()

    def expect_listing(self, rest_rows: int) -> None:
        """Estimates the requests to come when ``rest_rows`` executions are still to be listed."""
        tally = self.tally
        rows = tally.listed + rest_rows
        if rows <= self.system.listing.page_size:
            return
        failed = (
            round(rows * tally.failed / tally.listed) if tally.listed else rows * self.averages.failed_share
        )
        wanted = details(ExecutionCounts(rows, round(failed)), self.scope, self.averages)
        pages = list_requests(rest_rows, self.system.listing.page_size) if rest_rows else 0
        tally.requests_remaining = pages + sum(wanted)

    def expect_details(self, executions: int, failed: int, payloads: int) -> None:
        """Estimates the requests to come for details, and for the payloads that new steps will have."""
        _, new_payloads = (
            details(ExecutionCounts(executions, failed), self.scope, self.averages) if executions else (0, 0)
        )
        self.tally.requests_remaining = executions + payloads + new_payloads

    def window_read(
        self,
        window: Window,
        rows: int,
        total: int | None,
        *,
        completeness: Completeness,
        filters: str,
        order: str | None = None,
    ) -> Row:
        """The row of ``window_reads`` for a window that was read from a listing.

        ``rows`` and ``total`` are without the rejected rows.
        """
        if rows:
            self.tally.note_starts([window.start])
        return {
            "read_id": f"{self.run_id}-{next(self._shared.window_reads)}",
            "run_id": self.run_id,
            "lane": self.lane,
            "filters": filters,
            "row_order": order,
            "window_start": window.start,
            "window_end": window.end,
            "executions": rows,
            "api_total": None if total is None else total + completeness.rejected,
            "is_verified": completeness.is_verified,
            "evidence": completeness.evidence,
            "reason": completeness.reason,
            "rejected": completeness.rejected,
            "read_at": self.now(),
        }

    def range_columns(self) -> Mapping[str, object]:
        """Columns of the run's row in ``sync_runs`` for its range, filters and bytes."""
        window = self.selection.window
        billed, processed = self.cost.note() if self.cost else (None, None)
        return {
            "window_start": window.start if window else None,
            "window_end": window.end if window else None,
            "filters": self.filters,
            "retention_days": self.settings.values.retention_days,
            "column_rules": self.warehouse.rules.text,
            "bytes_billed": billed,
            "bytes_processed": processed,
        }


def not_skipped(wanted: list[MissingDetail], skipped: set[str]) -> list[MissingDetail]:
    """The wanted details whose ids are not in ``skipped``."""
    return [item for item in wanted if item.key not in skipped]
