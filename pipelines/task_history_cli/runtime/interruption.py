"""Ctrl-C and SIGTERM during a run: the first ends it once what is under way is finished, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from task_history.core.stop import StopSignal

from ..console import output

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_TELL_S = 1.0
"""Maximum seconds that the line about a signal may take."""
STOPPED_BY = {number.name: name for number, name in _NAMES.items()}
"""What a person calls the signals whose names ``StopSignal`` has as its reason."""


@contextmanager
def stopped_by_signals(stop: StopSignal) -> Iterator[None]:
    """Within the block the first SIGINT or SIGTERM requests the stop; the next one ends the process at once.

    In another thread than the main one Python sets no handler: there the calling program handles signals itself.
    https://docs.python.org/3/library/signal.html#signals-and-threads
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request_stop(number: int, _: FrameType | None) -> None:
        stop.request(signal.Signals(number).name)

    before = {number: signal.signal(number, request_stop) for number in _NAMES}
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    # A handler runs only when the main thread, which may be waiting for the warehouse, goes on, and it may not print.
    # So Python writes each signal into a pipe, and a thread that reads it prints.
    fd_before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    follower = threading.Thread(target=_follow, args=(read_end,), name="signals", daemon=True)
    follower.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(write_end)
        follower.join()
        os.close(read_end)


def _follow(read_end: int) -> None:
    """Prints what each signal does; the second one ends the process. Returns when the write end of the pipe is closed."""
    is_stopping = False
    while number := os.read(read_end, 1):
        name = _NAMES.get(signal.Signals(number[0]))
        if name is None:
            continue
        if is_stopping:
            _tell(f"Ended at once by {name}. Committed rows are safe; the same command continues from there.")
            os._exit(128 + number[0])
        is_stopping = True
        # The first line is short enough for the terminal's ^C before it.
        _tell(
            f"{name}: finishes what is under way, then ends. A second one ends it at once; committed rows are safe."
        )


def _tell(line: str) -> None:
    """Prints the line to stderr. Who reads it may have stopped, as a pager does: it is not waited for long."""
    teller = threading.Thread(target=output.tell, args=(line,), name="signal", daemon=True)
    teller.start()
    teller.join(_TELL_S)
