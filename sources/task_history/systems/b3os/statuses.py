"""B3OS's statuses: what each means in the views, which leave an execution or a run open, and which are failures."""

from __future__ import annotations

from ..statuses import OpenRule

# https://docs.b3os.org/api/reference/get-v1-executions
EXECUTION_STATUSES = {
    "awaiting_payment": "queued",
    "payment_confirmed": "queued",
    "workflow_queued": "queued",
    "workflow_running": "running",
    "workflow_waiting": "waiting",
    "workflow_succeeded": "succeeded",
    "workflow_partial": "partial",
    "workflow_failed": "failed",
    "workflow_cancelled": "cancelled",
}
# https://docs.b3os.org/api/reference/get-v1-workflows-id-runs
RUN_STATUSES = {
    "running": "running",
    "waiting": "waiting",
    "success": "succeeded",
    "partial": "partial",
    "failure": "failed",
    "cancelled": "cancelled",
}
NODE_STATUSES = {
    "pending": "queued",
    "scheduled": "queued",
    **RUN_STATUSES,
    "auto_swapping": "running",
    "skipped": "skipped",
}
MEANINGS = {**EXECUTION_STATUSES, **NODE_STATUSES}

ENDED_COUNTERS = ("succeeded", "partial", "failed", "cancelled")
"""The counters of executions that have ended in the statistics: a bucket is closed once all of its executions have.

https://docs.b3os.org/api/reference/get-v1-executions-stats
"""

FAILED = ("workflow_failed",)
FAILED_RUNS = ("failure",)

OPEN_RULE = OpenRule.of(EXECUTION_STATUSES, end="finishedAt")
RUN_OPEN_RULE = OpenRule.of(RUN_STATUSES, end="finishedAt")
