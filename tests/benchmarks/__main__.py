"""``python -m tests.benchmarks``: every tool does the same work from the same server in the same run.

``make bench`` sets the peers up first. Sizes come from the environment: see docs/explanation/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from task_history_cli.sandbox.process import SandboxProcess
from tests.benchmarks import growth, scenarios
from tests.benchmarks.accounts import Accounts, compare_accounts
from tests.benchmarks.measuring import run
from tests.benchmarks.tools import FIRST, TASK_HISTORY, TOOLS, Tool, job_of

PARTS = ("syncs", "details", "backfill", "growth", "accounts")


def main(words: list[str] | None = None) -> int:
    """Measures, prints tables as they come, and gives the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--tools", metavar="NAME,…", help="only those; all that are set up if not given")
    parser.add_argument("--only", metavar="PART,…", help=f"only those of {', '.join(PARTS)}")
    args = parser.parse_args(words)
    tools = _chosen(args.tools)
    runs, long_runs = _number("BENCH_RUNS", 3), _number("BENCH_LONG_RUNS", 1)
    told: dict[str, object] = {"machine": machine()}
    began = time.monotonic()
    tell(f"{machine()}; medians of {runs}, of what takes minutes {long_runs} run.")
    tell("\n".join(tool.about for tool in tools))
    with tempfile.TemporaryDirectory(prefix="task-history-bench-") as name:
        folder = Path(name)
        _warm(tools, folder / "warm")
        parts = args.only.split(",") if args.only else PARTS
        if set(parts) - {"growth", "accounts"}:
            sizes = scenarios.Sizes(
                _number("BENCH_ROWS", 200_000),
                _number("BENCH_DETAILS", 2_000),
                _number("BENCH_BACKFILL", 1_000_000),
                runs,
                long_runs,
            )
            told |= scenarios.compare(tools, sizes, folder, tell, parts=parts)
        if "growth" in parts:
            told["growth"] = growth.grow(_growth(runs, long_runs), folder / "growth", tell)
        if "accounts" in parts:
            accounts = Accounts(_number("BENCH_ACCOUNTS", 200))
            told["accounts"] = compare_accounts(accounts, folder / "accounts", tell)
    tell(f"All of this took {(time.monotonic() - began) / 60:.0f} minutes.")
    if args.json:
        args.json.write_text(json.dumps(told, indent=1))
    return 0


def tell(text: str) -> None:
    """A text on stdout and an empty line, at once."""
    sys.stdout.write(f"{text}\n\n")
    sys.stdout.flush()


def machine() -> str:
    """Where this is measured."""
    model = platform.processor() or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gib = round(int(memory) / 2**20)
    return f"{model}, {cores} cores, {gib} GiB, {platform.system()}, Python {platform.python_version()}"


def _lines(file: str) -> list[str]:
    return Path(file).read_text().splitlines() if Path(file).exists() else []


def _chosen(names: str | None) -> list[Tool]:
    wanted = names.split(",") if names else [tool.name for tool in TOOLS if tool.is_here]
    for tool in TOOLS:
        if not names and not tool.is_here:
            tell(f"{tool.name} is not set up: make bench does it.")
    return [tool for tool in TOOLS if tool.name in wanted]


def _growth(runs: int, long_runs: int) -> growth.Growth:
    sizes = [10_000, 100_000, 1_000_000]
    if os.environ.get("BENCH_GROWTH") == "all":
        sizes.append(10_000_000)
    return growth.Growth(rows=sizes, runs=runs, long_runs=long_runs)


def _warm(tools: list[Tool], folder: Path) -> None:
    """Everything once, so that no run compiles what another one imports."""
    with SandboxProcess(executions=300, seed=1, freeze=True) as sandbox:
        for tool in dict.fromkeys((TASK_HISTORY, *tools)):
            run(tool, job_of(sandbox, folder / tool.name.replace(" ", "-"), FIRST), sandbox)


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


if __name__ == "__main__":
    sys.exit(main())
