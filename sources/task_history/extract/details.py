"""The backlog → steps and payloads, one request each, ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from ..core.batch import Chunk
from ..core.errors import AnswerTooLarge, Rejected, UnexpectedResponse, UnusableId
from ..core.log import log
from ..core.models import Answer, Request, Row, Sender
from ..systems.ids import check_id
from ..systems.protocol import Detail, Payload, System
from ..systems.protocol import Payloads as PayloadReads
from ..systems.shared_settings import SystemSettings
from ..warehouse.backlog import Wanted
from . import rows as records
from .rows import PayloadRecord, Payloads, Stamp, Tolerance

T = TypeVar("T")

_MOST_ALIKE = 50
"""Answers in a row that are alike to the byte: then offsets lead nowhere, and what came is all."""


class DetailReader:
    """Reads the detail of one execution, with everything that it says has to be asked besides."""

    def __init__(self, sender: Sender, system: System, values: SystemSettings) -> None:
        self._sender = sender
        self._system = system
        self._values = values

    def whole(self, execution_id: str, request: Request, answer: Answer) -> Detail:
        """The detail with everything that it says has to be asked besides."""
        if self._system.details.come_with_execution:
            check_id("execution", self._system.details.execution_ids, answer.data, execution_id)
        detail = self._system.details.read(self._values, request, answer.data)
        if not detail.more:
            return detail
        steps, children = list(detail.steps), {name: list(rows) for name, rows in detail.children.items()}
        extra, more, unreadable = dict(detail.extra), list(detail.more), list(detail.unreadable)
        # A list that goes on may answer to what comes next with what came.
        before = {one.path: (answer.body, 1) for one in more if one.kind == request.kind}
        while more:
            part, more = more, []
            for asked, reply in zip(part, self._sender.map(part), strict=True):
                if isinstance(reply, AnswerTooLarge):
                    unreadable.append(str(reply))
                    continue
                if isinstance(reply, Rejected) and (
                    asked.is_partial or self._system.details.is_gone(reply.status, str(reply))
                ):
                    continue
                if isinstance(reply, Exception):
                    raise reply
                body, times = before.get(asked.path, (b"", 0))
                before[asked.path] = reply.body, times + 1 if reply.body == body else 1
                # A bare list that comes again is the whole; one that names its length may hold the same many times.
                if before[asked.path][1] > (1 if reply.body.lstrip().startswith(b"[") else _MOST_ALIKE):
                    log.info("detail_repeated", path=asked.path)
                    continue
                further = self._system.details.read(self._values, asked, reply.data)
                steps += further.steps
                extra |= further.extra
                more += further.more
                unreadable += further.unreadable
                for name, rows in further.children.items():
                    children.setdefault(name, []).extend(rows)
        return Detail(detail.execution, extra, _once(steps), children, unreadable=tuple(unreadable))


class Details:
    """Reads what is wanted and counts it.

    Raises, while chunks are drawn: what the client raises; chunks drawn before stay true.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        system: System,
        values: SystemSettings,
        reader: DetailReader,
        payloads: Payloads,
        stamp: Callable[[], Stamp],
        is_expired: Callable[[datetime | None], bool],
        changed: Callable[[str, Detail], Chunk],
    ) -> None:
        self._sender = sender
        self._system = system
        self._values = values
        self._reader = reader
        self._payloads = payloads
        self._stamp = stamp
        self._is_expired = is_expired
        self._changed = changed
        self._tolerance = Tolerance()
        self.redactions = 0

    def steps(self, wanted: Sequence[Wanted]) -> Iterator[Chunk]:
        """The steps of executions that have ended."""
        asked: list[tuple[Wanted, Request]] = []
        log_table = self._system.details.log
        for item in wanted:
            try:
                request = self._system.details.request(self._values, item.execution_id, item.partition)
            except UnusableId as error:
                yield self._steps_unreadable(item, "unreadable", error)
            else:
                asked.append((item, request))
        answers = self._sender.map(request for _, request in asked)
        for (item, request), answer in zip(asked, answers, strict=False):
            stamp = self._stamp()
            if isinstance(answer, Rejected) and self._system.details.is_gone(answer.status, str(answer)):
                outcome = "expired" if self._is_expired(item.started_at) else "gone"
                row = records.details_log_row(log_table, item.execution_id, item.started_at, outcome, stamp)
                yield Chunk({log_table.name: [row]})
            elif isinstance(answer, AnswerTooLarge):
                yield self._steps_unreadable(item, "too_large", answer)
            else:
                detail = self._read(
                    item.execution_id,
                    answer,
                    partial(self._reader.whole, item.execution_id, request),
                )
                if detail is not None:
                    yield self._loaded(
                        item,
                        detail,
                        stamp,
                        size=0 if isinstance(answer, Exception) else len(answer.body),
                    )

    def inputs_and_outputs(self, wanted: Sequence[Wanted]) -> Iterator[Chunk]:
        """The payloads of steps."""
        payloads = self._system.payloads
        if payloads is None:
            return
        asked: list[tuple[Wanted, Request]] = []
        for item in wanted:
            try:
                request = payloads.request(self._values, item.execution_id, item.step_id)
            except UnusableId as error:
                record = self._payload_unreadable(item, "unreadable", error)
                yield Chunk({payloads.table.name: [record.row]}, size=record.size)
            else:
                asked.append((item, request))
        answers = self._sender.map(request for _, request in asked)
        for (item, _), answer in zip(asked, answers, strict=False):
            ids, stamp = _ids(item), self._stamp()
            if isinstance(answer, Rejected) and answer.status in (404, 410):
                record = self._payloads.missing(ids, stamp)
            elif isinstance(answer, AnswerTooLarge):
                record = self._payload_unreadable(item, "too_large", answer)
            else:
                payload = self._read(item.step_id, answer, partial(_payload, payloads, item))
                if payload is None:
                    continue
                record = self._payloads.record(ids, payload, stamp)
            self.redactions += record.redactions
            yield Chunk({payloads.table.name: [record.row]}, size=record.size)

    @property
    def skipped(self) -> set[str]:
        """Ids that were refused or unreadable; they are left for the next run."""
        return self._tolerance.skipped

    def _steps_unreadable(self, one: Wanted, outcome: str, error: Rejected) -> Chunk:
        """The note that these steps cannot be read, which keeps them from being asked for again."""
        log.warning("detail_not_loaded", outcome=outcome, reason=str(error))
        table, stamp = self._system.details.log, self._stamp()
        row = records.details_log_row(
            table, one.execution_id, one.started_at, outcome, stamp, unreadable=(str(error),)
        )
        return Chunk({table.name: [row]})

    def _payload_unreadable(self, one: Wanted, outcome: str, error: Rejected) -> PayloadRecord:
        """The row that a payload cannot be read, which keeps it from being asked for again."""
        log.warning("payload_not_loaded", outcome=outcome, reason=str(error))
        return self._payloads.unreadable(_ids(one), outcome, str(error), self._stamp())

    def _loaded(self, one: Wanted, detail: Detail, stamp: Stamp, *, size: int) -> Chunk:
        """The rows of the detail; ``size`` is the bytes of its answer."""
        if detail.execution and detail.execution.get("status") != one.status:
            # It was run again under the same id since it was listed.
            return self._changed(one.execution_id, detail)
        rows = records.steps(self._system.details.steps, detail, one.started_at, stamp)
        row = records.details_log_row(
            self._system.details.log, one.execution_id, one.started_at, "loaded", stamp, detail
        )
        children = records.children(self._system, detail, one.started_at, stamp)
        tables = {self._system.details.log.name: [row], self._system.details.steps.name: rows, **children}
        return Chunk(tables, size=max(size, 200 * sum(map(len, tables.values()))))

    def _read(self, identity: str, answer: Answer | Exception, read: Callable[[Answer], T]) -> T | None:
        """What the answer holds; None when this one is skipped."""
        try:
            if isinstance(answer, Exception):
                raise answer
            content = read(answer)
        except (Rejected, UnexpectedResponse) as error:
            self._tolerance.skip(identity, error)
            return None
        self._tolerance.went_well()
        return content


def _payload(payloads: PayloadReads, one: Wanted, answer: Answer) -> Payload:
    """The payload of that step. Raises UnexpectedResponse."""
    check_id("execution", payloads.execution_ids, answer.data, one.execution_id)
    check_id("step", payloads.step_ids, answer.data, one.step_id)
    return payloads.read(records.exact(answer))


def _ids(one: Wanted) -> Row:
    """The columns that say whose payload it is."""
    return {
        "step_execution_id": one.step_id,
        "workflow_execution_id": one.execution_id,
        "execution_date_started": one.started_at,
    }


def _once(steps: Sequence[Row]) -> list[Row]:
    """Each step once: of one that came twice, all fields that either has."""
    by_id: dict[str, Row] = {}
    for step in steps:
        identity = str(step.get("id") or step.get("_id"))
        known = by_id.get(identity, {})
        by_id[identity] = {**known, **{name: value for name, value in step.items() if value is not None}}
    return list(by_id.values())
