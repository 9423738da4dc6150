"""SailPoint's statuses: what each means in the views, which leave an execution open, and which one is a failure."""

from __future__ import annotations

from ..statuses import OpenRule, ended

# https://developer.sailpoint.com/docs/api/v2025/workflows, and what servers are known to send beside
EXECUTION_STATUSES = {
    "Queued": "queued",
    "Running": "running",
    "Executing": "running",
    "Completed": "succeeded",
    "Failed": "failed",
    "TimedOut": "failed",
    "Canceled": "cancelled",
    "Cancelled": "cancelled",
    "Terminated": "cancelled",
}
_OF_BEGUN_STEPS = {"Scheduled": "queued", "Initiated": "queued", "Started": "running"}
MEANINGS = {**EXECUTION_STATUSES, **_OF_BEGUN_STEPS}

OPEN_STEP_EVENTS = tuple(_OF_BEGUN_STEPS)
"""Last words of an event's type that mean the step is still open."""
STEP_EVENTS = (*OPEN_STEP_EVENTS, *ended(MEANINGS))
"""Last words of an event's type that tell of a step."""

FAILED = ("Failed",)
FILTER_VALUES = ("Completed", *FAILED, "Canceled", "Running", "Executing", "Queued")
"""The values of the list's filter."""

OPEN_RULE = OpenRule.of(EXECUTION_STATUSES, end="closeTime")
