"""The exit codes of the command, for schedulers that react to them.

Which error ends with which code stands in ``errors``. ``docs/reference/exit-codes.md`` is made from this list; what
schedulers do with a code stands in ``docs/how-to/other-engines.md`` and the files of ``docs/how-to/engines``, what
Dagster does in ``task_history_cli/fleet/dagster_checks`` and ``dagster_definitions``, and which are told to people in
``task_history_cli/runtime/notices``.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit code of a command."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIGURATION = 3
    UNAVAILABLE = 4
    ALREADY_RUNNING = 5
    DIFFERENCES = 10
    STALE = 11
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """The meaning of the code in a few words."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.DONE: "done; also when stopped by a limit or signal",
    ExitCode.UNEXPECTED: "unexpected error",
    ExitCode.USAGE: "invalid command or argument",
    ExitCode.CONFIGURATION: "invalid configuration or credentials",
    ExitCode.UNAVAILABLE: "vendor or warehouse unavailable",
    ExitCode.ALREADY_RUNNING: "another run of the same command is active",
    ExitCode.DIFFERENCES: "an audit found differences or an unloaded range, or a view check failed",
    ExitCode.STALE: "a dataset is further behind than --fail-if-stale, or was never synced",
    ExitCode.INTERRUPTED: "stopped at once by Ctrl-C",
}

WORST_FIRST = (
    ExitCode.UNEXPECTED,
    ExitCode.USAGE,
    ExitCode.CONFIGURATION,
    ExitCode.UNAVAILABLE,
    ExitCode.DIFFERENCES,
    ExitCode.STALE,
    ExitCode.ALREADY_RUNNING,
    ExitCode.INTERRUPTED,
    ExitCode.DONE,
)
"""All codes; of several runs at once the first of these in the order is the exit code."""
