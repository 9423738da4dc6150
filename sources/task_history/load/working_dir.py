"""The working folder of a dlt pipeline, as dlt lays it out: what killed runs left there, and records of former loads.

Beside ``dlt_internals`` the module to check against a new version of dlt.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from . import refused_packages

_EXTRACT = re.compile(r"[0-9a-f]{16}")
_MERGE = ".sql"
"""The ending of a job that merges staged rows; all others bring rows."""
_LOADS_KEPT = 20
"""Number of completed loads whose records stay, for users of dlt's own command."""


def load_folder(folder: str | Path) -> Path:
    """Where dlt keeps load packages."""
    return Path(folder) / "load"


def remove_old_loads(folder: Path) -> None:
    """Removes the records of all but the newest completed loads; ``folder`` is the working folder of the pipeline."""
    done = load_folder(folder) / "loaded"
    if done.is_dir():
        # Their names are their start times.
        loads = sorted((entry for entry in done.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
        for entry in loads[:-_LOADS_KEPT]:
            shutil.rmtree(entry, ignore_errors=True)


def complete_loads(folder: Path) -> None:
    """Moves packages that a killed run had loaded to the completed ones; dlt would fail at them in every run.

    The caller holds the pipeline's lock.
    """
    for mark in sorted(load_folder(folder).glob("normalized/*/package_completed.json")):
        done = load_folder(folder) / "loaded" / mark.parent.name
        shutil.rmtree(done, ignore_errors=True)
        done.parent.mkdir(exist_ok=True)
        mark.parent.rename(done)


def remove_killed_extracts(folder: Path) -> None:
    """Removes incomplete extracts and packages of killed runs, which cannot be loaded.

    Also extracts that were normalized: dlt moves the package on before it removes the extract, and a run that finds both
    would normalize it again and fail as it moves it.

    The caller holds the pipeline's lock.
    """
    _remove(_entries(load_folder(folder) / "new"))
    _remove(entry for entry in _entries(folder / "normalize") if _EXTRACT.fullmatch(entry.name))
    normalized = {entry.name for entry in _entries(load_folder(folder) / "normalized")}
    _remove(entry for entry in _entries(folder / "normalize" / "extracted") if entry.name in normalized)


def unloaded(folder: Path) -> list[Path]:
    """Packages and extracts in the working folder that are not loaded."""
    return [*_entries(load_folder(folder) / "normalized"), *_entries(folder / "normalize" / "extracted")]


def stage_again(folder: Path, tables: Collection[str]) -> None:
    """Has pending packages stage the rows of these tables again, which they may have staged already.

    Merges that wait are removed: dlt makes them anew once the rows are staged, and would run these beside the staging,
    with a table that is empty still.
    """
    for package in _entries(load_folder(folder) / "normalized"):
        for file in _jobs(package, ("new_jobs", "started_jobs"), tables):
            if file.suffix == _MERGE:
                file.unlink()
        for file in _jobs(package, ("completed_jobs",), tables):
            if file.suffix != _MERGE:
                file.rename(package / "new_jobs" / file.name)


def _jobs(package: Path, states: Iterable[str], tables: Collection[str]) -> list[Path]:
    files = [file for state in states for file in _entries(package / state)]
    return [file for file in files if file.name.split(".")[0] in tables]


def erase_kept_rows(folder: Path) -> None:
    """Removes all rows that are kept there, of completed, killed and refused loads; none may be left to load."""
    kept = [entry for name in ("loaded", "new") for entry in _entries(load_folder(folder) / name)]
    kept += [entry for entry in _entries(folder / "normalize") if _EXTRACT.fullmatch(entry.name)]
    for path in (*kept, *refused_packages.kept_of_rows(folder)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _remove(entries: Iterable[Path]) -> None:
    for entry in entries:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
