"""Runs a chain of commands, each one's output the next one's input, and says what they cost.

A script of its own, since the peak memory of a process counts what its parent held when it was made: this one
holds next to nothing. Takes and prints JSON.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any


def measured(asked: dict[str, Any]) -> dict[str, Any]:
    """Wall seconds, CPU seconds, and MiB at the peak: of each process the largest of its family, of a chain the sum."""
    began = time.monotonic()
    running: list[subprocess.Popen[bytes]] = []
    with open(asked["out"], "wb") as out, open(asked["err"], "wb") as err:  # noqa: PTH123
        taken: Any = subprocess.DEVNULL
        for at, words in enumerate(asked["commands"]):
            is_last = at == len(asked["commands"]) - 1
            process = subprocess.Popen(
                words,
                cwd=asked["cwd"],
                env=asked["env"],
                stdin=taken,
                stdout=out if is_last else subprocess.PIPE,
                stderr=err,
                start_new_session=True,
            )
            if taken is not subprocess.DEVNULL:
                taken.close()
            taken = process.stdout
            running.append(process)

        def end(*_: Any) -> None:
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        signal.alarm(int(asked["timeout_s"]))
        cpu_s = peak_mib = 0.0
        codes = []
        for process in running:
            _, status, used = os.wait4(process.pid, 0)
            codes.append(os.waitstatus_to_exitcode(status))
            cpu_s += used.ru_utime + used.ru_stime
            peak_mib += used.ru_maxrss / 1024
        signal.alarm(0)
    return {"wall_s": time.monotonic() - began, "cpu_s": cpu_s, "peak_mib": peak_mib, "codes": codes}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured(json.load(sys.stdin))))
