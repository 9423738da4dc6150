"""The work of an audit: does the warehouse hold what the API shows? And, if it is to, mend what differs.

What is covered of a range is compared, partition by partition. Where the vendor counts and sorts, one request counts a
window and two more look at rows in its midst, whose places tell whether differences cancel each other in the count;
only where one of them differs is each day counted, and halved until the rows that differ are read. Other listings are
read, but where the vendor's own statistics agree with the copy. Rows are compared field by field wherever they are
read; a sample reads more of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..core.batch import END, Chunk
from ..core.errors import Rejected
from ..core.intervals import days, merged, overlap
from ..core.log import log
from ..core.models import MS, Row, Selection, Window
from ..extract import rows as records
from ..extract.compare import Comparison, Leaf, differing
from ..extract.listing import WindowReader
from ..extract.pages import described
from ..extract.unsorted_listing import compared
from ..warehouse.coverage import Coverage
from ..warehouse.queries import Warehouse
from ..warehouse.status_history import StoredStatus, earlier_state
from ..warehouse.tables import STATES
from . import phases
from .context import Context, Partition
from .partitions import Partitions
from .statistics import bucket, read

_PLACES = 2
"""Pages in its midst by which the longest window is looked at."""
_AT_ONCE = 500
"""Rows or windows of which the warehouse is asked at once."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A window in which the warehouse and the API are not alike."""

    window: Window
    missing: tuple[str, ...] = ()
    """Ids that only the API has."""
    surplus: tuple[str, ...] = ()
    """Ids that only the warehouse has."""
    different: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Ids that both have, with the columns that differ."""

    @property
    def rows(self) -> int:
        """How many rows differ."""
        return len(self.missing) + len(self.surplus) + len(self.different)


@dataclass(slots=True)
class Findings:
    """What an audit found."""

    compared: list[Window] = field(default_factory=list)
    executions: int = 0
    """Held in what was compared."""
    api_total: int | None = 0
    """The vendor's count for it; None where it gives none."""
    differences: list[Difference] = field(default_factory=list)
    purged: int = 0
    """Rows beyond the retention that the vendor no longer has; no difference."""
    unverified: list[Window] = field(default_factory=list)
    """Windows whose rows kept changing while they were compared."""
    rows_compared: int = 0
    """Rows that were compared field by field."""
    repaired: int = 0
    """Rows that were mended."""

    def add(self, other: Findings) -> None:
        """Takes what was found in another list of the same account."""
        self.executions += other.executions
        self.differences += other.differences
        self.purged += other.purged
        self.unverified += other.unverified
        self.rows_compared += other.rows_compared
        self.repaired += other.repaired

    @property
    def differing(self) -> int:
        """Rows that differed."""
        return sum(difference.rows for difference in self.differences)

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs any more."""
        return self.differing == self.repaired and not self.unverified


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
        self._compared: list[tuple[Coverage, Window, Warehouse]] = []
        self._read: dict[str, Row] = {}
        """Rows that were read, by id."""
        self._fresh: dict[str, Row] = {}
        """Those of them that are not stored."""
        self.findings = Findings()
        self.covered: list[Window] = []
        """What is compared."""

    def chunks(self) -> Iterator[Chunk]:
        """What there is to write, in order. Raises what ends the run."""
        context = self._context
        partitions = Partitions(context)
        yield from partitions.workflows()
        context.phase("comparing")
        for partition in partitions:
            self._compare_partition(partition)
        self._note_different()
        yield from self._purged()
        if self._is_repairing:
            yield from self._repaired()
            yield END
        self._note_coverage()
        for companion in context.companions:
            other = Audit(companion, is_repairing=self._is_repairing)
            yield from other.chunks()
            self.findings.add(other.findings)

    def _compare_partition(self, partition: Partition) -> None:
        """Compares what is covered of the partition."""
        findings, window = self.findings, self._context.selection.window
        held = self._context.warehouse.within(Selection(None, partition.filters))
        covered = [
            part
            for known in partition.coverage.covered
            if window and not (part := overlap(known, window)).is_empty
        ]
        longest = max(covered, key=lambda part: part.end - part.start, default=None)
        if not self._context.system.listing.is_countable and self._context.system.statistics is None:
            findings.api_total = None
        before = self.covered
        done: list[Window] = []
        for at, part in enumerate(covered):
            self.covered = merged([*before, *done, *covered[at:]])
            places = [self._random.random() for _ in range(_PLACES if part is longest else 0)]
            try:
                part = self._compare(partition.reader, part, held, places)  # noqa: PLW2901 - as far as it was
            except Rejected as error:
                if self._context.system.listing.partitioned_by:
                    log.warning("partition_refused", partition=partition.name or "all", status=error.status)
                    findings.unverified.append(part)
                    continue
                raise
            findings.executions += held.count(part)
            findings.compared.append(part)
            done.append(part)
            self._compared.append((partition.coverage, part, held))
        self.covered = merged([*before, *done])
        if self._sample and self._context.system.listing.is_countable:
            self._compare_sample(partition.reader, done, held)

    def _compare(self, reader: WindowReader, window: Window, held: Warehouse, places: list[float]) -> Window:
        """Compares the window, or what of it can be; gives that."""
        findings = self.findings
        window, total, doubted = self._doubted_by_statistics(window, held)
        for part in doubted:
            comparison = reader.audit(part, held, places=places)
            total = comparison.total if total is None else total
            self._take(comparison, part, held, is_narrowed=not self._context.system.listing.is_countable)
        if findings.api_total is not None:
            findings.api_total = None if total is None else findings.api_total + total
        return window

    def _doubted_by_statistics(
        self, window: Window, held: Warehouse
    ) -> tuple[Window, int | None, list[Window]]:
        """What of the window is compared, the vendor's count for it, and what of that has to be read for it.

        Where the vendor keeps statistics, that is where they count others than are stored, and what lies after the
        last whole bucket. What lies before the first is not compared: the whole listing would have to be read for it.
        """
        context, statistics = self._context, self._context.system.statistics
        if statistics is None or self._sample or context.selection.filters:
            return window, None, [window]
        granularity, width = statistics.buckets(context.settings.values)
        start, end = bucket(window.start, width), bucket(window.end, width)
        start = start if start == window.start else start + width
        answer = read(context, statistics, Window(start, end), settled_before=end) if start < end else None
        if answer is None:
            return window, None, [window]
        rows = answer.rows[statistics.tables[0].name]
        buckets = [Window(row["bucket_start"], row["bucket_end"]) for row in rows]
        stored = [
            count
            for at in range(0, len(buckets), _AT_ONCE)
            for count in held.counts(buckets[at : at + _AT_ONCE])
        ]
        totals = [int(row.get("total") or 0) for row in rows]
        differ = [part for part, total, count in zip(buckets, totals, stored, strict=True) if total != count]
        log.info("compared_by_statistics", granularity=granularity, buckets=len(rows), differ=len(differ))
        # The listing is read from its newest end: one reading takes as long as that of the oldest bucket that differs.
        doubted = Window(min(differ).start, window.end) if differ else Window(end, window.end)
        return Window(start, window.end), sum(totals), [] if doubted.is_empty else [doubted]

    def _compare_sample(self, reader: WindowReader, windows: list[Window], held: Warehouse) -> None:
        """Reads rows at random places and compares them; everything, if the sample is as large."""
        size = self._context.system.listing.page_size
        if self._sample >= self.findings.executions:
            for window in windows:
                self._take(compared(reader, window, held), window, held, is_narrowed=True)
            return
        places = [
            (window, offset)
            for window, count in zip(windows, held.counts(windows), strict=True)
            for offset in range(0, max(1, count), size)
        ]
        chosen = self._random.sample(places, min(len(places), -(-self._sample // size)))
        for window in windows:
            for _, page in reader.pages.many(window, sorted(offset for of, offset in chosen if of == window)):
                if isinstance(page, Exception):
                    raise page
                self._note_read(page.rows, window)

    def _take(self, comparison: Comparison, window: Window, held: Warehouse, *, is_narrowed: bool) -> None:
        """Notes what a comparison found; ``is_narrowed`` says that windows that differ are cut to milliseconds."""
        system, findings = self._context.system, self.findings
        self._note_read(comparison.read, window)
        findings.unverified += comparison.unverified
        fresh = {system.identity(row): row for row in comparison.fresh}
        known = {
            identity
            for difference in findings.differences
            for identity in (*difference.missing, *difference.surplus)
        }
        if system.listing.partitioned_by:
            # One that several partitions show is stored for the first of them.
            known |= self._context.warehouse.stored(sorted(fresh)).keys()
        self._fresh |= {key: row for key, row in fresh.items() if key not in known}
        for leaf in comparison.leaves:
            missing = tuple(key for key in leaf.missing if key not in known)
            surplus = tuple(key for key in leaf.surplus if key not in known)
            if missing or surplus:
                cut = Leaf(leaf.window, missing, surplus)
                findings.differences += (
                    self._narrowed(cut, fresh, held)
                    if is_narrowed
                    else [Difference(leaf.window, missing, surplus)]
                )

    def _narrowed(self, leaf: Leaf, rows: dict[str, Row], held: Warehouse) -> Iterator[Difference]:
        """The milliseconds of a long window in which something differs."""
        system = self._context.system
        starts = {key: system.started_at(rows[key]) for key in leaf.missing}
        starts |= {key: row.get(system.started_column) for key, row in held.stored(leaf.surplus).items()}
        for at in sorted({at for at in starts.values() if at is not None}):
            yield Difference(
                Window(at, at + MS),
                tuple(key for key in leaf.missing if starts.get(key) == at),
                tuple(key for key in leaf.surplus if starts.get(key) == at),
            )

    def _note_read(self, rows: Iterable[Row], window: Window) -> None:
        """Rows that were read are compared with those that are stored, at the end."""
        system = self._context.system
        self._read |= {
            system.identity(row): row
            for row in rows
            if (at := system.started_at(row)) is None or at in window
        }

    def _note_different(self) -> None:
        """Compares all rows that were read, field by field. What is stored open is settling's."""
        context, system, findings = self._context, self._context.system, self.findings
        missing = {identity for difference in findings.differences for identity in difference.missing}
        wanted = [identity for identity in self._read if identity not in missing]
        for at in range(0, len(wanted), _AT_ONCE):
            part = wanted[at : at + _AT_ONCE]
            stored = context.warehouse.stored(part)
            for identity in part:
                held, row = stored.get(identity), self._read[identity]
                if held is None:
                    # It lies beyond the window's edge, or was read in a page that no count called for.
                    start = system.started_at(row) or context.edge()
                    self._fresh[identity] = row
                    findings.differences.append(Difference(Window(start, start + MS), missing=(identity,)))
                    continue
                findings.rows_compared += 1
                kept = context.stamp().undeclared.kept(system.executions, row)
                columns = () if held.get("is_open") else differing(system, kept, held)
                if columns:
                    start = held.get(system.started_column) or context.edge()
                    findings.differences.append(
                        Difference(Window(start, start + MS), different=((identity, columns),))
                    )

    def _purged(self) -> Iterator[Chunk]:
        """What is surplus because it is beyond the vendor's retention is no difference: it is marked."""
        context, system = self._context, self._context.system
        horizon = context.horizon
        if horizon is None:
            return
        kept: list[Difference] = []
        for difference in self.findings.differences:
            if not difference.surplus or difference.window.start >= horizon:
                kept.append(difference)
                continue
            stored = context.warehouse.stored(difference.surplus)
            old = [
                key
                for key in difference.surplus
                if context.is_expired(stored.get(key, {}).get(system.started_column))
            ]
            self.findings.purged += len(old)
            if self._is_repairing:
                stamp = context.stamp()
                rows = [
                    records.vanished(system.executions, stored[key], stamp, is_expired=True) for key in old
                ]
                yield Chunk({system.executions.name: rows})
            surplus = tuple(key for key in difference.surplus if key not in old)
            rest = Difference(difference.window, difference.missing, surplus, difference.different)
            if rest.rows:
                kept.append(rest)
        self.findings.differences = kept

    def _repaired(self) -> Iterator[Chunk]:
        """Writes what the API shows for the rows that differ; nothing else is asked for again."""
        context, system, findings = self._context, self._context.system, self.findings
        context.phase("repairing")
        again: list[str] = []
        for difference in findings.differences:
            stored = context.warehouse.stored([key for key, _ in difference.different])
            stamp = context.stamp()
            rows, earlier = [], []
            for key in (*difference.missing, *(key for key, _ in difference.different)):
                row = self._fresh.get(key) or self._read[key]
                before = StoredStatus.in_row(stored.get(key, {}))
                rows.append(records.execution(system, row, stamp, read_by=records.REPAIR, before=before))
                earlier += earlier_state(key, before, row.get("status"))
                if before is not None and before.status != str(row.get("status") or ""):
                    again.append(key)  # its steps are of another state
            findings.repaired += len(rows)
            context.tally.executions += len(rows)
            log.info("repaired", window=described(difference.window), rows=len(rows))
            yield Chunk({system.executions.name: rows, STATES.name: earlier})
            again += difference.surplus
            findings.repaired += len(difference.surplus)
        yield END
        # What is surplus is asked for singly: gone, it is marked; there, it is written as it is.
        for chunk in context.open_executions.read(again):
            yield phases.counted(context, chunk)

    def _note_coverage(self) -> None:
        """Each day that was compared, as an audit saw it."""
        context, findings = self._context, self.findings
        bad = [
            *findings.unverified,
            *(difference.window for difference in findings.differences if not self._is_repairing),
        ]
        for coverage, window, held in self._compared:
            parts = list(days(window))
            for part, count in zip(parts, held.counts(parts), strict=True):
                is_good = all(overlap(part, other).is_empty for other in bad)
                coverage.noted(
                    part,
                    count,
                    count if is_good and findings.api_total is not None else None,
                    is_verified=is_good,
                    checked_at=context.now(),
                )
