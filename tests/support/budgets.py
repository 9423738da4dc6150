"""Parts of tests of the budget: clocks moved by hand, a vendor that notes arrivals, processes that send."""

from __future__ import annotations

import bisect
import math
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

from task_history.client.rate_limit_rule import BudgetShare, Instant
from task_history.core.errors import Stopped
from task_history_cli.sandbox.process import SandboxProcess
from tests.support.place import Place

KEY = "key-that-is-nowhere-written"
ORIGIN = "https://vendor.example"


class ManualClock:
    """Clocks that only move when told."""

    def __init__(self) -> None:
        self.now = Instant(uptime=1_000.0, wall=1_700_000_000.0, boot="first")

    def __call__(self) -> Instant:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now = Instant(self.now.uptime + seconds, self.now.wall + seconds, self.now.boot)

    def set_wall(self, change_s: float) -> None:
        self.now = Instant(self.now.uptime, self.now.wall + change_s, self.now.boot)

    def reboot(self, *, off_s: float, wall_change_s: float = 0.0) -> None:
        self.now = Instant(5.0, self.now.wall + off_s + wall_change_s, self.now.boot + "+")


def no_wait(seconds: float) -> None:
    raise Stopped(f"would wait {seconds:.3f}")


def most_in_a_period(arrivals: list[float], period_s: float) -> int:
    """The highest number of arrivals in any half-open span of that length."""
    arrivals = sorted(arrivals)
    return max(bisect.bisect_left(arrivals, at + period_s) - i for i, at in enumerate(arrivals))


def full_periods(arrivals: list[float], limit: int, period_s: float) -> int:
    """How many periods, one after another, saw 95 % of the limit."""
    arrivals, count, at, needed = sorted(arrivals), 0, 0, math.ceil(0.95 * limit)
    while at + needed <= len(arrivals):
        if arrivals[at + needed - 1] < arrivals[at] + period_s:
            count, at = count + 1, bisect.bisect_left(arrivals, arrivals[at] + period_s)
        else:
            at += 1
    return count


def wait_for_full_use(
    arrivals: Callable[[], list[float]], *, limit: int, period_s: float, periods: int
) -> None:
    """Waits until so many periods saw 95 % of the limit, as long as a slow machine takes; fails after five minutes."""
    deadline = time.monotonic() + 300.0
    while (count := full_periods(arrivals(), limit, period_s)) < periods:
        assert time.monotonic() < deadline, f"{count} periods of {periods} saw 95 % of the limit"
        time.sleep(0.2)


WORKER = """
import sys, threading, time
from http.client import HTTPConnection
from pathlib import Path
from task_history.client.rate_limit import Budget
from task_history.core.errors import Stopped
from task_history.client.rate_limit_rule import BudgetShare
from task_history.core.stop import StopSignal
name, port, limit, period, threads, seconds, requests, share, state_dir, key = sys.argv[1:]
budget = Budget(int(limit), float(period), origin="o", key=key, share=BudgetShare[share],
    state_dir=Path(state_dir) if state_dir else None)
stop = StopSignal(max_s=float(seconds), max_requests=int(requests))
def work():
    connection = HTTPConnection("127.0.0.1", int(port))
    try:
        while True:
            stop.spend()
            with budget.reserve(stop.wait):
                connection.request("GET", "/" + name)
                connection.getresponse().read()
    except Stopped:
        pass
workers = [threading.Thread(target=work) for _ in range(int(threads))]
began = time.monotonic()
for worker in workers: worker.start()
for worker in workers: worker.join()
print(time.monotonic() - began)
"""


class Vendor(ThreadingHTTPServer):
    """Notes when each request arrives and by whom; answers after ``latency_s``."""

    daemon_threads = True
    request_queue_size = 128
    latency_s = 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.arrivals: list[tuple[float, str]] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.arrivals]

    def wait_for(self, arrivals: int) -> None:
        """Gives back when so many more have arrived; fails when that takes half a minute."""
        goal, end = len(self.arrivals) + arrivals, time.monotonic() + 30.0
        while len(self.arrivals) < goal:
            assert time.monotonic() < end, "nobody sends"
            time.sleep(0.001)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Vendor

    def do_GET(self) -> None:
        self.server.arrivals.append((time.monotonic(), self.path[1:]))
        time.sleep(self.server.latency_s * random.random())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def worker(
    name: str,
    vendor: Vendor,
    tmp_path: Path | None,
    *,
    limit: int,
    period_s: float,
    threads: int,
    seconds: float,
    requests: int = 1_000_000,
    share: BudgetShare = BudgetShare.FOREGROUND,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """A process that sends flat out; at its end it prints the seconds from its first wish to its last answer.

    Its budget is in ``tmp_path``, or where its ``environment`` says.
    """
    folder = tmp_path or ""
    words = (name, vendor.server_port, limit, period_s, threads, seconds, requests, share.name, folder, KEY)
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, words)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    )


def check_shared_budget(
    sandbox: SandboxProcess, places: Sequence[Place], *, limit: int, period_s: float, periods: int
) -> None:
    """Syncs in all places, the first of them killed and started again: no 429, never over the limit, and all of it used.

    Before the kill and after it so many periods see 95 % of the limit. The sandbox has more work than that takes.
    """

    def arrivals(since: float = 0.0) -> list[float]:
        return [request["at"] for request in sandbox.requests() if request["at"] > since]

    running = [place.start("sync", "paragon") for place in places]
    try:
        while not arrivals():
            assert [process.poll() for process in running] == [None] * len(running)
            time.sleep(0.1)
        wait_for_full_use(arrivals, limit=limit, period_s=period_s, periods=periods)
        running[0].kill()
        running[0].communicate()
        killed = max(arrivals())
        running[0] = places[0].start("sync", "paragon")
        wait_for_full_use(lambda: arrivals(killed), limit=limit, period_s=period_s, periods=periods)
    finally:
        for process in running:
            process.kill()
            process.communicate()
    counters = sandbox.counters()
    assert counters["violations"] == 0
    assert counters["peak"] <= limit
