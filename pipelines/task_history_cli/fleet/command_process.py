"""The ``task-history`` command as a child process of a scheduler such as Dagster: its result, or why it failed.

Only the standard library is imported: the scheduler may run in an environment without the command's dependencies.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND_VARIABLE = "TASK_HISTORY_COMMAND"
"""The environment variable that names the command, where it is installed in another environment than the scheduler."""
_STOP_TIMEOUT_S = 300
"""Maximum seconds from SIGTERM to the end of a process, which first finishes its commit."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and the output of a command that has ended."""

    exit_code: int
    """As documented by ``task-history --help``; negative where a signal killed it."""
    result: dict[str, Any]
    """What it printed with ``--json``; empty where it printed nothing."""
    last_line: str
    """The last line of its log."""

    @property
    def error(self) -> str:
        """What went wrong, in one sentence."""
        if self.exit_code < 0:
            return f"The process was killed by signal {-self.exit_code}. Committed rows are safe; the next run goes on."
        return str(self.result.get("error") or self.last_line or f"It ended with exit code {self.exit_code}.")


@dataclass(frozen=True, slots=True)
class CommandProcess:
    """Starts ``task-history`` in the folder whose ``.dlt`` holds its settings."""

    words: tuple[str, ...]
    folder: Path

    @classmethod
    def from_environment(cls, folder: Path | None = None) -> CommandProcess:
        """The command that ``TASK_HISTORY_COMMAND`` names, or the one installed beside this package."""
        words = shlex.split(os.environ.get(COMMAND_VARIABLE, ""))
        return cls(tuple(words or (sys.executable, "-P", "-m", "task_history_cli.cli")), folder or Path.cwd())

    def run(self, *words: str, on_line: Callable[[str], object] = lambda _: None) -> CommandResult:
        """Runs a command with ``--json`` to its end; each line of its log goes to ``on_line``.

        An exception that interrupts the wait, such as Dagster's when a run is terminated, is raised again after the
        command has ended: the command gets SIGTERM and commits what it has read.
        """
        with subprocess.Popen(  # noqa: S603 - this package's words, the operator's command # nosec B603
            [*self.words, *words, "--json", "--log-format", "json"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C in the scheduler's terminal must reach the command only as the scheduler's SIGTERM.
            start_new_session=True,
        ) as process:
            lines: list[str] = []
            reader = threading.Thread(target=_read_lines, args=(process, lines, on_line), daemon=True)
            try:
                reader.start()
                text = process.stdout.read() if process.stdout else ""
                process.wait()
            except BaseException:
                _terminate(process)
                raise
            finally:
                if reader.is_alive():
                    reader.join(timeout=_STOP_TIMEOUT_S)
        return CommandResult(process.returncode, _json_object(text), _message(lines[-1]) if lines else "")


def _read_lines(process: subprocess.Popen[str], lines: list[str], on_line: Callable[[str], object]) -> None:
    for line in process.stderr or ():
        if line.strip():
            lines[:] = [line.rstrip("\n")]
            on_line(lines[0])


def _terminate(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        # Its result is read to the end: a full pipe would keep it from ending.
        process.communicate(timeout=_STOP_TIMEOUT_S)
    except (subprocess.TimeoutExpired, ValueError):
        process.kill()
        process.wait()


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _message(line: str) -> str:
    return str(_json_object(line).get("message") or line)


def require_result(ended: CommandResult, words: Sequence[str]) -> dict[str, Any]:
    """The result of a command that only reads settings. Raises RuntimeError when there is none."""
    if not ended.result or "error" in ended.result:
        raise RuntimeError(f"task-history {' '.join(words)}: {ended.error}")
    return ended.result
