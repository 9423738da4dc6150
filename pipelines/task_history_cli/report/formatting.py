"""How figures and names are written in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..console.times import duration

UNKNOWN = "(not known)"


def number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def took(milliseconds: int | None) -> str:
    """A duration: seconds up to a minute and a half, longer ones in words."""
    if milliseconds is None:
        return ""
    return f"{milliseconds / 1000:.1f} s" if abs(milliseconds) < 90_000 else duration(milliseconds / 1000)


def account(row: Mapping[str, Any]) -> str:
    """The system, and the account where it is not the first."""
    return " ".join(filter(None, (row["system"], row["instance"])))


def workflow(row: Mapping[str, Any]) -> str:
    return str(row["workflow_name"] or row["workflow_id"] or UNKNOWN)


def integration(row: Mapping[str, Any]) -> str:
    return str(row["integration"] or UNKNOWN)


def incident(row: Mapping[str, Any]) -> str:
    """What failed in an incident: a workflow, or an integration."""
    return workflow(row) if row["kind"] == "workflow" else f"integration {integration(row)}"


def incident_figures(row: Mapping[str, Any]) -> str:
    return f"{number(row['failures'])} of {number(row['executions'])} failed"


def user(row: Mapping[str, Any]) -> str:
    return str(row["user_id"])


def joined(words: Sequence[str]) -> str:
    """The words as a list in a sentence: a, b and c."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


FIGURES = (
    ("executions", "executions", number),
    ("failed", "failures", number),
    ("failure rate", "failure_rate", rate),
    ("tasks, at least", "tasks", number),
    ("users", "users", number),
    ("users affected by failures", "users_affected", number),
)
"""The first figures of a period: name, column of the totals, and how its value is written."""
