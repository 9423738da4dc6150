"""All tools side by side: first sync, what changed, nothing new, details, a long past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess
from tests.benchmarks.checking import Truth
from tests.benchmarks.measuring import Result, side_by_side
from tests.benchmarks.table import comparison
from tests.benchmarks.tools import BACKFILL, DETAILS, FIRST, IDLE, INCREMENTAL, TASK_HISTORY, Tool, job_of

DAYS = 30
SEED = 51


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured, in executions, and how often."""

    rows: int = 200_000
    details: int = 2_000
    backfill: int = 1_000_000
    runs: int = 3
    long_runs: int = 1
    """Of what takes minutes."""


Tell = Callable[[str], None]
"""Is given each table as soon as it is there."""
Told = dict[str, list[dict[str, Any]]]


def compare(
    tools: Sequence[Tool],
    sizes: Sizes,
    folder: Path,
    tell: Tell,
    *,
    parts: Sequence[str] = ("syncs", "details", "backfill"),
) -> Told:
    """Those parts; the figures by scenario."""
    told: Told = {}

    def done(scenario: str, title: str, results: list[Result]) -> None:
        told[scenario] = [result.told() for result in results]
        tell(comparison(title, results, ours=TASK_HISTORY.name))

    for name, measure in (("syncs", _syncs), ("details", _details), ("backfill", _backfill)):
        if name in parts:
            measure(tools, sizes, folder / name, done)
    return told


Done = Callable[[str, str, list[Result]], None]


def _syncs(tools: Sequence[Tool], sizes: Sizes, folder: Path, done: Done) -> None:
    ahead_hours = DAYS * 24 / 100
    # At the next sync it is now: a cursor that ends at this machine's now must find what is new.
    now = datetime.now(UTC) - timedelta(hours=ahead_hours)
    options: dict[str, Any] = {"days": DAYS, "future_hours": ahead_hours, "seed": SEED, "freeze": True}
    options["now"] = now.isoformat()
    folder.mkdir(parents=True)
    with SandboxProcess(executions=round(sizes.rows * 1.01), **options) as sandbox:
        first = Truth(sandbox, folder / "first")
        jobs = [
            (tool, job_of(sandbox, folder / tool.name.replace(" ", "-"), FIRST))
            for tool in _that_do(tools, FIRST)
        ]
        results = side_by_side(jobs, sandbox, first, runs=sizes.runs, rows=first.rows)
        done(FIRST, f"First sync of {first.rows:,} executions, {-(-first.rows // 100):,} pages", results)
        sandbox.advance(ahead_hours * 3600)
        then = Truth(sandbox, folder / "then")
        changed = then.changed_since(first)
        again = [(tool, replace(job, scenario=INCREMENTAL)) for tool, job in jobs]
        results = side_by_side(again, sandbox, then, runs=sizes.runs, rows=changed)
        title = f"Next sync: {changed:,} executions changed, of them {then.rows - first.rows:,} new"
        done(INCREMENTAL, title, results)
        again = [(tool, replace(job, scenario=IDLE)) for tool, job in jobs]
        results = side_by_side(again, sandbox, then, runs=sizes.runs, rows=0)
        done(IDLE, "Idle sync: nothing new", results)


def _details(tools: Sequence[Tool], sizes: Sizes, folder: Path, done: Done) -> None:
    folder.mkdir(parents=True)
    with SandboxProcess(executions=sizes.details, days=DAYS, seed=SEED, freeze=True) as sandbox:
        truth = Truth(sandbox, folder / "truth")
        jobs = [
            (tool, job_of(sandbox, folder / tool.name.replace(" ", "-"), DETAILS))
            for tool in _that_do(tools, DETAILS)
        ]
        results = side_by_side(jobs, sandbox, truth, runs=sizes.runs, rows=truth.rows)
        done(DETAILS, f"First sync of {truth.rows:,} executions with the steps of each", results)


def _backfill(tools: Sequence[Tool], sizes: Sizes, folder: Path, done: Done) -> None:
    folder.mkdir(parents=True)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    # What is younger than the lookback is left to the sync.
    end, start = now - timedelta(hours=3), now - timedelta(days=DAYS)
    options: dict[str, Any] = {"days": DAYS, "seed": SEED, "freeze": True}
    with SandboxProcess(executions=sizes.backfill, **options) as sandbox:
        span = {"start": f"{start:%Y-%m-%dT%H:%M:%S.000Z}", "end": f"{end:%Y-%m-%dT%H:%M:%S.000Z}"}
        truth = Truth(sandbox, folder / "truth", **span)
        jobs = [
            (tool, job_of(sandbox, folder / tool.name.replace(" ", "-"), BACKFILL, **span))
            for tool in _that_do(tools, BACKFILL)
        ]
        results = side_by_side(jobs, sandbox, truth, runs=sizes.long_runs, rows=truth.rows)
        done(BACKFILL, f"Backfill of {truth.rows:,} executions", results)


def _that_do(tools: Sequence[Tool], scenario: str) -> list[Tool]:
    return [tool for tool in tools if scenario in tool.scenarios]
