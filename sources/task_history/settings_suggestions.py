"""Sections that look like those of this source and are none: whatever stands in them would be ignored silently. Pure.

dlt has sections of its own beside and within them, and a user may have other sources and pipelines.
https://dlthub.com/docs/general-usage/credentials/advanced
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

SOURCES, OWN = SECTION = ("sources", "task_history")
OF_DLT = frozenset({"data_writer", "extract", "load", "normalize", "schema"})
"""What dlt looks for within the section of a source."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something stands where nobody looks; which place was probably meant."""

    meant: Path | None
    """None where nothing is near."""
    is_section: bool
    """Whether what was meant is a section."""


def mistake(
    path: Sequence[str], *, is_table: bool, systems: Collection[str], settings: Collection[str]
) -> Mistake | None:
    """What is wrong with the place of a value, or of a section; None where it is right, or somebody else's.

    ``settings`` are the names of all settings that any system has.
    """
    # A section of a pipeline's name may stand before the others.
    for before in (0, 1):
        prefix, rest = tuple(path[:before]), tuple(path[before:])
        if len(rest) < 2:
            continue
        head, name, *inner = rest
        if (head, name) != SECTION:
            if bool(inner) and inner[0] in systems and _near(head, (SOURCES,)) and _near(name, (OWN,)):
                return Mistake((*prefix, *SECTION, *inner), is_table)
            continue
        meant = _meant(inner, is_table=is_table, systems=systems, settings=settings)
        if meant is not None:
            is_section = is_table or meant[1:] == ()
            return Mistake((*prefix, *SECTION, *meant) if meant else None, is_section)
    return None


def _meant(
    inner: Sequence[str], *, is_table: bool, systems: Collection[str], settings: Collection[str]
) -> Path | None:
    """What should stand within the section of this source: nothing known (empty), or None where all is right."""
    if not inner or inner[0] in OF_DLT:
        return None
    first, *rest = inner
    if rest or is_table:
        if first in systems:
            return None
        near = _near(first, systems)
        return (near, *rest) if near else ()
    # A value that stands beside the sections of the systems.
    if first in systems:
        return (first,)
    for system in systems:
        word = first.removeprefix(f"{system}_")
        if setting := _near(word, settings):
            return (system, setting)
    near = _near(first, systems)
    return (near,) if near else None


def _near(word: str, known: Collection[str]) -> str | None:
    found = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.75)
    return found[0] if found else None
