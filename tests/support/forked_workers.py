"""Forks of a process that has imported what commands need, and fork servers of worker processes that are such forks too.

The fork server of a fleet or of a backfill's shards would import dlt anew: twice the seconds of a processor that a small
sync takes. All else is as of a spawned process: its parent, environment, descriptors and signals.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import util
from typing import Any, NoReturn

_MAX_ORDER_BYTES = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36  # https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
_FORK_SERVER = "from multiprocessing.forkserver import main"
_ABOVE = 500
"""Above the numbers of all descriptors that a command has."""


@contextmanager
def adopts_orphans() -> Iterator[None]:
    """While it lasts, what loses its parent below this process becomes a child of it, which can be waited for."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for is_on in (1, 0):
        if prctl(_PR_SET_CHILD_SUBREAPER, is_on, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        if is_on:
            yield


def fork_twice() -> int:
    """Forks a process without a parent: its id, and 0 within it. The caller of ``adopts_orphans`` adopts it."""
    source, target = os.pipe()
    middle = os.fork()
    if not middle:
        if last := os.fork():
            os.write(target, str(last).encode())
            os._exit(0)
        os.close(source)
        os.close(target)
        return 0
    os.waitpid(middle, 0)
    found = int(os.read(source, 64))
    os.close(source)
    os.close(target)
    return found


def run_to_end(work: Callable[[], Any]) -> NoReturn:
    """Runs it and ends this process as an interpreter does, but for taking all apart."""
    code: Any = 1
    try:
        code = work()
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - as an interpreter prints it
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code if isinstance(code, int) else code is not None)


def fork_workers() -> None:
    """From now on, the fork server of ``multiprocessing`` is forked from a process that is as this one is now."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        here.close()
        _serve(there)
    there.close()
    lock, spawned = threading.Lock(), util.spawnv_passfds

    def forked(path: Any, words: Sequence[Any], descriptors: Sequence[int]) -> int:
        if _FORK_SERVER not in str(words[-1]):
            return int(spawned(path, words, descriptors))
        order = json.dumps([[str(word) for word in words], [*descriptors], dict(os.environ)])
        with lock, adopts_orphans():
            socket.send_fds(here, [order.encode()], [*descriptors])
            return int(here.recv(64))

    util.spawnv_passfds = forked  # type: ignore[assignment]


def _serve(orders: socket.socket) -> None:
    """Forks a fork server for each order, until the command has ended."""
    handled = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    while True:
        order, found, _, _ = socket.recv_fds(orders, _MAX_ORDER_BYTES, 32)
        if not order:
            os._exit(0)
        if not (worker := fork_twice()):
            orders.close()
            for number, handler in handled.items():
                signal.signal(number, handler)
            _work(found, *json.loads(order))
        orders.send(str(worker).encode())
        for descriptor in found:
            os.close(descriptor)


def _work(found: Sequence[int], words: list[str], numbers: list[int], env: dict[str, str]) -> NoReturn:
    """What a spawned interpreter does, with the descriptors under the numbers that its words name."""
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _ABOVE) for descriptor in found]
    for descriptor in found:
        os.close(descriptor)
    for descriptor, number in zip(high, numbers, strict=True):
        os.dup2(descriptor, number, inheritable=True)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["-c"]
    run_to_end(lambda: exec(words[-1], {}))
