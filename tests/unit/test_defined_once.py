"""Nothing is defined in two places: a change in one of them would be lost in the other."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from task_history.core import dataset_names
from task_history.runs import runner
from task_history.runs.runner import Lane
from task_history_cli.commands import replay

ROOT = Path(__file__).parents[2]


def _definitions(module: ast.Module) -> list[str]:
    """Names that the module defines at its top level, once for each definition."""
    defined: list[str] = []
    for node in module.body:
        if isinstance(node, ast.Assign):
            stored = [name for target in node.targets for name in ast.walk(target)]
            defined += [name.id for name in stored if isinstance(name, ast.Name) and name.id != "_"]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.append(node.target.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined += [] if node.name == "_" else [node.name]
    return defined


def test_no_module_defines_a_name_twice() -> None:
    """Each constant, function and class stands once in its module: no later definition hides an earlier one."""
    files = [path for folder in ("sources", "pipelines") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    twice = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (
            names := [
                name
                for name, count in Counter(_definitions(ast.parse(path.read_text("utf-8")))).items()
                if count > 1
            ]
        )
    }
    assert twice == {}


def test_each_lane_stands_in_the_list_of_lanes() -> None:
    """Each kind of run that has no cursor reserves the names of its datasets by its own name, and no other name is."""
    lanes = [lane for module in (runner, replay) for lane in vars(module).values() if isinstance(lane, Lane)]
    assert {lane.name for lane in lanes if not lane.has_cursor} == set(dataset_names.LANES)
