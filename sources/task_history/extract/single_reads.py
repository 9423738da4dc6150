"""Single reads of many items (details, payloads, open executions), where one that fails holds up no other.

A read that fails is tried for a few seconds, then postponed while all others go on, and tried again at the end of the
run until ``fault_deadline_s`` have passed since the first one failed: all items of a run share that time. What fails
then, too, is noted with its reason by the caller; a later run tries it again (``warehouse.retry_schedule``).

Many different items that fail one after the other may mean that the vendor is down. Then an item that the vendor is
known to hold is read, and retried as long as any request: if it is answered, only the others fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Generic, TypeGuard, TypeVar

from ..core.errors import (
    AnswerTooLarge,
    AuthenticationError,
    ReadFailed,
    Rejected,
    UnexpectedResponse,
    VendorUnavailable,
)
from ..core.log import log
from ..core.models import Answer, Request, Sender

T = TypeVar("T")
R = TypeVar("R")

Failure = Rejected | UnexpectedResponse
"""Why an item was not read; what the vendor says of it, such as that it is gone, may be the reason."""
Item = tuple[T, Request]
Read = Callable[[T, Request, Answer], R]
"""Reads the answer for an item. Raises Rejected and UnexpectedResponse."""

_FIRST_DEADLINE_S = 3.0
"""Seconds of attempts before an item is postponed."""
_MAX_IN_A_ROW = 20
"""Different items that fail one after the other before it is asked whether the vendor answers at all."""
_SUSPICIOUS_IN_A_ROW = 2
"""The same at the end of a run, when nothing else is left to read."""
MAX_KNOWN_READABLE = 50
"""Stored executions that a caller looks through for items that the vendor was able to read before."""
_MAX_KNOWN = 3
"""Items that are read to find out."""


def is_refused(outcome: object) -> TypeGuard[Rejected]:
    """Whether the outcome is the vendor's refusal of this one item."""
    return isinstance(outcome, Rejected) and not isinstance(outcome, ReadFailed)


class FaultDeadline:
    """The seconds for which failing items of a run are tried again; all of them share ``deadline_s``.

    ``clock`` gives seconds.
    """

    def __init__(self, deadline_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._deadline_s = deadline_s
        self._clock = clock
        self._first_failed_at: float | None = None

    def failed(self) -> None:
        """Notes that an item failed: from the first one on the time passes."""
        if self._first_failed_at is None:
            self._first_failed_at = self._clock()

    @property
    def first_s(self) -> float:
        """How long an item is tried before it is postponed."""
        return min(_FIRST_DEADLINE_S, self._deadline_s)

    @property
    def rest_s(self) -> float:
        """What is left of the time."""
        if self._first_failed_at is None:
            return self._deadline_s
        return max(0.0, self._deadline_s - (self._clock() - self._first_failed_at))


class SingleReads(Generic[T]):
    """Reads items of one kind.

    ``key`` names an item, ``is_final`` says which refusals are the vendor's word on one item (it is gone), ``known``
    gives items that the vendor is known to hold, without those of the keys.

    Raises, while items are drawn: what the client raises, and the error of the last item where the vendor is down.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        fault_deadline: FaultDeadline,
        key: Callable[[T], str],
        is_final: Callable[[Rejected], bool],
        known: Callable[[Collection[str]], Iterable[Item[T]]],
    ) -> None:
        self._sender = sender
        self._fault_deadline = fault_deadline
        self._key = key
        self._is_final = is_final
        self._known = known
        self._postponed: dict[str, Item[T]] = {}
        self._in_a_row: dict[str, Failure] = {}
        """Those that failed since one was read, with their errors."""
        self._last: Item[T]

    @property
    def postponed(self) -> Collection[str]:
        """Keys of the items that are postponed."""
        return self._postponed.keys()

    def postpone(self, item: T, request: Request) -> None:
        """Has the item read once more by ``again``."""
        self._postponed[self._key(item)] = (item, request)

    def first(
        self, items: Iterable[Item[T]], read: Read[T, R], *, may_postpone: Callable[[T], bool]
    ) -> Iterator[tuple[T, R | Failure]]:
        """What was read of each item, in order; one that fails is postponed instead where it ``may_postpone``."""
        for item, request, outcome in self._outcomes(items, read, lambda: self._fault_deadline.first_s):
            if self._is_transient(outcome) and may_postpone(item):
                self.postpone(item, request)
            else:
                yield item, outcome

    def retried(self, read: Read[T, R]) -> Iterator[tuple[T, R | Failure]]:
        """What was read of the items that were postponed; failures come last, once the vendor is known to answer."""
        items, self._postponed = list(self._postponed.values()), {}
        failed: list[tuple[T, R | Failure]] = []
        for item, _, outcome in self._outcomes(items, read, lambda: self._fault_deadline.rest_s):
            if self._is_transient(outcome):
                failed.append((item, outcome))
            else:
                yield item, outcome
        if failed and sum(map(self._is_transient, self._in_a_row.values())) >= _SUSPICIOUS_IN_A_ROW:
            self._probe_vendor(read, is_last=True)
        yield from failed

    def _outcomes(
        self, items: Iterable[Item[T]], read: Read[T, R], fault_deadline_s: Callable[[], float]
    ) -> Iterator[tuple[T, Request, R | Failure]]:
        asked = list(items)
        requests = (request.with_fault_deadline(fault_deadline_s()) for _, request in asked)
        for (item, request), answer in zip(asked, self._sender.map(requests), strict=False):
            outcome = self._outcome(item, request, answer, read)
            if not isinstance(outcome, Rejected | UnexpectedResponse) or self._is_answer_about_item(outcome):
                self._in_a_row.clear()
            else:
                self._fault_deadline.failed()
                self._in_a_row[self._key(item)] = outcome
                self._last = item, request
                if len(self._in_a_row) >= _MAX_IN_A_ROW:
                    self._probe_vendor(read)
            yield item, request, outcome

    def _outcome(
        self, item: T, request: Request, answer: Answer | Exception, read: Read[T, R]
    ) -> R | Failure:
        try:
            if isinstance(answer, Exception):
                raise answer
            return read(item, request, answer)
        except (Rejected, UnexpectedResponse) as error:
            return error

    def _is_answer_about_item(self, error: Failure) -> bool:
        """Whether the error says something of the item, not that its read failed."""
        return isinstance(error, AnswerTooLarge) or (is_refused(error) and self._is_final(error))

    def _is_transient(self, outcome: object) -> bool:
        """Whether the outcome is a failure that may be over in a moment."""
        return isinstance(outcome, ReadFailed | UnexpectedResponse)

    def _probe_vendor(self, read: Read[T, R], *, is_last: bool = False) -> None:
        """Reads items that the vendor is known to hold until one answers. Raises what says that none does.

        ``is_last`` says that nothing is left to read: then the time of the run is spent, and where there is no such
        item only those that failed count as unreadable.
        """
        known = list(islice(self._known({*self._in_a_row, *self._postponed}), _MAX_KNOWN))
        error: Failure | None = None
        for item, request in known:
            error = self._error_of(item, request.with_fault_deadline(self._fault_deadline.first_s), read)
            if error is None:
                return
        if is_last:
            if error is not None:
                raise VendorUnavailable(
                    f"{error} No other single read is answered now. Run the same command again later: it goes on where "
                    "it stopped."
                )
            return
        item, request = known[0] if known else self._last
        error = self._error_of(item, request.with_fault_deadline(None), read)
        if isinstance(error, Rejected) and error.status == 403:
            raise AuthenticationError(str(error), status=403)
        if error is not None:
            raise error

    def _error_of(self, item: T, request: Request, read: Read[T, R]) -> Failure | None:
        """Why the item is not read; None where the vendor answered for it."""
        try:
            read(item, request, self._sender.send(request))
        except (Rejected, UnexpectedResponse) as error:
            if not isinstance(error, AnswerTooLarge):
                return error
        log.info("only_some_fail", in_a_row=len(self._in_a_row))
        self._in_a_row.clear()
        return None
