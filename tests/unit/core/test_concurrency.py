"""Work in several threads: how much of it is under way, in which order its results come."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from task_history.core.models import Answer
from task_history.core.thread_pools import DaemonThreadPool, OrderedMap, unordered
from tests.unit.client.test_client import Reply, ask, client_of, serving


def _gain(folder: Path) -> float:
    def slow(*_: object) -> Reply:
        time.sleep(0.05)
        return 200, {}, b"{}"

    rates = {}
    for concurrency, count in ((1, 40), (8, 320)):
        with serving(slow) as served, client_of(served.url, folder, concurrency=concurrency) as client:
            began = time.monotonic()
            answers = list(client.map((ask() for _ in range(count)), is_raw=True))
            rates[concurrency] = count / (time.monotonic() - began)
            assert all(isinstance(answer, Answer) for answer in answers)
    return rates[8] / rates[1]


def test_slow_answers_are_waited_for_side_by_side(tmp_path: Path) -> None:
    """With answers that take 50 ms, eight at a time bring seven times what one at a time does, from the start.

    The best of three counts: others on the machine only make it less.
    """
    assert any(_gain(tmp_path) >= 7 for _ in range(3))


def pair(gate: Gate, number: int) -> tuple[int, int]:
    """The number, once the gate lets it through."""
    return number, gate()


class Gate:
    """Work that waits to be let through, and how much of it has begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.lock = threading.Lock()
        self.open = threading.Semaphore(0)

    def __call__(self) -> int:
        with self.lock:
            self.begun += 1
            number = self.begun
        assert self.open.acquire(timeout=30)
        return number

    def settled(self, expected: int) -> int:
        """How much has begun, once that is as much as is expected and nothing more comes."""
        until = time.monotonic() + 30
        while self.begun < expected and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.05)
        return self.begun


def test_results_keep_their_order_and_no_more_is_begun_than_asked() -> None:
    """As many works as threads at a time, as many handed in as are ahead; the first result comes first."""
    gate, handed = Gate(), itertools.count()
    with ThreadPoolExecutor(3) as pool:
        works = (partial(pair, gate, next(handed)) for _ in range(20))
        results = OrderedMap(pool, works, [], ahead=5)
        results.submit()
        assert gate.settled(3) == 3
        assert next(handed) == 5
        assert not results.is_next_ready(0.01)
        gate.open.release(20)
        assert results.is_next_ready(30)
        assert [number for number, _ in results] == [*range(5), *range(6, 21)]


def test_an_error_is_raised_in_its_turn() -> None:
    """What a work raises comes where its result would have come; nothing is handed in after a failure is noted."""
    failures: list[Exception] = []
    works = [lambda: 1, lambda: 1 // 0, lambda: 3]
    with ThreadPoolExecutor(2) as pool:
        results = OrderedMap(pool, iter(works), failures, ahead=3)
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)
        assert next(results) == 3
        failures.append(ValueError())
        assert list(OrderedMap(pool, iter(works), failures, ahead=3)) == []


def test_what_has_not_begun_is_given_up_at_the_end() -> None:
    """Closing cancels what has not begun, and what has begun ends."""
    gate = Gate()
    with ThreadPoolExecutor(2) as pool:
        results = OrderedMap(pool, iter([gate] * 5), [], ahead=5)
        results.submit()
        assert gate.settled(2) == 2
        results.close()
        gate.open.release(5)
    assert gate.begun == 2
    assert list(results) == []


def test_a_pool_begins_as_much_as_it_has_threads_and_cancels_the_rest() -> None:
    """At most so many works at a time; at its shutdown what has not begun is cancelled, what has begun ends."""
    gate = Gate()
    pool = DaemonThreadPool(2, name="test")
    futures = [pool.submit(gate) for _ in range(5)]
    assert gate.settled(2) == 2
    assert not pool.is_done(0.01)
    pool.shutdown(wait=False, cancel_futures=True)
    assert [future.cancelled() for future in futures] == [False, False, True, True, True]
    with pytest.raises(RuntimeError):
        pool.submit(gate)
    gate.open.release(5)
    assert pool.is_done(30)
    assert sorted(future.result() for future in futures[:2]) == [1, 2]
    assert gate.begun == 2


def test_what_a_pool_has_begun_ends_before_its_shutdown_does() -> None:
    """Without more words a shutdown waits for all that was submitted; an error is that of its own work."""
    pool = DaemonThreadPool(1, name="test")
    futures = [pool.submit(divmod, 7, 2), pool.submit(divmod, 1, 0), pool.submit(divmod, 9, 2)]
    pool.shutdown()
    assert [future.done() for future in futures] == [True] * 3
    assert (futures[0].result(), futures[2].result()) == ((3, 1), (4, 1))
    with pytest.raises(ZeroDivisionError):
        futures[1].result()


def test_work_that_never_ends_keeps_no_process() -> None:
    """The interpreter ends while a thread of a pool, or one of its own, waits for ever."""
    code = """
import threading
from task_history.core.thread_pools import DaemonThreadPool, in_daemon_thread
pool = DaemonThreadPool(1, name="test")
pool.submit(threading.Event().wait)
in_daemon_thread(threading.Event().wait, name="test")
pool.shutdown(wait=False)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_result_that_is_not_waited_for_any_more_has_another_in_its_place() -> None:
    """Once ``instead`` gives one, work that never ends holds up nobody who asks for results."""
    gate = Gate()
    pool = DaemonThreadPool(2, name="test")
    is_over = threading.Event()
    threading.Timer(0.3, is_over.set).start()
    results = OrderedMap(
        pool, iter([lambda: 0, gate, gate]), [], ahead=3, instead=lambda: -1 if is_over.is_set() else None
    )
    assert list(results) == [0, -1, -1]
    gate.open.release(2)


def test_what_is_slow_holds_nothing_else_up() -> None:
    """Results come as they are ready, of work too that is added meanwhile; an error comes when the rest is over."""
    gate, work = Gate(), deque[Callable[[], int]]()
    work.extend([gate, lambda: 10])
    results = unordered(work, threads=2)
    assert next(results) == 10
    work.append(lambda: 11)
    gate.open.release()
    assert sorted(results) == [1, 11]
    work.extend([lambda: 1 // 0, lambda: 12])
    with pytest.raises(ZeroDivisionError):
        list(unordered(work, threads=1))


def test_what_is_asked_ahead_is_on_its_way_before_it_is_waited_for(tmp_path: Path) -> None:
    """So many requests, and no more, are sent while nobody asks for an answer; the answers come in order."""
    with (
        serving(lambda _, path: (200, {}, f'{{"at": "{path}"}}'.encode())) as served,
        client_of(served.url, tmp_path, concurrency=4) as client,
    ):
        drawn = iter(range(1000))
        answers = client.map((ask(f"/{number}") for number in drawn), is_raw=True, ahead=30)
        deadline = time.monotonic() + 20
        while len(served.asked) < 30:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)
        assert len(served.asked) == 30
        assert next(drawn) == 30
        first = [next(answers) for _ in range(3)]
        assert [answer.body for answer in first if isinstance(answer, Answer)] == [
            f'{{"at": "/{number}"}}'.encode() for number in range(3)
        ]


def test_answers_that_nobody_waits_for_any_more_are_not_asked_for(tmp_path: Path) -> None:
    """Once they are dropped, what was not sent yet is never sent."""

    def slow(*_: object) -> Reply:
        time.sleep(0.05)
        return 200, {}, b"{}"

    with serving(slow) as served, client_of(served.url, tmp_path, concurrency=2) as client:
        answers = client.map((ask() for _ in range(1000)), is_raw=True, ahead=100)
        assert isinstance(next(answers), Answer)
        del answers
        time.sleep(0.2)
        sent = len(served.asked)
        assert sent <= 6
        time.sleep(0.3)
        assert len(served.asked) == sent
        assert isinstance(client.send(ask()), Answer)
