"""What syncs and backfills are billed on BigQuery: the minimum for the tables that their statements read or change.

BigQuery bills at least 10 MiB for each table of a statement: https://cloud.google.com/bigquery/pricing#on_demand_pricing
A test compares these numbers with what is sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_BILLED_BYTES = 10 * 2**20
"""Minimum bytes billed for each table of a statement."""
IDLE_TABLES = 8
"""Tables of the statements of a sync that finds nothing new."""
NEWS_TABLES = 35
"""Tables, at most, of the statements of a sync that finds new executions and reads their details."""
_LISTING_TABLES, _DETAILS_TABLES = 6, 14
"""Tables of the statements that write and follow a commit of listed executions, and one of details."""
_DAYS, _HOURS = 30, 24


@dataclass(frozen=True, slots=True)
class LeastBytesBilled:
    """Bytes billed at least."""

    backfill: int
    """For the backfill."""
    month_idle: int
    """For a month of hourly syncs that find nothing new."""
    month: int
    """For a month of hourly syncs that all find something."""


def least_billed(executions: int, details: int, *, rows: int, details_per_commit: int) -> LeastBytesBilled:
    """Bytes billed at least for a backfill of so many executions and details, by a commit's limits, and for syncs."""
    commits = math.ceil(executions / rows), math.ceil(details / details_per_commit)
    tables = IDLE_TABLES + commits[0] * _LISTING_TABLES + commits[1] * _DETAILS_TABLES
    hours = _DAYS * _HOURS
    return LeastBytesBilled(
        tables * MIN_BILLED_BYTES,
        hours * IDLE_TABLES * MIN_BILLED_BYTES,
        hours * NEWS_TABLES * MIN_BILLED_BYTES,
    )
