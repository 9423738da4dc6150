"""What the pages of a listing, and comparisons with it, show of executions: the chunks of rows and coverage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ..core.batch import Chunk
from ..core.intervals import gaps
from ..core.log import log
from ..core.models import Row, Window
from ..extract import warehouse_rows
from ..extract.counted_window import described
from ..extract.integrations import WorkflowIntegration, workflow_row
from ..extract.listing import ComparedWindow, ListedWindow
from ..warehouse.coverage import by_midnight
from ..warehouse.status_history import StoredStatus
from ..warehouse.tables import EXECUTION_STATES, REJECTED_ROWS, WINDOW_READS
from ..warehouse.verified_days import Completeness
from .context import Context, Partition
from .rejected_rows import take_rejected_in

MAX_VANISHED = 200
"""Maximum executions that a listing no longer shows and that are read singly after one comparison."""


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
    system, stamp, tally, coverage = context.system, context.stamp(), context.tally, partition.coverage
    window = partition.reader.elapsed_part(piece, context.edge())
    covered, own = coverage.covered_within(window), coverage.own_within(window)
    touched = coverage.touched(window)
    # Where lanes or filters overlap, some executions are stored already, perhaps in another state.
    stored = dict(seen(touched)) if touched is not None else {}
    # Rows of which none is stored need not be compared one by one.
    form = None if stored or covered else system.listing.page_form
    columnar, single = piece.rows.split(in_columns=form is not None)
    rows = [*single, *piece.outside]
    left_out = context.left_out_ids(rows)
    stored |= _stored_elsewhere(context, rows, window, stored) if covered or piece.outside else {}
    sent = {system.identity(row): row for row in rows}
    unchanged = context.open_reads.unchanged(rows, stored)
    changed = (row for row in rows if system.identity(row) not in unchanged)
    rows = [
        *warehouse_rows.keep_fields_of_single_reads(system, changed, stored, context.warehouse.stored),
        *map(sent.__getitem__, unchanged),
    ]
    rows_to_write, earlier = warehouse_rows.executions(
        system,
        [row for row in rows if system.identity(row) not in left_out] if left_out else rows,
        stamp,
        read_by=warehouse_rows.LIST,
        stored=context.open_reads.last_seen_of(stored),
    )
    starts = {system.identity(row): at for row in rows if (at := system.started_at(row)) is not None}
    # Rows from outside of the window may have begun at any time.
    loaded, own_loaded = (coverage.covered, coverage.own) if piece.outside else (covered, own)
    known_ids = stored.keys() | left_out
    late = [at for key, at in starts.items() if key not in known_ids and any(at in known for known in loaded)]
    coverage.add_late((at for at in late if any(at in known for known in own_loaded)), checked_at=stamp.at)
    rejected = take_rejected_in(context, partition, window)
    completeness = replace(piece.completeness, rejected=rejected.number)
    # Executions that another lane covers and has stored are counted there.
    uncounted = [
        at for key, at in starts.items() if key not in known_ids or not any(at in known for known in covered)
    ]
    for part in gaps(window, own):
        by_day = by_midnight(at for at in uncounted if at in part)
        for page_rows in columnar:
            by_day.update(page_rows.by_day(part))
        coverage.add(
            part,
            by_day,
            is_counted=piece.total is not None,
            completeness=piece.completeness,
            checked_at=stamp.at,
            rejected=rejected.new_by_day,
        )
    for known in covered:
        coverage.mark_compared(
            known, completeness=piece.completeness, checked_at=stamp.at, rejected=rejected.all_by_day
        )
    number = len(rows)
    not_written = len(rows) - len(rows_to_write)
    tally.count_listed(rows_to_write, system.failed_statuses)
    in_columns = []
    if form is not None:
        number += sum(map(len, columnar))
        failed = sum(page_rows.count("status", system.failed_statuses) for page_rows in columnar)
        tally.add_listed(number - len(rows), failed)
        kept = context.columns_without_left_out(columnar)
        not_written += number - len(rows) - sum(map(len, kept))
        in_columns = [
            warehouse_rows.columnar_executions(
                form, system.executions, page_rows, stamp, read_by=warehouse_rows.LIST
            )
            for page_rows in kept
        ]
    if not completeness.is_verified:
        _note_unverified(context, partition, window, number, completeness)
    # Executions that were stored as open count as settled or open ones, not as new ones, as where they are read singly.
    known_open = [row for row in rows_to_write if _was_open(context, stored.get(system.identity(row)))]
    tally.settled += sum(not row["is_open"] for row in known_open)
    tally.executions += number - not_written - len(known_open)
    tally.late += len(late)
    if partition.reader.rest_rows is not None:
        context.expect_listing(partition.reader.rest_rows + tally.rows_ahead)
    read = context.window_read(
        window,
        number,
        piece.total,
        completeness=completeness,
        filters=coverage.filters,
        order=piece.order,
    )
    chunk = Chunk(
        {
            system.executions.name: _noted(context, rows_to_write, sent, unchanged),
            EXECUTION_STATES.name: earlier,
            **_integrations_of(context, piece),
        },
        {system.executions.name: in_columns},
        {WINDOW_READS.name: [read], REJECTED_ROWS.name: rejected.rows},
    )
    vanished = [
        key
        for key, at in stored_starts.items()
        if piece.is_verified and key not in starts and any(at in known for known in covered)
    ]
    return chunk, vanished


def _noted(
    context: Context, rows: Sequence[Row], sent: Mapping[str, Row], unchanged: Collection[str]
) -> list[Row]:
    """The rows without unchanged ones; of open executions it is noted what was sent."""
    changed = [row for row in rows if context.system.identity(row) not in unchanged]
    for row in changed:
        context.open_reads.note(key := context.system.identity(row), row, sent[key])
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
