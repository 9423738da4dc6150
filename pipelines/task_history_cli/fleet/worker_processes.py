"""Runs a function for many items in a few reused child processes; a process that dies fails only its current item."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Generic, TypeVar

from task_history.load.memory import release_memory

Item = TypeVar("Item")
Result = TypeVar("Result")
_MAX_ITEMS_PER_PROCESS = 25
"""Items after which a process is replaced by a new one, which bounds its memory."""
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class WorkerProcesses(Generic[Item, Result]):
    """Runs ``work`` for each of ``items`` in at most ``jobs`` processes.

    SIGINT and SIGTERM are passed on to the processes as SIGTERM, and no further item begins; the second signal ends them
    at once. ``work`` has to be a function of a module, its argument and result have to be picklable.
    """

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int) -> None:
        self._work = work
        self._queue: SimpleQueue[Item] = SimpleQueue()
        for item in items:
            self._queue.put(item)
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
                # Waits in short steps, because Python calls signal handlers only between them.
                done, running = wait(running, 0.1, return_when=FIRST_COMPLETED)
                yield from _drained(ended)
                for future in done:
                    future.result()
            yield from _drained(ended)

    def _work_through(self, report: Callable[[tuple[Item, Result | None]], None]) -> None:
        pool: ProcessPoolExecutor | None = None
        try:
            while not self._is_stopping.is_set():
                try:
                    item = self._queue.get_nowait()
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

        before = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def process_context() -> ForkServerContext:
    """What starts processes that have imported what a sync needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"{__package__}.fork_server"])
    return context


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1,
        mp_context=process_context(),
        initializer=_set_up_worker,
        initargs=(dict(os.environ),),
        max_tasks_per_child=_MAX_ITEMS_PER_PROCESS,
    )


def _drained(queue: SimpleQueue[Item]) -> Iterator[Item]:
    try:
        while True:
            yield queue.get_nowait()
    except Empty:
        return


_idle = threading.Event()
"""Set in a worker process while it has no work."""


def set_up(environment: Mapping[str, str]) -> None:
    """Sets a process up: it has this environment, and gets signals only from its parent."""
    # That of the fork server is of when it started.
    os.environ.clear()
    os.environ.update(environment)
    os.setsid()


def _set_up_worker(environment: Mapping[str, str]) -> None:
    """Sets a worker process up, which ends when its parent does."""
    set_up(environment)
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
        release_memory(collects_garbage=True)
        _idle.set()
