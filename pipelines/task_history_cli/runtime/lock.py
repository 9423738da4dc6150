"""One run at a time per pipeline: two would settle and load the same rows."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from task_history.core import files
from task_history.core.errors import AlreadyRunning, WarehouseUnavailable


@contextmanager
def only_one(path: Path, pipeline: str) -> Iterator[None]:
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
    try:
        file = files.open_own(path, mode=0o666)
    except OSError as error:
        raise WarehouseUnavailable(
            f"The lock file {path} cannot be used ({error.strerror}): look at what it is and remove it, or set "
            "DLT_DATA_DIR to a folder of your own."
        ) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip()
            raise AlreadyRunning(
                f"Another run of {pipeline} is at work"
                + (f" (process {holder})" if holder else "")
                + ". Let it finish: it brings what this one would bring."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)
