"""Names, once each, the files and folders of earlier versions that other users of the machine can read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from task_history.core import files
from task_history.core.log import log

_NAMED = "open_to_others"
_MAX_BYTES = 1_000_000


def name_open_to_others(paths: Iterable[Path], folder: Path) -> None:
    """Logs each of ``paths`` that others have rights to which a new one would not give; remembered in ``folder``."""
    mask = files.umask(os.environ)
    found = [str(path) for path in paths if files.is_open_to_others(path, mask)]
    if not found:
        return
    memory = folder / _NAMED
    before: list[str] = []
    with suppress(OSError, UnicodeDecodeError):
        before = files.read_text(memory, max_bytes=_MAX_BYTES).splitlines()
    new = [path for path in found if path not in before]
    for path in new:
        log.warning(
            "open_to_others",
            path=path,
            reason="it was made before files were kept to their owner",
            hint=f"chmod go-rwx takes the rights away; {files.UMASK}=027 lets the group read what is made from now on",
        )
    if new:
        with suppress(OSError):
            files.replace(memory, "\n".join([*before, *new]).encode())
