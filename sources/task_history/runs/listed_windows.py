"""What the pages of a listing, and comparisons with it, show of executions: the chunks of rows and coverage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..core.batch import Chunk
from ..core.intervals import gaps
from ..core.log import log
from ..core.models import Row, Window
from ..extract import warehouse_rows
from ..extract.counted_window import described
from ..extract.integrations import WorkflowIntegration, workflow_row
from ..extract.listing import ComparedWindow, ListedWindow
from ..warehouse.common_tables import EXECUTION_STATES, REJECTED_ROWS, WINDOW_READS
from ..warehouse.coverage import Coverage, by_midnight
from ..warehouse.status_history import StoredStatus
from ..warehouse.verified_days import Completeness
from .context import Context, Partition
from .rejected_rows import RejectedRows, take_rejected_in

if TYPE_CHECKING:
    from ..extract.columnar import ColumnarRows

MAX_VANISHED = 200
"""Maximum executions that a listing no longer shows and that are read singly after one comparison."""


@dataclass(frozen=True, slots=True)
class _ComparedRows:
    """The executions of a listed window that are compared with the stored ones, one by one."""

    sent: Mapping[str, Row]
    """As the vendor sent them, by id."""
    rows: Sequence[Row]
    """The same with the fields that only single reads give."""
    unchanged: Collection[str]
    """Ids of open ones that are stored as they were sent."""
    left_out: Collection[str]
    """Ids of those that may not be stored."""
    stored: Mapping[str, StoredStatus]
    """Stored statuses by id."""
    starts: Mapping[str, datetime]
    """When they began, by id, where that is known."""

    def new_starts(self) -> dict[str, datetime]:
        """Start times, by id, of executions that are neither stored nor left out."""
        return {
            key: at for key, at in self.starts.items() if key not in self.stored and key not in self.left_out
        }


def window_chunk(
    context: Context,
    partition: Partition,
    piece: ListedWindow,
    *,
    seen: Callable[[Window], Mapping[str, StoredStatus]],
    stored_starts: Mapping[str, datetime],
) -> tuple[Chunk, list[str]]:
    """Returns the chunk of a listed window, and the ids of stored executions that the window no longer shows.

    ``seen`` returns the stored statuses of a window by id; ``stored_starts`` are the starts of the partition's
    executions that are listed again, by id.
    """
    system, stamp, coverage = context.system, context.stamp(), partition.coverage
    window = partition.reader.elapsed_part(piece, context.edge())
    covered = coverage.covered_within(window)
    touched = coverage.touched(window)
    # Where lanes or filters overlap, some executions are stored already, perhaps in another state.
    stored = dict(seen(touched)) if touched is not None else {}
    # Rows of which none is stored need not be compared one by one.
    form = None if stored or covered else system.listing.page_form
    columnar, others = piece.rows.split(in_columns=form is not None)
    compared = _compared_rows(
        context, [*others, *piece.outside], window, stored, looks_elsewhere=bool(covered or piece.outside)
    )
    rows_to_write, earlier = warehouse_rows.executions(
        system,
        [row for row in compared.rows if system.identity(row) not in compared.left_out],
        stamp,
        read_by=warehouse_rows.LIST,
        stored=context.open_reads.last_seen_of(compared.stored),
    )
    kept_columns = context.columns_without_left_out(columnar)
    rejected = take_rejected_in(context, partition, window)
    completeness = replace(piece.completeness, rejected=rejected.number)
    late = _note_in_coverage(coverage, piece, window, covered, compared, columnar, rejected, at=stamp.at)
    number = len(compared.rows) + sum(map(len, columnar))
    if not completeness.is_verified:
        _note_unverified(context, partition, window, number, completeness)
    _count_executions(context, compared, rows_to_write, columnar, kept_columns)
    context.tally.late += late
    if partition.reader.rest_rows is not None:
        context.expect_listing(partition.reader.rest_rows + context.tally.rows_ahead)
    read = context.window_read(
        window,
        number,
        piece.total,
        completeness=completeness,
        filters=coverage.filters,
        order=piece.order,
    )
    in_columns = (
        []
        if form is None
        else [
            warehouse_rows.columnar_executions(
                form, system.executions, page_rows, stamp, read_by=warehouse_rows.LIST
            )
            for page_rows in kept_columns
        ]
    )
    chunk = Chunk(
        {
            system.executions.name: _noted(context, rows_to_write, compared),
            EXECUTION_STATES.name: earlier,
            **_integrations_of(context, piece),
        },
        {system.executions.name: in_columns},
        {WINDOW_READS.name: [read], REJECTED_ROWS.name: rejected.rows},
    )
    vanished = [
        key
        for key, at in stored_starts.items()
        if piece.is_verified and key not in compared.starts and _is_in(covered, at)
    ]
    return chunk, vanished


def _compared_rows(
    context: Context,
    rows: Sequence[Row],
    window: Window,
    stored: Mapping[str, StoredStatus],
    *,
    looks_elsewhere: bool,
) -> _ComparedRows:
    """``stored`` are the statuses of the window; with ``looks_elsewhere`` those of rows outside it are looked up."""
    system = context.system
    left_out = context.left_out_ids(rows)
    if looks_elsewhere:
        stored = {**stored, **_stored_elsewhere(context, rows, window, stored)}
    sent = {system.identity(row): row for row in rows}
    unchanged = context.open_reads.unchanged(rows, stored)
    changed = (row for row in rows if system.identity(row) not in unchanged)
    rows = [
        *warehouse_rows.keep_fields_of_single_reads(system, changed, stored, context.warehouse.stored),
        *map(sent.__getitem__, unchanged),
    ]
    starts = {system.identity(row): at for row in rows if (at := system.started_at(row)) is not None}
    return _ComparedRows(sent, rows, unchanged, left_out, stored, starts)


def _note_in_coverage(
    coverage: Coverage,
    piece: ListedWindow,
    window: Window,
    covered: Sequence[Window],
    compared: _ComparedRows,
    columnar: Sequence[ColumnarRows],
    rejected: RejectedRows,
    *,
    at: datetime,
) -> int:
    """Notes that the window, partly ``covered`` before, was read; returns how many of its executions came late."""
    own = coverage.own_within(window)
    # Rows from outside of the window may have begun at any time.
    loaded, own_loaded = (coverage.covered, coverage.own) if piece.outside else (covered, own)
    new = compared.new_starts()
    late = [start for start in new.values() if _is_in(loaded, start)]
    coverage.add_late((start for start in late if _is_in(own_loaded, start)), checked_at=at)
    # Executions that another lane covers and has stored are counted there.
    uncounted = [start for key, start in compared.starts.items() if key in new or not _is_in(covered, start)]
    for part in gaps(window, own):
        by_day = by_midnight(start for start in uncounted if start in part)
        for page_rows in columnar:
            by_day.update(page_rows.by_day(part))
        coverage.add(
            part,
            by_day,
            is_counted=piece.total is not None,
            completeness=piece.completeness,
            checked_at=at,
            rejected=rejected.new_by_day,
        )
    for known in covered:
        coverage.mark_compared(
            known, completeness=piece.completeness, checked_at=at, rejected=rejected.all_by_day
        )
    return len(late)


def _count_executions(
    context: Context,
    compared: _ComparedRows,
    rows_to_write: Sequence[Row],
    columnar: Sequence[ColumnarRows],
    kept_columns: Sequence[ColumnarRows],
) -> None:
    """Counts what the window shows and what of it is written."""
    system, tally = context.system, context.tally
    tally.count_listed(rows_to_write, system.failed_statuses)
    failed = sum(page_rows.count("status", system.failed_statuses) for page_rows in columnar)
    tally.add_listed(sum(map(len, columnar)), failed)
    # Executions that were stored as open count as settled or open ones, not as new ones, as they do when read one by one.
    known_open = [
        row for row in rows_to_write if _was_open(context, compared.stored.get(system.identity(row)))
    ]
    tally.settled += sum(not row["is_open"] for row in known_open)
    tally.executions += len(rows_to_write) + sum(map(len, kept_columns)) - len(known_open)


def _is_in(windows: Iterable[Window], instant: datetime) -> bool:
    return any(instant in window for window in windows)


def _noted(context: Context, rows: Sequence[Row], compared: _ComparedRows) -> list[Row]:
    """The rows without unchanged ones; of open executions it is noted what was sent."""
    changed = [row for row in rows if context.system.identity(row) not in compared.unchanged]
    for row in changed:
        context.open_reads.note(key := context.system.identity(row), row, compared.sent[key])
    return changed


def _was_open(context: Context, before: StoredStatus | None) -> bool:
    return before is not None and context.system.is_open({"status": before.status})


def _stored_elsewhere(
    context: Context, rows: Sequence[Row], window: Window, stored: Mapping[str, StoredStatus]
) -> dict[str, StoredStatus]:
    """Stored statuses, by id, of rows that began outside of the window or have no start."""
    starts = {context.system.identity(row): context.system.started_at(row) for row in rows}
    elsewhere = {key: start for key, start in starts.items() if start is None or start not in window}
    ids = [key for key in elsewhere if key not in stored]
    return context.warehouse.statuses(ids, starts)


def _note_unverified(
    context: Context, partition: Partition, window: Window, rows: int, completeness: Completeness
) -> None:
    context.tally.unverified += 1
    log.warning(
        "unverified",
        partition=partition.name or "all",
        window=described(window),
        rows=rows,
        reason=completeness.reason,
    )


def _integrations_of(context: Context, piece: ListedWindow) -> dict[str, list[Row]]:
    """Rows of workflows whose integration follows from the listing's filter, without a request."""
    system, stamp, integrations = context.system, context.stamp(), context.system.integrations
    of_workflow = next((known.name for known in system.listing.filters if known.column is None), "")
    integration = context.selection.filters.get(of_workflow)
    if integrations is None or integration is None:
        return {}
    key = next(column.source for column in system.executions.columns if column.name == system.workflow_column)
    fresh = {str(value) for value in piece.rows.values(key or "") if value} - context.workflows_known
    context.workflows_known.update(fresh)
    named = WorkflowIntegration(integration)
    rows = [
        workflow_row(stamp, workflow_id, named, origin="listed", asked=[integration])
        for workflow_id in sorted(fresh)
    ]
    return {integrations.table.name: rows} if rows else {}


def late_chunk(context: Context, partition: Partition, event: ComparedWindow) -> Chunk:
    """Returns the chunk of a compared window: executions that became visible after it was listed."""
    system, stamp, tally, coverage = context.system, context.stamp(), context.tally, partition.coverage
    comparison, window = event.comparison, event.window
    rejected = take_rejected_in(context, partition, window, is_read_whole=not event.counts_rejected)
    completeness = event.completeness
    left_out = context.left_out_ids(comparison.fresh)
    fresh = [row for row in comparison.fresh if system.identity(row) not in left_out]
    if len(comparison.vanished) > MAX_VANISHED:
        completeness = Completeness("none", (f"more than {MAX_VANISHED} executions are no longer listed",))
    # One that was marked as purged, or that did not fit the filters, has a state already.
    begun = {system.identity(row): system.started_at(row) for row in fresh}
    stored_rows = context.warehouse.stored(list(begun), begun)
    stored = {key: seen for key, row in stored_rows.items() if (seen := StoredStatus.in_row(row)) is not None}
    rows, earlier = warehouse_rows.executions(
        system,
        fresh,
        stamp,
        read_by=warehouse_rows.LATE,
        stored=context.open_reads.last_seen_of(stored),
    )
    starts = [at for row in fresh if (at := system.started_at(row)) is not None]
    if rows:
        log.info("late_executions", window=described(window), rows=len(rows))
    coverage.add_late(starts, checked_at=stamp.at)
    tally.note_starts(starts)
    coverage.mark_compared(
        window, completeness=completeness, checked_at=stamp.at, rejected=rejected.all_by_day
    )
    completeness = replace(completeness, rejected=rejected.number)
    if not completeness.is_verified:
        _note_unverified(context, partition, window, len(rows), completeness)
    tally.late += len(rows)
    tally.executions += len(rows)
    return Chunk(
        {system.executions.name: rows, EXECUTION_STATES.name: earlier},
        notes={REJECTED_ROWS.name: rejected.rows},
    )
