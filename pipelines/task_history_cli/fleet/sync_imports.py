"""Imports all modules that a sync needs, before the processes of several syncs are forked.

A process that imports them itself takes about a second of a processor; forked ones share what was imported.
"""

from __future__ import annotations

import gc
import importlib

from task_history import systems
from task_history.load.memory import configure_allocators

_MODULES = (
    # What dlt imports when a pipeline is made.
    "dlt._workspace.cli._plugins",
    "dlt.common.configuration.plugins",
    "dlt.sources.helpers.requests",
    "filelock",
    "structlog.stdlib",
    "task_history.client.transport",
    "task_history.load.destinations.duckdb",
    "task_history.load.pipeline",
    "task_history.runs.delete_old_rows",
    "task_history.runs.run_loop",
    "task_history.runs.sync",
    "task_history_cli.commands.backfill",
    "task_history_cli.commands.sync",
)
"""What a sync imports as it goes, with all that these import in turn."""


def import_all() -> None:
    """Imports all modules of a sync, and excludes them from garbage collection."""
    # Read when the HTTP client is imported.
    configure_allocators()
    # Collecting garbage during imports frees nothing.
    gc.disable()
    for name in _MODULES:
        importlib.import_module(name)
    for name in systems.names():
        systems.find(name)
    # Reads the rules, and compiles what each text is searched for.
    redaction = importlib.import_module("task_history.redaction.redactor")
    redaction.Redactor().text("user=bob https://localhost/?token=4711 failed: no such file")
    gc.enable()
    gc.collect()
    gc.freeze()
