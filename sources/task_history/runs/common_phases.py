"""Phases that several commands share: list windows, settle open executions, learn integrations, load details."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from ..core.batch import COMMIT_NOW, FLUSH, Chunk
from ..core.intervals import gaps
from ..core.log import log
from ..core.models import Row, Scope, Selection, Window
from ..extract import warehouse_rows
from ..extract.counted_window import described
from ..extract.integrations import (
    WorkflowIntegration,
    learn,
    unmatched_integrations,
    workflow_map_match,
    workflow_row,
)
from ..extract.listing import ComparedWindow, ListedWindow, WindowReader
from ..systems.ids import check_id
from ..systems.protocol import Integrations
from ..warehouse.backlog import payload_key
from ..warehouse.coverage import by_midnight
from ..warehouse.queries import Warehouse
from ..warehouse.status_history import StoredStatus
from ..warehouse.tables import EXECUTION_STATES, REJECTED_ROWS, WINDOW_READS
from ..warehouse.verified_days import Completeness
from .context import Context, Partition, not_skipped
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
    rows = warehouse_rows.keep_fields_of_single_reads(system, rows, stored, context.warehouse.stored)
    rows_to_write, earlier = warehouse_rows.executions(
        system,
        [row for row in rows if system.identity(row) not in left_out] if left_out else rows,
        stamp,
        read_by=warehouse_rows.LIST,
        stored=stored,
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
            system.executions.name: rows_to_write,
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


def _was_open(context: Context, before: StoredStatus | None) -> bool:
    return before is not None and context.system.is_open({"status": before.status})


def _stored_elsewhere(
    context: Context, rows: Sequence[Row], window: Window, stored: Mapping[str, StoredStatus]
) -> dict[str, StoredStatus]:
    """Stored statuses, by id, of rows that began outside of the window or have no start."""
    starts = {context.system.identity(row): context.system.started_at(row) for row in rows}
    elsewhere = {key: start for key, start in starts.items() if start is None or start not in window}
    ids = [key for key in elsewhere if key not in stored]
    stored_rows = context.warehouse.stored(ids, starts) if ids else {}
    return {key: state for key, row in stored_rows.items() if (state := StoredStatus.in_row(row)) is not None}


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
        system, fresh, stamp, read_by=warehouse_rows.LATE, stored=stored
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


def settle_open_executions(
    context: Context,
    readable: Callable[[str], WindowReader | None],
    vanished: Collection[str],
    *,
    selection: Selection | None = None,
) -> Iterator[Chunk]:
    """Chunks with the present state of stored open executions, and of those that listings no longer show (``vanished``).

    ``readable`` returns the reader of a partition; None where it cannot be read.
    """
    warehouse = _selected(context, selection)
    opens = warehouse.open_executions(not_read_by=context.run_id)
    context.phase("settling")
    tally, settling = context.tally, context.settler
    tally.note_starts(execution.started_at for execution in opens)
    before = tally.settled, tally.unresolved
    chunks = settling.chunks(
        opens,
        readable,
        leaves_backlog_unchanged=not tally.executions,
        at_once=context.settings.values.concurrency,
    )
    for chunk in chunks:
        tally.settled, tally.unresolved = before[0] + settling.settled, before[1] + settling.unresolved
        yield count_steps(context, chunk)
    gone = set(vanished) - {execution.id for execution in opens}
    yield from settling.vanished(gone, readable)


def learn_integrations(context: Context) -> Iterator[Chunk]:
    """Chunks with the integrations of workflows that have none yet."""
    integrations = context.system.integrations
    if integrations is None:
        return
    known = context.warehouse.workflows()
    if known and (match := workflow_map_match(context.workflow_map, known)) is not None:
        if match["matched"]:
            log.info(
                "workflow_map",
                workflows=match["workflows"],
                matched=match["matched"],
                first_unmatched=match["first_unmatched"],
            )
        else:
            log.warning(
                "workflow_map_matches_nothing",
                first=match["first_unmatched"],
                hint=f"none of its workflow ids has executions here; those that have are such as {min(known)}",
            )
    context.phase("workflows")
    learned: dict[str, Row] = {}
    requests = sum(context.client.stats.sent.values())
    for row in learn(
        known,
        named=context.workflow_map,
        integrations=integrations.names(context.settings.values),
        asks=_membership_query(context, integrations),
        stamp=context.stamp,
    ):
        learned[str(row["workflow_id"])] = row
        yield Chunk({integrations.table.name: [row]}, leaves_backlog_unchanged=True)
    if unmatched := unmatched_integrations(integrations.names(context.settings.values), {**known, **learned}):
        log.warning(
            "integrations_match_nothing",
            names=",".join(unmatched),
            hint="no workflow that ran belongs to them: check their spelling in the setting integrations",
        )
    if sum(context.client.stats.sent.values()) > requests:
        # Requests should not be repeated after a kill.
        yield COMMIT_NOW


def _membership_query(context: Context, integrations: Integrations) -> Callable[[str, str], bool]:
    system, values = context.system, context.settings.values
    sources = (one.source for one in system.executions.columns if one.name == system.workflow_column)
    key = next(sources) or system.workflow_column

    def asks(workflow_id: str, integration: str) -> bool:
        request = integrations.request(values, workflow_id, integration)
        request = request.with_fault_deadline(context.fault_deadline.first_s)
        page = system.listing.read(context.client.send(request).data)
        check_id("workflow", (key,), page.rows, workflow_id)
        return bool(page.total if page.total is not None else page.rows)

    return asks


def load_details(
    contexts: Sequence[Context], selection: Selection | None, rounds: int | None = None
) -> Iterator[Chunk]:
    """Chunks with the missing steps and payloads of the selection, then with those whose reading had failed.

    ``rounds`` is how often the backlog is queried; None queries it until nothing is left to read, which requires that
    batches are committed while the next is drawn.
    """
    for context in contexts:
        yield from load_backlog(context, _selected(context, selection), rounds)
    if not any(context.settler.postponed or context.details.postponed for context in contexts):
        return
    # Rows that were read do not wait for retries.
    yield COMMIT_NOW
    for context in contexts:
        before = context.tally.steps
        context.phase("retrying")
        for chunk in itertools.chain(context.settler.retried(), context.details.retried_steps()):
            yield count_steps(context, chunk)
        for chunk in context.details.retried_inputs_and_outputs():
            yield _count_payload(context, chunk)
        if context.tally.steps > before and rounds is None:
            yield FLUSH
            yield from load_backlog(context, _selected(context, selection))


def _selected(context: Context, selection: Selection | None) -> Warehouse:
    return context.warehouse if selection is None else context.warehouse.within(selection)


def load_backlog(context: Context, warehouse: Warehouse, rounds: int | None = None) -> Iterator[Chunk]:
    """Chunks with steps and payloads that ``warehouse`` lacks; payloads follow as soon as their steps are stored.

    Failed reads are postponed. ``rounds`` is how often the backlog is queried; None queries it until nothing is left.
    """
    tally, details, scope = context.tally, context.details, context.scope
    context.phase("details")
    uncommitted = _UncommittedDetails(context)
    limit_per_round = context.commits.details
    is_flushed = False
    for _ in itertools.count() if rounds is None else range(rounds):
        known, now = details.postponed | uncommitted.ids(), context.edge()
        limit = limit_per_round + len(known)
        warehouse.ask_together(partial(backlog_questions, scope=scope, limit=limit, now=now))
        left = warehouse.left(scope)
        context.expect_details(left.details, left.failed, left.payloads)
        payloads = (
            not_skipped(warehouse.missing_payloads(scope, limit, now=now), known)[:limit_per_round]
            if left.payloads
            else []
        )
        for chunk in details.inputs_and_outputs(payloads):
            uncommitted.add(chunk)
            yield _count_payload(context, chunk)
        wanted = (
            not_skipped(warehouse.missing_details(scope, limit, now=now), known)[
                : limit_per_round - len(payloads)
            ]
            if left.details
            else []
        )
        for chunk in details.steps(wanted):
            uncommitted.add(chunk)
            tally.count_answer()
            yield count_steps(context, chunk)
        if payloads or wanted:
            is_flushed = False
            # Where each query is billed, the last of the backlog is not asked about before it is written.
            is_last = warehouse.is_billed and len(payloads) + len(wanted) < limit_per_round
            yield FLUSH if is_last else COMMIT_NOW
        elif is_flushed:
            return
        else:
            # Rows that are being committed may lack details too.
            is_flushed = True
            yield FLUSH


def backlog_questions(warehouse: Warehouse, *, scope: Scope, limit: int, now: datetime) -> None:
    """Asks all that a round of the backlog, and the end of a run, ask of the warehouse."""
    warehouse.left(scope)
    warehouse.missing_payloads(scope, limit, now=now)
    warehouse.missing_details(scope, limit, now=now)
    warehouse.unreadable()


class _UncommittedDetails:
    """Ids of details that were read and are not committed yet, which the backlog still names."""

    def __init__(self, context: Context) -> None:
        self._progress = context.progress
        system = context.system
        # A fresh row of an execution has the vendor's keys.
        self._identities: dict[str, Callable[[Row], str]] = {
            system.executions.name: system.identity,
            system.details.log.name: lambda row: str(row["id"]),
        }
        if system.payloads is not None:
            self._identities[system.payloads.table.name] = lambda row: payload_key(
                str(row["workflow_execution_id"]), str(row["step_execution_id"])
            )
        self._read: deque[tuple[int, str]] = deque()

    def add(self, chunk: Chunk) -> None:
        """Adds the ids of a chunk that goes into the present batch."""
        for table, identity in self._identities.items():
            for row in chunk.rows.get(table, ()):
                self._read.append((self._progress.handed_out, identity(row)))

    def ids(self) -> set[str]:
        """Ids that are not committed yet."""
        while self._read and self._read[0][0] < self._progress.committed:
            self._read.popleft()
        return {identity for _, identity in self._read}


def count_steps(context: Context, chunk: Chunk) -> Chunk:
    """Adds the chunk's steps to the tally; returns the chunk."""
    context.tally.steps += len(chunk.rows.get(context.system.details.steps.name, ()))
    return chunk


def _count_payload(context: Context, chunk: Chunk) -> Chunk:
    """Adds the chunk's payload to the tally; returns the chunk."""
    context.tally.payloads += 1
    context.tally.count_answer()
    return chunk
