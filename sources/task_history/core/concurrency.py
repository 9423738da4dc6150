"""Threads that work side by side, and how many of them are of use."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from .errors import Stopped

T = TypeVar("T")

_LEAST = 2
"""While one answer is on its way, the other one is read."""
_ONE_MORE_S = 0.001
"""For how much of latency one more at a time is worth its switches between threads."""
_RECENT = 16


class Width:
    """How many requests at a time, ``most`` at most, keep a vendor busy: the longer its answers take, the more.

    Beside many that are answered in less time than it takes to handle one, threads only wait for each other.
    What counts is the least of the recent latencies: others may have waited on this side.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self.now = min(_LEAST, most)
        """How many it is."""

    def answered_in(self, seconds: float) -> None:
        """An answer came."""
        with self._lock:
            self._recent.append(seconds)
            self.now = min(self._most, _LEAST + int(min(self._recent) / _ONE_MORE_S))


class Crew:
    """Up to ``most`` threads that work off what is handed in, in its order, ``width`` at a time."""

    def __init__(self, most: int, width: Width) -> None:
        self._most = most
        self._width = width
        self._change = threading.Condition(threading.Lock())
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._idle = 0
        self._coming = 0
        self._is_over = False

    def hand(self, work: Callable[[], T]) -> Future[T]:
        """What will come of the work. Raises RuntimeError when the crew has been sent home."""
        future: Future[T] = Future()
        with self._change:
            if self._is_over:
                raise RuntimeError("the crew has been sent home")
            self._waiting.append((future, work))
            self._call()
        return future

    def close(self) -> None:
        """Gives up what has not begun and waits for what has."""
        with self._change:
            self._is_over = True
            for future, _ in self._waiting:
                future.cancel()
            self._waiting.clear()
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        """Gets one more to work where that is of use."""
        if not self._waiting or self._busy + self._coming >= self._width.now:
            return
        if self._idle:
            self._idle -= 1
            self._coming += 1
            self._change.notify()
        elif len(self._threads) < self._most:
            self._coming += 1
            thread = threading.Thread(target=self._work, name="task-history", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        self._change.acquire()
        self._coming -= 1
        while True:
            while not self._is_over and (not self._waiting or self._busy >= self._width.now):
                self._idle += 1
                self._change.wait()
                self._coming -= 1
            if self._is_over:
                self._change.release()
                return
            future, work = self._waiting.popleft()
            self._busy += 1
            self._call()
            self._change.release()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001 - given to whoever asks for the result
                    future.set_exception(error)
            self._change.acquire()
            self._busy -= 1


class Drawn(Iterator[T]):
    """What comes of works, in their order; up to ``most`` of them are handed to the crew ahead of it.

    Once something is in ``over`` none is handed in any more.
    """

    def __init__(
        self, crew: Crew, works: Iterator[Callable[[], T]], over: list[Exception], *, most: int
    ) -> None:
        self._crew = crew
        self._works = works
        self._over = over
        self._most = most
        self._handed: deque[Future[T]] = deque()
        self.taken = 0
        """How many were asked for; the last of them may still be waited for."""

    def draw(self) -> None:
        """Hands in what may be. Raises whatever drawing the works raises."""
        while not self._over and len(self._handed) < self._most:
            work = next(self._works, None)
            if work is None:
                return
            self._handed.append(self._crew.hand(work))

    def is_near(self, seconds: float) -> bool:
        """Whether the next one comes within that time, for which it is waited."""
        if not self._handed:
            return False
        done, _ = wait([self._handed[0]], seconds)
        return bool(done)

    def __next__(self) -> T:
        self.draw()
        if not self._handed:
            raise StopIteration
        self.taken += 1
        return self._handed.popleft().result()

    def close(self) -> None:
        """Gives up what has not begun: nobody waits for it any more."""
        self._over.append(Stopped("nobody waits for it any more"))
        while self._handed:
            self._handed.pop().cancel()

    def __del__(self) -> None:
        self.close()
