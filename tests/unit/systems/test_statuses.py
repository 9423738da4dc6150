"""What counts as open: one rule for rows and for columns, and each vendor's statuses in one place."""

from __future__ import annotations

from itertools import product

import pyarrow as pa
import pytest

from task_history import systems
from task_history.systems.statuses import STATUSES, OpenRule

RULE = OpenRule.of({"Done": "succeeded", "Skipped": "skipped", "Going": "running"}, end="endedAt")
STATUS = ["Done", "DONE", "done", "Skipped", "Going", "unheard of", "", None]
ENDS = ["2026-03-01T00:00:00Z", "", None]


def test_rows_and_columns_agree() -> None:
    """An execution is open by the same rule whether its page was read in columns or row by row."""
    rows = [{"status": status, "endedAt": end} for status, end in product(STATUS, ENDS)]
    columns = (pa.array([row[key] for row in rows], pa.string()) for key in ("status", "endedAt"))
    assert RULE.are_open(*columns).to_pylist() == [RULE.is_open(row) for row in rows]


@pytest.mark.parametrize(
    ("status", "is_open"), [("DONE", False), ("done", False), ("Going", True), ("?", True)]
)
def test_a_final_status_settles_in_any_capitals(status: str, is_open: bool) -> None:
    """As in the views: what they call ended is not asked for again."""
    assert RULE.is_open({"status": status, "endedAt": None}) is is_open


def test_an_end_settles_whatever_the_status() -> None:
    """A status without a meaning here stays open until the execution has an end."""
    assert RULE.is_open({"status": "?"})
    assert not RULE.is_open({"status": "?", "endedAt": "2026-03-01T00:00:00Z"})


@pytest.mark.parametrize("name", systems.names())
def test_statuses_by_which_a_vendor_is_asked_have_a_meaning(name: str) -> None:
    """Those that are asked for as open are open, failures are failures, and each has a meaning in the views."""
    system = systems.find(name)
    assert system.views is not None
    meanings = system.views.statuses
    assert set(meanings.values()) <= set(STATUSES)
    assert all(system.is_open({"status": status}) for status in system.open_statuses)
    assert {meanings[status] for status in system.failed_statuses} <= {"failed", "partial"}
    assert not any(
        listing.is_open({"status": status})
        for listing in (system, *system.companions)
        for status in listing.failed_statuses
        if status != "FAILED_WITH_TERMINAL_ERROR"  # of tasks only
    )
