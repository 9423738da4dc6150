"""Twinit's statuses: what each means in the views, which leave a run or a task open, and which are failures."""

from __future__ import annotations

from ...core.models import Row
from ..statuses import OpenRule

# No list of them is published; these are in examples of runs and tasks.
# https://twinit.dev/docs/apis/rest/workflowsvc/workflows, https://twinit.dev/docs/apis/rest/workflowsvc/tasks
MEANINGS = {
    "QUEUED": "queued",
    "SCHEDULED": "queued",
    "RUNNING": "running",
    "IN_PROGRESS": "running",
    "PAUSED": "waiting",
    "COMPLETED": "succeeded",
    "COMPLETED_WITH_ERRORS": "partial",
    "FAILED": "failed",
    "FAILED_WITH_TERMINAL_ERROR": "failed",
    "TIMED_OUT": "failed",
    "TERMINATED": "cancelled",
    "CANCELED": "cancelled",
    "CANCELLED": "cancelled",
    "SKIPPED": "skipped",
}
_OF_TASKS_ONLY = ("FAILED_WITH_TERMINAL_ERROR", "SKIPPED")

FAILED = tuple(status for status, meaning in MEANINGS.items() if meaning in ("failed", "partial"))
UNLOGGED = frozenset({"QUEUED", "SCHEDULED", "SKIPPED"})
"""Statuses of tasks that have not written a log."""

RUN_STATUSES = {status: meaning for status, meaning in MEANINGS.items() if status not in _OF_TASKS_ONLY}
_OPEN_RUN = OpenRule.of(RUN_STATUSES)
_OPEN_TASK = OpenRule.of(MEANINGS)


def is_open(run: Row) -> bool:
    """Whether a run, as the vendor sends it or as a row, may still change; the vendor gives it no end."""
    return _OPEN_RUN.is_open({"status": run.get("_status") or run.get("status")})


def is_task_open(task: Row) -> bool:
    """Whether a task, as the vendor sends it, may still change."""
    return _OPEN_TASK.is_open({"status": task.get("_status")})
