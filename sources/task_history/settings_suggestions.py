"""Suggestions for misspelled sections and settings in .dlt files, which dlt would ignore silently. Pure functions.

dlt has sections of its own beside and within them, and a user may have other sources and pipelines.
https://dlthub.com/docs/general-usage/credentials/advanced
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

SOURCES, OWN = SECTION = ("sources", "task_history")
OF_DLT = frozenset({"data_writer", "extract", "load", "normalize", "schema"})
"""Sections of dlt itself within the section of a source."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A misplaced section or setting, and the suggested path."""

    path: Path | None
    """The suggested path; None where no name is similar."""
    is_section: bool
    """Whether the suggestion is a section."""


def suggestion_for(
    path: Sequence[str], *, is_table: bool, systems: Collection[str], settings: Collection[str]
) -> Suggestion | None:
    """The suggestion for the path of a value or section; None where it is right or not part of this source.

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
                return Suggestion((*prefix, *SECTION, *inner), is_table)
            continue
        suggested = _suggested(inner, is_table=is_table, systems=systems, settings=settings)
        if suggested is not None:
            is_section = is_table or suggested[1:] == ()
            return Suggestion((*prefix, *SECTION, *suggested) if suggested else None, is_section)
    return None


def _suggested(
    inner: Sequence[str], *, is_table: bool, systems: Collection[str], settings: Collection[str]
) -> Path | None:
    """The suggested path within the section of this source: empty without a suggestion, None if it is right."""
    if not inner or inner[0] in OF_DLT:
        return None
    head, *rest = inner
    if rest or is_table:
        if head in systems:
            return None
        near = _near(head, systems)
        return (near, *rest) if near else ()
    # A value that stands beside the sections of the systems.
    if head in systems:
        return (head,)
    for system in systems:
        name = head.removeprefix(f"{system}_")
        if setting := _near(name, settings):
            return (system, setting)
    near = _near(head, systems)
    return (near,) if near else None


def _near(name: str, candidates: Collection[str]) -> str | None:
    matches = difflib.get_close_matches(name.lower(), candidates, n=1, cutoff=0.75)
    return matches[0] if matches else None
