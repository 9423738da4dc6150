"""Reads the partitions of an account's listing concurrently, each with its own coverage and cursor.

A slow partition occupies one thread and a refused one is skipped, so that neither delays the others. A system with one
listing of all executions has one partition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ..core.batch import Chunk
from ..core.errors import AuthenticationError, Rejected, TaskHistoryError, UnexpectedResponse, UsageError
from ..core.log import log
from ..core.models import Row, Window
from ..core.thread_pools import unordered
from ..extract.listing import ComparedWindow, ListedWindow, WindowReader
from ..warehouse.common_tables import REJECTED_ROWS
from ..warehouse.status_history import StoredStatus
from . import listed_windows
from .context import Context, Partition
from .rejected_rows import rejected_on_page, unassigned_rejected_rows

_MAX_FAILED_IN_A_ROW = 2
"""Partitions that fail one after the other before the run ends: then the vendor is down, not the partition."""

Event = ListedWindow | ComparedWindow | Chunk
"""An event of reading a partition: executions of a window, a compared window, or a chunk to write as it is."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The outcome of one step of reading a partition: an event, an error, or None for its end."""

    partition: Partition
    events: Iterator[Event]
    event: Event | None = None
    error: TaskHistoryError | None = None


class Partitions:
    """Reads the partitions of one context's listing."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.names: tuple[str, ...] = ()
        """Names of all partitions, set by ``workflows``."""
        self.refused: dict[str, Rejected] = {}
        """Errors of partitions that the vendor refused, by name."""
        self.failed: dict[str, TaskHistoryError] = {}
        """Errors of partitions that could not be read, by name."""
        self.vanished: list[str] = []
        """Ids of stored executions that their listing no longer shows."""

    def __iter__(self) -> Iterator[Partition]:
        """The partitions to read: all, or the one that the filters name. Raises UsageError where there is no such one."""
        name = self._context.system.listing.partitioned_by
        chosen = self._context.selection.filters.get(name)
        if chosen is not None and self.names and chosen not in self.names:
            raise UsageError(
                f"--{name} {chosen}: the vendor lists no such {name}. Those that it lists are such as {min(self.names)}."
            )
        return map(self._context.partition, self.names if chosen is None else (chosen,))

    def reset(self) -> None:
        """Drops what failed and vanished, before another window is read; what is refused stays so."""
        self.failed, self.vanished = {}, []

    def readable(self, name: str) -> WindowReader | None:
        """The reader of a partition; None where the partition is gone or refused."""
        if name not in self.names or name in self.refused:
            return None
        return self._context.partition(name).reader

    def workflows(self) -> Iterator[Chunk]:
        """Lists the workflows as chunks, and sets ``names``.

        Raises:
            UnexpectedResponse: the vendor lists nothing but workflows without ids.
        """
        context, system = self._context, self._context.system
        values, workflows = context.settings.values, system.workflows
        listed: dict[str, Row] = {}
        rejected: list[Row] = []
        for name in (system.listing.partitions(values, ()) or ("",)) if workflows else ():
            offset = 0
            while workflows is not None:
                request = workflows.request(values, name, offset)
                try:
                    page = workflows.read(context.sender.send(request).data)
                except Rejected as error:
                    if not request.is_partial:
                        raise
                    log.warning("workflows_refused", partition=name or "all", status=error.status)
                    break
                fresh = {
                    key: row
                    for row in page.rows
                    if (key := str(row.get("id") or row.get("_id"))) not in listed
                }
                listed |= fresh
                rejected += rejected_on_page(context, workflows.table, page, offset)
                offset += page.size
                if not fresh or not page.more:
                    break
        if rejected and not listed:
            raise UnexpectedResponse(
                f"list of workflows: none of {len(rejected)} rows can be stored: {rejected[0]['reason']}. The vendor's "
                "API may have changed; nothing was loaded from this answer."
            )
        self.names = system.listing.partitions(values, list(listed.values()))
        if workflows is not None and listed:
            stamp = context.stamp()
            rows = [stamp.on(stamp.undocumented.kept(workflows.table, row)) for row in listed.values()]
            kept_apart = {REJECTED_ROWS.name: rejected}
            yield Chunk({workflows.table.name: rows}, notes=kept_apart, leaves_backlog_unchanged=True)

    def chunks(
        self, events: Callable[[Partition], Iterator[Event]], *, lookback: Window | None = None
    ) -> Iterator[Chunk]:
        """The chunks of ``events`` of all partitions, in the order in which they arrive. Raises errors that end the run.

        ``lookback`` is a window that is read again although its executions are stored.
        """
        context, partitions = self._context, list(self)
        stored = _StoredExecutions(context, lookback)
        steps: deque[Callable[[], _Step]] = deque(
            partial(_next, partition, events(partition)) for partition in partitions
        )
        context.phase("listing")
        failed = 0
        threads = context.settings.values.concurrency
        for step in unordered(steps, threads=threads, while_waiting=context.client.while_waiting):
            partition, error = step.partition, step.error
            if error is not None:
                failed += not isinstance(error, Rejected)
                if failed >= _MAX_FAILED_IN_A_ROW or (len(partitions) == 1 and context.is_only_listing):
                    raise error
                self._note_error(partition, error)
            elif step.event is not None:
                failed = 0
                yield from self._chunks_of(partition, step.event, stored)
                # The next step of this partition goes to the end of the queue.
                steps.append(partial(_next, partition, step.events))
            elif (chunk := unassigned_rejected_rows(context, partition)) is not None:
                yield chunk
        if self.refused and len(self.refused) == len(partitions):
            self._raise_refused()

    def _chunks_of(self, partition: Partition, event: Event, stored: _StoredExecutions) -> Iterator[Chunk]:
        if isinstance(event, Chunk):
            yield event
        elif isinstance(event, ComparedWindow):
            yield listed_windows.late_chunk(self._context, partition, event)
            yield from self._context.settler.read(event.comparison.vanished[: listed_windows.MAX_VANISHED])
        else:
            chunk, vanished = listed_windows.window_chunk(
                self._context, partition, event, seen=stored.seen, stored_starts=stored.starts(partition)
            )
            self.vanished += vanished
            yield chunk

    def _note_error(self, partition: Partition, error: TaskHistoryError) -> None:
        """Logs the error of one partition; the others are still read."""
        name = partition.name or "all"
        if not isinstance(error, Rejected):
            self.failed[partition.name] = error
            log.warning("partition_failed", partition=name, reason=str(error))
            return
        self.refused[partition.name] = error
        if error.status == 404 and self._are_listed:
            log.info("partition_gone", partition=name)
            return
        self._context.tally.unverified += 1
        hint = self._context.system.access.hint(error.status)
        log.warning("partition_refused", partition=name, status=error.status, reason=str(error), hint=hint)

    @property
    def _are_listed(self) -> bool:
        """Whether the vendor lists the partitions; else the settings name them."""
        context = self._context
        return context.system.workflows is not None and not context.system.listing.partitions(
            context.settings.values, ()
        )

    def _raise_refused(self) -> None:
        """Raises the error of the account when the vendor refused every partition."""
        errors, system = list(self.refused.values()), self._context.system
        if any(error.status == 403 for error in errors):
            raise AuthenticationError(
                f"None of the {len(errors)} lists may be read: {errors[0]} {system.access.hint(403)}",
                status=403,
            )
        if not self._are_listed or any(error.status != 404 for error in errors):
            raise errors[0]


def _next(partition: Partition, events: Iterator[Event]) -> _Step:
    """Reads the next event of the partition."""
    try:
        return _Step(partition, events, next(events, None))
    except TaskHistoryError as error:
        return _Step(partition, events, error=error)


class _StoredExecutions:
    """Stored statuses and starts of executions.

    Those of the lookback are queried once for all partitions: a query for each partition would take longer than the
    vendor's answers.
    """

    def __init__(self, context: Context, lookback: Window | None) -> None:
        self._warehouse = context.warehouse
        self._is_filtered_by_time = context.system.listing.is_filtered_by_time
        self._lookback = lookback
        self._seen: dict[str, StoredStatus] | None = None
        self._starts: dict[str, dict[str, datetime]] | None = None

    def seen(self, window: Window) -> dict[str, StoredStatus]:
        """Stored statuses of executions that began in the window, by id; others may be among them."""
        lookback = self._lookback
        if lookback is None or window.start < lookback.start or window.end > lookback.end:
            return self._warehouse.statuses_in(window)
        if self._seen is None:
            self._seen = self._warehouse.statuses_in(lookback)
        return self._seen

    def starts(self, partition: Partition) -> dict[str, datetime]:
        """Starts of the partition's executions in the lookback, by id.

        Empty where the listing cannot show that an execution is gone.
        """
        if self._lookback is None or not self._is_filtered_by_time:
            return {}
        if self._starts is None:
            self._starts = self._warehouse.by_partition(self._lookback)
        return self._starts.get(partition.name, {})
