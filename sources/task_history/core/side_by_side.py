"""Work side by side, whose results come as they are ready: what is slow holds nothing else up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


def side_by_side(work: deque[Callable[[], T]], *, at_once: int) -> Iterator[T]:
    """The results as they come; ``work`` may grow by what is appended to it meanwhile.

    Raises what the first one raised, once those that had begun are over.
    """
    running: set[Future[T]] = set()
    error: BaseException | None = None
    with ThreadPoolExecutor(at_once, thread_name_prefix="list") as pool:
        while True:
            while error is None and work and len(running) < at_once:
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
