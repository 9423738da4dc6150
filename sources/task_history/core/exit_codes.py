"""The exit codes of the command, for schedulers that react to them.

Which error ends with which code stands in ``errors``; which of these a failure of the warehouse becomes, in
``load/errors``. ``docs/reference/exit-codes.md`` is made from this list. Tests hold the files in ``docs/how-to/engines``
and the table in ``docs/how-to/other-engines.md`` to each code's ``Reaction``; what Dagster does stands in
``task_history_cli/fleet/dagster_checks`` and ``dagster_definitions``, and which codes are told to people in
``task_history_cli/runtime/notices``.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Reaction(StrEnum):
    """What a scheduler should do after a command that ended with the code."""

    NOTHING = "nothing"
    TRY_AGAIN = "try again"
    TELL_A_PERSON = "tell a person"


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
        return _CODES[self][0]

    @property
    def reaction(self) -> Reaction:
        """What a schedule does: what may pass by itself is tried again, what needs a change is told to a person."""
        return _CODES[self][1]


_CODES = {
    ExitCode.DONE: ("done; also when stopped by a limit or signal", Reaction.NOTHING),
    ExitCode.UNEXPECTED: ("unexpected error", Reaction.TELL_A_PERSON),
    ExitCode.USAGE: ("invalid command or argument", Reaction.TELL_A_PERSON),
    ExitCode.CONFIGURATION: ("invalid configuration or credentials", Reaction.TELL_A_PERSON),
    ExitCode.UNAVAILABLE: ("vendor or warehouse unavailable", Reaction.TRY_AGAIN),
    ExitCode.ALREADY_RUNNING: ("another run of the same command is active", Reaction.NOTHING),
    ExitCode.DIFFERENCES: (
        "an audit found differences or an unloaded range, or a view check failed",
        Reaction.TELL_A_PERSON,
    ),
    ExitCode.STALE: (
        "a dataset is further behind than --fail-if-stale, or was never synced",
        Reaction.TELL_A_PERSON,
    ),
    ExitCode.INTERRUPTED: ("stopped at once by Ctrl-C", Reaction.NOTHING),
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
