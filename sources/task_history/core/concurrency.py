"""Maps over a thread pool: one bounded and ordered, one that yields results as they complete."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from .errors import Stopped

T = TypeVar("T")
_HELD_UP_CHECK_S = 0.05


class OrderedMap(Iterator[T]):
    """Iterator over the results of ``works`` in order; up to ``ahead`` of them are submitted before they are asked for.

    Once ``failures`` is not empty, no more work is submitted. While ``is_held_up()``, threads of the pool wait for
    results to be consumed: a result that no thread has begun is then computed by the thread that asks for it.
    """

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        works: Iterator[Callable[[], T]],
        failures: list[Exception],
        *,
        ahead: int,
        is_held_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pool = pool
        self._works = works
        self._failures = failures
        self._ahead = ahead
        self._is_held_up = is_held_up
        self._futures: deque[Future[T]] = deque()
        self._handed_in: deque[Callable[[], T]] = deque()
        """The works of ``_futures``."""
        self.taken = 0
        """How many results were asked for; the last of them may still be waited for."""

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
                return work()
            wait([future], _HELD_UP_CHECK_S)
        return future.result()

    def close(self) -> None:
        """Cancels work that has not begun and submits no more."""
        self._failures.append(Stopped("the results are not asked for any more"))
        while self._futures:
            self._futures.pop().cancel()
        self._handed_in.clear()

    def __del__(self) -> None:
        self.close()


def unordered(work: deque[Callable[[], T]], *, threads: int) -> Iterator[T]:
    """Yields results as they complete, so that slow work delays no other; ``work`` may grow meanwhile.

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
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                failure = future.exception()
                if failure is None:
                    yield future.result()
                else:
                    error = error or failure
    if error is not None:
        raise error
