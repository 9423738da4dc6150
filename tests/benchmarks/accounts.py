"""task-history alone: the same executions in many accounts of one DuckDB file, and in one account."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from task_history_cli.sandbox.process import SandboxProcess
from tests.benchmarks.measuring import started
from tests.benchmarks.scenarios import DAYS, SEED, Tell
from tests.benchmarks.table import titled
from tests.support.place import Place

HEADS = ("", "rows/s", "wall s", "CPU s", "peak MiB", "executions stored")


@dataclass(frozen=True, slots=True)
class Accounts:
    """What is measured."""

    accounts: int = 200
    executions: int = 500
    """Of each account."""
    jobs: int = 4


def compare_accounts(sizes: Accounts, folder: Path, tell: Tell) -> dict[str, Any]:
    """The first sync of both, with the steps of each execution; the rate of many as a share of the rate of one."""
    every = sizes.accounts * sizes.executions
    many = _measured(
        sizes.executions, folder / "many", sizes.accounts, "fleet", "sync", "--jobs", str(sizes.jobs)
    )
    one = _measured(every, folder / "one", 1, "sync", "paragon")
    share = many["rows_per_s"] / one["rows_per_s"]
    lines = [
        (
            label,
            f"{figures['rows_per_s']:,.0f}",
            f"{figures['wall_s']:.2f}",
            f"{figures['cpu_s']:.2f}",
            f"{figures['peak_mib']:,.0f}",
            f"{figures['stored']:,}",
        )
        for label, figures in ((f"{sizes.accounts} accounts", many), ("one account", one))
    ]
    tell(
        titled(
            f"task-history: {every:,} executions; many accounts at {share:.2f} × the rate of one",
            HEADS,
            lines,
        )
    )
    return {"many": many, "one": one, "share": share}


def _measured(executions: int, folder: Path, accounts: int, *words: str) -> dict[str, Any]:
    folder.mkdir(parents=True)
    with SandboxProcess(executions=executions, days=DAYS, seed=SEED, freeze=True) as sandbox:
        place = Place(folder, sandbox, start_date="2026-01-01")
        for number in range(1, accounts):
            place.add_account(f"a{number}", sandbox)
        command = [sys.executable, "-m", "task_history_cli.cli", *words]
        cost = started("task-history", [command], folder, place.env)
    datasets = ["paragon", *(f"paragon_a{number}" for number in range(1, accounts))]
    sql = " UNION ALL ".join(
        f"SELECT count(*) AS n FROM {dataset}.workflow_executions" for dataset in datasets
    )
    [(stored,)] = place.query(f"SELECT sum(n)::BIGINT FROM ({sql})")
    return {**cost, "stored": stored, "rows_per_s": stored / cost["wall_s"]}
