"""Shells complete commands, options and names of systems."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from task_history_cli import cli
from tests.support.torture import rest_as_torture

_ASK = """
eval "$(task-history completion bash)"
COMP_LINE="$1" COMP_POINT=${#1}
_python_argcomplete task-history
printf '%s\\n' "${COMPREPLY[@]}"
"""


def _completed(line: str) -> set[str]:
    """What bash offers for the line."""
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", _ASK, "bash", line],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return {word.strip() for word in done.stdout.split()}


OFFERED = {
    "task-history st": {"status"},
    "task-history sync pa": {"paragon"},
    "task-history sync paragon --max": {"--max-minutes", "--max-requests"},
    "task-history plan --steps ": {"all", "failed", "none"},
    "task-history sync 'open quote": set(),
}
"""What bash offers for a line."""


@pytest.mark.parametrize(
    ("line", "expected"),
    rest_as_torture(OFFERED.items(), [(line, OFFERED[line]) for line in list(OFFERED)[2:]]),
)
def test_bash_completes(line: str, expected: set[str]) -> None:
    """Commands, systems, options, and the values of an option; nothing fails on a line that is not ready."""
    assert _completed(line) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """The script names the command that it completes."""
    assert cli.main(["completion", shell]) == 0
    assert "task-history" in capsys.readouterr().out
