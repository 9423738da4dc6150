"""Turns at a DuckDB file: processes that wait for it wait for a lock file beside the working folders.

Trying to open a file that another process has open costs DuckDB milliseconds of processor time, ten times a second in
each waiting process. The lock only spares these attempts: DuckDB's own lock is what counts.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from threading import Lock

from ..core import files

_NONE = -1
"""Stands for the handle of a lock file that cannot be used."""
_lock = Lock()
_held: dict[Path, tuple[int, int]] = {}
"""The open lock file and the number of its holders in this process, which may all have the DuckDB file open at once."""


class Turn:
    """One connection's turn at the DuckDB ``file``; ``folder`` is that of the pipelines' working folders.

    The operating system ends the turn of a process that dies.
    """

    def __init__(self, folder: Path, file: str) -> None:
        self._path = folder / f"file_{hashlib.sha256(file.encode()).hexdigest()[:12]}.lock"
        self._is_taken = False

    def take(self) -> bool:
        """Takes the turn; False where another process has it. Without a usable lock, takes it at once."""
        with _lock:
            if not self._is_taken:
                handle, holders = _held.get(self._path) or (self._locked(), 0)
                if handle is None:
                    return False
                _held[self._path] = handle, holders + 1
                self._is_taken = True
            return True

    def end(self) -> None:
        """Ends the turn, if it was taken."""
        with _lock:
            if not self._is_taken:
                return
            self._is_taken = False
            handle, holders = _held.pop(self._path)
            if holders > 1:
                _held[self._path] = handle, holders - 1
            elif handle != _NONE:
                os.close(handle)

    def _locked(self) -> int | None:
        """The lock file, open and locked; None where another process has it locked."""
        try:
            handle = files.open_own(self._path, mode=0o666)
        except OSError:
            return _NONE
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            os.close(handle)
            return _NONE
        return handle
