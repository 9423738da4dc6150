"""The backlog → steps and payloads, read once; what cannot be read is noted, and tried by later runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ..core.batch import Chunk
from ..core.errors import AnswerTooLarge, ReadFailed, Rejected, UnexpectedResponse, UnusableId
from ..core.log import log
from ..core.models import Answer, Request, Row, Sender
from ..systems.checked_ids import check_id
from ..systems.common_settings import SystemSettings
from ..systems.protocol import GONE_STATUSES, Detail, Payload, Payloads, System
from ..warehouse.backlog import MissingDetail
from . import warehouse_rows
from .read_context import ReadContext
from .single_reads import MAX_KNOWN_READABLE, Failure, Item, SingleReads, is_refused
from .warehouse_rows import PayloadRecord, PayloadRows, ReadProblem

_MAX_EQUAL_ANSWERS = 50
"""Answers in a row that are alike to the byte: then offsets lead nowhere, and what came is all."""
_NOTHING_THERE = (400, *GONE_STATUSES)
"""What a vendor answers for a part that an execution does not have, or that it does not know."""


class DetailReader:
    """Reads the detail of one execution, with everything that it says has to be asked besides."""

    def __init__(self, sender: Sender, system: System, values: SystemSettings) -> None:
        self._sender = sender
        self._system = system
        self._values = values

    def whole(self, execution_id: str, request: Request, answer: Answer) -> Detail:
        """The detail with the further answers that it needs, each asked with the fault deadline of ``request``.

        A part that cannot be read holds up no other: it is named in ``failed`` or ``unreadable``.
        """
        if self._system.details.come_with_execution:
            check_id("execution", self._system.details.execution_ids, answer.data, execution_id)
        details = self._system.details
        detail = details.read(self._values, request, answer.data)
        parts, lists = [detail], [(request, detail.steps)]
        more = list(dict.fromkeys(detail.more))
        requested = set(more)
        # A list may answer the request for its next page with the page before.
        before = {one.path: (answer.body, 1) for one in more if one.kind == request.kind}
        while more:
            asked = [one.with_fault_deadline(request.fault_deadline_s) for one in more]
            further = [
                self._part(one, reply, before)
                for one, reply in zip(asked, self._sender.map(asked), strict=True)
            ]
            parts += further
            lists += [(one, part.steps) for one, part in zip(asked, further, strict=True)]
            # Several lists may show the same loop or log.
            more = list(dict.fromkeys(one for part in further for one in part.more if one not in requested))
            requested.update(more)
        children: dict[str, list[Row]] = {}
        for part in parts:
            for name, rows in part.children.items():
                children.setdefault(name, []).extend(rows)
        return Detail(
            detail.execution,
            {name: value for part in parts for name, value in part.extra.items()},
            details.merge_steps(lists),
            children,
            unreadable=tuple(reason for part in parts for reason in part.unreadable),
            failed=tuple(reason for part in parts for reason in part.failed),
        )

    def _part(
        self, asked: Request, reply: Answer | Exception, before: dict[str, tuple[bytes, int]]
    ) -> Detail:
        """What a further answer holds, or why it cannot be read; ``before`` has the last answer by path."""
        details = self._system.details
        try:
            if isinstance(reply, Exception):
                raise reply
            body, times = before.get(asked.path, (b"", 0))
            before[asked.path] = reply.body, times + 1 if reply.body == body else 1
            # The same bare list again means that the offset is not heeded: the list is whole. An object may repeat.
            if before[asked.path][1] > (_MAX_EQUAL_ANSWERS if reply.body.lstrip().startswith(b"{") else 1):
                log.info("detail_repeated", path=asked.path)
                return Detail({}, {}, [])
            return details.read(self._values, asked, reply.data)
        except (ReadFailed, UnexpectedResponse) as error:
            return Detail({}, {}, [], failed=(str(error),))
        except AnswerTooLarge as error:
            return Detail({}, {}, [], unreadable=(str(error),))
        except Rejected as error:
            if not asked.is_partial and not details.is_gone(error.status, str(error)):
                raise
            reasons = () if error.status in _NOTHING_THERE else (str(error),)
            return Detail({}, {}, [], unreadable=reasons)


@dataclass(frozen=True, slots=True)
class _Sized:
    """A detail and the bytes of its answer."""

    detail: Detail
    size: int


class DetailLoader:
    """Reads what is wanted and counts it.

    Raises, while chunks are drawn: what the client raises; chunks drawn before stay true.
    """

    def __init__(
        self, context: ReadContext, *, payloads: PayloadRows, changed: Callable[[str, Detail], Chunk]
    ) -> None:
        self._context = context
        self._system, self._warehouse = context.system, context.warehouse
        self._reader = DetailReader(context.sender, context.system, context.values)
        self._payloads = payloads
        self._changed = changed
        self._payloads_read: list[Item[MissingDetail]] = []
        """The payload that was read last."""
        self._steps = SingleReads(
            sender=context.sender,
            fault_deadline=context.fault_deadline,
            key=lambda item: item.key,
            is_final=lambda error: context.system.details.is_gone(error.status, str(error)),
            known=self._known,
        )
        self._inputs = SingleReads(
            sender=context.sender,
            fault_deadline=context.fault_deadline,
            key=lambda item: item.key,
            is_final=lambda error: error.status in GONE_STATUSES,
            known=lambda _: self._payloads_read,
        )

    def steps(self, wanted: Sequence[MissingDetail]) -> Iterator[Chunk]:
        """The steps of executions that have ended, without those that are postponed."""
        asked: list[Item[MissingDetail]] = []
        for item in wanted:
            try:
                request = self._system.details.request(
                    self._context.values, item.execution_id, item.partition
                )
            except UnusableId as error:
                yield self._steps_unreadable(item, "unreadable", error)
            else:
                asked.append((item, request))
        for item, outcome in self._steps.first(asked, self._detail, may_postpone=_is_new):
            yield self._steps_chunk(item, outcome)
            if isinstance(outcome, _Sized) and outcome.detail.failed and _is_new(item):
                # A part may come in a moment; what there is of the others is written now.
                request = self._system.details.request(
                    self._context.values, item.execution_id, item.partition
                )
                self._steps.postpone(item, request)

    def retried_steps(self) -> Iterator[Chunk]:
        """The steps that were postponed."""
        for item, outcome in self._steps.retried(self._detail):
            yield self._steps_chunk(item, outcome)

    def inputs_and_outputs(self, wanted: Sequence[MissingDetail]) -> Iterator[Chunk]:
        """The payloads of steps, without those that are postponed."""
        payloads = self._system.payloads
        if payloads is None:
            return
        asked: list[Item[MissingDetail]] = []
        for item in wanted:
            try:
                request = payloads.request(self._context.values, item.execution_id, item.step_id)
            except UnusableId as error:
                yield self._payload_chunk(item, error)
            else:
                asked.append((item, request))
        read = partial(self._payload, payloads)
        for item, outcome in self._inputs.first(asked, read, may_postpone=_is_new):
            yield self._payload_chunk(item, outcome)

    def retried_inputs_and_outputs(self) -> Iterator[Chunk]:
        """The payloads that were postponed."""
        payloads = self._system.payloads
        if payloads is not None:
            for item, outcome in self._inputs.retried(partial(self._payload, payloads)):
                yield self._payload_chunk(item, outcome)

    @property
    def postponed(self) -> set[str]:
        """Ids of executions and steps that are postponed until the end of the run."""
        return {*self._steps.postponed, *self._inputs.postponed}

    def _known(self, without: Collection[str]) -> Iterator[Item[MissingDetail]]:
        """Executions whose steps the vendor is known to give."""
        for item in self._warehouse.readable(MAX_KNOWN_READABLE):
            if item.execution_id not in without:
                try:
                    yield (
                        item,
                        self._system.details.request(self._context.values, item.execution_id, item.partition),
                    )
                except UnusableId:
                    continue

    def _detail(self, item: MissingDetail, request: Request, answer: Answer) -> _Sized:
        return _Sized(self._reader.whole(item.execution_id, request, answer), len(answer.body))

    def _payload(self, payloads: Payloads, item: MissingDetail, request: Request, answer: Answer) -> Payload:
        check_id("execution", payloads.execution_ids, answer.data, item.execution_id)
        check_id("step", payloads.step_ids, answer.data, item.step_id)
        payload = payloads.read(warehouse_rows.exact(answer))
        self._payloads_read = [(item, request)]
        return payload

    def _steps_chunk(self, item: MissingDetail, outcome: _Sized | Failure) -> Chunk:
        log_table = self._system.details.log
        if isinstance(outcome, _Sized):
            return self._loaded(item, outcome)
        if isinstance(outcome, AnswerTooLarge):
            return self._steps_unreadable(item, "too_large", outcome)
        if is_refused(outcome) and self._system.details.is_gone(outcome.status, str(outcome)):
            kind = "expired" if self._context.is_expired(item.started_at) else "gone"
            row = warehouse_rows.details_log_row(
                log_table, item.execution_id, item.started_at, kind, self._context.stamp()
            )
            return Chunk({log_table.name: [row]})
        return self._steps_unreadable(item, "unreadable", outcome)

    def _steps_unreadable(self, item: MissingDetail, outcome: str, error: Failure) -> Chunk:
        """The note that these steps cannot be read, now or ever: they are asked for again once due, if at all."""
        table, unread = self._system.details.log, self._unread(item, outcome, error)
        log.warning(
            "detail_not_loaded",
            id=item.execution_id,
            outcome=outcome,
            reason=unread.reason,
            tries=unread.tries,
            next_try_at=unread.next_try_at,
        )
        row = warehouse_rows.details_log_row(
            table, item.execution_id, item.started_at, outcome, self._context.stamp(), unread=unread
        )
        return Chunk({table.name: [row]})

    def _payload_chunk(self, item: MissingDetail, outcome: Payload | Failure) -> Chunk:
        assert self._system.payloads is not None  # noqa: S101 - nothing is read otherwise
        ids, stamp = _ids(item), self._context.stamp()
        if isinstance(outcome, Payload):
            record = self._payloads.record(ids, outcome, stamp)
        elif is_refused(outcome) and outcome.status in GONE_STATUSES:
            record = self._payloads.missing(ids, stamp)
        else:
            record = self._payload_unreadable(item, outcome)
        return Chunk({self._system.payloads.table.name: [record.row]}, size=record.size)

    def _payload_unreadable(self, item: MissingDetail, error: Failure) -> PayloadRecord:
        """The row that a payload cannot be read, now or ever: it is asked for again once it is due, if at all."""
        outcome = "too_large" if isinstance(error, AnswerTooLarge) else "unreadable"
        unread = self._unread(item, outcome, error)
        log.warning(
            "payload_not_loaded",
            id=item.step_id,
            outcome=outcome,
            reason=unread.reason,
            tries=unread.tries,
            next_try_at=unread.next_try_at,
        )
        return self._payloads.unreadable(_ids(item), outcome, unread, self._context.stamp())

    def _unread(self, item: MissingDetail, outcome: str, error: Failure) -> ReadProblem:
        if outcome == "too_large" or isinstance(error, UnusableId):
            return ReadProblem((str(error),))
        return ReadProblem.until_later((str(error),), tries=item.tries + 1, now=self._context.now())

    def _loaded(self, item: MissingDetail, sized: _Sized) -> Chunk:
        """The rows of the detail."""
        detail, stamp = sized.detail, self._context.stamp()
        if detail.execution and detail.execution.get("status") != item.status:
            # It was run again under the same id since it was listed.
            return self._changed(item.execution_id, detail)
        unread = ReadProblem.parts_of(detail, tries=item.tries + 1, now=self._context.now)
        if detail.failed:
            log.warning(
                "detail_incomplete",
                id=item.execution_id,
                reason=unread.reason,
                tries=unread.tries,
                next_try_at=unread.next_try_at,
            )
        rows = warehouse_rows.steps(self._system.details.steps, detail, item.started_at, stamp)
        row = warehouse_rows.details_log_row(
            self._system.details.log,
            item.execution_id,
            item.started_at,
            "loaded",
            stamp,
            detail,
            unread=unread,
        )
        children = warehouse_rows.children(self._system, detail, item.started_at, stamp)
        tables = {self._system.details.log.name: [row], self._system.details.steps.name: rows, **children}
        return Chunk(tables, size=max(sized.size, 200 * sum(map(len, tables.values()))))


def _is_new(item: MissingDetail) -> bool:
    """Whether no earlier run failed to read it: then it is tried for longer."""
    return not item.tries


def _ids(item: MissingDetail) -> Row:
    """The columns that say whose payload it is."""
    return {
        "step_execution_id": item.step_id,
        "workflow_execution_id": item.execution_id,
        "execution_date_started": item.started_at,
    }
