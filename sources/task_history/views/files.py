"""A view as its file says it: the question, the grain, a sentence for every column, the SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
TYPES = ("text", "bigint", "double", "bool", "timestamp", "date", "json")
_COLUMN = re.compile(rf"([a-z][a-z0-9_]*) ({'|'.join(TYPES)}): (.+)")


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """One column of a view."""

    name: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class View:
    """One view. ``sql`` is DuckDB's, over other views and the relations of ``systems``."""

    name: str
    question: str
    grain: str
    note: str
    columns: tuple[ViewColumn, ...]
    sql: str


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold. ``sql`` gives the rows that break it."""

    name: str
    promise: str
    level: str
    """``broken`` when a row means that something is wrong, ``notice`` when it only has to be known."""
    sql: str


@cache
def views() -> Mapping[str, View]:
    """All views by name, those that others read first."""
    found = [_view(path) for path in sorted(FOLDER.glob("*.sql"))]
    return {view.name: view for view in _in_order(found)}


@cache
def checks() -> tuple[Check, ...]:
    """All checks, by name."""
    return tuple(_check(path) for path in sorted((FOLDER / "checks").glob("*.sql")))


def header(text: str) -> tuple[dict[str, str], list[str], str]:
    """The fields of a file's header, the lines under ``Columns:``, and the SQL below. Raises ValueError."""
    fields: dict[str, str] = {}
    columns: list[str] = []
    lines = text.splitlines()
    last = ""
    at = 0
    while at < len(lines) and lines[at].startswith("--"):
        line = lines[at].removeprefix("--")
        at += 1
        named = re.fullmatch(r" ([A-Z][a-z]+): ?(.*)", line)
        if named:
            last = named[1]
            fields[last] = named[2]
        elif last == "Columns":
            columns.append(line.strip())
        elif last and line.startswith("   "):
            fields[last] += " " + line.strip()
        else:
            raise ValueError(f"a header's line is neither a field nor goes on with one: {line!r}")
    return fields, columns, "\n".join(lines[at:]).strip()


def _view(path: Path) -> View:
    fields, lines, sql = header(path.read_text(encoding="utf-8"))
    columns = []
    for line in lines:
        found = _COLUMN.fullmatch(line)
        if found is None:
            raise ValueError(f"{path.name}: {line!r} is no column with a type and a sentence")
        columns.append(ViewColumn(found[1], found[2], found[3]))
    return View(path.stem, fields["Question"], fields["Grain"], fields.get("Note", ""), tuple(columns), sql)


def _check(path: Path) -> Check:
    fields, _, sql = header(path.read_text(encoding="utf-8"))
    return Check(path.stem, fields["Promise"], fields.get("Level", "broken"), sql)


def _in_order(found: list[View]) -> list[View]:
    """Each after those that it reads."""
    left = {view.name: view for view in found}
    needs = {name: _read_by(view, left.keys()) for name, view in left.items()}
    done: list[View] = []
    while left:
        ready = [name for name in left if not needs[name] & left.keys()]
        if not ready:
            raise ValueError(f"views read each other in a circle: {', '.join(left)}")
        done += [left.pop(name) for name in ready]
    return done


def _read_by(view: View, names: object) -> set[str]:
    words = re.findall(r"\b(?:FROM|JOIN)\s+([a-z_]+)\b(?!\.)", view.sql)
    return {word for word in words if word in names and word != view.name}  # type: ignore[operator]
