"""The lock on a DuckDB file that runs take turns by: a lock file beside the working folders.

Trying to open a file that another process has open costs DuckDB milliseconds of processor time, ten times a second in
each waiting process. The lock only spares these attempts: DuckDB's own lock is what counts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ..core.file_lock import file_lock

if TYPE_CHECKING:
    from filelock import FileLock

_lock = Lock()
_locks: dict[Path, FileLock] = {}
"""The locks of this process, whose connections may all have the DuckDB file open at once."""


class FileTurn:
    """One connection's turn at the DuckDB ``file``; ``folder`` is that of the pipelines' working folders.

    The operating system ends the turn of a process that dies.
    """

    def __init__(self, folder: Path, file: str) -> None:
        self._path = folder / f"file_{hashlib.sha256(file.encode()).hexdigest()[:12]}.lock"
        self._is_taken = False
        self._held: FileLock | None = None

    def take(self) -> bool:
        """Takes the turn; False where another process has it. Without a usable lock, takes it at once."""
        from filelock import Timeout

        with _lock:
            if not self._is_taken:
                try:
                    lock = _locks.setdefault(self._path, file_lock(self._path, wait_s=0))
                    lock.acquire()
                    self._held = lock
                except Timeout:
                    return False
                except OSError:
                    pass
                self._is_taken = True
            return True

    def end(self) -> None:
        """Ends the turn, if it was taken."""
        with _lock:
            self._is_taken = False
            held, self._held = self._held, None
            if held is not None:
                held.release()
