"""Paragon's statuses: what each means in the views, which leave an execution open, and which one is a failure."""

from __future__ import annotations

from ..statuses import OpenRule

# Beside those of the API's filter, the dashboard's words for what has not begun, or is held up by a rate limit.
# https://docs.useparagon.com/workflows/viewing-workflow-executions
MEANINGS = {
    "QUEUED": "queued",
    "NOT_STARTED": "queued",
    "PAUSED": "waiting",
    "EXECUTING": "running",
    "DELAYED": "waiting",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "CANCELED": "cancelled",
}

# https://docs.useparagon.com/apis/task-history: the values of the list's filter
OPEN = ("EXECUTING", "DELAYED")
FAILED = ("FAILED",)
FILTERED = (*OPEN, "SUCCEEDED", *FAILED)

OPEN_RULE = OpenRule.of(MEANINGS, end="dateEnded")
"""A status that is not listed here is open until the execution has an end."""
