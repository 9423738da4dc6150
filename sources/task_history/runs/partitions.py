"""The lists of a system that has several, or that are not sorted: each read for itself, side by side.

A list that is slow takes one place, and one that is refused is left out: neither holds up the others. Each has
coverage, and so a cursor, of its own.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ..core.batch import Chunk
from ..core.errors import AuthenticationError, Rejected, TaskHistoryError
from ..core.intervals import gaps, overlap
from ..core.models import MS, Row, Selection, Window, floor_ms
from ..core.side_by_side import side_by_side
from ..extract import rows as records
from ..extract.full_scan import Scan
from ..extract.pages import described
from ..extract.sorted_listing import Piece
from ..warehouse.coverage import by_midnight
from ..warehouse.status_history import Seen
from ..warehouse.tables import READS, STATES
from .context import Context, Part

log = logging.getLogger("task_history")

_MOST_FAILED = 2
"""Lists that fail one after the other: it is the vendor, not the list."""

Wants = Callable[[Part], Sequence[Window]]
"""Which windows of a list are to be read."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What came of one step of reading a list."""

    part: Part
    piece: Piece | None = None
    order: str | None = None
    strays: Sequence[Row] = ()
    error: TaskHistoryError | None = None


class Parts:
    """Reads what is wanted of each list of one context's system."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.names: tuple[str, ...] = ()
        """The lists there are."""
        self.refused: dict[str, Rejected] = {}
        """Those that the vendor does not give, and why."""
        self.failed: dict[str, TaskHistoryError] = {}
        """Those that could not be read, and why."""
        self._stored: dict[str, Seen] = {}
        """In which state what is looked at again is stored."""
        self.vanished: list[str] = []
        """Ids that are held and were not shown any more."""

    def definitions(self) -> Iterator[Chunk]:
        """The workflows as the vendor lists them; gives the lists their names.

        Raises:
            UnexpectedResponse: the vendor has workflows and gives them no ids.
        """
        context, system = self._context, self._context.system
        values, workflows = context.settings.values, context.system.workflows
        found: dict[str, Row] = {}
        for name in (system.listing.partitions(values, ()) or ("",)) if workflows else ():
            offset = 0
            while workflows is not None:
                request = workflows.request(values, name, offset)
                try:
                    page = workflows.read(context.asking.send(request).data)
                except Rejected as error:
                    if not request.is_partial:
                        raise
                    log.warning("workflows_refused list=%s status=%d", name or "all", error.status)
                    break
                fresh = {
                    key: row
                    for row in page.rows
                    if (key := str(row.get("id") or row.get("_id"))) not in found
                }
                found |= fresh
                offset += len(page.rows)
                if not fresh or not page.more:
                    break
        self.names = system.listing.partitions(values, list(found.values()))
        if workflows is not None and found:
            stamp = context.stamp()
            rows = [stamp.on(stamp.undeclared.kept(workflows.table, row)) for row in found.values()]
            yield Chunk({workflows.table.name: rows}, is_quiet=True)

    def chunks(self, wants: Wants) -> Iterator[Chunk]:
        """What is wanted of each list, as it comes. Raises what stops all of them."""
        context = self._context
        chosen = context.selection.filters.get(context.system.listing.partitioned_by)
        names = self.names if chosen is None else (chosen,)
        work: deque[Callable[[], _Read]] = deque()
        windows = {name: list(wants(context.part(name))) for name in names}
        again = self._again(windows)
        for name in names:
            part = context.part(name)
            pieces = self._pieces(part, windows[name])
            work.append(partial(self._step, part, pieces, work))
        context.phase("listing", len(names))
        failed = 0
        for read in side_by_side(work, at_once=context.settings.concurrency):
            if isinstance(read.error, Rejected):
                self._refuse(read.part, read.error)
            elif read.error is not None:
                self.failed[read.part.name] = read.error
                failed += 1
                log.warning("list_failed list=%s because=%r", read.part.name or "all", str(read.error))
                if failed >= _MOST_FAILED:
                    raise read.error
            elif read.piece is None:
                context.tally.done += 1
            else:
                failed = 0
                yield self._listed(read, again.get(read.part.name, {}))
        if self.refused and len(self.refused) == len(names):
            self._none(len(names))

    def _pieces(self, part: Part, windows: Sequence[Window]) -> Iterator[Piece]:
        for window in windows:
            if isinstance(part.lists, Scan):
                held = self._context.warehouse.within(Selection(None, part.filters))
                yield from part.lists.pieces(window, held=held)
            else:
                yield from part.lists.pieces(window)

    def _step(self, part: Part, pieces: Iterator[Piece], work: deque[Callable[[], _Read]]) -> _Read:
        """The list's next piece; what follows it waits for its turn behind the others."""
        try:
            piece = next(pieces, None)
        except TaskHistoryError as error:
            return _Read(part, error=error)
        if piece is None:
            return _Read(part)
        work.append(partial(self._step, part, pieces, work))
        if isinstance(part.lists, Scan):
            return _Read(part, piece, part.lists.order or None, list(part.lists.strays))
        return _Read(part, piece)

    def _refuse(self, part: Part, error: Rejected) -> None:
        self.refused[part.name] = error
        if error.status == 404:
            log.info("list_gone list=%s", part.name or "all")
            return
        self._context.tally.unverified += 1
        advice = self._context.system.access.hint(error.status) if error.status == 403 else str(error)
        log.warning("list_refused list=%s status=%d advice=%r", part.name or "all", error.status, advice)

    def _none(self, number: int) -> None:
        """Not one list was given: that is no matter of single lists."""
        errors = list(self.refused.values())
        system = self._context.system
        if any(error.status == 403 for error in errors):
            raise AuthenticationError(
                f"None of the {number} lists may be read (HTTP 403). {system.access.hint(403)}", status=403
            )
        is_listed = system.workflows is not None and not system.listing.partitions(
            self._context.settings.values, ()
        )
        if not is_listed or any(error.status != 404 for error in errors):
            raise errors[0]

    def _again(self, windows: dict[str, list[Window]]) -> dict[str, dict[str, datetime]]:
        """What is held, by list, of the time that is looked at again."""
        looked = [
            both
            for name, some in windows.items()
            for window in some
            for known in self._context.part(name).book.covered
            if not (both := overlap(window, known)).is_empty
        ]
        if not looked:
            return {}
        window = Window(min(looked).start, max(one.end for one in looked))
        # Asked once: a question for each of many lists takes longer than their answers from the vendor.
        self._stored = self._context.warehouse.seen(window)
        return (
            self._context.warehouse.by_part(window) if self._context.system.listing.kind == "unsorted" else {}
        )

    def _listed(self, read: _Read, held: dict[str, datetime]) -> Chunk:
        """A window that was read: its rows and its coverage; what was known of it before is told apart."""
        context, system, part, piece = self._context, self._context.system, read.part, read.piece
        assert piece is not None  # noqa: S101 - asked before
        stamp, tally = context.stamp(), context.tally
        window = self._until_now(piece)
        known = [both for one in part.book.covered if not (both := overlap(window, one)).is_empty]
        rows = [*piece.rows, *read.strays]
        stored = self._seen(rows) if known or read.strays else {}
        made, earlier = records.executions(system, rows, stamp, read_by=records.LIST, stored=stored)
        starts = {system.identity(row): at for row in rows if (at := system.started_at(row)) is not None}
        late = [at for key, at in starts.items() if key not in stored and any(at in one for one in known)]
        part.book.found_late(late, checked_at=stamp.at)
        for fresh in gaps(window, known):
            part.book.add(
                fresh,
                by_midnight(at for at in starts.values() if at in fresh),
                is_counted=False,
                is_verified=piece.is_verified,
                checked_at=stamp.at,
            )
        for one in known:
            part.book.compared(one, is_verified=piece.is_verified, checked_at=stamp.at)
        if piece.is_verified and system.listing.kind == "unsorted":
            self.vanished += [
                key for key, at in held.items() if key not in starts and any(at in one for one in known)
            ]
        if not piece.is_verified:
            tally.unverified += 1
            log.warning("unverified list=%s window=%s rows=%d", part.name, described(window), len(rows))
        tally.executions += len(rows)
        tally.late += len(late)
        tally.count_listed(made, system.failed_statuses)
        note = context.window_read(
            window,
            len(rows),
            None,
            is_verified=piece.is_verified,
            filters=part.book.filters,
            order=read.order,
        )
        return Chunk({system.executions.name: made, READS.name: [note], STATES.name: earlier})

    def _until_now(self, piece: Piece) -> Window:
        """The piece's window, ended now, or after the last row that the vendor's clock lets lie beyond."""
        window, starts = piece.window, map(self._context.system.started_at, piece.rows)
        last = max((floor_ms(at) + MS for at in starts if at is not None), default=window.start)
        return Window(window.start, min(window.end, max(last, self._context.edge(), window.start)))

    def _seen(self, rows: Sequence[Row]) -> dict[str, Seen]:
        """In which state these are stored, as far as they may be."""
        system = self._context.system
        # Of which it is not known when they began, they may be stored wherever.
        others = [
            key
            for row in rows
            if not system.started_at(row) and (key := system.identity(row)) not in self._stored
        ]
        if not others:
            return self._stored
        held = self._context.warehouse.stored(others)
        return self._stored | {
            key: seen for key, row in held.items() if (seen := Seen.in_row(row)) is not None
        }
