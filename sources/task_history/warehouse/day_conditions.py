"""SQL conditions on the days of a table that is partitioned by day, as constants, by which BigQuery prunes.

https://cloud.google.com/bigquery/docs/querying-partitioned-tables#pruning_partitions_limiting_the_partitions_scanned
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

_DAY = timedelta(days=1)


def within(column: str, days: Iterable[datetime | None]) -> str:
    """The SQL condition that the column lies in one of the days."""
    days = set(days)
    parts = [
        f"({column} >= {literal(start)} AND {column} < {literal(end)})"
        for start, end in _spans(sorted(day for day in days if day is not None))
    ]
    if None in days:
        parts.append(f"{column} IS NULL")
    return f"({' OR '.join(parts)})" if parts else "FALSE"


def _spans(days: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """The days as half-open spans, with consecutive days joined."""
    spans: list[tuple[datetime, datetime]] = []
    for day in days:
        if spans and spans[-1][1] == day:
            spans[-1] = (spans[-1][0], day + _DAY)
        else:
            spans.append((day, day + _DAY))
    return spans


def literal(instant: datetime) -> str:
    """The instant as an SQL constant."""
    return f"TIMESTAMP '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00:00'"
