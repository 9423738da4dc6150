"""The table of log events: their names, levels and fields from the calls in the code, their meanings from a file."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from pathlib import Path

from tests.support.place import ROOT

FOLDERS = ("sources/task_history", "pipelines/task_history_cli")
LEVELS = ("debug", "info", "warning", "error")
MEANINGS: dict[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
"""What each event means, by its name."""


def events() -> dict[str, tuple[set[str], set[str]]]:
    """The levels and the fields of each event that the code logs."""
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                        args=[ast.Constant(value=str(event))],
                        keywords=keywords,
                    ) if level in LEVELS:
                        levels, fields = found[event]
                        levels.add(level)
                        fields |= {keyword.arg for keyword in keywords if keyword.arg}
    return dict(found)


def table() -> str:
    """Each event with its level, its fields and its meaning."""
    rows = []
    for event, (levels, fields) in sorted(events().items()):
        named = ", ".join(f"`{field}`" for field in sorted(fields))
        rows.append(
            f"| `{event}` | {', '.join(sorted(levels, key=LEVELS.index))} | {named} | {MEANINGS.get(event, '')} |"
        )
    return "\n".join(["| Event | Level | Fields | Meaning |", "|---|---|---|---|", *rows, ""])
