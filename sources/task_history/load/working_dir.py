"""Keeps dlt's working folder small: it is never watched, and dlt leaves something behind with every load."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_KEPT = 20
"""Loads whose records stay, for whoever looks at them with dlt's own command."""
_ORPHAN = re.compile(r"[0-9a-f]{16}")


def forget_old_loads(folder: Path) -> None:
    """Removes the records of loads that are done, all but the newest; ``folder`` is the pipeline's."""
    done = folder / "load" / "loaded"
    if done.is_dir():
        # Named by the second in which they began.
        loads = sorted((entry for entry in done.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
        for entry in loads[:-_KEPT]:
            shutil.rmtree(entry, ignore_errors=True)


def finish_loads(folder: Path) -> None:
    """Puts away what was loaded by a run that was killed before it did: dlt would stop at it, each time.

    Only for whoever holds the pipeline's lock.
    """
    load = folder / "load"
    for mark in sorted(load.glob("normalized/*/package_completed.json")):
        done = load / "loaded" / mark.parent.name
        shutil.rmtree(done, ignore_errors=True)
        done.parent.mkdir(exist_ok=True)
        mark.parent.rename(done)


def forget_killed_extracts(folder: Path) -> None:
    """Removes what killed runs had begun to extract or to pack: none of it can be loaded.

    Only for whoever holds the pipeline's lock.
    """
    unfinished = folder / "load" / "new"
    if unfinished.is_dir():
        for entry in unfinished.iterdir():
            shutil.rmtree(entry, ignore_errors=True)
    begun = folder / "normalize"
    if begun.is_dir():
        for entry in begun.iterdir():
            if entry.is_dir() and _ORPHAN.fullmatch(entry.name):
                shutil.rmtree(entry, ignore_errors=True)
