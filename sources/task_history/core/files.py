"""Files opened by a name that a setting, the command line or a shared folder gives, and who may read them.

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
"""The environment variable that says which rights new files lack: 027 lets the group read them."""
_PRIVATE = 0o077

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_LINK = "is a link, and links are not followed"
_NOT_REGULAR = "is not a regular file"


class NotOurs(OSError):
    """What stands at that name is not what may be read or written; the text says why, after the name."""


def umask(environ: Mapping[str, str]) -> int:
    """The rights that new files and folders do not get: all of group and others, unless TASK_HISTORY_UMASK says so.

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
    """New files and folders of this process lack the rights in ``mask`` for as long as the block lasts."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def read_text(path: Path, *, max_bytes: int, encoding: str = "utf-8") -> str:
    """The text of a regular file. Raises as ``read_bytes`` does, and UnicodeDecodeError."""
    return read_bytes(path, max_bytes=max_bytes).decode(encoding)


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """What a regular file holds.

    Raises:
        NotOurs: it is a pipe, a device or a folder, or longer than ``max_bytes``.
        OSError: it cannot be read.
    """
    # Without O_NONBLOCK the opening of a pipe waits for its writer.
    handle = os.open(path, os.O_RDONLY | _NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        _check_regular(os.fstat(handle))
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise NotOurs(0, f"is longer than {max_bytes:,} bytes")
    return content


def open_own(path: Path, *, mode: int) -> int:
    """A descriptor to read and write a regular file of this user in its place; made if there is none.

    Raises:
        NotOurs: it is a link, has a second name, is no regular file, or belongs to another user.
        OSError: it cannot be opened.
    """
    check_own(path)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | _NOFOLLOW | _NONBLOCK, mode)
    try:
        found = os.fstat(handle)
        _check_regular(found)
        if found.st_nlink > 1:
            raise NotOurs(0, "has a second name (a hard link)")
        _check_owner(found)
    except BaseException:
        os.close(handle)
        raise
    return handle


def make_own(path: Path) -> None:
    """Makes an empty file that only this user can read where there is none; one that is there must be this user's.

    No descriptor of a file that is there is opened: closing it would end the locks that this process holds on it.

    Raises:
        NotOurs: it is a link, no regular file, or belongs to another user.
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
    """Raises NotOurs when something stands there that is not a regular file of this user."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    _check_regular(found)
    _check_owner(found)


def make_folder(path: Path, *, mode: int) -> None:
    """Makes the folder where there is none; one that is there must be this user's.

    Raises:
        NotOurs: it is a link, no folder, or belongs to another user.
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
    # Not followed: in a folder that all may write to, anybody can have laid a link.
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotOurs(0, _LINK if stat.S_ISLNK(found.st_mode) else "is not a folder")
    _check_owner(found)


def write_new(path: Path, content: bytes) -> None:
    """Writes a file where there is none, following no link.

    Raises:
        OSError: there is one, or it cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def replace(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, in place of a regular file or of nothing.

    Raises:
        NotOurs: a link, a folder, a pipe or a device stands there.
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
    """Raises NotOurs when something stands there that is no regular file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    _check_regular(found)


def head(path: Path, size: int) -> bytes | None:
    """The first bytes of a regular file, no link followed; None where there is no file. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | _NOFOLLOW | _NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        _check_regular(os.fstat(handle))
        return file.read(size)


def is_open_to_others(path: Path, mask: int) -> bool:
    """Whether a file or folder that is there has rights that one made now would not get."""
    try:
        found = path.stat()
    except OSError:
        return False
    return bool(stat.S_IMODE(found.st_mode) & mask)


def _beside(path: Path) -> Path:
    """A name in the same folder that is not taken."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}")


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotOurs(0, _LINK if stat.S_ISLNK(found.st_mode) else _NOT_REGULAR)


def _check_owner(found: os.stat_result) -> None:
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        raise NotOurs(0, f"belongs to user {found.st_uid}, not to {os.getuid()}")
