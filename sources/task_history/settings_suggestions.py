"""Suggestions for misspelled sections and settings in .dlt files, which dlt would ignore silently. Pure functions.

dlt has sections of its own beside and within them, and a user may have other sources and pipelines.
https://dlthub.com/docs/general-usage/credentials/advanced
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

SOURCES, OWN = SECTION = ("sources", "task_history")
OF_DLT = frozenset({"data_writer", "extract", "load", "normalize", "schema"})
"""Sections of dlt itself within the section of a source."""
VARIABLES = (
    "TASK_HISTORY_COMMAND",
    "TASK_HISTORY_DESTINATION",
    "TASK_HISTORY_DLT_INTERNALS",
    "TASK_HISTORY_STATE",
    "TASK_HISTORY_STATE_DIR",
    "TASK_HISTORY_UMASK",
)
"""Environment variables of task-history that are no settings."""
_PIPELINE = "task_history"
"""The beginning of the pipelines' names, which are sections too."""
_DUCKDB = ("destination", "duckdb", "credentials")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A misplaced section or setting, and the suggested path."""

    path: Path | None
    """The suggested path; None where no name is similar."""
    is_section: bool
    """Whether the suggestion is a section."""


# Many accounts are read in one process, each of which looks at the paths of all.
@lru_cache(maxsize=50_000)
def suggestion_for(
    path: Path, *, is_table: bool, systems: tuple[str, ...], settings: tuple[str, ...]
) -> Suggestion | None:
    """The suggestion for the path of a value or section; None where it is right or not part of this source.

    ``settings`` are the names of all settings that any system has.
    """
    if not is_table and _is_section(path, systems=systems):
        return Suggestion(tuple(path), is_section=True)
    if (own := _of_pipeline(path, systems=systems, settings=settings)) is not None:
        return Suggestion(own, is_table)
    if len(path) == 3 and path[0] == SOURCES and path[1] in systems and path[2] in settings:
        return Suggestion((*SECTION, *path[1:]), is_section=False)
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


def variable_suggestion(
    name: str, names: Container[str], *, systems: tuple[str, ...], settings: tuple[str, ...]
) -> str | None:
    """The suggestion for an environment variable that has the letters of a setting, or nearly the name of a variable.

    None where it is right, not part of task-history, or where the right one is among ``names`` too.
    """
    right = _variables_by_letters(systems, settings).get(_letters(name))
    if right is not None and name != right:
        return None if right in names else right
    if "__" in name or name in VARIABLES or not _near("_".join(name.lower().split("_")[:2]), (OWN,)):
        return None
    near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85)
    return near[0] if near and near[0] not in names else None


def _is_section(path: Sequence[str], *, systems: Collection[str]) -> bool:
    """Whether settings of this source stand below the path, so that a value there sets none."""
    head, *rest = path
    is_pipeline = any(f"{head}_".startswith(f"{_PIPELINE}_{name}_") for name in systems)
    return tuple(path) in (SECTION[:1], SECTION) or (
        is_pipeline and tuple(rest) in ((), SECTION[:1], SECTION)
    )


@cache
def _variables_by_letters(systems: tuple[str, ...], settings: tuple[str, ...]) -> dict[str, str]:
    """The variables of the settings, by their letters and by those without the first words."""
    rights = ["__".join(path).upper() for path in (_DUCKDB, (*_DUCKDB, "database"))]
    for system in systems:
        rights += ["__".join((*SECTION, system, setting)).upper() for setting in settings]
    found: dict[str, str] = {}
    for right in rights:
        shorter = _letters(right).removeprefix(SOURCES)
        for letters in (_letters(right), shorter, shorter.replace(_letters(OWN), SOURCES, 1)):
            found.setdefault(letters, right)
    return found


def _letters(name: str) -> str:
    return name.lower().replace("_", "")


def _of_pipeline(path: Sequence[str], *, systems: Collection[str], settings: Collection[str]) -> Path | None:
    """The suggested path of a value in a section that is nearly an account's pipeline; None where it is right."""
    head, *rest = path
    words = head.split("_")
    if len(path) < 2 or not _near("_".join(words[:2]), (_PIPELINE,)):
        return None
    system = next((name for name in systems if f"{head}_".startswith(f"{_PIPELINE}_{name}_")), None)
    if system is None:
        if (*rest[:2],) != SECTION or len(rest) < 4 or rest[2] not in systems:
            return None
        return ("_".join((_PIPELINE, rest[2], *words[3:])), *rest)
    if len(rest) == 1 and rest[0] in settings:
        return (head, *SECTION, system, rest[0])
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
