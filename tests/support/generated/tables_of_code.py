"""The tables of exit codes and of metrics."""

from __future__ import annotations

from task_history.core.exit_codes import ExitCode
from task_history_cli.runtime.telemetry import METRICS


def exit_codes() -> str:
    """Each exit code with its meaning, and what a scheduler should do then."""
    rows = [f"| {code:d} | {code.meaning} | {code.reaction} |" for code in ExitCode]
    return "\n".join(["| Exit code | Means | What a scheduler should do |", "|---|---|---|", *rows, ""])


def metrics() -> str:
    """Each metric with its unit, kind and meaning."""
    rows = [
        f"| `{name}` | `{unit}` | {kind} | {meaning} |" for name, (unit, meaning, kind) in METRICS.items()
    ]
    return "\n".join(["| Metric | Unit | Kind | Meaning |", "|---|---|---|---|", *rows, ""])
