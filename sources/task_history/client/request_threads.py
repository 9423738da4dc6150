"""The threads in which requests wait for their answers, and how waiting ends when a run is interrupted.

How many there are is the setting ``concurrency`` in ``systems/common_settings``.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ..core.errors import Stopped
from ..core.models import Answer
from ..core.stop import StopSignal
from ..core.thread_pools import DaemonThreadPool, OrderedMap, do_nothing, in_daemon_thread
from .pending_request import PendingRequest, unconfirmed
from .responses import describe

if TYPE_CHECKING:
    from .transport import Transport

_INTERRUPTED_CHECK_S = 0.25
_INTERRUPTED_GRACE_S = 0.5
"""How long an answer may still take once the run is interrupted, beyond the check above."""
_ONCE_GRACE_S = 10.0
"""The same for a request that must not be sent twice: without its answer it is not known what it did."""
_END_S = 0.5
"""How long a thread gets to end by itself after its connection was ended."""


class InFlight:
    """Runs requests in threads until each has its answer; ``map`` runs at most ``concurrency`` of them at once.

    A thread that reads what a silent vendor has begun to send cannot be interrupted. It is left behind as a daemon, so
    that nothing waits for it, nor does the end of the process.
    """

    def __init__(self, transport: Transport, stop: StopSignal, *, concurrency: int) -> None:
        self._transport = transport
        self._stop = stop
        self._concurrency = concurrency
        self.while_waiting: Callable[[], None] = do_nothing
        """Called again and again in the thread that waits for an answer."""
        self._pool = DaemonThreadPool(concurrency, name="request")
        self._closed = threading.Event()
        self._repeatable_abandoned = threading.Event()
        """Set once requests that may be sent again are not waited for any more."""
        self._all_abandoned = threading.Event()
        threading.Thread(target=self._end_when_interrupted, name="task-history-stop", daemon=True).start()

    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed.is_set()

    def result(self, pending: PendingRequest, work: Callable[[], Answer]) -> Answer:
        """The answer that ``work`` gives for that request, in a thread of its own.

        Raises:
            Stopped: the run is interrupted, and the request does no harm if it is sent again.
            Unconfirmed: the run is interrupted, and the request may have been carried out.
        """
        future = in_daemon_thread(work, name="request")
        while not future.done():
            with suppress(TimeoutError):
                future.exception(_INTERRUPTED_CHECK_S)
                break
            if self._repeatable_abandoned.is_set() and pending.is_repeatable:
                raise self._stopped()
            if self._all_abandoned.is_set():
                raise unconfirmed(f"{describe(pending.request)} has no answer, and was ended here", None)
            self.while_waiting()
        return future.result()

    def results(
        self,
        works: Iterator[Callable[[], Answer | Exception]],
        failures: list[Exception],
        *,
        ahead: int,
        is_held_up: Callable[[], bool],
    ) -> OrderedMap[Answer | Exception]:
        """The results of ``works`` in order, see ``OrderedMap``; Stopped for each that is not waited for any more."""
        return OrderedMap(
            self._pool,
            works,
            failures,
            ahead=ahead or 2 * self._concurrency,
            is_held_up=is_held_up,
            instead=lambda: self._stopped() if self._repeatable_abandoned.is_set() else None,
            while_waiting=self.while_waiting,
        )

    def close(self) -> None:
        """Ends what still waits, lets requests in flight finish for a moment, and closes all connections."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool.is_done(_INTERRUPTED_GRACE_S)
        self._transport.close()
        self._pool.is_done(_END_S)
        self._repeatable_abandoned.set()
        self._all_abandoned.set()

    def _end_when_interrupted(self) -> None:
        """Ends what is in flight soon after the run is interrupted: an answer may drip for minutes."""
        while not self._closed.wait(_INTERRUPTED_CHECK_S):
            if self._stop.is_interrupted:
                self._closed.wait(_INTERRUPTED_GRACE_S)
                self._transport.abandon()
                self._closed.wait(_END_S)
                self._repeatable_abandoned.set()
                self._closed.wait(_ONCE_GRACE_S)
                self._transport.close()
                self._closed.wait(_END_S)
                self._all_abandoned.set()
                return

    def _stopped(self) -> Stopped:
        return Stopped(self._stop.reason or "the client was closed")


def is_next(answers: weakref.ref[OrderedMap[Answer | Exception]], number: int) -> bool:
    """Whether the answer of that number is the next to be read, or answers are no longer read at all."""
    found = answers()
    return found is None or number < found.taken
