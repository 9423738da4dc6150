"""The ``task-history`` command as a child process of an engine that schedules it: its result, or why it failed.

Only the standard library is imported, so that the engine may have an environment of its own.
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
"""The environment variable that names the command, where it is installed in another environment than the engine."""
_ENDS_WITHIN_S = 300
"""Seconds that a process has for the commit in hand after SIGTERM."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

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
    def of_environment(cls, folder: Path | None = None) -> CommandProcess:
        """The command that ``TASK_HISTORY_COMMAND`` names, or the one installed beside this package."""
        words = shlex.split(os.environ.get(COMMAND_VARIABLE, ""))
        return cls(tuple(words or (sys.executable, "-P", "-m", "task_history_cli.cli")), folder or Path.cwd())

    def run(self, *words: str, on_line: Callable[[str], object] = lambda _: None) -> Ended:
        """Runs a command with ``--json`` to its end; each line of its log goes to ``on_line``.

        What interrupts the wait, such as an engine that terminates its run, reaches the command as SIGTERM: it commits
        what it has read, and the interruption goes on after it has ended.
        """
        with subprocess.Popen(  # noqa: S603 - this package's words, the operator's command # nosec B603
            [*self.words, *words, "--json", "--log-format", "json"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # A Ctrl-C in the engine's terminal reaches it through the engine alone.
            start_new_session=True,
        ) as process:
            lines: list[str] = []
            reader = threading.Thread(target=_read_lines, args=(process, lines, on_line), daemon=True)
            reader.start()
            try:
                text = process.stdout.read() if process.stdout else ""
                process.wait()
            except BaseException:
                _end(process)
                raise
            finally:
                reader.join(timeout=_ENDS_WITHIN_S)
        return Ended(process.returncode, _object(text), _message(lines[-1]) if lines else "")


def _read_lines(process: subprocess.Popen[str], lines: list[str], on_line: Callable[[str], object]) -> None:
    for line in process.stderr or ():
        if line.strip():
            lines[:] = [line.rstrip("\n")]
            on_line(lines[0])


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        # Its result is read to the end: a full pipe would keep it from ending.
        process.communicate(timeout=_ENDS_WITHIN_S)
    except (subprocess.TimeoutExpired, ValueError):
        process.kill()
        process.wait()


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _message(line: str) -> str:
    return str(_object(line).get("message") or line)


def require_result(ended: Ended, words: Sequence[str]) -> dict[str, Any]:
    """The result of a command that only looks at settings. Raises RuntimeError when there is none."""
    if not ended.result or "error" in ended.result:
        raise RuntimeError(f"task-history {' '.join(words)}: {ended.error}")
    return ended.result
