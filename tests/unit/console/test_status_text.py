"""The lines of ``task-history status`` in words."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from task_history_cli.commands.status_text import lines


def _status(number: int) -> defaultdict[str, Any]:
    """The status of an account of which everything that is counted is that number."""
    unreadable = {"details": 0, "payloads": 0, "never": 0}
    return defaultdict(
        tuple,
        system="paragon",
        instance=None,
        loaded=True,
        rows={},
        covered_from=None,
        lag_s=None,
        open_executions=number,
        details_left=number,
        payloads_left=number,
        unreadable=unreadable,
        coverage=[],
        budget={"used": number, "limit": number, "period_s": 60.0},
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, ["1 execution", "1 execution without steps, 1 payload", "1 of 1 request used"]),
        (
            1_200,
            [
                "1,200 executions",
                "1,200 executions without steps, 1,200 payloads",
                "1,200 of 1,200 requests used",
            ],
        ),
    ],
)
def test_one_is_written_as_one(number: int, expected: list[str]) -> None:
    """Of one thing the noun has no s."""
    found = [line.strip().partition(" ")[2].strip() for line in lines(_status(number))]
    for text in expected:
        assert any(line == text or line.startswith(f"{text} ") for line in found), found
