"""Signals end a run, whoever reads what it prints, and are the program's own again after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

from task_history.core.stop import StopSignal
from task_history_cli.runtime.interruption import stopped_by_signals

_WAITING = """
import sys, time
from task_history.core.stop import StopSignal
from task_history_cli.runtime.interruption import stopped_by_signals

with stopped_by_signals(StopSignal()):
    print("ready", flush=True)
    sys.stderr.write("a line that nobody reads")
    sys.stderr.flush()
    time.sleep(300)
"""


def test_a_second_signal_ends_what_waits_for_a_reader() -> None:
    """A pager that stopped reading stderr holds the process at its next line; the second Ctrl-C ends it."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write_end, b"x")
    os.set_blocking(write_end, True)
    process = subprocess.Popen([sys.executable, "-c", _WAITING], stdout=subprocess.PIPE, stderr=write_end)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)  # two signals at once may come as one
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 128 + signal.SIGINT
    finally:
        process.kill()
        process.communicate()
        os.close(read_end)
        os.close(write_end)


def test_handlers_are_given_back() -> None:
    """Handlers and the file that signals wake are those of before; a thread changes none."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    former = signal.set_wakeup_fd(write_end)
    try:
        with stopped_by_signals(StopSignal()):
            assert signal.getsignal(signal.SIGTERM) != before[1]
        woken = signal.set_wakeup_fd(write_end)
        inside: list[object] = []

        def in_a_thread() -> None:
            with stopped_by_signals(StopSignal()):
                inside.extend(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM))

        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
    finally:
        signal.set_wakeup_fd(former)
        os.close(read_end)
        os.close(write_end)
    assert woken == write_end
    assert inside == before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
