"""Paragon's statuses: what each means in the views, with which an execution is open, and which one is a failure."""

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
OPEN_FILTER_VALUES = ("EXECUTING", "DELAYED")
"""Those that list open executions; ``OPEN_RULE`` tells which executions are open."""
FAILED = ("FAILED",)
FILTER_VALUES = (*OPEN_FILTER_VALUES, "SUCCEEDED", *FAILED)

OPEN_RULE = OpenRule.of(MEANINGS, end="dateEnded")
"""An execution with any other status than those that end it, also an unknown one, is open until it has an end."""
