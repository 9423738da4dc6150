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
            tree = ast.parse(path.read_text("utf-8"))
            chosen = _chosen_levels(tree)
            for node in ast.walk(tree):
                match node:
                    case ast.Call(
                        func=function, args=[ast.Constant(value=str(event))], keywords=keywords
                    ) if written := _level(function) or chosen.get(ast.unparse(function)):
                        levels, fields = found[event]
                        levels |= written
                        fields |= {keyword.arg for keyword in keywords if keyword.arg}
    return dict(found)


def _level(node: ast.AST) -> set[str]:
    """The level of ``log.<level>``; empty where the node is something else."""
    match node:
        case ast.Attribute(value=ast.Name(id="log"), attr=level) if level in LEVELS:
            return {level}
    return set()


def _chosen_levels(tree: ast.AST) -> dict[str, set[str]]:
    """The levels by name, of assignments such as ``write = log.info if … else log.warning``."""
    return {
        node.targets[0].id: levels
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.IfExp)
        and (levels := _level(node.value.body) | _level(node.value.orelse))
    }


def table() -> str:
    """Each event with its level, its fields and its meaning."""
    rows = []
    for event, (levels, fields) in sorted(events().items()):
        named = ", ".join(f"`{field}`" for field in sorted(fields))
        rows.append(
            f"| `{event}` | {', '.join(sorted(levels, key=LEVELS.index))} | {named} | {MEANINGS.get(event, '')} |"
        )
    return "\n".join(["| Event | Level | Fields | Meaning |", "|---|---|---|---|", *rows, ""])
