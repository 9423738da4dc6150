"""Runs a tool as processes and says what it cost, and what the server saw of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess
from tests.benchmarks.checking import Found, Truth, found
from tests.benchmarks.tools import Job, Tool, environment

TIMEOUT_S = 3_600


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run cost, children included."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    """Of the largest process; of a chain of two the sum."""
    requests: int


@dataclass(frozen=True, slots=True)
class Result:
    """Several runs of a tool in one scenario: the medians, and what the last one left."""

    tool: str
    cost: Cost
    runs: int
    rows: int
    """What a rate counts: rows listed, changed, or executions with details."""
    found: Found

    @property
    def rate(self) -> float:
        """Rows a second of wall time, from the start of the process to its end."""
        return self.rows / self.cost.wall_s

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "tool": self.tool,
            **asdict(self.cost),
            "runs": self.runs,
            "rows": self.rows,
            "rows_per_s": self.rate,
            **asdict(self.found),
        }


def run(tool: Tool, job: Job, sandbox: SandboxProcess) -> Cost:
    """One run to its end. Raises RuntimeError when a process fails."""
    job.folder.mkdir(parents=True, exist_ok=True)
    env = environment(job)
    if tool.environments:
        del env["PYTHONPATH"]
    sandbox.reset_counters()
    cost = started(tool.name, tool.commands(job), job.folder, env)
    counters = sandbox.counters()
    requests = sum(number for name, number in counters.items() if name.startswith("status_"))
    tool.after(job.folder)
    return Cost(cost["wall_s"], cost["cpu_s"], cost["peak_mib"], requests)


def started(name: str, commands: list[list[str]], folder: Path, env: Mapping[str, str]) -> dict[str, float]:
    """What a chain of commands in that folder cost, as ``measured`` says. Raises RuntimeError when one fails."""
    out, err = folder / "out", folder / "err"
    asked = {
        "commands": commands,
        "cwd": str(folder),
        "env": dict(env),
        "out": str(out),
        "err": str(err),
        "timeout_s": TIMEOUT_S,
    }
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measured.py"))]
    done = subprocess.run(launcher, input=json.dumps(asked), capture_output=True, text=True, check=True)
    cost: dict[str, Any] = json.loads(done.stdout)
    if any(cost["codes"]):
        said = (out.read_text() + err.read_text())[-3000:]
        raise RuntimeError(f"{name} ended with {cost['codes']}: {said}")
    return cost


def medians(costs: Sequence[Cost]) -> Cost:
    """Of each figure."""
    return Cost(
        median(cost.wall_s for cost in costs),
        median(cost.cpu_s for cost in costs),
        median(cost.peak_mib for cost in costs),
        round(median(cost.requests for cost in costs)),
    )


def side_by_side(
    jobs: Sequence[tuple[Tool, Job]], sandbox: SandboxProcess, truth: Truth, *, runs: int, rows: int
) -> list[Result]:
    """Every tool in turn, that many times, so that noise meets all alike.

    Each run begins with what the tool's folder holds now; what the last one left stays there.
    """
    costs: dict[str, list[Cost]] = {tool.name: [] for tool, _ in jobs}
    for _, job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        _copy(job.folder, _before(job.folder))
    for _ in range(runs):
        for tool, job in jobs:
            _copy(_before(job.folder), job.folder)
            costs[tool.name].append(run(tool, job, sandbox))
    for _, job in jobs:
        shutil.rmtree(_before(job.folder))
    return [
        Result(tool.name, medians(costs[tool.name]), runs, rows, found(tool, job, truth))
        for tool, job in jobs
    ]


def _before(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.before")


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
