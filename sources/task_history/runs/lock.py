"""The lock of a run: one run at a time per pipeline, because two would settle and load the same rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core import files
from ..core.errors import AlreadyRunning, WarehouseUnavailable


@contextmanager
def run_lock(path: Path, pipeline: str) -> Iterator[None]:
    """Holds the lock in the file at ``path``; the operating system releases it when the process dies.

    Raises:
        AlreadyRunning: another process holds it.
        WarehouseUnavailable: the file cannot be created.
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
        _write_holder(path)
    except Timeout:
        raise AlreadyRunning(
            f"Another run of {pipeline} is at work{_holder(path)}. Let it finish: it loads the same data."
        ) from None
    except OSError as error:
        raise WarehouseUnavailable(
            f"The lock file {path} cannot be used ({error.strerror}): remove it if no run uses it, or set "
            "DLT_DATA_DIR to a folder of your own."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _write_holder(path: Path) -> None:
    """Writes this process's id into the lock file, for the error message of other processes."""
    with os.fdopen(files.open_own(path, mode=0o666), "r+b") as file:
        file.truncate()
        file.write(str(os.getpid()).encode())


def _holder(path: Path) -> str:
    """The process that holds the lock, in parentheses; empty when the file does not say."""
    with suppress(OSError, ValueError):
        return f" (process {int(files.read_text(path, max_bytes=20))})"
    return ""
