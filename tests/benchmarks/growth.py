"""task-history alone: how its cost grows with rows, details and latency, and how much of a limit it uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess
from tests.benchmarks.checking import Truth, found
from tests.benchmarks.measuring import Cost, medians, run
from tests.benchmarks.scenarios import DAYS, SEED, Tell
from tests.benchmarks.table import titled
from tests.benchmarks.tools import DETAILS, FIRST, TASK_HISTORY, job_of

HEADS = ("", "rows/s", "wall s", "CPU s", "peak MiB", "requests", "copy")


@dataclass(frozen=True, slots=True)
class Growth:
    """What is measured, in executions."""

    rows: Sequence[int] = (10_000, 100_000, 1_000_000)
    details: int = 5_000
    listed_late: int = 20_000
    detailed_late: int = 500
    limited: int = 203_000
    runs: int = 3
    long_runs: int = 1


def grow(sizes: Growth, folder: Path, tell: Tell) -> dict[str, Any]:
    """All of it; the figures by what grows."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "rows": _rows(sizes, folder, tell),
        "details": _details(sizes, folder, tell),
        "latency": _latency(sizes, folder, tell),
        "limit": _limit(sizes, folder, tell),
    }


def _rows(sizes: Growth, folder: Path, tell: Tell) -> list[dict[str, Any]]:
    lines, told = [], []
    for rows in sizes.rows:
        runs = sizes.runs if rows <= 200_000 else sizes.long_runs
        with SandboxProcess(executions=rows, days=DAYS, seed=SEED, freeze=True) as sandbox:
            line, figures = _measured(sandbox, folder / f"rows-{rows}", f"{rows:,}", runs=runs)
        lines.append(line)
        told.append(figures | {"executions": rows})
    tell(titled("task-history: first sync of so many executions", HEADS, lines))
    return told


def _details(sizes: Growth, folder: Path, tell: Tell) -> list[dict[str, Any]]:
    lines, told = [], []
    with SandboxProcess(executions=sizes.details, days=DAYS, seed=SEED, freeze=True, failed=0.1) as sandbox:
        for share, steps in (("0 %", "none"), ("10 %", "failed"), ("100 %", "all")):
            line, figures = _measured(sandbox, folder / f"share-{steps}", share, runs=sizes.runs, steps=steps)
            lines.append(line)
            told.append(figures | {"steps": steps})
    tell(titled(f"task-history: {sizes.details:,} executions, of so many the steps", HEADS, lines))
    return told


def _latency(sizes: Growth, folder: Path, tell: Tell) -> list[dict[str, Any]]:
    lines, told = [], []
    heads = ("", "one at a time: requests/s", "wall s", "eight: requests/s", "wall s", "rate ×", "wall ×")
    for what, executions, scenario in (
        ("pages", sizes.listed_late, FIRST),
        ("steps", sizes.detailed_late, DETAILS),
    ):
        with SandboxProcess(
            executions=executions, days=DAYS, seed=SEED, freeze=True, latency_ms=50
        ) as sandbox:
            rates, walls = [], []
            for concurrency in (1, 8):
                job = job_of(
                    sandbox, folder / f"latency-{what}-{concurrency}", scenario, concurrency=concurrency
                )
                cost = run(TASK_HISTORY, job, sandbox)
                arrivals = _arrivals(sandbox)
                rates.append((len(arrivals) - 1) / (arrivals[-1] - arrivals[0]))
                walls.append(cost.wall_s)
        lines.append(
            (
                f"{executions:,} executions, {what}",
                f"{rates[0]:.1f}",
                f"{walls[0]:.1f}",
                f"{rates[1]:.1f}",
                f"{walls[1]:.1f}",
                f"{rates[1] / rates[0]:.1f}",
                f"{walls[0] / walls[1]:.1f}",
            )
        )
        told.append({"what": what, "executions": executions, "requests_per_s": rates, "wall_s": walls})
    tell(
        titled("task-history: an answer takes 50 ms; rates from the first request to the last", heads, lines)
    )
    return told


def _limit(sizes: Growth, folder: Path, tell: Tell) -> dict[str, Any]:
    requests, period_s = 1_000, 10.0
    with SandboxProcess(
        executions=sizes.limited, days=DAYS, seed=SEED, freeze=True, limit=requests, period_s=period_s
    ) as sandbox:
        limits: dict[str, Any] = {"rate_limit_requests": requests, "rate_limit_period_s": period_s}
        cost = run(TASK_HISTORY, job_of(sandbox, folder / "limit", FIRST, **limits), sandbox)
        arrivals = _arrivals(sandbox)
        refused = int(sandbox.counters()["violations"])
    # The request after the last full period is the one that waits for the limit and for nothing else.
    full = (len(arrivals) - 1) // requests
    least_s, took_s = full * period_s, arrivals[full * requests] - arrivals[0]
    share = least_s / took_s if full else 0.0
    words = f"{share:.1%}" if full else "not reached"
    line = (f"request {full * requests + 1:,}", f"{least_s:.1f}", f"{took_s:.2f}", words, f"{refused}")
    heads = ("", "may come after s", "came after s", "used", "refused")
    tell(titled(f"task-history: at most {requests:,} requests in any {period_s:.0f} s", heads, [line]))
    return {**asdict(cost), "least_s": least_s, "took_s": took_s, "share": share, "refused": refused}


def _measured(
    sandbox: SandboxProcess, folder: Path, label: str, *, runs: int, **settings: str
) -> tuple[tuple[str, ...], dict[str, Any]]:
    truth = Truth(sandbox, folder.with_suffix(".truth"))
    costs: list[Cost] = []
    for at in range(runs):
        job = job_of(sandbox, folder.with_name(f"{folder.name}-{at}"), FIRST, **settings)
        costs.append(run(TASK_HISTORY, job, sandbox))
    cost = medians(costs)
    copy = found(TASK_HISTORY, job, truth)
    line = (
        label,
        f"{truth.rows / cost.wall_s:,.0f}",
        f"{cost.wall_s:.2f}",
        f"{cost.cpu_s:.2f}",
        f"{cost.peak_mib:,.0f}",
        f"{cost.requests:,}",
        copy.words,
    )
    return line, {**asdict(cost), **asdict(copy), "runs": runs}


def _arrivals(sandbox: SandboxProcess) -> list[float]:
    """When requests came that were let in, in seconds."""
    return [float(one["at"]) for one in sandbox.requests() if one["status"] == 200]
