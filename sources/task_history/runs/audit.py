"""The work of an audit: compares the warehouse with the API, and with ``--repair`` writes the rows that differ.

The covered part of a range is compared, partition by partition.

- A counted, sorted listing: one request counts the window. Two more read a page at a random offset, because a missing
  and a surplus row cancel each other in a count. If any differs, each day is counted and halved until the rows that
  differ are read. Where both missing and surplus rows are found, counts prove nothing any more: all ids are compared.
- Other listings are read whole, except where the vendor's own statistics agree with the warehouse.
- Every row that is read is compared field by field; ``sample`` reads more rows, ``is_thorough`` reads all.
- The stored steps of each execution are counted against the details log, without a request; of a sample they are
  read and compared.

What was not looked at is counted in the findings: only an audit that looked at every execution is clean.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ..core.batch import FLUSH, Chunk
from ..core.errors import Rejected
from ..core.intervals import days, gaps, merged, overlap
from ..core.log import log
from ..core.models import MS, Json, Row, Selection, Window
from ..extract import warehouse_rows
from ..extract.counted_window import described
from ..extract.evidence import COUNT
from ..extract.listing import WindowReader, compared_whole
from ..extract.window_comparison import Comparison, DifferingWindow, differing
from ..warehouse.common_tables import EXECUTION_STATES, REJECTED_ROWS
from ..warehouse.coverage import midnight
from ..warehouse.queries import Warehouse
from ..warehouse.status_history import StoredStatus, earlier_state
from ..warehouse.verified_days import Completeness
from . import common_phases
from .audit_findings import Difference, Findings
from .audit_steps import StepAudit, StepDifferences
from .context import Context, Partition
from .listing_partitions import Partitions
from .rejected_rows import take_rejected_in
from .statistics import bucket_start, read_buckets

_PAGES_CHECKED = 2
"""Pages at random offsets that are read of the longest window."""
_MAX_PER_QUERY = 500
"""Rows or windows in one query to the warehouse."""


class Audit:
    """Compares the covered part of the context's selection.

    ``sample`` is the number of further executions to read, with their steps; ``is_thorough`` reads all executions.
    """

    selection: Selection | None = None
    """None: an audit loads no details."""

    def __init__(
        self,
        context: Context,
        *,
        is_repairing: bool = False,
        sample: int = 0,
        is_thorough: bool = False,
    ) -> None:
        self._context = context
        self._is_repairing = is_repairing
        self._sample = sample
        self._is_thorough = is_thorough
        self._random = random.Random()
        self._steps = StepAudit(context, self._random)
        self._step_differences: list[StepDifferences] = []
        self._compared: list[tuple[Partition, Window, Warehouse]] = []
        self._read: dict[str, Row] = {}
        """Rows that were read from the API, by id."""
        self._fresh: dict[str, Row] = {}
        """Rows that were read from the API and are not stored, by id."""
        self._evidence = COUNT
        """The weakest evidence of the listings that were compared."""
        self.findings = Findings()
        self.covered: list[Window] = []
        """The windows to compare."""

    def chunks(self) -> Iterator[Chunk]:
        """The chunks to write, in order. Raises the error or stop that ends the run."""
        context = self._context
        partitions = Partitions(context)
        yield from partitions.workflows()
        context.phase("comparing")
        for partition in partitions:
            self._compare_partition(partition)
        self._note_different()
        self._compare_steps()
        yield from self._purged()
        if self._is_repairing:
            yield from self._repaired()
            yield FLUSH
        yield Chunk(notes={REJECTED_ROWS.name: self._note_coverage()})
        for companion in context.companions:
            other = Audit(
                companion,
                is_repairing=self._is_repairing,
                sample=self._sample,
                is_thorough=self._is_thorough,
            )
            yield from other.chunks()
            self.findings.add(other.findings)

    def _compare_partition(self, partition: Partition) -> None:
        """Compares the windows that the partition covers."""
        findings, window = self.findings, self._context.selection.window
        warehouse = self._context.warehouse.within(Selection(None, partition.filters))
        covered = [
            span
            for stored_span in partition.coverage.covered
            if window and not (span := overlap(stored_span, window)).is_empty
        ]
        if window:
            findings.not_covered = merged([*findings.not_covered, *partition.coverage.gaps(window)])
        longest = max(covered, key=lambda span: span.end - span.start, default=None)
        if not self._context.system.listing.is_countable and self._context.system.statistics is None:
            findings.api_total = None
        before = self.covered
        done: list[Window] = []
        for index, span in enumerate(covered):
            self.covered = merged([*before, *done, *covered[index:]])
            positions = [self._random.random() for _ in range(_PAGES_CHECKED if span is longest else 0)]
            whole = span
            try:
                span = self._compare(partition.reader, span, warehouse, positions)  # noqa: PLW2901 - the span that was compared
            except Rejected as error:
                if self._context.system.listing.partitioned_by:
                    log.warning("partition_refused", partition=partition.name or "all", status=error.status)
                    findings.unverified.append(span)
                    continue
                raise
            left_out = warehouse.left_out_in(span)
            findings.left_out += left_out
            findings.executions += warehouse.count(span) - left_out
            findings.not_compared += gaps(whole, [span])
            findings.compared.append(span)
            done.append(span)
            self._compared.append((partition, span, warehouse))
        self.covered = merged([*before, *done])
        if not self._context.system.listing.is_countable:
            return
        if self._is_thorough or self._sample >= findings.executions > 0 or self._counts_may_cancel_out():
            for span in done:
                self._add_comparison(
                    compared_whole(partition.reader, span, warehouse), span, warehouse, is_narrowed=True
                )
        elif self._sample:
            self._compare_sample(partition.reader, done, warehouse)

    def _counts_may_cancel_out(self) -> bool:
        """Whether rows are missing and surplus, so that more of both may cancel each other in counts."""
        horizon = self._context.horizon
        kept = [one for one in self.findings.differences if horizon is None or one.window.start >= horizon]
        may_cancel = any(one.missing for one in kept) and any(one.surplus for one in kept)
        if may_cancel:
            log.info(
                "all_executions_compared", reason="rows are missing and surplus, which counts cannot tell"
            )
        return may_cancel

    def _compare_steps(self) -> None:
        """Counts the stored steps of all compared executions, and compares those of the sample with the API."""
        found: dict[str, StepDifferences] = {}
        for _, window, warehouse in self._compared:
            found |= {one.execution.execution_id: one for one in self._steps.miscounted(warehouse, [window])}
        whole = self._context.selection.window
        if self._sample and whole is not None:
            starts = {key: self._context.system.started_at(self._read[key]) for key in sorted(self._read)}
            sampled = self._steps.sampled(self._context.warehouse, starts, whole, self._sample)
            found |= {one.execution.execution_id: one for one in sampled}
            self.findings.steps_compared = self._steps.compared
        self._step_differences = list(found.values())
        self.findings.differences += [
            Difference(Window(start, start + MS), steps=((one.execution.execution_id, one.texts),))
            for one in self._step_differences
            for start in (one.execution.started_at or self._context.edge(),)
        ]

    def _compare(
        self, reader: WindowReader, window: Window, warehouse: Warehouse, positions: list[float]
    ) -> Window:
        """Compares the window; returns the part that was compared."""
        findings = self.findings
        window, total, differing = self._differing_by_statistics(window, warehouse)
        for span in differing:
            comparison = reader.audit(span, warehouse, positions=positions)
            total = comparison.total if total is None else total
            self._add_comparison(
                comparison, span, warehouse, is_narrowed=not self._context.system.listing.is_countable
            )
        if findings.api_total is not None:
            findings.api_total = None if total is None else findings.api_total + total
        return window

    def _differing_by_statistics(
        self, window: Window, warehouse: Warehouse
    ) -> tuple[Window, int | None, list[Window]]:
        """The part of the window to compare, the vendor's count for it, and the parts to read from the listing.

        Where the vendor has statistics, the listing is read from the oldest bucket whose count differs from the
        warehouse, and always after the last whole bucket. The time before the first whole bucket is not compared: it
        would take reading the whole listing.
        """
        context, statistics = self._context, self._context.system.statistics
        if statistics is None or self._sample or self._is_thorough or context.selection.filters:
            return window, None, [window]
        granularity, width = statistics.buckets(context.settings.values)
        start, end = bucket_start(window.start, width), bucket_start(window.end, width)
        start = start if start == window.start else start + width
        answer = (
            read_buckets(context, statistics, Window(start, end), settled_before=end) if start < end else None
        )
        if answer is None:
            return window, None, [window]
        rows = answer.rows[statistics.tables[0].name]
        buckets = [Window(row["bucket_start"], row["bucket_end"]) for row in rows]
        stored = [
            count
            for start_index in range(0, len(buckets), _MAX_PER_QUERY)
            for count in warehouse.counts(buckets[start_index : start_index + _MAX_PER_QUERY])
        ]
        totals = [int(row.get("total") or 0) for row in rows]
        differ = [span for span, total, count in zip(buckets, totals, stored, strict=True) if total != count]
        log.info("compared_by_statistics", granularity=granularity, buckets=len(rows), differ=len(differ))
        # The listing is read from its newest end: one reading takes as long as that of the oldest bucket that differs.
        differing = Window(min(differ).start, window.end) if differ else Window(end, window.end)
        return Window(start, window.end), sum(totals), [] if differing.is_empty else [differing]

    def _compare_sample(self, reader: WindowReader, windows: list[Window], warehouse: Warehouse) -> None:
        """Reads pages at random offsets and compares their rows."""
        size = self._context.system.listing.page_size
        positions = [
            (window, offset)
            for window, count in zip(windows, warehouse.counts(windows), strict=True)
            for offset in range(0, max(1, count), size)
        ]
        chosen = self._random.sample(positions, min(len(positions), -(-self._sample // size)))
        for window in windows:
            for _, page in reader.pages.many(
                window, sorted(offset for chosen_window, offset in chosen if chosen_window == window)
            ):
                if isinstance(page, Exception):
                    raise page
                self._note_read(page.rows, window)

    def _add_comparison(
        self, comparison: Comparison, window: Window, warehouse: Warehouse, *, is_narrowed: bool
    ) -> None:
        """Adds a comparison to the findings; ``is_narrowed`` cuts windows that differ to milliseconds."""
        system, findings = self._context.system, self.findings
        self._note_read(comparison.read, window)
        findings.unverified += comparison.unverified
        self._evidence &= comparison.evidence
        fresh = {system.identity(row): row for row in comparison.fresh}
        noted_ids = {
            identity
            for difference in findings.differences
            for identity in (*difference.missing, *difference.surplus)
        }
        # An execution that several partitions list is stored for the first of them, and one without a start in no window.
        is_partitioned = bool(system.listing.partitioned_by)
        starts = {key: system.started_at(row) for key, row in fresh.items()}
        elsewhere = sorted(key for key, start in starts.items() if is_partitioned or start is None)
        noted_ids |= self._context.warehouse.stored(elsewhere, starts).keys()
        self._fresh |= {key: row for key, row in fresh.items() if key not in noted_ids}
        for part in comparison.differing_windows:
            missing = tuple(key for key in part.missing if key not in noted_ids)
            surplus = tuple(key for key in part.surplus if key not in noted_ids)
            if missing or surplus:
                cut = DifferingWindow(part.window, missing, surplus)
                findings.differences += (
                    self._narrowed(cut, fresh, warehouse)
                    if is_narrowed
                    else [Difference(part.window, missing, surplus)]
                )

    def _narrowed(
        self, part: DifferingWindow, rows: dict[str, Row], warehouse: Warehouse
    ) -> Iterator[Difference]:
        """One difference for each millisecond of the window in which rows differ."""
        system = self._context.system
        starts = {key: system.started_at(rows[key]) for key in part.missing}
        stored = warehouse.stored_in(part.surplus, part.window)
        starts |= {key: row.get(system.started_column) for key, row in stored.items()}
        for start in sorted({start for start in starts.values() if start is not None}):
            yield Difference(
                Window(start, start + MS),
                tuple(key for key in part.missing if starts.get(key) == start),
                tuple(key for key in part.surplus if starts.get(key) == start),
            )

    def _note_read(self, rows: Iterable[Row], window: Window) -> None:
        """Keeps rows of the window that were read, for the comparison with the stored rows at the end."""
        system = self._context.system
        rows = list(rows)
        left_out = self._context.left_out_ids(rows)
        self._read |= {
            key: row
            for row in rows
            if (key := system.identity(row)) not in left_out
            and ((start := system.started_at(row)) is None or start in window)
        }

    def _note_different(self) -> None:
        """Compares all rows that were read, field by field, except stored open ones: a sync settles those."""
        context, system, findings = self._context, self._context.system, self.findings
        missing = {identity for difference in findings.differences for identity in difference.missing}
        findings.ids_compared += sum(len(difference.surplus) for difference in findings.differences)
        wanted = [identity for identity in self._read if identity not in missing]
        for index in range(0, len(wanted), _MAX_PER_QUERY):
            ids = wanted[index : index + _MAX_PER_QUERY]
            stored = context.warehouse.stored(ids, {key: system.started_at(self._read[key]) for key in ids})
            for identity in ids:
                stored_row, row = stored.get(identity), self._read[identity]
                if stored_row is None:
                    # It began beyond the window's end, or was in a page that was read for another row.
                    start = system.started_at(row) or context.edge()
                    self._fresh[identity] = row
                    findings.differences.append(Difference(Window(start, start + MS), missing=(identity,)))
                    continue
                findings.ids_compared += stored_row.get("purged_at_source") is None
                findings.rows_compared += 1
                kept = context.stamp().undocumented.kept(system.executions, row)
                columns = () if stored_row.get("is_open") else self._differing(kept, stored_row)
                if columns:
                    start = stored_row.get(system.started_column) or context.edge()
                    findings.differences.append(
                        Difference(Window(start, start + MS), different=((identity, columns),))
                    )

    def _differing(self, row: Mapping[str, Json], stored: Row) -> tuple[str, ...]:
        system = self._context.system
        return differing(system, row, stored, rules=self._context.warehouse.rules.of(system.executions.name))

    def _purged(self) -> Iterator[Chunk]:
        """Takes rows older than the vendor's retention out of the differences; a repair marks them as purged."""
        context, system = self._context, self._context.system
        horizon = context.horizon
        if horizon is None:
            return
        kept: list[Difference] = []
        for difference in self.findings.differences:
            if not difference.surplus or difference.window.start >= horizon:
                kept.append(difference)
                continue
            stored = context.warehouse.stored_in(difference.surplus, difference.window)
            old = [
                key
                for key in difference.surplus
                if context.is_expired(stored.get(key, {}).get(system.started_column))
            ]
            self.findings.purged += len(old)
            if self._is_repairing:
                stamp = context.stamp()
                rows = [warehouse_rows.vanished(system, stored[key], stamp, is_expired=True) for key in old]
                yield Chunk({system.executions.name: rows})
            surplus = tuple(key for key in difference.surplus if key not in old)
            rest = replace(difference, surplus=surplus)
            if rest.rows:
                kept.append(rest)
        self.findings.differences = kept

    def _repaired(self) -> Iterator[Chunk]:
        """Writes the API's rows for those that differ. Only surplus rows are requested again."""
        context, system, findings = self._context, self._context.system, self.findings
        context.phase("repairing")
        ids_to_reread: list[str] = []
        for difference in findings.differences:
            starts = {key: difference.window.start for key, _ in difference.different}
            stored = context.warehouse.stored(list(starts), starts)
            stamp = context.stamp()
            rows, earlier = [], []
            for key in (*difference.missing, *(key for key, _ in difference.different)):
                row = self._fresh.get(key) or self._read[key]
                before = StoredStatus.in_row(stored.get(key, {}))
                rows.append(
                    warehouse_rows.execution(system, row, stamp, read_by=warehouse_rows.REPAIR, before=before)
                )
                status = rows[-1].get("status")
                earlier += earlier_state(key, before, status)
                if before is not None and before.status != str(status or ""):
                    ids_to_reread.append(key)  # its steps belong to the old status
            findings.repaired += len(rows)
            context.tally.executions += len(rows)
            log.info("repaired", window=described(difference.window), rows=len(rows))
            yield Chunk({system.executions.name: rows, EXECUTION_STATES.name: earlier})
            ids_to_reread += difference.surplus
            findings.repaired += len(difference.surplus)
        mendable = [one for one in self._step_differences if not one.surplus]
        findings.repaired += len(mendable)
        yield from self._steps.repaired(mendable)
        yield FLUSH
        # A surplus execution is read singly: marked when it is gone, written when it exists.
        for chunk in context.settler.read(ids_to_reread):
            yield common_phases.count_steps(context, chunk)

    def _note_coverage(self) -> list[Row]:
        """Notes in coverage, for each compared day, its count and whether it is verified; gives the rejected rows."""
        context, findings = self._context, self.findings
        unverified_windows = [
            *findings.unverified,
            *(difference.window for difference in findings.differences if not self._is_repairing),
        ]
        kept_apart: list[Row] = []
        is_counted = findings.api_total is not None
        for partition, window, warehouse in self._compared:
            rejected = take_rejected_in(context, partition, window)
            kept_apart += rejected.rows
            findings.rejected += rejected.number
            window_days = list(days(window))
            for day, count in zip(window_days, warehouse.counts(window_days), strict=True):
                is_verified = all(overlap(day, other).is_empty for other in unverified_windows)
                number = rejected.new_by_day[midnight(day.start)]
                completeness = (
                    replace(COUNT if is_counted else self._evidence, rejected=number)
                    if is_verified
                    else Completeness(
                        "none", ("an audit found differences, or rows changed while it read",), number
                    )
                )
                partition.coverage.replace_comparison(
                    day,
                    count,
                    count + number if is_verified and is_counted else None,
                    completeness=completeness,
                    checked_at=context.now(),
                )
        return kept_apart
