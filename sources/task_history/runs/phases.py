"""What several kinds of run do alike: write what a listing gave, settle, learn integrations, load details."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from ..core.batch import DUE, END, Chunk
from ..core.models import Row, Window
from ..extract import rows as records
from ..extract.integrations import learn
from ..extract.pages import described
from ..extract.sorted_listing import Piece
from ..systems.protocol import Integrations
from ..warehouse.coverage import by_midnight
from ..warehouse.queries import Open, Warehouse
from ..warehouse.status_history import Seen
from ..warehouse.tables import READS, STATES
from .context import Context, without

log = logging.getLogger("task_history")


def listed(context: Context, piece: Piece) -> Chunk:
    """A verified window: its rows, its coverage, and its end as the cursor."""
    system, stamp = context.system, context.stamp()
    # Where lanes or filters overlap, some are stored already, perhaps in another state.
    stored = context.warehouse.seen(piece.window) if context.book.touches(piece.window) else {}
    frame = None if stored else piece.frame
    found = piece.rows if frame is not None else piece.in_rows()
    rows, earlier = records.executions(system, found, stamp, read_by=records.LIST, stored=stored)
    by_day = by_midnight(at for row in found if (at := system.started_at(row)) is not None)
    number = len(rows)
    tally = context.tally
    tally.count_listed(rows, system.failed_statuses)
    framed = {}
    if frame is not None and system.listing.page_form is not None:
        by_day.update(frame.by_day())
        number += len(frame)
        tally.add_listed(len(frame), frame.count(system.listing.page_form.status, system.failed_statuses))
        framed[system.executions.name] = records.framed(
            system.listing.page_form, system.executions, frame, stamp, read_by=records.LIST
        )
    context.book.add(
        piece.window,
        by_day,
        is_counted=piece.total is not None,
        is_verified=piece.is_verified,
        checked_at=stamp.at,
    )
    if not piece.is_verified:
        tally.unverified += 1
        log.warning("unverified window=%s rows=%d", described(piece.window), number)
    tally.executions += number
    tally.done += number
    if context.listing.rest_rows is not None:
        context.expect_listing(context.listing.rest_rows + tally.rows_ahead)
    read = context.window_read(piece.window, number, piece.total, is_verified=piece.is_verified)
    return Chunk(
        {system.executions.name: rows, STATES.name: earlier},
        framed,
        {READS.name: [read]},
        cursor=piece.window.end,
    )


def late(context: Context, rows: Sequence[Row], window: Window, *, is_verified: bool) -> Chunk:
    """What a comparison of a covered window found that was not there when it was listed."""
    system, stamp, tally = context.system, context.stamp(), context.tally
    # One that was held to be purged, or not to fit the filters, has a state already.
    held = context.warehouse.stored([system.identity(row) for row in rows])
    stored = {key: seen for key, row in held.items() if (seen := Seen.in_row(row)) is not None}
    found, earlier = records.executions(system, rows, stamp, read_by=records.LATE, stored=stored)
    starts = [at for row in rows if (at := system.started_at(row)) is not None]
    if found:
        log.info("late window=%s rows=%d", described(window), len(found))
    context.book.found_late(starts, checked_at=stamp.at)
    context.book.compared(window, is_verified=is_verified, checked_at=stamp.at)
    if not is_verified:
        tally.unverified += 1
        log.warning("unverified window=%s rows=%d", described(window), len(found))
    tally.late += len(found)
    tally.executions += len(found)
    return Chunk({system.executions.name: found, STATES.name: earlier})


def settled(context: Context, opens: Sequence[Open]) -> Iterator[Chunk]:
    """What was open, as the vendor has it now."""
    tally = context.tally
    context.phase("settling", len(opens))
    for chunk in context.settling.chunks(opens, is_quiet=not tally.executions):
        tally.done += len(chunk.rows.get(context.system.executions.name, ()))
        tally.settled = context.settling.settled
        tally.unresolved = context.settling.unresolved
        yield counted(context, chunk)


def workflows(context: Context) -> Iterator[Chunk]:
    """The integration of each workflow that is not known yet."""
    settings, integrations = context.settings, context.system.integrations
    if integrations is None:
        return
    known = context.warehouse.workflows()
    context.phase("workflows", len(known))
    requests = sum(context.client.stats.sent.values())
    for row in learn(
        known,
        named=context.named,
        integrations=settings.values.get("integrations") or (),
        asks=_belongs(context, integrations),
        stamp=context.stamp,
    ):
        context.tally.done += 1
        yield Chunk({integrations.table.name: [row]}, is_quiet=True)
    if sum(context.client.stats.sent.values()) > requests:
        # What was asked should not be asked again after a kill.
        yield DUE


def _belongs(context: Context, integrations: Integrations) -> Callable[[str, str], bool]:
    system, values = context.system, context.settings.values

    def asks(workflow_id: str, integration: str) -> bool:
        request = integrations.request(values, workflow_id, integration)
        page = system.listing.read(context.client.send(request).data)
        return bool(page.total if page.total is not None else page.rows)

    return asks


def backlog(context: Context, warehouse: Warehouse, rounds: int | None = None) -> Iterator[Chunk]:
    """Steps and payloads that ``warehouse`` lacks; payloads of what failed come as soon as their steps are known.

    ``rounds`` is how often the backlog is asked for; any number of times where batches are committed while the
    next is drawn.
    """
    tally, details, scope = context.tally, context.details, context.scope
    context.phase("details")
    flying = _Flying(context)
    most = context.commits.details
    is_sure = False
    for _ in itertools.count() if rounds is None else range(rounds):
        left = warehouse.left(scope)
        context.expect_details(left.details, left.failed, left.payloads)
        tally.goal = tally.done + left.details + left.payloads
        known = details.skipped | flying.ids()
        limit = most + len(known)
        payloads = without(warehouse.payloads_wanted(scope, limit), known)[:most] if left.payloads else []
        for chunk in details.inputs_and_outputs(payloads):
            flying.add(chunk)
            tally.payloads += 1
            tally.done += 1
            tally.redactions = details.redactions
            tally.came()
            yield chunk
        wanted = (
            without(warehouse.details_wanted(scope, limit), known)[: most - len(payloads)]
            if left.details
            else []
        )
        for chunk in details.steps(wanted):
            flying.add(chunk)
            tally.done += 1
            tally.came()
            yield counted(context, chunk)
        if payloads or wanted:
            is_sure = False
            yield DUE
        elif is_sure:
            return
        else:
            # What is being committed may want details too.
            is_sure = True
            yield END


class _Flying:
    """Ids of details that were read and are not yet in the warehouse: it would name them again."""

    def __init__(self, context: Context) -> None:
        self._context = context
        system = context.system
        self._keys = {system.executions.name: "id", system.details.log.name: "id"}
        if system.payloads is not None:
            self._keys[system.payloads.table.name] = "step_execution_id"
        self._read: deque[tuple[int, str]] = deque()

    def add(self, chunk: Chunk) -> None:
        """It goes into the batch that is being filled."""
        for table, key in self._keys.items():
            for row in chunk.rows.get(table, ()):
                self._read.append((self._context.root.sealed, str(row[key])))

    def ids(self) -> set[str]:
        """Those that are not there yet."""
        while self._read and self._read[0][0] < self._context.root.committed:
            self._read.popleft()
        return {identity for _, identity in self._read}


def counted(context: Context, chunk: Chunk) -> Chunk:
    """The chunk, its steps counted."""
    context.tally.steps += len(chunk.rows.get(context.system.details.steps.name, ()))
    return chunk
