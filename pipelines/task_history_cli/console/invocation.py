"""The name by which this command was called, so that printed hints can be typed as they are."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "task-history"


def called_as() -> str:
    """``task-history`` where the shell finds it by that name, else the path it was called by."""
    script = Path(sys.argv[0])
    if script.name != NAME:  # called as a module, or from a program
        script = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if found is not None and _is_same_file(Path(found), script):
        return NAME
    return shown_path(script)


def shown_path(path: Path) -> str:
    """The path quoted for a shell, relative to the current folder where possible."""
    text = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow the link of a virtual environment
    here = str(Path.cwd()) + os.sep
    return shlex.quote(text.removeprefix(here))


def _is_same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
