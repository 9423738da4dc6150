"""One run at a time per pipeline: two would settle and load the same rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core import files
from ..core.errors import AlreadyRunning, WarehouseUnavailable


@contextmanager
def run_lock(path: Path, pipeline: str) -> Iterator[None]:
    """Holds the lock in the file at ``path``; the system lets it go when the process dies, however it dies.

    Raises:
        AlreadyRunning: another process holds it.
        WarehouseUnavailable: the file cannot be made.
    """
    try:
        files.make_folder(path.parent, mode=0o777)
    except OSError as error:
        raise WarehouseUnavailable(
            f"The working folder {path.parent} cannot be written ({error.strerror}): set DLT_DATA_DIR to a folder "
            "of your own."
        ) from error
    from filelock import FileLock, Timeout

    # No fallback to a lock that is only a file: it would outlive a process that is killed.
    lock = FileLock(path, timeout=0, fallback_to_soft=False, thread_local=False)
    try:
        os.close(files.open_own(path, mode=0o666))
        lock.acquire()
        _note_holder(path)
    except Timeout:
        raise AlreadyRunning(
            f"Another run of {pipeline} is at work{_holder(path)}. Let it finish: it brings what this one would bring."
        ) from None
    except OSError as error:
        raise WarehouseUnavailable(
            f"The lock file {path} cannot be used ({error.strerror}): look at what it is and remove it, or set "
            "DLT_DATA_DIR to a folder of your own."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _note_holder(path: Path) -> None:
    """Writes this process's number into the lock file, for the message that another one gives."""
    with os.fdopen(files.open_own(path, mode=0o666), "r+b") as file:
        file.truncate()
        file.write(str(os.getpid()).encode())


def _holder(path: Path) -> str:
    """Which process holds the lock; nothing where that is not to be read."""
    with suppress(OSError, ValueError):
        return f" (process {int(files.read_text(path, max_bytes=20))})"
    return ""
