"""How many rows and bytes a commit holds at most, and how long rows wait for it: these say how often a run commits.

The defaults are those of DuckDB; BigQuery, MotherDuck and all that dlt alone knows state others as ``commits`` in
``load/destinations``. ``seconds`` also says, with the longest wait for a DuckDB file, how long a run of another machine
counts as active after its last commit, see ``runs/run_lock``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_LOST_BUDGET_S = 10.0
"""Seconds of request budget that a killed run may lose, where a commit is cheap."""
_LONG_WAIT = 0.05
"""A long wait for the vendor, as a share of ``seconds``."""


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """Limits of one commit: larger ones lose more work to a kill, smaller ones cost the warehouse more.

    The defaults are those of DuckDB.
    """

    rows: int = 40_000
    """Rows of a commit. Listings give them in pieces (``rows_per_piece`` in ``extract/listing_kinds``), so that a smaller
    number changes little. DuckDB's file is checkpointed after about three such commits (``load/destinations/duckdb``)."""
    least_rows: int = 5_000
    """Lower bound of ``rows``, also where the budget yields fewer."""
    bytes: int = 16_000_000
    """Bytes of free text."""
    seconds: float = 60.0
    """Fetched rows are committed after this many seconds at the latest."""
    details: int = 500
    """Requests for details."""

    @property
    def long_wait_s(self) -> float:
        """When no request was sent for so long, the rows that are there are committed."""
        return _LONG_WAIT * self.seconds

    def paced(self, limit: int, period_s: float, *, page_size: int) -> CommitLimits:
        """The limits where requests are limited: ``rows`` is what ten seconds of requests yield, within its bounds.

        ``limit`` is requests in a period, 0 for any number.
        """
        if not limit:
            return self
        rows = round(_LOST_BUDGET_S * limit / period_s) * page_size
        return replace(self, rows=min(self.rows, max(self.least_rows, rows)))
