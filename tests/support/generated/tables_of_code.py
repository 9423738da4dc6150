"""The tables of exit codes and of metrics."""

from __future__ import annotations

from task_history.core.exit_codes import ExitCode
from task_history_cli.runtime.telemetry import METRICS


def exit_codes() -> str:
    """Each exit code with its meaning."""
    rows = [f"| {code:d} | {code.meaning} |" for code in ExitCode]
    return "\n".join(["| Exit code | Means |", "|---|---|", *rows, ""])


def metrics() -> str:
    """Each metric with its unit and meaning."""
    rows = [f"| `{name}` | `{unit}` | {meaning} |" for name, (unit, meaning) in METRICS.items()]
    return "\n".join(["| Metric | Unit | Meaning |", "|---|---|---|", *rows, ""])
