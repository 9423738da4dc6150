"""What ended a command or a run early, as an exit code and a sentence."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

from task_history.core.errors import Stopped, TaskHistoryError
from task_history.core.exit_codes import WORST_FIRST, ExitCode
from task_history.core.log import NAME

from .output import tell


def described(error: BaseException) -> tuple[ExitCode, str]:
    """The exit code and the sentence for that error; the log level ``debug`` also shows where it was raised."""
    if isinstance(error, TaskHistoryError):
        return error.exit_code, str(error)
    if isinstance(error, Stopped):
        return ExitCode.DONE, f"Stopped: {error.reason}"
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "Stopped by Ctrl-C."
    if logging.getLogger(NAME).isEnabledFor(logging.DEBUG):
        tell(*"".join(traceback.format_exception(error)).splitlines())
    where = traceback.extract_tb(error.__traceback__)[-1]
    return (
        ExitCode.UNEXPECTED,
        f"Unexpected {type(error).__name__} in {where.name}: {error}. This is a bug in task-history; committed rows "
        "are safe. Run the command again with --log-level debug and report the output.",
    )


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The code that says most about what is wrong; ``DONE`` if there is none."""
    return min(codes, key=WORST_FIRST.index, default=ExitCode.DONE)
