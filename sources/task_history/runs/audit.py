"""The work of an audit: does the warehouse hold what the API shows? And, if it is to, mend what differs.

What is covered of a range is compared. One request counts all of it; two more look at rows in its midst,
whose places tell whether differences cancel each other in the count. Only where one of them differs each
day is counted, and a day that differs is halved until the rows that differ are read. Rows are compared field
by field wherever they are read; a sample reads more of them.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator

from ..core.batch import END, Chunk
from ..core.errors import Rejected
from ..core.intervals import days, merged, overlap
from ..core.models import MS, Page, Row, Selection, Window
from ..extract import rows as records
from ..extract.compare import Leaf
from ..extract.pages import described, is_sorted
from ..extract.unsorted_listing import Lists
from ..warehouse.coverage import Book
from ..warehouse.queries import Warehouse
from ..warehouse.status_history import Seen, earlier_state
from ..warehouse.tables import STATES
from . import phases as work
from .context import Context
from .differing import differing
from .findings import Difference, Findings
from .partitions import Parts
from .statistics import bucket, read

log = logging.getLogger("task_history")

_PROBES = 2
_AT_ONCE = 500


class Audit:
    """Compares what is covered of the context's selection; ``sample`` is how many rows are read besides."""

    selection: Selection | None = None
    """It loads no details."""

    def __init__(
        self, context: Context, *, is_repairing: bool = False, sample: int = 0, seed: int | None = None
    ) -> None:
        self._context = context
        self._is_repairing = is_repairing
        self._sample = sample
        self._random = random.Random(seed)
        self._held: Warehouse = context.warehouse.within(Selection(None, context.selection.filters))
        self._lists: Lists = context.listing
        self._books: list[tuple[Book, Window, Warehouse]] = []
        self._read: dict[str, Row] = {}
        self._fresh: dict[str, Row] = {}
        self.found = Findings()
        window = context.selection.window
        covered = context.book.covered if window else []
        self.covered = [part for known in covered if window and not (part := overlap(window, known)).is_empty]
        """What is compared."""

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises whatever ends the run."""
        found, context = self.found, self._context
        if context.system.listing.kind != "sorted":
            yield from self._lists_read_whole()
            return
        context.phase("comparing", len(self.covered))
        longest = max(self.covered, key=lambda window: window.end - window.start, default=None)
        for window in self.covered:
            self._compare(window, probes=_PROBES if window is longest else 0)
            found.compared.append(window)
            context.tally.done += 1
        if self._sample:
            self._sampled()
        self._note_different()
        yield from self._purged()
        if self._is_repairing:
            yield from self._repaired()
            yield END
        self._note_coverage()

    def _lists_read_whole(self) -> Iterator[Chunk]:
        """Lists that are not counted, or not sorted, are read whole and compared row by row."""
        found, context = self.found, self._context
        found.api_total = None
        wanted = context.selection.window
        parts = Parts(context)
        yield from parts.definitions()
        chosen = context.selection.filters.get(context.system.listing.partitioned_by)
        names = parts.names if chosen is None else (chosen,)
        context.phase("comparing", len(names))
        self.covered = []
        for name in names:
            part = context.part(name)
            self._lists, self._held = part.lists, context.warehouse.within(Selection(None, part.filters))
            covered = [
                both for one in part.book.covered if wanted and not (both := overlap(one, wanted)).is_empty
            ]
            for each in covered:
                window, doubted = self._doubted_by_stats(each)
                try:
                    for one in doubted:
                        self._read_whole(one)
                except Rejected as error:
                    log.warning("list_refused list=%s status=%d", name or "all", error.status)
                    found.unverified.append(window)
                    continue
                found.executions += self._held.count(window)
                found.compared.append(window)
                self._books.append((part.book, window, self._held))
            self.covered = merged([*self.covered, *found.compared])
            context.tally.done += 1
        self._held = context.warehouse.within(Selection(None, context.selection.filters))
        self._note_different()
        yield from self._purged()
        if self._is_repairing:
            yield from self._repaired()
            yield END
        self._note_coverage()
        for companion in context.companions:
            other = Audit(companion, is_repairing=self._is_repairing)
            yield from other.chunks()
            found.add(other.found)

    def _doubted_by_stats(self, window: Window) -> tuple[Window, list[Window]]:
        """What of the window is compared, and what of that has to be read for it.

        Where the vendor keeps statistics, that is where they count others than are held, and what lies after the
        last whole bucket. What lies before the first is not compared: the whole list would have to be read for it.
        """
        context, system, found = self._context, self._context.system, self.found
        if not system.statistics or self._sample or context.selection.filters:
            return window, [window]
        granularity, width = system.statistics.buckets(context.settings.values)
        start, end = bucket(window.start, width), bucket(window.end, width)
        start = start if start == window.start else start + width
        answer = (
            read(context, system.statistics, Window(start, end), settled_before=end) if start < end else None
        )
        if answer is None:
            return window, [window]
        rows = answer.rows[system.statistics.tables[0].name]
        spans = [Window(row["bucket_start"], row["bucket_end"]) for row in rows]
        held = [
            count
            for at in range(0, len(spans), _AT_ONCE)
            for count in self._held.counts(spans[at : at + _AT_ONCE])
        ]
        total = sum(int(row.get("total") or 0) for row in rows)
        found.api_total = total if found.api_total is None else found.api_total + total
        pairs = zip(spans, rows, held, strict=True)
        differ = [one for one, row, count in pairs if int(row.get("total") or 0) != count]
        log.info(
            "compared_by_statistics granularity=%s buckets=%d differ=%d", granularity, len(rows), len(differ)
        )
        compared = Window(start, window.end)
        # The list is read from its newest end: one reading takes as long as that of the oldest bucket that differs.
        doubted = Window(min(differ).start, window.end) if differ else Window(end, window.end)
        return compared, [] if doubted.is_empty else [doubted]

    def _compare(self, window: Window, probes: int) -> None:
        listing, found = self._context.listing, self.found
        head = listing.pages.one(window)
        count = self._held.count(window)
        found.executions += count
        if found.api_total is not None:
            found.api_total = None if head.total is None else found.api_total + head.total
        self._saw(head.rows, window)
        if self._is_alike(window, head, count) and self._is_aligned_within(window, head.total or 0, probes):
            return
        for day in days(window):
            comparison = listing.compare(day, self._held)
            self._saw(comparison.read, day)
            self._fresh |= {self._context.system.identity(row): row for row in comparison.fresh}
            found.differences += [self._difference(leaf) for leaf in comparison.leaves]
            if not comparison.is_verified:
                found.unverified.append(day)

    def _is_alike(self, window: Window, head: Page, count: int) -> bool:
        """Whether the vendor counts as many as are held, and begins with the same."""
        system = self._context.system
        if head.total is None or not is_sorted(system, head.rows):
            return False
        outside = sum(1 for row in head.rows if (at := system.started_at(row)) and at not in window)
        return head.total - outside == count and self._is_aligned(window, head, 0)

    def _is_aligned_within(self, window: Window, total: int, probes: int) -> bool:
        """Whether rows in its midst stand where they stand among those that are held."""
        size = self._context.system.listing.page_size
        if total <= size:
            return True
        offsets = sorted(self._random.randrange(size, total) for _ in range(probes))
        for offset in offsets:
            page = self._context.listing.pages.one(window, offset)
            self._saw(page.rows, window)
            if not self._is_aligned(window, page, offset):
                return False
        return True

    def _is_aligned(self, window: Window, page: Page, offset: int) -> bool:
        system = self._context.system
        instants = [at for row in page.rows if (at := system.started_at(row)) is not None]
        if len(instants) < len(page.rows) or not instants or not is_sorted(system, page.rows):
            return not page.rows
        first, last = instants[0], instants[-1]
        before, with_first = self._held.counts(
            [Window(window.start, first), Window(window.start, first + MS)]
        )
        # Bounds that are inclusive show rows of the milliseconds around the window, which are not held for it.
        outside = sum(1 for at in instants if at < window.start)
        if not before <= offset + outside <= with_first or first >= window.end:
            return outside == len(instants)
        # Rows of the first and the last instant may stand on the pages around, in any order.
        between = Window(first + MS, last)
        seen = {
            system.identity(row)
            for row, at in zip(page.rows, instants, strict=True)
            if at in between and at in window
        }
        return between.is_empty or seen == self._held.ids(overlap(between, window))

    def _sampled(self) -> None:
        """Reads rows at random places and compares them; everything, if the sample is as large."""
        pages, size = self._context.listing.pages, self._context.system.listing.page_size
        if self._sample >= self.found.executions:
            for window in self.covered:
                self._read_whole(window)
            return
        counts = self._held.counts(self.covered)
        places = [
            (window, offset)
            for window, count in zip(self.covered, counts, strict=True)
            for offset in range(0, max(1, count), size)
        ]
        chosen = self._random.sample(places, min(len(places), -(-self._sample // size)))
        for window in self.covered:
            for _, page in pages.many(window, sorted(offset for of, offset in chosen if of == window)):
                if isinstance(page, Exception):
                    raise page
                self._saw(page.rows, window)

    def _read_whole(self, window: Window) -> None:
        """Reads all rows: what is missing and surplus is certain, however it cancels in counts."""
        known = {identity for one in self.found.differences for identity in (*one.missing, *one.surplus)}
        system = self._context.system
        for piece in self._lists.pieces(window):
            self._saw(piece.rows, piece.window)
            ids = {system.identity(row): row for row in piece.rows}
            held = self._held.ids(piece.window)
            if system.listing.partitioned_by:
                # One that several lists show is held for the first of them.
                held |= self._context.warehouse.stored(sorted(ids.keys() - held)).keys()
            missing = tuple(sorted(ids.keys() - held - known))
            surplus = tuple(sorted(held - ids.keys() - known)) if piece.is_verified else ()
            self._fresh |= {identity: ids[identity] for identity in missing}
            if missing or surplus:
                self.found.differences += self._narrowed(Leaf(piece.window, missing, surplus), ids)
            if not piece.is_verified:
                self.found.unverified.append(piece.window)

    def _narrowed(self, leaf: Leaf, rows: dict[str, Row]) -> Iterator[Difference]:
        """The milliseconds of a long window in which something differs."""
        system = self._context.system
        stored = self._held.stored(leaf.surplus)
        starts = {key: system.started_at(rows[key]) for key in leaf.missing}
        starts |= {key: row.get(system.started_column) for key, row in stored.items()}
        instants = sorted({at for at in starts.values() if at is not None})
        for at in instants:
            window = Window(at, at + MS)
            yield self._difference(
                Leaf(
                    window,
                    tuple(key for key in leaf.missing if starts.get(key) == at),
                    tuple(key for key in leaf.surplus if starts.get(key) == at),
                )
            )

    def _difference(self, leaf: Leaf) -> Difference:
        return Difference(leaf.window, leaf.missing, leaf.surplus)

    def _saw(self, rows: Iterable[Row], window: Window) -> None:
        """Rows that were read are compared with those that are held, at the end."""
        system = self._context.system
        self._read |= {
            system.identity(row): row
            for row in rows
            if (at := system.started_at(row)) is None or at in window
        }

    def _note_different(self) -> None:
        """Compares all rows that were read, field by field. What is held open is settling's."""
        context, system = self._context, self._context.system
        missing = {identity for one in self.found.differences for identity in one.missing}
        wanted = [identity for identity in self._read if identity not in missing]
        for at in range(0, len(wanted), _AT_ONCE):
            part = wanted[at : at + _AT_ONCE]
            stored = context.warehouse.stored(part)
            for identity in part:
                held = stored.get(identity)
                if held is None:
                    # It lies beyond the window's edge, or was read in a page that no count called for.
                    start = system.started_at(self._read[identity]) or context.edge()
                    self._fresh[identity] = self._read[identity]
                    self.found.differences.append(Difference(Window(start, start + MS), missing=(identity,)))
                    continue
                self.found.rows_compared += 1
                row = context.stamp().undeclared.kept(system.executions, self._read[identity])
                columns = () if held.get("is_open") else differing(system, row, held)
                if columns:
                    start = held.get(system.started_column) or context.edge()
                    self.found.differences.append(
                        Difference(Window(start, start + MS), different=((identity, columns),))
                    )

    def _purged(self) -> Iterator[Chunk]:
        """What is surplus because it is beyond the vendor's retention is no difference: it is marked."""
        context, system = self._context, self._context.system
        horizon = context.horizon
        if horizon is None:
            return
        kept: list[Difference] = []
        for one in self.found.differences:
            if not one.surplus or one.window.start >= horizon:
                kept.append(one)
                continue
            stored = self._held.stored(one.surplus)
            old = [
                key
                for key in one.surplus
                if context.is_expired(stored.get(key, {}).get(system.started_column))
            ]
            self.found.purged += len(old)
            if self._is_repairing:
                stamp = context.stamp()
                rows = [
                    records.vanished(system.executions, stored[key], stamp, is_expired=True) for key in old
                ]
                yield Chunk({system.executions.name: rows})
            surplus = tuple(key for key in one.surplus if key not in old)
            rest = Difference(one.window, one.missing, surplus, one.different)
            if rest.rows:
                kept.append(rest)
        self.found.differences = kept

    def _repaired(self) -> Iterator[Chunk]:
        """Writes what the API shows for the rows that differ; nothing else is asked for again."""
        context, system, found = self._context, self._context.system, self.found
        context.phase("repairing", found.differing)
        again: list[str] = []
        for one in found.differences:
            stored = context.warehouse.stored([key for key, _ in one.different])
            stamp = context.stamp()
            rows, earlier = [], []
            for key in (*one.missing, *(key for key, _ in one.different)):
                row = self._fresh.get(key) or self._read[key]
                before = Seen.in_row(stored.get(key, {}))
                rows.append(records.execution(system, row, stamp, read_by=records.REPAIR, before=before))
                earlier += earlier_state(key, before, row.get("status"))
                if before is not None and before.status != str(row.get("status") or ""):
                    again.append(key)  # its steps are of another state
            found.repaired += len(rows)
            context.tally.executions += len(rows)
            log.info("repaired window=%s rows=%d", described(one.window), len(rows))
            yield Chunk({system.executions.name: rows, STATES.name: earlier})
            again += one.surplus
            found.repaired += len(one.surplus)
        yield END
        # Whatever is surplus is asked for singly: gone, it is marked; there, it is written as it is.
        for chunk in context.settling.read(again):
            yield work.counted(context, chunk)

    def _note_coverage(self) -> None:
        """Each day that was compared, as an audit saw it."""
        context, found = self._context, self.found
        bad = [*found.unverified, *(one.window for one in found.differences if not self._is_repairing)]
        books = self._books or [(context.book, window, self._held) for window in found.compared]
        parts = [
            (book, day, count)
            for book, window, held in books
            for day, count in zip(days(window), held.counts(list(days(window))), strict=True)
        ]
        for book, part, count in parts:
            is_good = all(overlap(part, window).is_empty for window in bad)
            book.noted(
                part,
                count,
                count if is_good and found.api_total is not None else None,
                is_verified=is_good,
                checked_at=context.now(),
            )
