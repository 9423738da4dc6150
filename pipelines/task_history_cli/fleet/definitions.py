"""A Dagster code location of the current folder's accounts: ``dagster dev -m task_history_cli.fleet.definitions``."""

from __future__ import annotations

from .dagster_definitions import task_history_definitions

defs = task_history_definitions()
