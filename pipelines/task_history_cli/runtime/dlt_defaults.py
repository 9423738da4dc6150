"""Defaults for dlt's own settings; the user's values take precedence."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from task_history.core.errors import ConfigurationError
from task_history.core.log import NAME

if TYPE_CHECKING:
    import dlt


def configure_dlt() -> None:
    """Sets the defaults. Must be called before dlt first reads its settings."""
    for name, value in {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        # What fails ends in one message of ours; the traces are for who looks for a fault.
        "RUNTIME__LOG_LEVEL": "ERROR" if logging.getLogger(NAME).isEnabledFor(logging.DEBUG) else "CRITICAL",
        # 80 % of what extraction costs.
        "SOURCES__DATA_WRITER__DISABLE_COMPRESSION": "true",
        "LOAD__DELETE_COMPLETED_JOBS": "true",
        # It is written anew with every step and is not read: what a run did is in sync_runs.
        "ENABLE_RUNTIME_TRACE": "false",
    }.items():
        os.environ.setdefault(name, value)


def make_pipeline(name: str, **options: Any) -> dlt.Pipeline:
    """The dlt pipeline of that name.

    Raises:
        ConfigurationError: dlt refuses one of its settings.
    """
    configure_dlt()
    import dlt

    from task_history.load.errors import warehouse_errors

    with warehouse_errors():
        try:
            pipeline: dlt.Pipeline = dlt.pipeline(name, **options)
        except (ValueError, TypeError) as error:
            if type(error).__module__ != "builtins":
                raise
            # dlt hands the texts of these settings to Python's logging and to its own lists of names.
            raise ConfigurationError(
                f"dlt does not start with its settings ({str(error)[:200]}): correct runtime.log_level, "
                "runtime.log_format or progress in .dlt/config.toml or the environment, or take it out."
            ) from None
        return pipeline
