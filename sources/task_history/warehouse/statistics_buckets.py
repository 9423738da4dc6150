"""The stored buckets of the vendor's statistics, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core.intervals import merged
from ..core.models import Row, Window
from .dataset import utc, utc_or_epoch


@dataclass(frozen=True, slots=True)
class Bucket:
    """One hour or day, as it is stored."""

    window: Window
    is_closed: bool
    """Whether it is over and all in it has ended."""
    executions: int
    """How many the vendor counts."""
    fetched_at: datetime | None


@dataclass(frozen=True, slots=True)
class Buckets:
    """All stored buckets of one length."""

    buckets: tuple[Bucket, ...]
    """By time."""

    @classmethod
    def read(cls, rows: Iterable[Row], *, total_column: str) -> Buckets:
        """The buckets of these rows of the table."""
        buckets = (
            Bucket(
                Window(utc_or_epoch(row["bucket_start"]), utc_or_epoch(row["bucket_end"])),
                bool(row["is_closed"]),
                int(row[total_column] or 0),
                utc(row["fetched_at"]),
            )
            for row in rows
        )
        return cls(tuple(sorted(buckets, key=lambda bucket: bucket.window)))

    @property
    def read_until(self) -> datetime | None:
        """The first bucket that must be read again, or the end of the last; None before the first read."""
        opens = (bucket.window.start for bucket in self.buckets if not bucket.is_closed)
        return min(opens, default=max((bucket.window.end for bucket in self.buckets), default=None))

    def closed_read_at(self, *, since: datetime) -> datetime | None:
        """When the closed bucket that was read longest ago was read, of those that end after ``since``."""
        read_at = (
            bucket.fetched_at
            for bucket in self.buckets
            if bucket.is_closed and bucket.window.end > since and bucket.fetched_at is not None
        )
        return min(read_at, default=None)

    def closed_in(self, covered: Sequence[Window]) -> list[Bucket]:
        """The closed buckets that are covered."""
        return [
            bucket
            for bucket in self.buckets
            if bucket.is_closed
            and any(
                window.start <= bucket.window.start and bucket.window.end <= window.end for window in covered
            )
        ]

    def difference(
        self, covered: Sequence[Window], count: Callable[[Sequence[Window]], list[int]]
    ) -> tuple[int, int] | None:
        """How many executions the vendor counts in closed buckets that are covered, and how many are stored.

        ``count`` returns how many are stored in each window. None where both are the same.
        """
        closed = self.closed_in(covered)
        counted = sum(bucket.executions for bucket in closed)
        stored = sum(count(merged(bucket.window for bucket in closed)))
        return None if counted == stored else (counted, stored)

    def written_at(self, start: datetime) -> datetime | None:
        """When all buckets from ``start`` on were read, at once; None where not so, or where one is missing."""
        buckets = [bucket for bucket in self.buckets if bucket.window.start >= start]
        ends = [start, *(bucket.window.end for bucket in buckets)]
        if any(bucket.window.start != end for bucket, end in zip(buckets, ends, strict=False)):
            return None
        instants = {bucket.fetched_at for bucket in buckets}
        return instants.pop() if len(instants) == 1 else None

    def counted_since(self, start: datetime) -> dict[datetime, int]:
        """How many executions the vendor counts in each bucket from ``start`` on, by its start."""
        return {
            bucket.window.start: bucket.executions for bucket in self.buckets if bucket.window.start >= start
        }
