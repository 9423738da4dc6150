"""Task history: every execution of a workflow and its steps, from vendor APIs into a warehouse.

``paragon()`` and its like are the dlt sources (see ``source``); ``sync`` loads one in many commits (``sync_pipeline``).
The packages, lowest first; each imports only those above it in this list (``make check``)::

    core         values and tools: models, errors, intervals, JSON, batches, concurrency, stop
    systems      one package per vendor: what it says and how it is asked
    redaction    secrets taken out of what a vendor sends
    settings_suggestions, settings_sources, settings_accounts, settings_reader
                 what a user may set: suggestions for misspelled names, the places that hold settings, the accounts
                 that are configured, and the settings of an account, read and checked
    state        locks and the shared Postgres of several machines
    client       all that speaks HTTP to a vendor, within the budget of its key
    warehouse    what the tables are and what they are asked
    extract      requests for lists and details, and the evidence that the answers are complete
    load         rows → Arrow → dlt → the warehouse; the only one of these packages that imports dlt
    views        what analysts ask: one question per file, made in the warehouse, checked, described
    runs         what a command does: sync, backfill, audit, replay, plan; in batches, over partitions
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# made by make reference: begin
if TYPE_CHECKING:
    from .runs.run_result import RunResult
    from .source import b3os, paragon, sailpoint, twinit
    from .sync_pipeline import sync

__all__ = ["RunResult", "b3os", "paragon", "sailpoint", "sync", "twinit"]
# made by make reference: end

_MODULES = {"RunResult": "runs.run_result", "sync": "sync_pipeline"}
"""Modules of exports that are not dlt sources."""


def __getattr__(name: str) -> Any:
    # Importing dlt takes a second; what only wants an error or a setting should not pay for it.
    if name in __all__:
        return getattr(import_module(f".{_MODULES.get(name, 'source')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
