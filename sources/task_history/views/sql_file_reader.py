"""Parser of the ``.sql`` files of views and checks: header (question, grain, columns) and SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
TYPES = ("text", "bigint", "decimal", "double", "bool", "timestamp", "date", "json")
_COLUMN = re.compile(rf"([a-z][a-z0-9_]*) ({'|'.join(TYPES)}): (.+)")


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """One column of a view."""

    name: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class View:
    """One view. ``sql`` is DuckDB SQL over other views and the relations of ``systems``."""

    name: str
    question: str
    grain: str
    note: str
    columns: tuple[ViewColumn, ...]
    sql: str


@dataclass(frozen=True, slots=True)
class Check:
    """An integrity check. ``sql`` selects the rows that violate it."""

    name: str
    promise: str
    level: str
    """``broken`` when a row is an error, ``notice`` when it is only information."""
    reads_all: bool
    """Whether it reads all days although it checks few: too expensive after each sync where reading is billed."""
    sql: str


@cache
def views() -> Mapping[str, View]:
    """All views by name; those that others read come first."""
    unordered = [_view(path) for path in sorted(FOLDER.glob("*.sql"))]
    return {view.name: view for view in _in_order(unordered)}


@cache
def checks() -> tuple[Check, ...]:
    """All checks, by name."""
    return tuple(_check(path) for path in sorted((FOLDER / "checks").glob("*.sql")))


def header(text: str) -> tuple[dict[str, str], list[str], str]:
    """The fields of a file's header, the lines under ``Columns:``, and the SQL below. Raises ValueError."""
    fields: dict[str, str] = {}
    columns: list[str] = []
    lines = text.splitlines()
    current = ""
    index = 0
    while index < len(lines) and lines[index].startswith("--"):
        line = lines[index].removeprefix("--")
        index += 1
        named = re.fullmatch(r" ([A-Z][a-z]+): ?(.*)", line)
        if named:
            current = named[1]
            fields[current] = named[2]
        elif current == "Columns":
            columns.append(line.strip())
        elif current and line.startswith("   "):
            fields[current] += " " + line.strip()
        else:
            raise ValueError(f"a header's line is neither a field nor goes on with one: {line!r}")
    return fields, columns, "\n".join(lines[index:]).strip()


def _view(path: Path) -> View:
    fields, lines, sql = header(path.read_text(encoding="utf-8"))
    columns = []
    for line in lines:
        match = _COLUMN.fullmatch(line)
        if match is None:
            raise ValueError(f"{path.name}: {line!r} is no column with a type and a sentence")
        columns.append(ViewColumn(match[1], match[2], match[3]))
    return View(path.stem, fields["Question"], fields["Grain"], fields.get("Note", ""), tuple(columns), sql)


def _check(path: Path) -> Check:
    fields, _, sql = header(path.read_text(encoding="utf-8"))
    return Check(path.stem, fields["Promise"], fields.get("Level", "broken"), "Reads" in fields, sql)


def _in_order(unordered: list[View]) -> list[View]:
    """Sorts the views so that each comes after those that it reads."""
    pending = {view.name: view for view in unordered}
    needs = {name: _read_by(view, pending.keys()) for name, view in pending.items()}
    done: list[View] = []
    while pending:
        ready = [name for name in pending if not needs[name] & pending.keys()]
        if not ready:
            raise ValueError(f"views read each other in a circle: {', '.join(pending)}")
        done += [pending.pop(name) for name in ready]
    return done


def _read_by(view: View, names: object) -> set[str]:
    relations = re.findall(r"\b(?:FROM|JOIN)\s+([a-z_]+)\b(?!\.)", view.sql)
    return {relation for relation in relations if relation in names and relation != view.name}  # type: ignore[operator]
