"""Safe file access: regular files of this user only, no links followed, and private permissions for new files.

A file that is read must be a regular file of bounded size: a pipe would hang, ``/dev/zero`` would fill the
memory. Links are followed when reading (Kubernetes mounts its files as links) and never when writing. What is
written whole is written beside its place and renamed, so that a reader never sees a part of it.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import ConfigurationError

UMASK = "TASK_HISTORY_UMASK"
"""Environment variable with the umask of new files: 027 lets the group read them."""
_PRIVATE = 0o077

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_LINK = "is a link, and links are not followed"
_NOT_REGULAR = "is not a regular file"


class ForeignFile(OSError):
    """The path is not a regular file or folder of this user; the message gives the reason after the name."""


def umask(environ: Mapping[str, str]) -> int:
    """The umask for new files and folders: TASK_HISTORY_UMASK, by default all rights of group and others.

    Raises:
        ConfigurationError: it is not an octal number, or would take rights from the owner.
    """
    text = environ.get(UMASK, "").strip()
    if not text:
        return _PRIVATE
    try:
        mask = int(text, 8)
    except ValueError:
        mask = -1
    if not 0 <= mask <= _PRIVATE:
        raise ConfigurationError(
            f"{UMASK} must be an octal number from 000 to 077, as the shell's umask takes it (077: only you read "
            f"the files, 027: your group reads them too), not {text!r}."
        )
    return mask


@contextmanager
def with_umask(mask: int) -> Iterator[None]:
    """Context manager: sets the umask of this process to ``mask`` within the block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def read_text(path: Path, *, max_bytes: int, encoding: str = "utf-8") -> str:
    """The text of a regular file. Raises as ``read_bytes`` does, and UnicodeDecodeError."""
    return read_bytes(path, max_bytes=max_bytes).decode(encoding)


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        ForeignFile: it is a pipe, a device or a folder, or longer than ``max_bytes``.
        OSError: it cannot be read.
    """
    # Without O_NONBLOCK the opening of a pipe waits for its writer.
    handle = os.open(path, os.O_RDONLY | _NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        _check_regular(os.fstat(handle))
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ForeignFile(0, f"is longer than {max_bytes:,} bytes")
    return content


def open_own(path: Path, *, mode: int) -> int:
    """Opens a regular file of this user for reading and writing, and creates it if it is missing.

    Raises:
        ForeignFile: it is a link, has a second name, is no regular file, or belongs to another user.
        OSError: it cannot be opened.
    """
    check_own(path)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | _NOFOLLOW | _NONBLOCK, mode)
    try:
        status = os.fstat(handle)
        _check_regular(status)
        if status.st_nlink > 1:
            raise ForeignFile(0, "has a second name (a hard link)")
        _check_owner(status)
    except BaseException:
        os.close(handle)
        raise
    return handle


def make_own(path: Path) -> None:
    """Creates an empty private file unless it exists; an existing file must belong to this user.

    No descriptor of a file that is there is opened: closing it would end the locks that this process holds on it.

    Raises:
        ForeignFile: it is a link, no regular file, or belongs to another user.
        OSError: it cannot be made.
    """
    if not os.path.lexists(path):
        beside = _beside(path)
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600))
        with suppress(FileExistsError):
            os.link(beside, path)
        beside.unlink()
    check_own(path)


def check_own(path: Path) -> None:
    """Raises ForeignFile when the path exists and is not a regular file of this user."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    _check_regular(status)
    _check_owner(status)


def make_folder(path: Path, *, mode: int) -> None:
    """Creates the folder unless it exists; an existing folder must belong to this user.

    Raises:
        ForeignFile: it is a link, no folder, or belongs to another user.
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
    # Not followed: in a folder that all may write to, anybody can have laid a link.
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise ForeignFile(0, _LINK if stat.S_ISLNK(status.st_mode) else "is not a folder")
    _check_owner(status)


def write_new(path: Path, content: bytes) -> None:
    """Writes a new file, following no link.

    Raises:
        OSError: there is one, or it cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def replace(path: Path, content: bytes) -> None:
    """Writes a file atomically; it may replace a regular file, and nothing else.

    Raises:
        ForeignFile: a link, a folder, a pipe or a device stands there.
        OSError: it cannot be written.
    """
    check_replaceable(path)
    beside = _beside(path)
    try:
        write_new(beside, content)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def check_replaceable(path: Path) -> None:
    """Raises ForeignFile when the path exists and is not a regular file."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    _check_regular(status)


def head(path: Path, size: int) -> bytes | None:
    """The first bytes of a regular file, following no link; None when it is missing. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | _NOFOLLOW | _NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        _check_regular(os.fstat(handle))
        return file.read(size)


def is_open_to_others(path: Path, mask: int) -> bool:
    """Whether an existing file or folder grants rights that the umask would remove from a new one."""
    try:
        status = path.stat()
    except OSError:
        return False
    return bool(stat.S_IMODE(status.st_mode) & mask)


def _beside(path: Path) -> Path:
    """An unused name in the same folder."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}")


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ForeignFile(0, _LINK if stat.S_ISLNK(status.st_mode) else _NOT_REGULAR)


def _check_owner(status: os.stat_result) -> None:
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        raise ForeignFile(0, f"belongs to user {status.st_uid}, not to {os.getuid()}")
