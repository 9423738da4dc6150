"""Exit codes of the command."""

from __future__ import annotations

from task_history.core.exit_codes import WORST_FIRST, ExitCode


def test_each_code_has_its_place_and_its_meaning() -> None:
    """Of several runs at once the worst code is found among all of them, and each says what it means."""
    assert sorted(WORST_FIRST) == sorted(ExitCode)
    assert all(code.meaning for code in ExitCode)
