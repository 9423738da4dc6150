"""Locks in files, which the operating system ends with the process that holds them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import files

if TYPE_CHECKING:
    from filelock import FileLock


def file_lock(path: Path, *, wait_s: float) -> FileLock:
    """A lock in a file of this user's; to acquire it raises ``filelock.Timeout`` after ``wait_s`` seconds.

    Threads share it: it is held until it was released as often as it was acquired.

    Raises:
        OSError: the file cannot be opened, or is not this user's (``files.ForeignFile``).
    """
    from filelock import FileLock

    os.close(files.open_own(path, mode=0o666))
    # No fallback to a lock that is only a file: it would outlive a process that is killed.
    return FileLock(path, timeout=wait_s, fallback_to_soft=False, thread_local=False)
