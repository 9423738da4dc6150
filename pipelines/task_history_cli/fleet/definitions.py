"""A Dagster code location of the current folder's accounts: ``dagster dev -m task_history_cli.fleet.definitions``.

``TASK_HISTORY_DESTINATION`` names the warehouse, as ``--destination`` does; DuckDB without it.
"""

from __future__ import annotations

import os

from .dagster_definitions import task_history_definitions

defs = task_history_definitions(destination=os.environ.get("TASK_HISTORY_DESTINATION") or None)
