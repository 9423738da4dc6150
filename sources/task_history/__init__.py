"""Task history: every execution of a workflow and its steps, from vendor APIs into a warehouse.

``paragon()`` and its like are the dlt sources (see ``source``); ``sync`` loads one in many commits (``sync_source``).
The modules in the order in which data meets them::

    settings      what a user may set, checked
    systems       one module per vendor: what it says and how it is asked
    budget        requests per period, shared by all processes: sliding, ledger
    connecting    a client within the budget of its key, logged in by credentials
    client        what is asked of a vendor, and how often: wire and proxied (only they speak HTTP),
                  certificates, origins, crew, deciphering, faults, waits, stopping
    recent        what is new since the last sync
    listing       windows → verified pieces: windows, paging, walking, comparing
    chaining      the same of lists that are not sorted; scanning of those that are not narrowed to a window
    parts         several such lists, each for itself, side by side; asking in the form that a vendor knows
    refresh       open executions → their state now, planned by settling
    workflows     which integration a workflow belongs to
    details       the backlog → steps and payloads: core.json, redaction
    records       what was sent → rows: states
    context       all of that for one run; work is what several kinds of run do alike:
      syncing     everything since the last sync; syncing_parts where lists are not sorted, feeding of statistics
      backfilling a range of the past; planning and estimating say beforehand what it costs
      auditing    what is covered against what the API shows: differing, findings
      replaying   executions run again, each at most once: candidates
    session       the work in batches, with the books: coverage, batches, runs
    columnar      rows → Arrow, nothing lost
    resources     batches → dlt resources
    loading       the dlt pipeline: made ready, committed to, asked: warehouse, failures, housekeeping
    views         what analysts ask: one question per file, made in the warehouse, checked, described
    reasons       why an execution is there, or not: absence, sightings, whereabouts
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runs.result import RunResult
    from .source import b3os, paragon, sailpoint, twinit
    from .sync_source import sync

__all__ = ["RunResult", "b3os", "paragon", "sailpoint", "sync", "twinit"]

_MODULES = {"RunResult": "runs.result", "sync": "sync_source"}
"""Where names stand that are not dlt sources."""


def __getattr__(name: str) -> Any:
    # Importing dlt takes a second; what only wants an error or a setting should not pay for it.
    if name in __all__:
        return getattr(import_module(f".{_MODULES.get(name, 'source')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
