"""Work in a few child processes that are used again; one that dies fails only the work that it had in hand."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_ITEMS_OF_A_PROCESS = 25
"""Items after which a process makes way for a new one, so that no memory grows."""
_STOPPING = (signal.SIGINT, signal.SIGTERM)


class WorkerProcesses(Generic[Item, Result]):
    """Runs ``work`` for each of ``items`` in at most ``jobs`` processes.

    The first SIGINT or SIGTERM reaches the processes as SIGTERM, and no further item begins; the second one as well,
    which ends them at once. ``work`` has to be a function of a module, and what it takes and gives has to be picklable.
    """

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int) -> None:
        self._work = work
        self._waiting: SimpleQueue[Item] = SimpleQueue()
        for item in items:
            self._waiting.put(item)
        self._jobs = min(jobs, len(items))
        self._is_stopping = threading.Event()

    @property
    def is_stopping(self) -> bool:
        """Whether a signal asked to stop."""
        return self._is_stopping.is_set()

    def results(self) -> Iterator[tuple[Item, Result | None]]:
        """Each item with its result as it ends; None where its process died. Items that never began are left out."""
        ended: SimpleQueue[tuple[Item, Result | None]] = SimpleQueue()
        with self._signals(), ThreadPoolExecutor(self._jobs, thread_name_prefix="worker") as threads:
            running: set[Future[None]] = {
                threads.submit(self._work_through, ended.put) for _ in range(self._jobs)
            }
            while running:
                # The main thread wakes up by itself so that Python calls its signal handlers.
                done, running = wait(running, 0.1, return_when=FIRST_COMPLETED)
                yield from _taken(ended)
                for future in done:
                    future.result()
            yield from _taken(ended)

    def _work_through(self, report: Callable[[tuple[Item, Result | None]], None]) -> None:
        pool: ProcessPoolExecutor | None = None
        try:
            while not self._is_stopping.is_set():
                try:
                    item = self._waiting.get_nowait()
                except Empty:
                    return
                pool = pool or _pool()
                try:
                    report((item, pool.submit(_run, self._work, item).result()))
                except BrokenProcessPool:
                    report((item, None))
                    pool.shutdown(wait=False)
                    pool = None
        finally:
            if pool is not None:
                pool.shutdown()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_: int, __: FrameType | None) -> None:
            self._is_stopping.set()
            for process in multiprocessing.active_children():
                process.terminate()

        before = {number: signal.signal(number, stop) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        max_tasks_per_child=_ITEMS_OF_A_PROCESS,
    )


def _taken(queue: SimpleQueue[Item]) -> Iterator[Item]:
    try:
        while True:
            yield queue.get_nowait()
    except Empty:
        return


_idle = threading.Event()
"""Set in a worker process while it has no work."""


def _begin() -> None:
    """Sets a worker process up: Ctrl-C reaches it through its parent alone, and it ends when its parent does."""
    os.setsid()
    _idle.set()
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    if not _idle.is_set():
        signal.raise_signal(signal.SIGTERM)
        _idle.wait()
    os._exit(1)


def _run(work: Callable[[Item], Result], item: Item) -> Result:
    _idle.clear()
    try:
        return work(item)
    finally:
        # A run freezes what it imported (gc.freeze): what it no longer needs may go before the next one.
        gc.unfreeze()
        gc.collect()
        _idle.set()
