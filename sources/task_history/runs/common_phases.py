"""Phases that several commands share: settle open executions, learn integrations, load details."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import partial

from ..core.batch import COMMIT_NOW, FLUSH, Chunk
from ..core.log import log
from ..core.models import Row, Scope, Selection
from ..extract.integrations import (
    learn,
    unmatched_integrations,
    workflow_map_match,
)
from ..extract.listing import WindowReader
from ..systems.checked_ids import check_id
from ..systems.protocol import Integrations
from ..warehouse.backlog import MissingDetail, payload_key
from ..warehouse.queries import Warehouse
from .context import Context, not_skipped
from .fresh_payloads import payloads_of


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
    opens = context.open_reads.unseen(warehouse.open_executions(not_read_by=context.run_id))
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
        fresh: dict[str, MissingDetail] = {}
        for chunk in details.steps(wanted):
            uncommitted.add(chunk)
            tally.count_answer()
            if len(fresh) < limit_per_round:
                fresh |= payloads_of(chunk, context, warehouse, scope)
            yield count_steps(context, chunk)
        # They are written together with their steps.
        for chunk in details.inputs_and_outputs(warehouse.without_payload(list(fresh.values()))):
            uncommitted.add(chunk)
            yield _count_payload(context, chunk)
        if payloads or wanted:
            is_flushed = False
            # The last of the backlog is not asked about before it is written.
            is_last = len(payloads) + len(wanted) < limit_per_round
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
    if warehouse.counts_all_open:
        warehouse.oldest_open()


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
