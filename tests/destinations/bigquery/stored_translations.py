"""Translations of statements in a file of the emulator's environment, for all emulators that ever run there.

Part of ``launcher``'s process. Each of a run's emulators says much of what the others say, and each run what the one
before it said.
"""

from __future__ import annotations

import json
from typing import Any

from tests.destinations.bigquery.kept_answers import KeptAnswers

_MODULES = ("known", "launcher", "merges", "stored_translations", "templates", "translations")
_PACKAGES = ("local-bigquery", "sqlglot", "duckdb")
_kept: KeptAnswers | None = None


def load(key: Any) -> Any:
    """The translation that was saved for the key; None where there is none."""
    if _kept is None or (found := _kept.load(repr(key))) is None:
        return None
    sql, used, positions, referenced = json.loads(found)
    return sql, frozenset(used), positions, frozenset(map(tuple, referenced))


def save(key: Any, translation: tuple[Any, ...]) -> None:
    """Keeps a translation; where the file cannot be written none is kept."""
    if _kept is not None:
        sql, used, positions, referenced = translation
        _kept.save(repr(key), json.dumps([sql, sorted(used), positions, sorted(referenced)]).encode())


def open_file() -> None:
    """From now on translations are kept in the file, where it can be written."""
    global _kept  # noqa: PLW0603 - of this process
    _kept = KeptAnswers("translations", _MODULES, _PACKAGES)
