"""Defaults for dlt's own settings; the user's values take precedence."""

from __future__ import annotations

import logging
import os

from task_history.core.log import NAME


def configure_dlt() -> None:
    """Sets the defaults. Must be called before dlt first reads its settings."""
    for name, value in {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        # What fails ends in one message of ours; the traces are for who looks for a fault.
        "RUNTIME__LOG_LEVEL": "ERROR" if logging.getLogger(NAME).isEnabledFor(logging.DEBUG) else "CRITICAL",
        # 80 % of what extraction costs.
        "SOURCES__DATA_WRITER__DISABLE_COMPRESSION": "true",
        "LOAD__DELETE_COMPLETED_JOBS": "true",
        # It is written anew with every step, for nobody: what a run did is in sync_runs.
        "ENABLE_RUNTIME_TRACE": "false",
    }.items():
        os.environ.setdefault(name, value)
