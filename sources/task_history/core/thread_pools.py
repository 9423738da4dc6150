"""Threads that keep no process alive, and two maps over threads: one bounded and ordered, one in order of completion."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from .errors import Stopped

T = TypeVar("T")
P = ParamSpec("P")
_CHECK_S = 0.05


def do_nothing() -> None:
    """The default of a callback that need not do anything."""


def in_daemon_thread(work: Callable[[], T], *, name: str) -> Future[T]:
    """The result of work that begins at once, in a thread of its own that does not keep the process alive."""
    future: Future[T] = Future()
    threading.Thread(target=_compute, args=(future, work), name=name, daemon=True).start()
    return future


class DaemonThreadPool(Executor):
    """At most ``threads`` threads that do not keep the process alive.

    The interpreter waits at its end for every thread of a ``ThreadPoolExecutor``, also for one that waits in vain for
    a vendor and that nothing can interrupt.
    """

    def __init__(self, threads: int, *, name: str) -> None:
        self._max_threads = threads
        self._name = name
        self._lock = threading.Lock()
        self._works: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = 0
        self._unfinished: set[Future[Any]] = set()
        self._is_shut_down = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The result of ``fn`` in one of the threads. Raises RuntimeError after ``shutdown``."""
        future: Future[T] = Future()
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("the pool is shut down")
            self._unfinished.add(future)
            is_thread_wanted = self._threads < min(len(self._unfinished), self._max_threads)
            self._threads += is_thread_wanted
        self._works.put((future, partial(fn, *args, **kwargs)))
        if is_thread_wanted:
            threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets the threads end after the work that was submitted, or after what they have begun."""
        with self._lock:
            self._is_shut_down = True
        with suppress(Empty):
            while cancel_futures and (item := self._works.get_nowait()):
                item[0].cancel()
                _compute(*item)
                self._unfinished.discard(item[0])
        for _ in range(self._threads):
            self._works.put(None)
        if wait:
            self.is_done(None)

    def is_done(self, within_s: float | None) -> bool:
        """Waits up to that many seconds, or for ever, for all work; returns whether it is done."""
        with self._lock:
            unfinished = list(self._unfinished)
        return not wait(unfinished, within_s).not_done

    def _work(self) -> None:
        while (item := self._works.get()) is not None:
            future, work = item
            _compute(future, work)
            with self._lock:
                self._unfinished.discard(future)
            del item, future, work


def _compute(future: Future[T], work: Callable[[], T]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)
        else:
            future.set_result(result)


class OrderedMap(Iterator[T]):
    """Iterator over the results of ``works`` in order; up to ``ahead`` of them are submitted before they are asked for.

    Once ``failures`` is not empty, no more work is submitted. While ``is_held_up()``, threads of the pool wait for
    results to be consumed: a result that no thread has begun is then computed in a thread of its own. ``instead``
    gives a result for work that is not done and is no longer waited for; None while it is waited for.
    ``while_waiting`` is called again and again, in the thread that draws, while it waits for a result.
    """

    def __init__(
        self,
        pool: Executor,
        works: Iterator[Callable[[], T]],
        failures: list[Exception],
        *,
        ahead: int,
        is_held_up: Callable[[], bool] = lambda: False,
        instead: Callable[[], T | None] = lambda: None,
        while_waiting: Callable[[], None] = do_nothing,
    ) -> None:
        self._pool = pool
        self._works = works
        self._failures = failures
        self._ahead = ahead
        self._is_held_up = is_held_up
        self._instead = instead
        self._while_waiting = while_waiting
        self._futures: deque[Future[T]] = deque()
        self._handed_in: deque[Callable[[], T]] = deque()
        """The works of ``_futures``."""
        self.taken = 0
        """Number of results that were requested; the last may still be pending."""

    def submit(self) -> None:
        """Submits work until ``ahead`` results are pending. Raises the errors of the iterator ``works``."""
        while not self._failures and len(self._futures) < self._ahead:
            work = next(self._works, None)
            if work is None:
                return
            self._futures.append(self._pool.submit(work))
            self._handed_in.append(work)

    def is_next_ready(self, within_s: float) -> bool:
        """Waits up to ``within_s`` seconds for the next result; returns whether it is there."""
        return bool(self._futures) and bool(wait([self._futures[0]], within_s).done)

    def __next__(self) -> T:
        self.submit()
        if not self._futures:
            raise StopIteration
        self.taken += 1
        future, work = self._futures.popleft(), self._handed_in.popleft()
        while not future.done():
            # A result of another map may be drawn only after this one, and hold the thread that this one needs.
            if self._is_held_up() and future.cancel():
                future = in_daemon_thread(work, name="held-up")
            with suppress(TimeoutError):
                future.exception(_CHECK_S)
                break
            instead = self._instead()
            if instead is not None:
                return instead
            self._while_waiting()
        return future.result()

    def close(self) -> None:
        """Cancels work that has not begun and submits no more."""
        self._failures.append(Stopped("the results are not asked for any more"))
        while self._futures:
            self._futures.pop().cancel()
        self._handed_in.clear()

    def __del__(self) -> None:
        self.close()


def unordered(
    work: deque[Callable[[], T]], *, threads: int, while_waiting: Callable[[], None] = do_nothing
) -> Iterator[T]:
    """Yields results as they complete, so that slow work delays no other; ``work`` may grow meanwhile.

    ``while_waiting`` is called again and again, in the thread that draws, while no result is there.
    Raises the first error, once all work that had begun is over.
    """
    running: set[Future[T]] = set()
    error: BaseException | None = None
    with ThreadPoolExecutor(threads, thread_name_prefix="partition") as pool:
        while True:
            while error is None and work and len(running) < threads:
                running.add(pool.submit(work.popleft()))
            if not running:
                break
            done, running = wait(running, _CHECK_S, return_when=FIRST_COMPLETED)
            if not done and error is None:
                try:
                    while_waiting()
                except Exception as callback_error:  # noqa: BLE001 - raised once all work that had begun is over
                    error = callback_error
            for future in done:
                failure = future.exception()
                if failure is None:
                    yield future.result()
                else:
                    error = error or failure
    if error is not None:
        raise error
