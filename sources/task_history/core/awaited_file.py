"""How a process that waits for a file tells the one that has it open.

A process that waits holds a shared lock on the file's folder. The lock leaves nothing behind, needs no right to
write, and ends with the process. It does not say which file of the folder is meant, so another one may be closed,
too. A process that may not read the folder cannot tell it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class WaitForFile:
    """A wait for a file, which ends with the ``with`` block."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock: int | None = None

    def __enter__(self) -> WaitForFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def announce(self) -> None:
        """Says until the end of the wait that this process waits; called again, it tries again what failed."""
        if self._lock is None:
            self._lock = _locked(self._file, fcntl.LOCK_SH)


def is_awaited(file: Path) -> bool:
    """Whether another process waits for the file; True too where that cannot be known."""
    lock = _locked(file, fcntl.LOCK_EX)
    if lock is not None:
        os.close(lock)
    return lock is None


def _locked(file: Path, kind: int) -> int | None:
    """The descriptor that holds the lock; None where another process has the other one, or there are no such locks."""
    try:
        folder = os.open(file.resolve().parent, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(folder, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(folder)
        return None
    return folder
