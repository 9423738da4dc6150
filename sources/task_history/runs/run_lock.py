"""The lock of a run: one run at a time per pipeline, because two would settle and load the same rows.

The lock also shows whether a run without a stored end is still active: the operating system releases it when the
process dies.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import files, lock_timeouts
from ..core.commit_limits import CommitLimits
from ..core.errors import AlreadyRunning, ConfigurationError, WarehouseUnavailable
from ..core.file_lock import file_lock
from ..core.log import log

if TYPE_CHECKING:
    from filelock import FileLock

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)

_MAX_HOLDER_BYTES = 10_000


def lock_path(pipelines_dir: str | Path, pipeline: str) -> Path:
    """The lock file of a dlt pipeline whose working folder lies in ``pipelines_dir``."""
    return Path(pipelines_dir) / f"{pipeline}.lock"


@cache
def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def was_killed(run: Mapping[str, Any]) -> bool:
    """Whether a run, a row of ``sync_runs`` without an end, is no longer active, as far as this machine can know."""
    path = run.get("lock_file")
    return bool(path) and run.get("host") == host() and not _is_held(Path(str(path)))


def check_other_machines(
    running: Iterable[Mapping[str, Any]], command: str, now: datetime, commits: CommitLimits
) -> None:
    """Raises AlreadyRunning where a run of that command has committed from another machine a short time ago.

    The lock covers the processes of one machine and one working folder. ``running`` are rows of ``sync_runs`` without an
    end, ``commits`` says how often they commit: a run that was killed counts as active for three minutes on DuckDB,
    ten on BigQuery. It is called by runs on DuckDB, where one process at a time may write, and by ``forget`` on every
    warehouse.
    """
    # Rows wait for their commit, and then perhaps for the warehouse's file.
    longest_commit_s = max(commits.seconds, lock_timeouts.FILE_WAIT_OF_RUN_WITH_ROWS_S)
    active_for = timedelta(seconds=commits.seconds + longest_commit_s)
    for run in running:
        machine, written_at = run.get("host"), run.get("written_at")
        if run["command"] != command or machine in (None, host()) or written_at is None:
            continue
        if abs(now - written_at) < active_for:
            raise AlreadyRunning(
                f"Another run of {command} is active on the machine {machine}; its last commit was at "
                f"{written_at:%H:%M:%S} UTC. A DuckDB file is for one machine at a time: let several machines load into "
                "Postgres or BigQuery. If that run was killed, this command goes on "
                f"{active_for.total_seconds():.0f} s after that commit."
            )


def check_any_machine(
    running: Iterable[Mapping[str, Any]], held: Collection[str], now: datetime, commits: CommitLimits
) -> None:
    """Raises AlreadyRunning where any run seems to be active that does not take its lock from this working folder.

    ``running`` are rows of ``sync_runs`` without an end, which commit as often as ``commits`` says; ``held`` are the
    lock files that this process holds.
    """
    runs = list(running)
    for command in sorted({str(run["command"]) for run in runs}):
        check_other_machines(runs, command, now, commits)
    for run in runs:
        path = run.get("lock_file")
        if run.get("host") == host() and path and str(path) not in held and _is_held(Path(str(path))):
            raise AlreadyRunning(
                f"Another run of {run['command']} is active on this machine, in another working folder ({path})."
            )


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock; True also where that cannot be known."""
    from filelock import FileLock, Timeout

    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0, fallback_to_soft=False, thread_local=False):
            return False
    except (Timeout, OSError):
        return True


@contextmanager
def run_lock(
    path: Path, pipeline: str, *, task: str = "", wait: Callable[[float], None] | None = None
) -> Iterator[None]:
    """Holds the lock in the file at ``path``; the operating system releases it when the process dies.

    ``task`` says what the run does, such as the range that it loads. With ``wait``, which sleeps for so many seconds, it
    waits until a run that has another task has ended.

    Raises:
        AlreadyRunning: another process holds it.
        ConfigurationError: the folder may not be written.
        WarehouseUnavailable: the file cannot be created.
        Stopped: by ``wait``.
    """
    try:
        files.make_folder(path.parent, mode=0o777)
    except OSError as error:
        kind = ConfigurationError if error.errno in _NOT_ALLOWED else WarehouseUnavailable
        raise kind(
            f"The working folder {path.parent} cannot be written ({error.strerror}): set DLT_DATA_DIR to a folder "
            "of your own."
        ) from error
    try:
        lock = file_lock(path, wait_s=lock_timeouts.RUN_LOCK_WAIT_S)
        _acquire(lock, path, pipeline, task, wait)
        _write_holder(path, task)
    except OSError as error:
        raise WarehouseUnavailable(
            f"The lock file {path} cannot be used ({error.strerror}): remove it if no run uses it, or set "
            "DLT_DATA_DIR to a folder of your own."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _acquire(
    lock: FileLock, path: Path, pipeline: str, task: str, wait: Callable[[float], None] | None
) -> None:
    from filelock import Timeout

    announced = None
    while True:
        try:
            lock.acquire()
        except Timeout:
            process, other = _holder(path)
            who = f" (process {process})" if process else ""
            if wait is None or not process or other == task:
                raise AlreadyRunning(
                    f"Another run of {pipeline} is active{who}. Let it finish: it does what this one would do."
                ) from None
            if announced != process:
                log.info(
                    "waiting_for_run",
                    process=process,
                    task=other,
                    hint="this run begins when that one has ended",
                )
                announced = process
            wait(lock_timeouts.RUN_LOCK_POLL_S)
        else:
            return


def _write_holder(path: Path, task: str) -> None:
    """Writes this process's id and task into the lock file, for the messages of other processes."""
    with os.fdopen(files.open_own(path, mode=0o666), "r+b") as file:
        file.truncate()
        file.write("\n".join(filter(None, (str(os.getpid()), task))).encode())


def _holder(path: Path) -> tuple[int | None, str]:
    """The process that holds the lock, and its task; None where the file does not say."""
    with suppress(OSError, ValueError):
        process, _, task = files.read_text(path, max_bytes=_MAX_HOLDER_BYTES).partition("\n")
        return int(process), task
    return None, ""
